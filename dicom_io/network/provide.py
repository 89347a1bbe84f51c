"""Answers peers' queries and retrievals from our archive: C-FIND, C-GET and C-MOVE by the Study Root model.

Source: PS3.4 Annex C.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import groupby
from typing import Literal

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from dicom_io.archive.archive import Archive
from dicom_io.archive.described import comparable, values_of
from dicom_io.capabilities import STUDY_ROOT_FIND, STUDY_ROOT_GET, STUDY_ROOT_MOVE
from dicom_io.errors import NotReadable, PeerUnreachable
from dicom_io.files.instance import Instance
from dicom_io.files.series import read_dataset
from dicom_io.files.values import many, text
from dicom_io.network.commands import CANCELLED, DESTINATION_UNKNOWN, PENDING, SOME_FAILED, SUCCESS
from dicom_io.network.requestor import Peer
from dicom_io.network.send import Sender, Sent, send_one
from dicom_io.network.services import Reply, Request, Service

# PS3.4 C.4.1.1.4, C.4.2.1.5, C.4.3.1.4.
_TOO_MANY, _DOES_NOT_MATCH = 0xA700, 0xA900
# Nobody reads more answers than this.
MOST_ANSWERS = 1000

Level = Literal["STUDY", "SERIES", "IMAGE"]
_UNIQUE: dict[Level, str] = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}
# What the index knows of an instance.
_INDEXED = (
    *_UNIQUE.values(), "QueryRetrieveLevel", "SOPClassUID", "InstanceNumber", "SpecificCharacterSet",
)  # fmt: skip
_RANGES = ("DA", "TM", "DT")


class _BadRequest(Exception):  # noqa: N818 - reads as a sentence where it is raised
    """The identifier of a request is not allowed by the model."""


def archive_services(
    archive: Archive,
    peer_of: Callable[[str], Peer | None],
    ae_title: str,
    asked: Callable[[Request], None] = lambda request: None,
    given: Callable[[Request, Sequence[Instance]], None] = lambda request, instances: None,
) -> dict[str, Service]:
    """Makes the services for a receiver, by SOP class.

    peer_of : the peer of an AE title that is the destination of a C-MOVE. ae_title : ours. asked : called with every
    query. given : called with the instances that a C-GET or C-MOVE has sent.
    """

    def find(request: Request) -> Iterator[Reply]:
        asked(request)
        yield from _find(archive, ae_title, request)

    def get(request: Request) -> Iterator[Reply]:
        sent: list[Instance] = []
        try:
            yield from _sending(archive, request, lambda instance: send_one(request.association, instance), sent)
        finally:
            given(request, sent)

    def move(request: Request) -> Iterator[Reply]:
        sent: list[Instance] = []
        try:
            yield from _move(archive, peer_of, ae_title, request, sent)
        finally:
            given(request, sent)

    return {STUDY_ROOT_FIND: find, STUDY_ROOT_GET: get, STUDY_ROOT_MOVE: move}


def _find(archive: Archive, ae_title: str, request: Request) -> Iterator[Reply]:
    try:
        level = _level(request.data_set)
        answers = _answers(archive, level, request.data_set)
        for number, found in enumerate(answers):
            if request.cancelled():
                yield Reply(CANCELLED)
                return
            if number >= MOST_ANSWERS:
                yield Reply(_TOO_MANY, comment=f"more than {MOST_ANSWERS} match; ask for fewer")
                return
            yield Reply(PENDING[0], _answer(found, level, request.data_set, ae_title))
    except _BadRequest as error:
        yield Reply(_DOES_NOT_MATCH, comment=str(error))
    else:
        yield Reply(SUCCESS)


def _level(keys: Dataset) -> Level:
    level = text(keys, "QueryRetrieveLevel")
    if level not in _UNIQUE:
        raise _BadRequest(f"query level {level[:16]!r} is none of STUDY, SERIES, IMAGE")
    for above, keyword in _UNIQUE.items():
        if above == level:
            break
        if len(many(keys.get(keyword))) != 1:
            raise _BadRequest(f"level {level} needs one {keyword}")
    return level


def _answers(archive: Archive, level: Level, keys: Dataset) -> Iterator[Dataset]:
    """Yields the headers that match."""
    for candidate in _candidates(archive, level, keys):
        if all(_matches(element, candidate) for element in keys if element.keyword != "QueryRetrieveLevel"):
            yield candidate


def _candidates(archive: Archive, level: Level, keys: Dataset) -> Iterator[Dataset]:
    """Yields the headers of everything at a level, except entries that the index already rules out."""
    catalogue, named = archive.catalogue, Dataset()
    if level == "STUDY":
        of_study = {
            uid: list(several) for uid, several in groupby(catalogue.candidates(keys), lambda one: one.study_uid)
        }
        for first, header in catalogue.datasets(several[0] for several in of_study.values()):
            series = of_study[first.study_uid]
            header.ModalitiesInStudy = sorted({one.modality for one in series} - {""})
            header.NumberOfStudyRelatedSeries = len(series)
            header.NumberOfStudyRelatedInstances = sum(one.instances for one in series)
            yield header
        return
    # The series of the one study: whatever else is asked for is looked at in their headers.
    named.StudyInstanceUID = keys.StudyInstanceUID
    uids = set(_uids(keys, "SeriesInstanceUID"))
    series = [one for one in catalogue.candidates(named) if not uids or one.series_uid in uids]
    if level == "SERIES":
        for one, header in catalogue.datasets(series):
            header.NumberOfSeriesRelatedInstances = one.instances
            yield header
        return
    for one in series:
        first = next((header for _, header in catalogue.datasets([one])), Dataset())
        yield from _images(archive, keys, one.series_uid, first)


def _images(archive: Archive, keys: Dataset, series_uid: str, first: Dataset) -> Iterator[Dataset]:
    """Yields the headers of the instances of a series; opens their files only where a key asks for more than the index
    knows."""
    wanted = set(_uids(keys, "SOPInstanceUID"))
    known = all(element.keyword in _INDEXED for element in keys)
    for instance in archive.series(series_uid).instances:
        if wanted and instance.sop_instance_uid not in wanted:
            continue
        if not known or not instance.instance_number:
            yield from _header(instance.path)
            continue
        header = Dataset()
        if first.get("SpecificCharacterSet"):
            header.SpecificCharacterSet = first.SpecificCharacterSet
        header.StudyInstanceUID, header.SeriesInstanceUID = instance.study_uid, instance.series_uid
        header.SOPInstanceUID, header.SOPClassUID = instance.sop_instance_uid, instance.sop_class_uid
        header.InstanceNumber = instance.instance_number
        yield header


def _header(path: str) -> Iterator[Dataset]:
    """Yields the header of a file; nothing for one that has become unreadable."""
    try:
        yield read_dataset(path)
    except (NotReadable, OSError):
        return


def _matches(key: DataElement, header: Dataset) -> bool:
    """Whether a header matches a key. Source: PS3.4 C.2.2.2."""
    if (
        key.VR == "SQ"
        or key.is_empty
        or key.tag.group == 0
        or key.keyword in ("SpecificCharacterSet", "TimezoneOffsetFromUTC")
    ):
        return True
    held = header.get(key.tag)
    wanted, said = values_of(key), values_of(held) if held is not None else [""]
    if key.VR == "UI":
        return any(uid in said for uid in wanted)
    return any(_is_like(one, value, key.VR) for one in wanted for value in said)


def _is_like(wanted: str, value: str, vr: str) -> bool:
    wanted, value = comparable(wanted, vr), comparable(value, vr)
    if vr in _RANGES and "-" in wanted:
        first, _, last = wanted.partition("-")
        return bool(value) and (not first or value >= first) and (not last or value[: len(last)] <= last)
    if "*" in wanted or "?" in wanted:
        return fnmatchcase(value, wanted.replace("[", "[[]"))
    return wanted == value


def _answer(found: Dataset, level: Level, keys: Dataset, ae_title: str) -> Dataset:
    """Returns the requested attributes of a header, with its unique keys and our AE title for retrieval."""
    answer = Dataset()
    if found.get("SpecificCharacterSet"):
        answer.SpecificCharacterSet = found.SpecificCharacterSet
    answer.QueryRetrieveLevel = level
    answer.RetrieveAETitle = ae_title
    for uid in _UNIQUE.values():
        if uid in keys:
            setattr(answer, uid, found.get(uid))
    for element in keys:
        if element.tag in answer or element.tag.group == 0 or not element.keyword:
            continue
        held = found.get(element.tag)
        if held is not None and held.VR == element.VR:
            answer.add_new(element.tag, element.VR, held.value)
        else:
            answer.add_new(element.tag, element.VR, [] if element.VR == "SQ" else None)
    return answer


def _uids(keys: Dataset, keyword: str) -> list[str]:
    return [str(uid) for uid in many(keys.get(keyword))]


def _move(
    archive: Archive,
    peer_of: Callable[[str], Peer | None],
    ae_title: str,
    request: Request,
    done: list[Instance],
) -> Iterator[Reply]:
    peer = peer_of(request.command.move_destination)
    if peer is None:
        name = request.command.move_destination[:16]
        yield Reply(DESTINATION_UNKNOWN, comment=f"{name!r} is no peer of ours")
        return
    originator = (request.calling, request.command.message_id)
    with Sender(peer, ae_title) as sender:

        def send(instance: Instance) -> Sent:
            try:
                return sender.send(instance, originator)
            except PeerUnreachable as error:
                return Sent(instance.sop_instance_uid, None, str(error))

        yield from _sending(archive, request, send, done)


def _sending(
    archive: Archive, request: Request, send: Callable[[Instance], Sent], done: list[Instance]
) -> Iterator[Reply]:
    """Sends the requested instances and yields the counts; adds each one that the peer has taken to `done`."""
    try:
        instances = _wanted(archive, request.data_set)
    except _BadRequest as error:
        yield Reply(_DOES_NOT_MATCH, comment=str(error))
        return
    completed, warnings, failed = 0, 0, list[str]()
    why = ""
    for number, instance in enumerate(instances):
        if request.cancelled():
            left = len(instances) - number
            yield Reply(CANCELLED, _list_of(failed), "", (left, completed, len(failed), warnings))
            return
        sent = send(instance)
        if sent.accepted:
            done.append(instance)
        if sent.status == 0:
            completed += 1
        elif sent.accepted:
            warnings += 1
        else:
            failed.append(instance.sop_instance_uid)
            why = why or sent.detail
        left = len(instances) - number - 1
        if left:
            yield Reply(PENDING[0], sub_operations=(left, completed, len(failed), warnings))
    status = SUCCESS if not failed and not warnings else SOME_FAILED
    yield Reply(status, _list_of(failed), why, (None, completed, len(failed), warnings))


def _wanted(archive: Archive, keys: Dataset) -> Sequence[Instance]:
    """Returns the instances that a retrieval asks for. Raises _BadRequest."""
    level = _level(keys)
    uids = _uids(keys, _UNIQUE[level])
    if not uids:
        raise _BadRequest(f"level {level} needs a {_UNIQUE[level]}")
    studies = _uids(keys, "StudyInstanceUID")
    series: Iterable[str] = [uid for study in studies for uid in archive.series_of(study)]
    if level != "STUDY":
        named = set(_uids(keys, "SeriesInstanceUID"))
        series = [uid for uid in series if uid in named]
    instances = [i for uid in series for i in archive.series(uid).instances]
    return [i for i in instances if i.sop_instance_uid in uids] if level == "IMAGE" else instances


def _list_of(failed: Sequence[str]) -> Dataset | None:
    if not failed:
        return None
    ds = Dataset()
    ds.FailedSOPInstanceUIDList = list(failed)
    return ds
