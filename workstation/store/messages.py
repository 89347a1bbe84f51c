"""What the outbox holds: a message, what it charges or credits, and how its delivery ended."""

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
# failed: no acknowledgement. requeued and withdrawn are an operator's. A refusal or rejection may come after the
# acknowledgement, where a receiver first accepts a message and then looks at it (enhanced mode).
DeliveryOutcome = Literal["acknowledged", "refused", "rejected", "failed", "requeued", "withdrawn"]

State = Literal["queued", "retrying", "acknowledged", "operator", "withdrawn"]


class OutboxError(WorkstationError):
    """The outbox refuses. The message names the entry by key and says what to do."""


class OutboxChangedError(OutboxError):
    """What was to be credited has been withdrawn in between; nothing was queued. Decide again."""


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge that a message carries: its persistent key (FT1-2), code, accession, base, and the SR it rests on.

    billed : everything the message says of it, as text, to be credited word for word: `billing.charged_line`.
    """

    key: str
    code: str
    accession: str
    base: str
    sr_uid: str
    billed: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """A charge of the outbox with what has become of it.

    state : as the charge facts say it. message : the key of the message that carries it; message_state : that one's.
    """

    charge: Charge
    state: ChargeState
    message: str
    message_state: "State"
    queued_at: datetime


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to deliver.

    destination : the name of a configured destination. identity : what makes it this thing and no other, which is the
    control id of an HL7 message, the SOP Instance UID of an instance, the name of a file. Either `body` holds the
    bytes or `path` says where the stored instance lies, as its owner reads it (here: from the state folder).
    credits : the keys of charges that it takes back. account : the patient's account, in whose order it is sent.
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
        """The sha256, in hexadecimal, of the JSON list [destination, kind, identity]."""
        content = json.dumps([self.destination, self.kind, self.identity]).encode("ascii")
        return hashlib.sha256(content).hexdigest()

    @property
    def concerns_money(self) -> bool:
        """Whether it charges or credits."""
        return bool(self.charges or self.credits)


@dataclass(frozen=True, slots=True)
class Delivery:
    """How one attempt ended, in a word and in a sentence."""

    outcome: DeliveryOutcome
    detail: str

    @classmethod
    def answered(cls, message: Message, answer: Acknowledgement) -> Self:
        """Read a receiver's answer. One to another message acknowledges nothing."""
        if answer.control_id != message.identity:
            return cls("failed", f"The answer is to {answer.control_id[:40]!r}, not to {message.identity}.")
        outcomes: dict[str, DeliveryOutcome] = {"A": "acknowledged", "E": "refused", "R": "rejected"}
        return cls(outcomes[answer.code[1]], f"{answer.code} {answer.text}".rstrip())


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message with what has become of it: state, number of attempts, and the last attempt's time and words.

    failures : how many attempts have failed in a row, of any kind, since it was queued or requeued.
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
        """Whether nothing more is to be done about it."""
        return self.state in ("acknowledged", "withdrawn")


# A receiver that refuses three times waits for a person.
TRIES = 3


def failures_of(outcomes: Sequence[str]) -> int:
    """How many of the attempts since the last success or order of an operator have failed."""
    count = 0
    for outcome in outcomes:
        count = count + 1 if outcome in ("failed", "refused") else 0
    return count


def state_of(outcomes: Sequence[str]) -> State:
    """Read the state from the outcomes of all attempts, oldest first."""
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
