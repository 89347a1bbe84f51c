"""Performed procedure steps to a RIS by N-CREATE and N-SET."""

from dicom_io.capabilities import EXPLICIT_LITTLE
from dicom_io.errors import ConnectionBroke, PeerUnreachable
from dicom_io.files.encoding import decoded
from dicom_io.network.mpps import create, reach, update
from workstation.billing.mpps import BEGUN
from workstation.destinations import MppsDestination
from workstation.peers.reach import peer_of
from workstation.store.messages import Delivery, DeliveryOutcome, Message
from workstation.transports.transport import OwnSide

_OUTCOMES: dict[str, DeliveryOutcome] = {
    "taken": "acknowledged",
    # An earlier try arrived, and its answer was lost.
    "known already": "acknowledged",
    # It has lost the step, or never had it: nothing that we send again will do.
    "unknown there": "rejected",
    "refused": "refused",
}


class MppsTransport:
    """An association for each message."""

    def __init__(self, destination: MppsDestination, here: OwnSide) -> None:
        self._peer, self._ae_title = peer_of(destination, here.root), here.ae_title

    def deliver(self, message: Message) -> Delivery:
        """Acknowledged is what the peer has taken, now or before."""
        assert message.body is not None, "a step is delivered from the outbox"
        uid, _, what = message.identity.partition(" ")
        tell = create if what == BEGUN else update
        try:
            answer, words = tell(self._peer, uid, decoded(message.body, EXPLICIT_LITTLE), self._ae_title)
        except ConnectionBroke as error:
            return Delivery("failed", str(error))
        except PeerUnreachable as error:
            raise ConnectionError(str(error)) from error
        return Delivery(_OUTCOMES[answer], words if answer == "taken" else f"{answer}: {words}")

    def reach(self) -> str:
        reach(self._peer, self._ae_title)
        return "takes performed procedure steps"

    def close(self) -> None:
        """Nothing stays open between two messages."""
