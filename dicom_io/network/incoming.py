"""Keeps an instance that a peer sends by any service, and tells the status to answer. Statuses from PS3.4 Table B.2-1
(C-STORE)."""

import logging
from collections.abc import Callable
from pathlib import Path

from dicom_io.archive.archive import Archive, Kept
from dicom_io.errors import ClassMismatch, InstanceConflict, NotReadable
from dicom_io.uids import UidError, checked

log = logging.getLogger(__name__)

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
DATA_SET_DOES_NOT_MATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000


def keep(
    archive: Archive,
    uid: str,
    write: Callable[[Path], object],
    *,
    expected_class: str = "",
    digest: Callable[[], str] | None = None,
    by: str = "a peer",
) -> tuple[int, Kept | None, str]:
    """Spools the file that `write` writes and takes it into the archive. Returns (status to answer, the kept instance,
    or why not).

    uid, expected_class : as announced. digest : called after writing, for the digest that the archive would compute.
    by : the sender, for the log.
    """
    try:
        checked(uid, "Affected SOP Instance UID")
        spooled = archive.spool(write)
        kept = archive.admit(
            spooled, expected_uid=uid, expected_class=expected_class, digest=digest() if digest is not None else None
        )
        return SUCCESS, kept, ""
    except UidError as error:
        log.warning("refused from %s: %s", by, error)
        return DATA_SET_DOES_NOT_MATCH, None, str(error)
    except (InstanceConflict, ClassMismatch, NotReadable) as error:
        log.warning("refused %s from %s: %s", uid, by, error)
        return CANNOT_UNDERSTAND if isinstance(error, NotReadable) else DATA_SET_DOES_NOT_MATCH, None, str(error)
    except OSError as error:
        # Disk full, quota, read-only, for a file or for the index: the sender keeps its copy and tries again.
        log.error("cannot keep %s from %s: %s", uid, by, error.strerror or error)
        return OUT_OF_RESOURCES, None, f"cannot keep {uid}: {error.strerror or error}"
