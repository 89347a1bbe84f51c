"""What to answer for an instance that a peer brings, by whatever service. Statuses from PS3.4 Table B.2-1 (C-STORE)."""

import logging
from collections.abc import Callable
from pathlib import Path

from dicom_io.archive import Archive, Kept
from dicom_io.errors import InstanceConflict, NotReadable
from dicom_io.uids import UidError, checked

log = logging.getLogger(__name__)

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
DATA_SET_DOES_NOT_MATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000


def keep(archive: Archive, uid: str, write: Callable[[Path], object]) -> tuple[int, Kept | None, str]:
    """Spools what `write` writes and takes it into the archive: (status to answer, what is kept, why not).

    uid : the SOP Instance UID that was announced.
    """
    try:
        checked(uid, "Affected SOP Instance UID")
        return SUCCESS, archive.admit(archive.spool(write), expected_uid=uid), ""
    except UidError as error:
        log.warning("refused: %s", error)
        return DATA_SET_DOES_NOT_MATCH, None, str(error)
    except (InstanceConflict, NotReadable) as error:
        log.warning("refused %s: %s", uid, error)
        return DATA_SET_DOES_NOT_MATCH if isinstance(error, InstanceConflict) else CANNOT_UNDERSTAND, None, str(error)
    except OSError as error:
        # Disk full, quota, read-only, for a file or for the index: the sender keeps its copy and tries again.
        log.error("cannot keep %s: %s", uid, error)
        return OUT_OF_RESOURCES, None, f"cannot keep {uid}: {error.strerror or error}"
