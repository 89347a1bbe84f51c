"""Fetching from a peer: C-GET and C-MOVE by the Study Root model. Source: PS3.4 Annex C."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.presentation import build_context, build_role

from dicom_io.archive import Archive, Kept
from dicom_io.associate import Peer, associate
from dicom_io.capabilities import (
    STORAGE_CLASSES,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    StorageClass,
    syntaxes_for,
)
from dicom_io.errors import NotOffered, QueryFailed
from dicom_io.keeping import keep
from dicom_io.query import CANCELLED, PENDING, PLAIN, SOME_FAILED, SUCCESS, in_words, status_code
from dicom_io.uids import checked


@dataclass(frozen=True, slots=True)
class Retrieved:
    """How a retrieval ended, in instances. problems : what the peer or the archive said, for people."""

    completed: int
    failed: int
    warnings: int
    cancelled: bool
    problems: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        return not (self.failed or self.cancelled or self.problems)


def retrieve(
    peer: Peer,
    archive: Archive,
    study_uid: str,
    series_uids: Sequence[str] = (),
    instance_uids: Sequence[str] = (),
    *,
    calling: str = "WORKSTATION",
    how: Literal["get", "move"] = "get",
    move_to: str = "",
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    on_kept: Callable[[Kept], None] | None = None,
) -> Retrieved:
    """Fetches a study, some of its series, or instances of one series (then name that series alone).

    how : `get` brings the instances on this association into `archive`; `move` has the peer send them to `move_to`
    (our own AE title if empty), where a receiver has to listen that the peer knows.
    progress : called with instances done and instances in all as far as the peer has said.
    cancelled : asked with every answer; when it says so, the peer is asked to stop.

    Raises PeerUnreachable, QueryFailed (also when `how` is not offered), UidError.
    """
    wanted = [_request(study_uid, series_uid, instance_uids) for series_uid in series_uids or ("",)]
    problems: list[str] = []
    arrived: set[str] = set()

    def store(event: Any) -> int:
        request = event.request
        uid = str(request.AffectedSOPInstanceUID)
        status, kept, why = keep(archive, uid, lambda path: path.write_bytes(event.encoded_dataset(include_meta=True)))
        if kept is not None:
            arrived.add(uid)
            if on_kept is not None:
                on_kept(kept)
        if why:
            problems.append(why)
        return status

    contexts, roles, handlers = [build_context(STUDY_ROOT_MOVE, PLAIN)], [], []
    if how == "get":
        contexts = [build_context(STUDY_ROOT_GET, PLAIN), *_storage_contexts()]
        roles = [build_role(c.uid, scp_role=True) for c in STORAGE_CLASSES]
        handlers = [(evt.EVT_C_STORE, store)]
    model = STUDY_ROOT_GET if how == "get" else STUDY_ROOT_MOVE
    try:
        association = associate(peer, calling, contexts, roles, handlers)
        offered = any(c.abstract_syntax == model for c in association.accepted_contexts)
    except NotOffered:
        association, offered = None, False
    ended = _SubOperations()
    stopped = False
    try:
        if not offered:
            other = "move" if how == "get" else "get"
            raise QueryFailed(f"{peer} does not offer C-{how.upper()}; try C-{other.upper()}.")
        for identifier in wanted:
            if how == "get":
                answers = association.send_c_get(identifier, model)
            else:
                answers = association.send_c_move(identifier, move_to or calling, model)
            before, now = ended, _SubOperations()
            for status, _ in answers:
                now = _progress_of(status, now, f"C-{how.upper()}", peer)
                ended = before + now
                if progress is not None and ended.total:
                    progress(ended.done, ended.total)
                if now.pending and not stopped and cancelled():
                    stopped = True
                    association.send_c_cancel(1, query_model=model)
            if stopped:
                break
    finally:
        if association is not None:
            association.release()
    # Of what came here we know better than a peer that was interrupted.
    completed = len(arrived) if how == "get" else ended.completed
    return Retrieved(completed, ended.failed, ended.warnings, stopped, tuple(problems))


def _request(study_uid: str, series_uid: str, instance_uids: Sequence[str]) -> Dataset:
    level = "IMAGE" if instance_uids else "SERIES" if series_uid else "STUDY"
    if instance_uids and not series_uid:
        raise QueryFailed("Instances are fetched by their series; name it.")
    ds = Dataset()
    ds.QueryRetrieveLevel = level
    ds.StudyInstanceUID = checked(study_uid, "Study Instance UID")
    if series_uid:
        ds.SeriesInstanceUID = checked(series_uid, "Series Instance UID")
    if instance_uids:
        ds.SOPInstanceUID = [checked(uid, "SOP Instance UID") for uid in instance_uids]
    return ds


@dataclass(frozen=True, slots=True)
class _SubOperations:
    """Counts of the last answer. Source: PS3.7 9.1.3.1 (C-GET) and 9.1.4.1 (C-MOVE)."""

    remaining: int = 0
    completed: int = 0
    failed: int = 0
    warnings: int = 0
    pending: bool = False

    def __add__(self, other: "_SubOperations") -> "_SubOperations":
        return _SubOperations(
            other.remaining,
            self.completed + other.completed,
            self.failed + other.failed,
            self.warnings + other.warnings,
            other.pending,
        )

    @property
    def done(self) -> int:
        return self.completed + self.failed + self.warnings

    @property
    def total(self) -> int:
        return self.done + self.remaining


def _progress_of(status: Dataset, before: _SubOperations, service: str, peer: Peer) -> _SubOperations:
    code = status_code(status, service, peer)
    pending = code in PENDING
    refused = code not in (*PENDING, SUCCESS, CANCELLED, SOME_FAILED)
    if refused and not before.done and not status.get("NumberOfFailedSuboperations"):
        # A failure after some have come still counts what went.
        raise QueryFailed(f"{peer} refused {service}: {in_words(status)}")
    if code in (SUCCESS, CANCELLED) and "NumberOfCompletedSuboperations" not in status:
        rest = before.remaining if code == SUCCESS else 0
        return _SubOperations(0, before.completed + rest, before.failed, before.warnings)
    return _SubOperations(
        remaining=int(status.get("NumberOfRemainingSuboperations") or 0) if pending else 0,
        completed=int(status.get("NumberOfCompletedSuboperations") or 0),
        failed=int(status.get("NumberOfFailedSuboperations") or 0),
        warnings=int(status.get("NumberOfWarningSuboperations") or 0),
        pending=pending,
    )


def _storage_contexts() -> list[Any]:
    return [build_context(c.uid, list(syntaxes)) for c in STORAGE_CLASSES for syntaxes in proposed_syntaxes(c)]


def proposed_syntaxes(storage_class: StorageClass) -> list[tuple[str, ...]]:
    """The transfer syntaxes of each context in which a peer may send a class, as it keeps it or uncompressed.

    A presentation context ends up with one transfer syntax, which the peer picks; so what must not be decompressed on
    the way has a context of its own. At most 127 fit beside the query's. Source: PS3.8 9.3.2.2.
    """
    compressed = tuple(s for s in syntaxes_for(storage_class) if s not in PLAIN)
    if storage_class.role == "source":
        return [tuple(PLAIN), *((s,) for s in compressed if s in _KEPT_AS_THEY_ARE)]
    return [tuple(PLAIN), *([compressed] if storage_class.role == "derived" else [])]


# JPEG-LS, JPEG 2000 and JPEG lossless, JPEG baseline and RLE: what archives keep images in.
_KEPT_AS_THEY_ARE = frozenset(
    {
        "1.2.840.10008.1.2.4.80",
        "1.2.840.10008.1.2.4.90",
        "1.2.840.10008.1.2.4.91",
        "1.2.840.10008.1.2.4.70",
        "1.2.840.10008.1.2.5",
    }
)
