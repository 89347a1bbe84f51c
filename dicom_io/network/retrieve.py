"""Fetches from a peer: C-GET and C-MOVE by the Study Root model. Source: PS3.4 Annex C."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pydicom.dataset import Dataset

from dicom_io.archive.archive import Archive, Kept
from dicom_io.capabilities import PLAIN, STORAGE_CLASSES, STUDY_ROOT_GET, STUDY_ROOT_MOVE, StorageClass, syntaxes_for
from dicom_io.errors import ConnectionBroke, NotOffered, QueryFailed
from dicom_io.network.commands import (
    C_GET,
    C_MOVE,
    C_STORE,
    CANCELLED,
    DESTINATION_UNKNOWN,
    SOME_FAILED,
    SUCCESS,
    Command,
    answer_to,
)
from dicom_io.network.dimse import ArrivingDataSet, Pieces, take_over
from dicom_io.network.requestor import Answer, Peer, Proposal, associate, unexpected
from dicom_io.network.upper_layer import Context
from dicom_io.uids import checked
from render.progress import CountDone

# The longest data set that we take by C-GET.
_MOST_BYTES = 8 << 30


@dataclass(frozen=True, slots=True)
class Retrieved:
    """The result of a retrieval, in instances. problems : messages of the peer or the archive, for people."""

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
    progress: CountDone | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    on_kept: Callable[[Kept], None] | None = None,
) -> Retrieved:
    """Fetches a study, some of its series, or instances of one series (then name that series alone).

    how : `get` brings the instances on this association into `archive`; `move` has the peer send them to `move_to`
    (our own AE title if empty), a receiver that the peer must know.
    progress : called with instances done and instances in all, as far as the peer has told.
    cancelled : called with every answer; when true, the peer is asked to stop.

    Raises PeerUnreachable, QueryFailed (also when `how` is not offered), UidError.
    """
    wanted = [_request(study_uid, series_uid, instance_uids) for series_uid in series_uids or ("",)]
    problems: list[str] = []
    arrived: set[str] = set()

    def store(command: Command, context: Context, context_id: int, pieces: Pieces) -> bytes:
        if command.field != C_STORE:
            return unexpected(command, context, context_id, pieces)
        arriving = ArrivingDataSet(pieces, context_id)
        status, kept, why = take_over(archive, command, context, arriving, _MOST_BYTES, by=peer.ae_title)
        if kept is not None:
            arrived.add(command.sop_instance_uid)
            if on_kept is not None:
                on_kept(kept)
        if why:
            problems.append(why)
        return answer_to(command, status)

    field, model = (C_GET, STUDY_ROOT_GET) if how == "get" else (C_MOVE, STUDY_ROOT_MOVE)
    try:
        association = associate(peer, calling, [Proposal(model), *(_storage_contexts() if how == "get" else [])])
        if not association.accepted(model):
            association.release()
            raise NotOffered
    except NotOffered as error:
        other = "move" if how == "get" else "get"
        raise QueryFailed(f"{peer} does not offer C-{how.upper()}; try C-{other.upper()}.") from error
    ended = _SubOperations()
    stopped = False
    try:
        with association:
            for identifier in wanted:
                before, now = ended, _SubOperations()
                for answer in association.ask(
                    field,
                    model,
                    move_destination=(move_to or calling) if how == "move" else "",
                    data=identifier,
                    on_request=store,
                ):
                    now = _progress_of(answer, now, f"C-{how.upper()}", peer)
                    ended = before + now
                    if progress is not None and ended.total:
                        progress(ended.done, ended.total)
                    if now.pending and not stopped and cancelled():
                        stopped = True
                        association.cancel()
                if stopped:
                    break
    except ConnectionBroke as error:
        raise QueryFailed(f"{error} What had come by then is kept.") from error
    if how == "move" and move_to in ("", calling) and not stopped:
        here = _here(archive, study_uid, series_uids, instance_uids)
        if here < ended.completed:
            problems.append(
                f"{peer} says that it sent {ended.completed} instances to {calling}, and {here} of them are here: does "
                f"it know the address and port of {calling}, and is that receiving?"
            )
    # Our own count of arrived instances is more reliable than that of an interrupted peer.
    completed = len(arrived) if how == "get" else ended.completed
    return Retrieved(completed, ended.failed, ended.warnings, stopped, tuple(problems))


def _here(archive: Archive, study_uid: str, series_uids: Sequence[str], instance_uids: Sequence[str]) -> int:
    """Counts the requested instances that the archive holds. Our receiver answers the peer only when an instance is in
    the index, so all of them are there when the peer says that it is done."""
    if instance_uids:
        return len(set(instance_uids) & archive.digests(series_uids[0]).keys())
    return sum(archive.counts(list(series_uids) or archive.series_of(study_uid)).values())


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
    """The counts of sub-operations in the last answer. Source: PS3.7 9.1.3.1 (C-GET) and 9.1.4.1 (C-MOVE)."""

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


def _progress_of(answer: Answer, before: _SubOperations, service: str, peer: Peer) -> _SubOperations:
    command, code = answer.command, answer.status
    refused = not answer.pending and code not in (SUCCESS, CANCELLED, SOME_FAILED)
    if refused and not before.done and not command.failed:
        # A failure after some instances have come still reports their counts.
        if code == DESTINATION_UNKNOWN:
            raise QueryFailed(
                f"{peer} refused {service}: {answer}. It knows no address for the AE title that it is to send to; its "
                "administrator enters that, with this machine's address and port."
            )
        raise QueryFailed(f"{peer} refused {service}: {answer}.")
    if code in (SUCCESS, CANCELLED) and command.completed is None:
        rest = before.remaining if code == SUCCESS else 0
        return _SubOperations(0, before.completed + rest, before.failed, before.warnings)
    return _SubOperations(
        remaining=command.remaining or 0 if answer.pending else 0,
        completed=command.completed or 0,
        failed=command.failed or 0,
        warnings=command.warnings or 0,
        pending=answer.pending,
    )


def _storage_contexts() -> list[Proposal]:
    return [Proposal(c.uid, syntaxes, provides=True) for c in STORAGE_CLASSES for syntaxes in proposed_syntaxes(c)]


def proposed_syntaxes(storage_class: StorageClass) -> list[tuple[str, ...]]:
    """Returns the transfer syntaxes of each context in which a peer may send a class, as it keeps it or uncompressed.

    The peer picks one transfer syntax for each context, so a compressed syntax that must not be decompressed on the way
    needs a context of its own. At most 127 contexts fit besides the query's. Source: PS3.8 9.3.2.2.
    """
    compressed = tuple(s for s in syntaxes_for(storage_class) if s not in PLAIN)
    if storage_class.role == "source":
        return [PLAIN, *((s,) for s in compressed if s in _KEPT_AS_THEY_ARE)]
    return [PLAIN, *([compressed] if storage_class.role == "derived" else [])]


# JPEG-LS, JPEG 2000 and JPEG lossless, JPEG baseline and RLE: the usual syntaxes of archives.
_KEPT_AS_THEY_ARE = frozenset(
    {
        "1.2.840.10008.1.2.4.80",
        "1.2.840.10008.1.2.4.90",
        "1.2.840.10008.1.2.4.91",
        "1.2.840.10008.1.2.4.70",
        "1.2.840.10008.1.2.5",
    }
)
