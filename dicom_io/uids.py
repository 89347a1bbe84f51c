"""UIDs: checked before they become file names, and derived from the object that they stand for."""

import hashlib
import re
import uuid

from dicom_io.errors import DicomIOError

# PS3.5 9.1: components of digits without leading zeros, 64 characters at most.
# Scanners do send leading zeros; they are harmless, so they are allowed.
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")

# Ours, made once by uuid4 (PS3.5 B.2).
IMPLEMENTATION_CLASS_UID = "2.25.188434023837541126416283470613227358915"
IMPLEMENTATION_VERSION = "WORKSTATION3D_01"


class UidError(DicomIOError, ValueError):
    """A text that is no valid UID; the message quotes it."""


def checked(uid: object, what: str) -> str:
    """Returns `uid` as text if it is valid, so that it may become a path. what : the attribute, for the message.

    Raises UidError otherwise.
    """
    text = str(uid or "")
    if len(text) > 64 or _UID.fullmatch(text) is None:
        raise UidError(f"{what} {text[:80]!r} is not a valid UID (PS3.5 9.1).")
    return text


def derived(*parts: str) -> str:
    """Returns the same UID for the same parts, for ever: a UUID from their sha256 under 2.25. Source: PS3.5 B.2."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=4).int}"


def performed_step(session_uid: str) -> str:
    """Returns the SOP Instance UID of a session's performed procedure step."""
    return derived(session_uid, "performed step")
