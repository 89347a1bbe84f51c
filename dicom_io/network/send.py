"""The Storage SCU: sends an instance in the transfer syntax it is kept in; decompresses only if the peer needs it."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from dicom_io.capabilities import EXPLICIT_BIG, EXPLICIT_LITTLE, NATIVE_SYNTAXES, PLAIN
from dicom_io.errors import ConnectionBroke, NotReadable, PeerUnreachable
from dicom_io.files.decode import stored_pixels
from dicom_io.files.elements import data_set_offset
from dicom_io.files.encoding import encoded
from dicom_io.files.series import Instance
from dicom_io.network.commands import C_STORE
from dicom_io.network.requestor import Answer, Association, Peer, Proposal, associate

# PS3.8 9.3.2.2: presentation context IDs are odd numbers from 1 to 255.
_MOST_CONTEXTS = 128


@dataclass(frozen=True, slots=True)
class Sent:
    """The result of sending one instance. status : of C-STORE, None when no answer came. Source: PS3.4 B.2.3."""

    sop_instance_uid: str
    status: int | None
    detail: str

    @property
    def accepted(self) -> bool:
        """Whether the peer has stored the instance: success or a warning (PS3.7 C.2)."""
        return self.status is not None and (self.status == 0 or self.status >> 12 == 0xB)


class Sender:
    """An association kept open for several instances. Use as a context manager.

    kinds : (SOP class, transfer syntax) pairs to propose from the start; others are negotiated when needed.

    Raises PeerUnreachable when no association can be opened, also in `send`.
    """

    def __init__(self, peer: Peer, calling: str = "WORKSTATION", kinds: Iterable[tuple[str, str]] = ()) -> None:
        self._peer, self._calling, self._kinds = peer, calling, list(kinds)
        self._association: Association | None = None

    def __enter__(self) -> "Sender":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def send(self, instance: Instance, originator: tuple[str, int] | None = None) -> Sent:
        """Sends one C-STORE, on a new association when the last one broke or lacks a presentation context.

        originator : AE title and message ID of the C-MOVE that it belongs to.
        """
        kind = _kind(instance)
        if kind not in self._kinds:
            # Each kind takes two contexts, as kept and uncompressed; when they run out, the oldest kind is dropped.
            self._kinds = [*self._kinds, kind][-_MOST_CONTEXTS // 2 :]
            self.close()
        return send_one(self.open(), instance, originator)

    def open(self) -> Association:
        """Returns the open association, a new one where there is none. Raises PeerUnreachable."""
        if self._association is None or not self._association.open:
            self._association = associate(self._peer, self._calling, _contexts(self._kinds))
        return self._association

    def close(self) -> None:
        """Ends the association, if there is one; `send` opens another."""
        if self._association is not None:
            self._association.release()
        self._association = None


def send(
    instances: Sequence[Instance],
    peer: Peer,
    calling: str = "WORKSTATION",
    progress: Callable[[Sent], None] | None = None,
    associations: int = 1,
) -> list[Sent]:
    """Sends instances on `associations` associations at once. Returns a result for each, in their order.

    progress : called with each result as it comes, by one thread at a time. A peer that accepts fewer associations gets
    everything on those.

    Raises PeerUnreachable when the first association cannot be opened. When one breaks later and none can be opened
    again, the remaining instances are reported as not sent.
    """
    kinds = list(dict.fromkeys(map(_kind, instances)))[: _MOST_CONTEXTS // 2]
    todo = deque(enumerate(instances))
    results: dict[int, Sent] = {}
    telling = threading.Lock()

    def work(sender: Sender, first: bool) -> None:
        while todo:
            try:
                number, instance = todo.popleft()
            except IndexError:
                return  # another thread took the last instance
            try:
                sent = sender.send(instance)
            except PeerUnreachable as error:
                if not first:
                    todo.appendleft((number, instance))
                    return
                sent = Sent(instance.sop_instance_uid, None, str(error))
            with telling:
                results[number] = sent
                if progress is not None:
                    progress(sent)

    def help_out() -> None:
        with Sender(peer, calling, kinds) as sender:
            work(sender, False)

    with ThreadPoolExecutor(max(1, associations)) as pool, Sender(peer, calling, kinds) as sender:
        if todo:
            sender.open()  # before the others, who may be one too many for the peer
        others = [pool.submit(help_out) for _ in range(min(associations, len(instances)) - 1)]
        try:
            work(sender, True)
            for other in others:
                other.result()
            work(sender, True)  # instances that another thread took and could not send
        finally:
            todo.clear()
    return [results[number] for number in sorted(results)]


def _kind(instance: Instance) -> tuple[str, str]:
    return (instance.sop_class_uid, instance.transfer_syntax_uid)


def _contexts(kinds: Iterable[tuple[str, str]]) -> list[Proposal]:
    contexts = []
    for sop_class, syntax in kinds:
        contexts.append(Proposal(sop_class, (syntax,)))
        contexts.append(Proposal(sop_class, tuple(s for s in PLAIN if s != syntax)))
    return contexts


def send_one(association: Association, instance: Instance, originator: tuple[str, int] | None = None) -> Sent:
    """Sends one C-STORE in a context that the association has; never raises, the result tells a failure."""
    uid = instance.sop_instance_uid
    accepted = association.accepted(instance.sop_class_uid)
    if not accepted:
        return Sent(uid, None, "the peer does not take this kind of object")
    as_it_is = accepted.get(instance.transfer_syntax_uid)
    try:
        with Path(instance.path).open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            offset = data_set_offset(file.read(1 << 12))
            if as_it_is is not None and offset:
                file.seek(offset)
                answer = _store(association, instance, as_it_is, file, size - offset, originator)
            else:
                syntax = next(s for s in (instance.transfer_syntax_uid, *PLAIN) if s in accepted)
                data = _converted(instance, syntax)
                answer = _store(association, instance, accepted[syntax], BytesIO(data), len(data), originator)
    except OSError as error:
        return Sent(uid, None, f"{instance.path}: cannot be read ({error.strerror or error})")
    except (ConnectionBroke, NotReadable, ValueError, RuntimeError, AttributeError) as error:
        return Sent(uid, None, str(error))
    return Sent(uid, answer.status, "" if answer.status == 0 else str(answer))


def _store(
    association: Association,
    instance: Instance,
    context_id: int,
    data: BinaryIO,
    size: int,
    originator: tuple[str, int] | None,
) -> Answer:
    return association.ask_once(
        C_STORE,
        instance.sop_class_uid,
        context_id=context_id,
        sop_instance_uid=instance.sop_instance_uid,
        originator=originator,
        data=data,
        size=size,
    )


def _converted(instance: Instance, syntax: str) -> bytes:
    """Encodes the data set in an uncompressed little endian transfer syntax, or in its own; no value changes."""
    ds = pydicom.dcmread(instance.path, force=True)  # force: old devices' files have no preamble
    if syntax == instance.transfer_syntax_uid and syntax not in NATIVE_SYNTAXES:
        return encoded(ds, EXPLICIT_LITTLE)  # as all compressed syntaxes are (PS3.5 A.4)
    if instance.transfer_syntax_uid not in NATIVE_SYNTAXES and instance.samples == 1:
        ds.PixelData = stored_pixels(instance)
        ds["PixelData"].VR = "OB" if instance.bits_allocated <= 8 else "OW"
        ds["PixelData"].is_undefined_length = False
        for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
            ds.pop(keyword, None)
    elif instance.transfer_syntax_uid not in NATIVE_SYNTAXES:
        ds.decompress(generate_instance_uid=False)  # a colour image, which `stored_pixels` does not read
    if instance.transfer_syntax_uid == EXPLICIT_BIG:
        ds.walk(_swap_bytes)
    # A copy, which does not remember the encoding that it was read in.
    return encoded(Dataset(ds), syntax)


# Bytes of one word in the VRs that pydicom leaves as they are. Source: PS3.5 6.2 and 7.3 (byte ordering).
_WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}


def _swap_bytes(ds: Dataset, element: DataElement) -> None:
    width = _WORDS.get(element.VR)
    if width and element.value:
        if element.tag == 0x7FE00010 and ds.get("BitsAllocated") == 32:
            width = 4
        element.value = np.frombuffer(element.value, f">u{width}").astype(f"<u{width}").tobytes()
