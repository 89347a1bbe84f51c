"""The outbox by HL7 over MLLP: a message is sent and its acknowledgement waited for."""

import ssl

from workstation.hl7.mllp import NoAcknowledgementError, send
from workstation.store.messages import Delivery, Message


def deliver(message: Message, host: str, port: int, timeout_s: float, tls: ssl.SSLContext | None = None) -> Delivery:
    """Deliver an HL7 message of the outbox; use it in `Outbox.drain`.

    Raises
    ------
    UnreachableError
        There is no connection; the outbox then leaves this destination alone for the rest of the drain.
    """
    if message.body is None:
        return Delivery("rejected", f"Message {message.identity} has no body to send; it was queued by path.")
    try:
        return Delivery.answered(message, send(host, port, message.body, timeout_s, tls))
    except NoAcknowledgementError as error:
        return Delivery("failed", str(error))
