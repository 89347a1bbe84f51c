"""Charges to a biller as HL7 over MLLP: a message is sent and its acknowledgement waited for."""

import ssl

from dicom_io.network.tls import client_context
from workstation.certificates import tls_to_call
from workstation.destinations import MllpDestination
from workstation.hl7 import mllp
from workstation.store.messages import Delivery, Message
from workstation.transports.transport import OwnSide


class MllpTransport:
    """A connection for each message, as billing systems expect it."""

    def __init__(self, destination: MllpDestination, here: OwnSide) -> None:
        self._destination, self._root = destination, here.root

    def deliver(self, message: Message) -> Delivery:
        """Acknowledged is what the receiver says of this very message."""
        if message.body is None:
            return Delivery("rejected", f"Message {message.identity} has no body to send; it was queued by path.")
        to = self._destination
        try:
            answer = mllp.send(to.host, to.port, message.body, to.timeout_s, self._tls())
        except mllp.NoAcknowledgementError as error:
            return Delivery("failed", str(error))
        return Delivery.answered(message, answer)

    def reach(self) -> str:
        to = self._destination
        mllp.reach(to.host, to.port, to.timeout_s, self._tls())
        return "connected, by TLS" if to.tls else "connected"

    def close(self) -> None:
        """Nothing stays open between two messages."""

    def _tls(self) -> ssl.SSLContext | None:
        return client_context(tls_to_call(self._destination, self._root)) if self._destination.tls else None
