"""Delivery of performed procedure steps by N-CREATE and N-SET."""

from dicom_io.capabilities import EXPLICIT_LITTLE
from dicom_io.errors import ConnectionBroke, PeerUnreachable
from dicom_io.files.encoding import decoded
from dicom_io.network.mpps import create, update
from dicom_io.network.requestor import Peer
from workstation.billing.mpps import BEGUN
from workstation.store.messages import Delivery, Message, Outcome

_OUTCOMES: dict[str, Outcome] = {
    "taken": "acknowledged",
    # An earlier try arrived, and its answer was lost.
    "known already": "acknowledged",
    # It has lost the step, or never had it: nothing that we send again will do.
    "unknown there": "rejected",
    "refused": "refused",
}


def deliver(message: Message, peer: Peer, calling: str) -> Delivery:
    """Acknowledged is what the peer has taken, now or before. Raises OSError when it cannot be reached."""
    assert message.body is not None, "a step is delivered from the outbox"
    uid, _, what = message.identity.partition(" ")
    try:
        told, words = (create if what == BEGUN else update)(peer, uid, decoded(message.body, EXPLICIT_LITTLE), calling)
    except ConnectionBroke as error:
        return Delivery("failed", str(error))
    except PeerUnreachable as error:
        raise ConnectionError(str(error)) from error
    return Delivery(_OUTCOMES[told], words if told == "taken" else f"{told}: {words}")
