"""Delivery of stored instances by C-STORE."""

from pathlib import Path

from dicom_io.errors import NotReadable, PeerUnreachable
from dicom_io.files.series import read_instance
from dicom_io.network.send import Sender
from workstation.store.messages import Delivery, Message


def deliver(message: Message, sender: Sender) -> Delivery:
    """Acknowledged is what the peer answered 0x0000 or a warning for. Raises OSError when it cannot be reached."""
    assert message.path is not None, "an instance is delivered from the archive"
    try:
        sent = sender.send(read_instance(Path(message.path)))
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
