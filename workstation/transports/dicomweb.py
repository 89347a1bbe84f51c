"""Delivery of stored instances by STOW-RS."""

from pathlib import Path

from dicom_io.errors import NotReadable, PeerUnreachable, QueryFailed
from dicom_io.files.series import read_instance
from dicom_io.network.dicomweb import Server, find_studies, store
from workstation.store.messages import Delivery, Message


def reach(server: Server) -> str:
    """Asks for a study that there is not. Raises PeerUnreachable, QueryFailed."""
    find_studies(server, study_uid="1.2.3", limit=1)
    return "QIDO-RS answered"


def deliver(message: Message, server: Server) -> Delivery:
    """Acknowledged is what the server stored. Raises OSError when it cannot be reached."""
    assert message.path is not None, "an instance is delivered from the archive"
    try:
        uid = read_instance(Path(message.path)).sop_instance_uid
        failed = store(server, [Path(message.path)])
    except PeerUnreachable as error:
        raise ConnectionError(str(error)) from error
    except NotReadable as error:
        return Delivery("rejected", str(error))
    except QueryFailed as error:
        return Delivery("failed", str(error))
    return Delivery("refused", failed[uid]) if uid in failed else Delivery("acknowledged", "stored")
