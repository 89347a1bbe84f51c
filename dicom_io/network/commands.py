"""Command sets: the first half of every DIMSE message, always implicit little endian (PS3.7 6.3.1).

Sources: PS3.7 Annex E (elements), 9.3 and 10.3 (messages), Annex C (statuses).
"""

from dataclasses import dataclass
from struct import error as StructError  # noqa: N812 - a class, in spite of its name
from struct import pack, unpack, unpack_from

# PS3.7 E.1: command fields; that of an answer is the request's with the highest bit set.
C_STORE, C_GET, C_FIND, C_MOVE, C_ECHO = 0x0001, 0x0010, 0x0020, 0x0021, 0x0030
N_EVENT_REPORT, N_SET, N_ACTION, N_CREATE, C_CANCEL = 0x0100, 0x0120, 0x0130, 0x0140, 0x0FFF
ANSWER = 0x8000
NO_DATA_SET = 0x0101

# PS3.7 C.5: statuses of any service.
SUCCESS = 0x0000
SOP_CLASS_NOT_SUPPORTED = 0x0122
UNRECOGNIZED_OPERATION = 0x0211
PROCESSING_FAILURE = 0x0110

# PS3.7 C.1: more answers follow (the second: an optional key is not supported).
PENDING = (0xFF00, 0xFF01)
# PS3.4 C.4.1.1.4 and C.4.2.1.5: stopped on request; some of the sub-operations failed; the destination of a C-MOVE is
# unknown.
CANCELLED, SOME_FAILED, DESTINATION_UNKNOWN = 0xFE00, 0xB000, 0xA801

_CLASS, _REQUESTED_CLASS, _FIELD, _ID, _ANSWERED = 0x0002, 0x0003, 0x0100, 0x0110, 0x0120
_DESTINATION, _PRIORITY, _SET_TYPE, _STATUS, _COMMENT, _ERROR = 0x0600, 0x0700, 0x0800, 0x0900, 0x0902, 0x0903
_INSTANCE, _REQUESTED_INSTANCE, _EVENT, _ACTION = 0x1000, 0x1001, 0x1002, 0x1008
_REMAINING, _COMPLETED, _FAILED, _WARNINGS = 0x1020, 0x1021, 0x1022, 0x1023
_ORIGINATOR, _ORIGINATOR_ID = 0x1030, 0x1031
_MEDIUM = 0x0000


class BadCommand(ValueError):  # noqa: N818 - reads as a sentence where it is raised
    """The bytes are no valid command set."""


@dataclass(frozen=True, slots=True)
class Command:
    """A request or an answer; its UIDs are the affected or the requested ones, whichever the message has.

    type_id : of an event or an action. comment : the peer's text for people. error_id : the peer's number for the
    error. remaining, completed, failed, warnings : sub-operations of C-GET and C-MOVE, None where the peer does not
    say. move_destination : AE title.
    """

    field: int
    message_id: int
    has_data_set: bool
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    type_id: int = 0
    status: int = 0
    comment: str = ""
    error_id: int = 0
    remaining: int | None = None
    completed: int | None = None
    failed: int | None = None
    warnings: int | None = None
    move_destination: str = ""


def read_command(data: bytes | bytearray) -> Command:
    """Decodes a command set. Raises BadCommand."""
    found: dict[int, bytes] = {}
    at = 0
    try:
        while at < len(data):
            group, element, length = unpack_from("<HHL", data, at)
            if at + 8 + length > len(data):
                raise BadCommand("sent an element that is longer than its command")
            if group == 0:  # Orthanc puts the list of failed instances, which belongs into a data set, into the command
                found[element] = bytes(data[at + 8 : at + 8 + length])
            at += 8 + length

        def number(element: int, default: int | None = None) -> int:
            if element not in found and default is not None:
                return default
            return int(unpack("<H", found[element])[0])

        def count(element: int) -> int | None:
            return number(element) if found.get(element) else None

        def text(*elements: int) -> str:
            value = next((found[e] for e in elements if e in found), b"")
            return value.decode("ascii").strip("\0 ")

        field = number(_FIELD)
        answer = field & ANSWER or field == C_CANCEL
        return Command(
            field=field,
            message_id=number(_ANSWERED if answer else _ID),
            has_data_set=number(_SET_TYPE) != NO_DATA_SET,
            sop_class_uid=text(_CLASS, _REQUESTED_CLASS),
            sop_instance_uid=text(_INSTANCE, _REQUESTED_INSTANCE),
            type_id=number(_EVENT, 0) or number(_ACTION, 0),
            status=number(_STATUS, 0),
            comment=found.get(_COMMENT, b"").decode("ascii", "replace").strip("\0 "),
            error_id=number(_ERROR, 0),
            remaining=count(_REMAINING),
            completed=count(_COMPLETED),
            failed=count(_FAILED),
            warnings=count(_WARNINGS),
            move_destination=text(_DESTINATION),
        )
    except (KeyError, StructError, UnicodeDecodeError) as error:
        raise BadCommand(f"sent a command that cannot be read ({type(error).__name__} {error})") from error


def request(
    field: int,
    message_id: int,
    sop_class_uid: str = "",
    *,
    sop_instance_uid: str = "",
    type_id: int = 0,
    move_destination: str = "",
    originator: tuple[str, int] | None = None,
    with_data_set: bool = False,
) -> bytes:
    """Encodes the command set of a request. For C-CANCEL, `message_id` is that of the request to cancel.

    originator : AE title and message ID of the C-MOVE that a C-STORE is part of.
    """
    requested = field in (N_ACTION, N_SET)
    elements = {_FIELD: _number(field), _SET_TYPE: _number(1 if with_data_set else NO_DATA_SET)}
    elements[_ANSWERED if field == C_CANCEL else _ID] = _number(message_id)
    if sop_class_uid:
        elements[_REQUESTED_CLASS if requested else _CLASS] = _uid(sop_class_uid)
    if field in (C_STORE, C_FIND, C_GET, C_MOVE):
        elements[_PRIORITY] = _number(_MEDIUM)
    if move_destination:
        elements[_DESTINATION] = _text(move_destination)
    if originator is not None:
        elements[_ORIGINATOR], elements[_ORIGINATOR_ID] = _text(originator[0]), _number(originator[1])
    if sop_instance_uid:
        elements[_REQUESTED_INSTANCE if requested else _INSTANCE] = _uid(sop_instance_uid)
    if type_id:
        elements[_EVENT if field == N_EVENT_REPORT else _ACTION] = _number(type_id)
    return _encoded(elements)


def answer_to(
    request: Command,
    status: int,
    comment: str = "",
    *,
    with_data_set: bool = False,
    sub_operations: tuple[int | None, int, int, int] | None = None,
) -> bytes:
    """Encodes the command set of an answer.

    comment : for people, at most 64 characters (PS3.7 C.4.2). sub_operations : remaining (None in the last answer),
    completed, failed, warnings.
    """
    elements = {
        _FIELD: _number(request.field | ANSWER),
        _ANSWERED: _number(request.message_id),
        _SET_TYPE: _number(1 if with_data_set else NO_DATA_SET),
        _STATUS: _number(status),
    }
    if request.sop_class_uid:
        elements[_CLASS] = _uid(request.sop_class_uid)
    if comment:
        elements[_COMMENT] = _text(comment[:64])
    if request.sop_instance_uid and request.field != C_ECHO:
        elements[_INSTANCE] = _uid(request.sop_instance_uid)
    if request.type_id:
        elements[_EVENT if request.field == N_EVENT_REPORT else _ACTION] = _number(request.type_id)
    if sub_operations is not None:
        elements |= {_REMAINING + n: _number(c) for n, c in enumerate(sub_operations) if c is not None}
    return _encoded(elements)


def _encoded(elements: dict[int, bytes]) -> bytes:
    body = b"".join(pack("<HHL", 0, element, len(value)) + value for element, value in sorted(elements.items()))
    return pack("<HHLL", 0, 0, 4, len(body)) + body


def _number(value: int) -> bytes:
    return pack("<H", value)


def _text(words: str) -> bytes:
    value = words.encode("ascii", "replace")
    return value + b" " * (len(value) % 2)


def _uid(text: str) -> bytes:
    value = text.encode("ascii")
    return value + b"\0" * (len(value) % 2)
