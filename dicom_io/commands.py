"""Command sets, the first half of every DIMSE message; always implicit little endian (PS3.7 6.3.1).

Sources: PS3.7 Annex E (elements), 9.3 and 10.3 (messages), Annex C (statuses).
"""

from dataclasses import dataclass
from struct import error as StructError  # noqa: N812 - a class, in spite of its name
from struct import pack, unpack, unpack_from

# PS3.7 E.1: command fields; an answer's is the request's with the highest bit set.
C_STORE, C_GET, C_FIND, C_MOVE, C_ECHO = 0x0001, 0x0010, 0x0020, 0x0021, 0x0030
N_EVENT_REPORT, N_ACTION, C_CANCEL = 0x0100, 0x0130, 0x0FFF
ANSWER = 0x8000
NO_DATA_SET = 0x0101

# PS3.7 C.5: what any service may answer.
SUCCESS = 0x0000
SOP_CLASS_NOT_SUPPORTED = 0x0122
UNRECOGNIZED_OPERATION = 0x0211
PROCESSING_FAILURE = 0x0110

_CLASS, _FIELD, _ID, _ANSWERED, _SET_TYPE, _STATUS = 0x0002, 0x0100, 0x0110, 0x0120, 0x0800, 0x0900
_REQUESTED_CLASS, _COMMENT, _INSTANCE, _REQUESTED_INSTANCE, _EVENT, _ACTION = (
    0x0003, 0x0902, 0x1000, 0x1001, 0x1002, 0x1008,
)  # fmt: skip


class BadCommand(ValueError):  # noqa: N818 - reads as a sentence where it is raised
    """Bytes that are no command set."""


@dataclass(frozen=True, slots=True)
class Command:
    """A request, or an answer to one; its UIDs are the affected or the requested ones, whichever the message has."""

    field: int
    message_id: int
    has_data_set: bool
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    type_id: int = 0
    status: int = 0


def read_command(data: bytes | bytearray) -> Command:
    """Raises BadCommand."""
    found: dict[int, bytes] = {}
    at = 0
    try:
        while at < len(data):
            group, element, length = unpack_from("<HHL", data, at)
            if group != 0 or at + 8 + length > len(data):
                raise BadCommand("an element of another group, or one that is longer than the command")
            found[element] = bytes(data[at + 8 : at + 8 + length])
            at += 8 + length

        def number(element: int, default: int | None = None) -> int:
            if element not in found and default is not None:
                return default
            return int(unpack("<H", found[element])[0])

        def uid(*elements: int) -> str:
            value = next((found[e] for e in elements if e in found), b"")
            return value.decode("ascii").rstrip("\0 ")

        field = number(_FIELD)
        answer = field & ANSWER or field == C_CANCEL
        return Command(
            field=field,
            message_id=number(_ANSWERED if answer else _ID),
            has_data_set=number(_SET_TYPE) != NO_DATA_SET,
            sop_class_uid=uid(_CLASS, _REQUESTED_CLASS),
            sop_instance_uid=uid(_INSTANCE, _REQUESTED_INSTANCE),
            type_id=number(_EVENT, 0) or number(_ACTION, 0),
            status=number(_STATUS, 0),
        )
    except (KeyError, StructError, UnicodeDecodeError) as error:
        raise BadCommand(f"{type(error).__name__} {error}") from error


def answer_to(request: Command, status: int, comment: str = "", *, with_data_set: bool = False) -> bytes:
    """The command set of an answer. comment : for people, at most 64 characters (PS3.7 C.4.2)."""
    elements = [(_CLASS, _uid(request.sop_class_uid))] if request.sop_class_uid else []
    elements += [
        (_FIELD, pack("<H", request.field | ANSWER)),
        (_ANSWERED, pack("<H", request.message_id)),
        (_SET_TYPE, pack("<H", 1 if with_data_set else NO_DATA_SET)),
        (_STATUS, pack("<H", status)),
    ]
    if comment:
        words = comment.encode("ascii", "replace")[:64]
        elements.append((_COMMENT, words + b" " * (len(words) % 2)))
    if request.sop_instance_uid and request.field != C_ECHO:
        elements.append((_INSTANCE, _uid(request.sop_instance_uid)))
    if request.type_id:
        elements.append((_EVENT if request.field == N_EVENT_REPORT else _ACTION, pack("<H", request.type_id)))
    body = b"".join(pack("<HHL", 0, element, len(value)) + value for element, value in elements)
    return pack("<HHLL", 0, 0, 4, len(body)) + body


def _uid(text: str) -> bytes:
    value = text.encode("ascii")
    return value + b"\0" * (len(value) % 2)
