"""Images to a PACS by STOW-RS."""

from pathlib import Path

from dicom_io.errors import NotReadable, PeerUnreachable, QueryFailed
from dicom_io.files.series import read_instance
from dicom_io.network.dicomweb import find_studies, store
from workstation.destinations import DicomWebDestination
from workstation.peers.reach import server_of
from workstation.store.messages import Delivery, Message
from workstation.transports.transport import OwnSide


class DicomWebTransport:
    """A request for each image."""

    def __init__(self, destination: DicomWebDestination, here: OwnSide) -> None:
        self._destination, self._root = destination, here.root

    def deliver(self, message: Message) -> Delivery:
        """Acknowledged is what the server stored."""
        assert message.path is not None, "an instance is delivered from the archive"
        try:
            uid = read_instance(Path(message.path)).sop_instance_uid
            failed = store(server_of(self._destination, self._root), [Path(message.path)])
        except PeerUnreachable as error:
            raise ConnectionError(str(error)) from error
        except NotReadable as error:
            return Delivery("rejected", str(error))
        except QueryFailed as error:
            return Delivery("failed", str(error))
        return Delivery("refused", failed[uid]) if uid in failed else Delivery("acknowledged", "stored")

    def reach(self) -> str:
        """Asks for a study that there is not."""
        find_studies(server_of(self._destination, self._root), study_uid="1.2.3", limit=1)
        return "QIDO-RS answered"

    def close(self) -> None:
        """Nothing stays open between two images."""
