"""Images to a PACS by C-STORE."""

from pathlib import Path

from dicom_io.errors import NotReadable, PeerUnreachable
from dicom_io.files.series import read_instance
from dicom_io.network.requestor import echo
from dicom_io.network.send import Sender
from workstation.destinations import DicomDestination
from workstation.peers.reach import peer_of
from workstation.store.messages import Delivery, Message
from workstation.transports.transport import OwnSide


class DicomTransport:
    """One association, opened with the first image and kept open for those that follow."""

    def __init__(self, destination: DicomDestination, here: OwnSide) -> None:
        self._peer, self._ae_title = peer_of(destination, here.root), here.ae_title
        self._sender = Sender(self._peer, self._ae_title)

    def deliver(self, message: Message) -> Delivery:
        """Acknowledged is what the peer answered 0x0000 or a warning for."""
        assert message.path is not None, "an instance is delivered from the archive"
        try:
            sent = self._sender.send(read_instance(Path(message.path)))
        except PeerUnreachable as error:
            raise ConnectionError(str(error)) from error
        except NotReadable as error:
            return Delivery("rejected", str(error))
        if sent.accepted:
            return Delivery("acknowledged", sent.detail or "0x0000")
        # 0xA7xx: out of resources, which passes. No status: the connection broke. PS3.4 B.2.3.
        if sent.status is None or sent.status >> 8 == 0xA7:
            return Delivery("failed", sent.detail)
        return Delivery("refused", sent.detail)

    def reach(self) -> str:
        echo(self._peer, self._ae_title)
        return "C-ECHO answered"

    def close(self) -> None:
        self._sender.close()
