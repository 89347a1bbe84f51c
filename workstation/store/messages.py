"""The values that the outbox holds: messages, their charges and credits, and the results of delivery."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Self

from workstation.charge.facts import ChargeState
from workstation.errors import WorkstationError
from workstation.hl7.acknowledgement import Acknowledgement

MessageKind = Literal["dicom", "step", "hl7", "file", "row", "resource"]

# acknowledged: done. refused: the receiver could not take it now (AE, CE). rejected: it never will (AR, CR).
# failed: no acknowledgement. requeued and withdrawn: by an operator. A refusal or rejection may come after the
# acknowledgement, where a receiver first accepts a message and then reads it (enhanced mode).
DeliveryOutcome = Literal["acknowledged", "refused", "rejected", "failed", "requeued", "withdrawn"]

State = Literal["queued", "retrying", "acknowledged", "operator", "withdrawn"]


class OutboxError(WorkstationError):
    """The outbox refuses a request. The message names the entry by key and says what to do."""


class OutboxChangedError(OutboxError):
    """The charge to be credited was withdrawn in between; nothing was queued. Decide again."""


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge that a message carries: its persistent key (FT1-2), code, accession, base, and the SR it rests on.

    billed : its whole content in the message, as text, to be credited word for word: `billing.charged_line`.
    """

    key: str
    code: str
    accession: str
    base: str
    sr_uid: str
    billed: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """A charge of the outbox with its state.

    state : in the words of the charge facts. message : key of the message that carries it. message_state : of that
    message.
    """

    charge: Charge
    state: ChargeState
    message: str
    message_state: "State"
    queued_at: datetime

    @property
    def is_out(self) -> bool:
        """Whether it has gone out, or is on its way, and was neither turned down nor taken back."""
        return self.state in ("queued", "sent", "acknowledged")

    @property
    def stands_at_billing(self) -> bool:
        """Whether billing still has it as a debit although it is turned down: a payer's denial takes nothing back."""
        return self.state == "denied" and self.message_state != "withdrawn"


@dataclass(frozen=True, slots=True)
class Message:
    """A message to deliver.

    destination : the name of a configured destination. identity : the control id of an HL7 message, the SOP Instance
    UID of an instance, the name of a file. Either `body` holds the bytes, or `path` is that of the stored instance,
    relative to the state folder. credits : the keys of charges that it takes back. account : the patient's account;
    messages of one account are sent in order.
    """

    destination: str
    kind: MessageKind
    identity: str
    accession: str
    body: bytes | None = None
    path: str | None = None
    charges: tuple[Charge, ...] = ()
    credits: tuple[str, ...] = ()
    account: str = ""

    @property
    def key(self) -> str:
        """The sha256, in hexadecimal, of the JSON list [destination, kind, identity]; names the message."""
        content = json.dumps([self.destination, self.kind, self.identity]).encode("ascii")
        return hashlib.sha256(content).hexdigest()

    @property
    def concerns_money(self) -> bool:
        """Whether the message charges or credits."""
        return bool(self.charges or self.credits)


@dataclass(frozen=True, slots=True)
class Delivery:
    """The result of one attempt, as a word and as a sentence."""

    outcome: DeliveryOutcome
    detail: str

    @classmethod
    def answered(cls, message: Message, answer: Acknowledgement) -> Self:
        """Reads a receiver's answer; an answer to another message acknowledges nothing."""
        if answer.control_id != message.identity:
            return cls("failed", f"The answer is to {answer.control_id[:40]!r}, not to {message.identity}.")
        outcomes: dict[str, DeliveryOutcome] = {"A": "acknowledged", "E": "refused", "R": "rejected"}
        return cls(outcomes[answer.code[1]], f"{answer.code} {answer.text}".rstrip())


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message with its state, the number of attempts, and time and detail of the last one.

    failures : number of attempts in a row that failed in any way, since it was queued or requeued.
    """

    message: Message
    state: State
    queued_at: datetime
    tries: int
    failures: int
    last_at: datetime | None
    last_detail: str

    @property
    def done(self) -> bool:
        """Whether the message needs no more work."""
        return self.state in ("acknowledged", "withdrawn")


# After this many refusals in a row, a message waits for a person.
TRIES = 3


def failures_of(outcomes: Sequence[str]) -> int:
    """Counts the failed attempts since the last success or act of an operator."""
    count = 0
    for outcome in outcomes:
        count = count + 1 if outcome in ("failed", "refused") else 0
    return count


def state_of(outcomes: Sequence[str]) -> State:
    """Derives the state from the outcomes of all attempts, oldest first."""
    state: State = "queued"
    refusals = 0
    for outcome in outcomes:
        if outcome == "withdrawn":
            return "withdrawn"
        if outcome == "acknowledged":
            state = "acknowledged"
        elif outcome == "rejected":
            state = "operator"
        elif outcome == "requeued":
            state, refusals = "retrying", 0
        elif state not in ("acknowledged", "operator"):
            refusals += outcome == "refused"
            state = "operator" if refusals >= TRIES else "retrying"
    return state
