"""The Storage SCU: an instance goes in the transfer syntax it is kept in, decompressed only where the peer needs it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom.presentation import build_context

from dicom_io.associate import Peer, associate, drop
from dicom_io.capabilities import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, NATIVE_SYNTAXES
from dicom_io.decode import stored_pixels
from dicom_io.errors import NotReadable, PeerUnreachable
from dicom_io.series import Instance

# PS3.8 9.3.2.2: presentation context IDs are odd numbers from 1 to 255.
_MOST_CONTEXTS = 128
_BROKEN = "the connection broke or timed out before the peer answered"


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one instance. `status` is the C-STORE status, None when none came. Source: PS3.4 B.2.3."""

    sop_instance_uid: str
    status: int | None
    detail: str

    @property
    def accepted(self) -> bool:
        """Success, or a warning: the peer has it (PS3.7 C.2)."""
        return self.status is not None and (self.status == 0 or self.status >> 12 == 0xB)


class Sender:
    """An association kept open for several instances. Use as a context manager.

    kinds : (SOP class, transfer syntax) pairs to propose from the start; others are negotiated when they come.

    Raises PeerUnreachable when no association comes about, also in `send`.
    """

    def __init__(self, peer: Peer, calling: str = "WORKSTATION", kinds: Iterable[tuple[str, str]] = ()) -> None:
        self._peer, self._calling, self._kinds = peer, calling, list(kinds)
        self._association: Any = None

    def __enter__(self) -> "Sender":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._release()

    def send(self, instance: Instance) -> Sent:
        """One C-STORE, on a new association when the last one broke or lacks a presentation context."""
        kind = _kind(instance)
        if kind not in self._kinds:
            # Two contexts a kind, as it is and uncompressed; when they run out, forget the oldest.
            self._kinds = [*self._kinds, kind][-_MOST_CONTEXTS // 2 :]
            self._release()
        if self._association is None or not self._association.is_established:
            self._release()
            self._association = associate(self._peer, self._calling, _contexts(self._kinds))
        sent = _send_one(self._association, instance)
        if sent.status is None and sent.detail == _BROKEN:
            drop(self._association)  # whoever sent on it would wait for the timeout
            self._association = None
        return sent

    def _release(self) -> None:
        if self._association is not None and self._association.is_established:
            self._association.release()
        elif self._association is not None:
            drop(self._association)
        self._association = None


def send(
    instances: Sequence[Instance],
    peer: Peer,
    calling: str = "WORKSTATION",
    progress: Callable[[Sent], None] | None = None,
) -> list[Sent]:
    """Sends instances one after the other; a result for each, in order.

    Raises PeerUnreachable when no association comes about at first. When it breaks later and none comes about again,
    the rest is reported as not sent.
    """
    results: list[Sent] = []
    with Sender(peer, calling, list(dict.fromkeys(map(_kind, instances)))[: _MOST_CONTEXTS // 2]) as sender:
        for instance in instances:
            try:
                results.append(sender.send(instance))
            except PeerUnreachable as error:
                if not results:
                    raise
                results.append(Sent(instance.sop_instance_uid, None, str(error)))
            if progress is not None:
                progress(results[-1])
    return results


def _kind(instance: Instance) -> tuple[str, str]:
    return (instance.sop_class_uid, instance.transfer_syntax_uid)


def _contexts(kinds: Iterable[tuple[str, str]]) -> list[Any]:
    contexts = []
    for sop_class, syntax in kinds:
        contexts.append(build_context(sop_class, syntax))
        plain = [s for s in (EXPLICIT_LITTLE, IMPLICIT_LITTLE) if s != syntax]
        contexts.append(build_context(sop_class, plain))
    return contexts


def _send_one(association: Any, instance: Instance) -> Sent:
    uid = instance.sop_instance_uid
    accepted = {
        c.transfer_syntax[0] for c in association.accepted_contexts if c.abstract_syntax == instance.sop_class_uid
    }
    if not accepted:
        return Sent(uid, None, "the peer does not take this kind of object")
    try:
        if instance.transfer_syntax_uid in accepted:
            answer = association.send_c_store(Path(instance.path))
        else:
            syntax = EXPLICIT_LITTLE if EXPLICIT_LITTLE in accepted else IMPLICIT_LITTLE
            answer = association.send_c_store(_plain(instance, syntax))
    except OSError as error:
        return Sent(uid, None, f"{instance.path}: cannot be read ({error.strerror})")
    except (NotReadable, ValueError, RuntimeError, AttributeError) as error:
        return Sent(uid, None, str(error))
    if "Status" not in answer:
        return Sent(uid, None, _BROKEN)
    status = int(answer.Status)
    return Sent(uid, status, "" if status == 0 else f"status 0x{status:04X} {answer.get('ErrorComment', '')}".strip())


def _plain(instance: Instance, syntax: str) -> Dataset:
    """The instance in an uncompressed little endian transfer syntax, with the values that it has."""
    ds = pydicom.dcmread(instance.path)
    if instance.transfer_syntax_uid not in NATIVE_SYNTAXES and instance.samples == 1:
        ds.PixelData = stored_pixels(instance)
        ds["PixelData"].VR = "OB" if instance.bits_allocated <= 8 else "OW"
        ds["PixelData"].is_undefined_length = False
        for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
            ds.pop(keyword, None)
    elif instance.transfer_syntax_uid not in NATIVE_SYNTAXES:
        ds.decompress(generate_instance_uid=False)  # colour, which no volume has
    if instance.transfer_syntax_uid == EXPLICIT_BIG:
        ds.walk(_swap_bytes)
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    written = BytesIO()
    plain = Dataset(ds)  # knows nothing of the encoding that it was read in
    plain.file_meta = ds.file_meta
    plain.save_as(written, enforce_file_format=True)
    written.seek(0)
    return pydicom.dcmread(written)


# Bytes of one word in the VRs that pydicom leaves as they are. Source: PS3.5 6.2 and 7.3 (byte ordering).
_WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}


def _swap_bytes(ds: Dataset, element: DataElement) -> None:
    width = _WORDS.get(element.VR)
    if width and element.value:
        if element.tag == 0x7FE00010 and ds.get("BitsAllocated") == 32:
            width = 4
        element.value = np.frombuffer(element.value, f">u{width}").astype(f"<u{width}").tobytes()
