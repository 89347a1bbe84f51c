"""DICOMweb as a client: QIDO-RS, WADO-RS and STOW-RS, by dicomweb-client (the extra `dicomweb`). Source: PS3.18.

Queries return what C-FIND returns (`dicom_io.network.query`), retrieval what C-GET does (`dicom_io.network.retrieve`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset

from dicom_io.archive.archive import Archive, Kept
from dicom_io.errors import NotOffered, PeerUnreachable, QueryFailed
from dicom_io.network.incoming import keep
from dicom_io.network.query import FoundInstance, FoundSeries, FoundStudy, instance_of, series_of, study_of
from dicom_io.network.retrieve import Retrieved
from dicom_io.uids import checked
from render.progress import CountDone

# Any transfer syntax, so that the server does not convert. Source: PS3.18 8.7.3.3 (media types with a transfer syntax).
_AS_KEPT = (("application/dicom", "*"),)


@dataclass(frozen=True, slots=True)
class Server:
    """A DICOMweb server. url : root of its services. authority : PEM file of the CA of its certificate. token : bearer
    token."""

    url: str
    authority: str = ""
    certificate: str = ""
    key: str = ""
    token: str = ""

    def __str__(self) -> str:
        return self.url


def find_studies(
    server: Server,
    *,
    patient_id: str = "",
    patient_name: str = "",
    accession: str = "",
    study_uid: str = "",
    dates: str = "",
    modality: str = "",
    limit: int = 500,
) -> list[FoundStudy]:
    """As `dicom_io.network.query.find_studies`. Raises PeerUnreachable, QueryFailed."""
    conditions = {
        "PatientID": patient_id,
        "PatientName": patient_name,
        "AccessionNumber": accession,
        "StudyInstanceUID": study_uid,
        "StudyDate": dates,
        "ModalitiesInStudy": modality,
    }
    wanted = {name: value for name, value in conditions.items() if value}
    with _speaking(server) as client:
        found = client.search_for_studies(search_filters=wanted, limit=limit, fields=["StudyDescription"])
        studies = [study_of(Dataset.from_json(answer)) for answer in found]
    return sorted(studies, key=lambda s: (s.study_date, s.study_time, s.study_uid), reverse=True)


def find_series(server: Server, study_uid: str) -> list[FoundSeries]:
    """As `dicom_io.network.query.find_series`. Raises PeerUnreachable, QueryFailed, UidError."""
    checked(study_uid, "Study Instance UID")
    with _speaking(server) as client:
        found = client.search_for_series(study_uid, fields=["SeriesDescription", "BodyPartExamined"])
        series = [series_of(Dataset.from_json(answer), study_uid) for answer in found]
    return sorted(series, key=lambda s: (s.number or 0, s.series_uid))


def find_instances(server: Server, study_uid: str, series_uid: str) -> list[FoundInstance]:
    """As `dicom_io.network.query.find_instances`. Raises PeerUnreachable, QueryFailed, UidError."""
    checked(study_uid, "Study Instance UID")
    checked(series_uid, "Series Instance UID")
    with _speaking(server) as client:
        found = client.search_for_instances(study_uid, series_uid)
        instances = [instance_of(Dataset.from_json(answer), study_uid, series_uid) for answer in found]
    return sorted(instances, key=lambda i: (i.number or 0, i.sop_instance_uid))


def retrieve(
    server: Server,
    archive: Archive,
    study_uid: str,
    series_uids: Sequence[str] = (),
    instance_uids: Sequence[str] = (),
    *,
    progress: CountDone | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    on_kept: Callable[[Kept], None] | None = None,
) -> Retrieved:
    """As `dicom_io.network.retrieve.retrieve`. Raises PeerUnreachable, QueryFailed, UidError."""
    wanted = list(series_uids) or [s.series_uid for s in find_series(server, study_uid)]
    listed = {(series, i.sop_instance_uid) for series in wanted for i in find_instances(server, study_uid, series)}
    if instance_uids:
        listed = {(series, uid) for series, uid in listed if uid in set(instance_uids)}
    arrived: set[str] = set()
    problems: list[str] = []
    stopped = False
    with _speaking(server) as client:
        for ds in _instances(client, study_uid, wanted, sorted(listed) if instance_uids else ()):
            uid = str(ds.get("SOPInstanceUID"))
            _, kept, why = keep(archive, uid, lambda path, ds=ds: dcmwrite(path, ds, enforce_file_format=True))  # type: ignore[misc]
            if kept is None:
                problems.append(why)
            else:
                arrived.add(uid)
                if on_kept is not None:
                    on_kept(kept)
            if progress is not None:
                progress(len(arrived) + len(problems), max(len(listed), len(arrived) + len(problems)))
            stopped = cancelled()
            if stopped:
                break
    missing = 0 if stopped else len({uid for _, uid in listed} - arrived) - len(problems)
    return Retrieved(len(arrived), len(problems) + max(0, missing), 0, stopped, tuple(problems))


def _instances(
    client: Any, study_uid: str, series_uids: Iterable[str], some: Iterable[tuple[str, str]]
) -> Iterator[Any]:
    if some:
        for series_uid, uid in some:
            yield client.retrieve_instance(study_uid, series_uid, uid, media_types=_AS_KEPT)
        return
    for series_uid in series_uids:
        yield from client.iter_series(study_uid, series_uid, media_types=_AS_KEPT)


def store(server: Server, files: Sequence[Path]) -> dict[str, str]:
    """Sends Part 10 files. Returns why the server refused a file, by SOP Instance UID; empty when it took all.

    Raises PeerUnreachable, QueryFailed.
    """
    with _speaking(server) as client:
        answer = client.store_instances([dcmread(file) for file in files])
    return {
        str(item.ReferencedSOPInstanceUID): f"failure reason 0x{int(item.get('FailureReason') or 0x0110):04X}"
        for item in answer.get("FailedSOPSequence") or ()
    }


@contextmanager
def _speaking(server: Server) -> Iterator[Any]:
    """Yields a client; turns its errors into ours."""
    try:
        from dicomweb_client.api import DICOMwebClient
        from requests import Session
        from requests.exceptions import HTTPError, RequestException
    except ImportError as error:
        raise NotOffered(
            f"DICOMweb needs the extra `dicomweb` ({error}): pip install 'radiology-3d-workstation[dicomweb]'."
        ) from error
    with Session() as session:
        session.verify = server.authority or True
        if server.certificate:
            session.cert = (server.certificate, server.key)
        headers = {"Authorization": f"Bearer {server.token}"} if server.token else None
        try:
            client = DICOMwebClient(server.url, session=session, headers=headers)
            client.set_http_retry_params(retry=False)
            yield client
        except HTTPError as error:
            code = error.response.status_code if error.response is not None else "no status"
            raise QueryFailed(f"{server} answers HTTP {code}.") from error
        except RequestException as error:
            raise PeerUnreachable(f"{server} cannot be reached ({type(error).__name__}).") from error
        except ValueError as error:
            raise QueryFailed(f"{server}: an answer that is no DICOMweb ({error}).") from error
