"""The DICOM conformance statement: its words are in the template beside this module, its tables come from those that
the network code itself uses.

`python -m workstation.conformance` prints it; `docs/conformance.md` is its output. Source: PS3.2 Annex A (template).
"""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from string import Template

from dicom_io.capabilities import (
    PLAIN,
    SERVICE_CLASSES,
    STORAGE_CLASSES,
    STUDY_ROOT_FIND,
    TRANSFER_SYNTAXES,
    StorageClass,
    syntaxes_for,
)
from dicom_io.network.query import FoundInstance, FoundSeries, FoundStudy, Scheduled
from dicom_io.network.requestor import ACCEPT_S, ANSWER_S, CONNECT_S
from dicom_io.network.retrieve import proposed_syntaxes
from dicom_io.network.upper_layer import MAXIMUM_PDU
from dicom_io.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from workstation.config import ReceiverSettings

_TEMPLATE = Path(__file__).with_name("conformance.template.md")
_ROLES = {"source": "source of volumes", "derived": "derived picture", "document": "document"}
# The statuses of `dicom_io.network.incoming` and `dicom_io.network.receive`: when each is answered.
_STATUSES = (
    ("0x0000", "on the disk and in the index; also when it was there with the same content"),
    ("0xA700", "disk or index take no more, less space is left than is kept free, or the instance is too large"),
    ("0xA900", "another SOP class than announced, or a UID that is none"),
    ("0xA900", "the UID of an instance that is kept with other bytes: the first stays, the new one is quarantined"),
    ("0xC000", "no whole DICOM instance, or another SOP Instance UID than announced"),
    ("0x0122", "C-STORE on a context of another service"),
    ("0x0211", "a message that the service of the context does not have"),
)
# What `dicom_io.network.acceptor` rejects: result, source, reason (PS3.8 Table 9-21).
_REJECTIONS = (
    ("permanent, user", "3, calling AE title not recognized", "no peer, or not from its address (`callers`)"),
    ("permanent, user", "7, called AE title not recognized", "another one was called than ours (`called`)"),
    ("permanent, user", "2, application context name not supported", "not that of DICOM"),
    ("permanent, ACSE", "2, protocol version not supported", "version 1 is not among those proposed"),
    ("transient, presentation", "2, local limit exceeded", "`max_associations` are open"),
)


def statement() -> str:
    """The whole document, as Markdown."""
    limits = ReceiverSettings()
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        services=_table(
            ["SOP class", "UID", "user (SCU)", "provider (SCP)"],
            [
                *([c.name, c.uid, "yes", "yes"] for c in STORAGE_CLASSES),
                *([c.name, c.uid, _yes(c.scu), _yes(c.scp)] for c in SERVICE_CLASSES),
            ],
        ),
        associations=_table(
            ["", ""],
            [
                ["application context", "1.2.840.10008.3.1.1.1"],
                ["implementation class UID", IMPLEMENTATION_CLASS_UID],
                ["implementation version name", IMPLEMENTATION_VERSION],
                ["maximum PDU, both directions", f"{MAXIMUM_PDU} bytes; a longer one aborts the association"],
                ["associations accepted at once", f"{limits.max_associations} (`max_associations`)"],
                ["associations opened at once", "one to each destination, and one for each query or retrieval"],
                ["asynchronous operations", "one at a time"],
                ["SCP/SCU role selection", "for C-GET and for reports of storage commitment"],
                ["user identity, extended negotiation", "not proposed; ignored when proposed"],
            ],
        ),
        contexts=_table(
            ["SOP classes", "taken as", "transfer syntaxes"],
            [
                [", ".join(c.name for c in members), words, "<br>".join(map(_syntax, syntaxes_for(members[0])))]
                for words, members in _by_role()
            ],
        ),
        statuses=_table(["status", "when"], _STATUSES),
        rejections=_table(["result, source", "reason", "when"], _REJECTIONS),
        queries=_table(
            ["level", "attributes returned"],
            [
                ["STUDY", _names(FoundStudy)],
                ["SERIES", _names(FoundSeries)],
                ["IMAGE", _names(FoundInstance)],
                ["modality worklist", _names(Scheduled)],
            ],
        ),
        get_contexts=_table(
            ["SOP class", "a context for each of"],
            [
                [
                    f"each {words}",
                    "<br>".join(", ".join(TRANSFER_SYNTAXES[u] for u in one) for one in proposed_syntaxes(members[0])),
                ]
                for words, members in _by_role()
            ],
        ),
        plain=", ".join(TRANSFER_SYNTAXES[uid] for uid in PLAIN),
        study_root=STUDY_ROOT_FIND,
        request_s=f"{limits.request_s:g}",
        idle_s=f"{limits.idle_s:g}",
        stall_s=f"{limits.stall_s:g}",
        connect_s=f"{CONNECT_S:g}",
        accept_s=f"{ACCEPT_S:g}",
        answer_s=f"{ANSWER_S:g}",
    )


def _by_role() -> list[tuple[str, list[StorageClass]]]:
    return [(words, [c for c in STORAGE_CLASSES if c.role == role]) for role, words in _ROLES.items()]


def _syntax(uid: str) -> str:
    return f"{TRANSFER_SYNTAXES[uid]} ({uid})"


def _names(kind: type) -> str:
    return ", ".join(field.name.replace("_", " ") for field in fields(kind))


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


if __name__ == "__main__":
    print(statement(), end="")
