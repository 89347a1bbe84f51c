"""The coder's work list: every case with its state, its reasons, its age and who can resolve it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from dicom_io.files.scanning import batches
from workstation.billing.reconcile import LIVE
from workstation.billing.settle import settle_accession
from workstation.errors import WorkstationError
from workstation.site import Site
from workstation.store.cases import CaseAct, CaseActKind, CaseState, Ruling
from workstation.store.messages import Known


class WorkError(WorkstationError):
    """An act that is refused. The message says who may do it, or what has to be there first."""


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One case on the list.

    state : held, denied, correction; of what is charged, queued, sent, acknowledged, operator or credited.
    reasons : codes. who : who can resolve them. since : since when it has been so. age_days : whole days since then.
    """

    accession: str
    session: str
    sr_uid: str
    state: str
    code: str
    reasons: tuple[str, ...]
    who: tuple[str, ...]
    since: datetime
    age_days: int
    ruling: Ruling


# The states of rulings among which cases of a state on the list are; those of the others depend on their messages.
_RULED: dict[str, tuple[CaseState, ...]] = {
    "held": ("held",),
    "correction": ("correction",),
    "denied": ("denied",),
    "credited": ("denied",),
}
# The acts that what the list says of a case follows from.
LISTED_ACTS: tuple[CaseActKind, ...] = ("mark", "keep", "appeal", "release", "deny", "reopen", "credit")
# States of a charge whose message is not done.
_UNDER_WAY = ("queued", "sent", "operator")
# So many accessions are read together.
_TOGETHER = 400
# Up to so many accessions are named to the database; all are read instead of more.
_FEW = 5000


def work_items(site: Site, state: str = "", who: str = "") -> tuple[WorkItem, ...]:
    """Return every case, the oldest first; only those in a state, and only those that a role can resolve, if named.

    What is open is found without a look at what is done.
    """
    acts = site.casebook.acts(kinds=LISTED_ACTS)
    rulings = _rulings(site, state, who, {act.session for act in acts if act.kind == "mark"})
    accessions = {ruling.accession for ruling in rulings}
    named = accessions if len(accessions) <= _FEW else set()
    sessions = site.casebook.sessions_by_sr(*named) if rulings else {}
    found = items_of(rulings, acts, site.outbox.charges(*named) if rulings else (), sessions, site.clock())
    wanted = (item for item in found if (not state or item.state == state) and (not who or who in item.who))
    return tuple(sorted(wanted, key=lambda item: (item.since, item.accession, item.session)))


def newest_items(site: Site, page: int, size: int) -> tuple[WorkItem, ...]:
    """Return a page of the cases that were decided last, newest first, whatever their state; pages count from 1. How
    long it takes does not depend on how many cases there are."""
    rulings = site.casebook.newest_page(page, size)
    found = list[WorkItem]()
    for some in batches(rulings, _TOGETHER):
        accessions = sorted({ruling.accession for ruling in some})
        under = site.casebook.cases_under(accessions)
        sessions = {uid: sr.session for uid, sr in under.srs.items()}
        found += items_of(some, under.acts, site.outbox.charges(*accessions), sessions, site.clock())
    return tuple(found)


def items_under(site: Site, accessions: Collection[str]) -> list[WorkItem]:
    """Return the cases of some accessions as the list has them, in no order."""
    found: list[WorkItem] = []
    for some in batches(sorted(accessions), _TOGETHER):
        under = site.casebook.cases_under(some)
        sessions = {uid: sr.session for uid, sr in under.srs.items()}
        found += items_of(under.rulings, under.acts, site.outbox.charges(*some), sessions, site.clock())
    return found


def items_of(
    rulings: Iterable[Ruling],
    acts: Iterable[CaseAct],
    charges: Iterable[Known],
    sessions: Mapping[str, str],
    now: datetime,
) -> list[WorkItem]:
    """Return the cases of these rulings as the list has them. sessions : of SRs, by their UID."""
    acts_by_session: dict[str, list[CaseAct]] = {}
    for act in acts:
        acts_by_session.setdefault(act.session, []).append(act)
    by_session: dict[str, list[Known]] = {}
    for known in charges:
        by_session.setdefault(sessions.get(known.charge.sr_uid, ""), []).append(known)
    return [_item(one, by_session.get(one.session, []), acts_by_session.get(one.session, []), now) for one in rulings]


def _rulings(site: Site, state: str, who: str, marks: Collection[str]) -> Sequence[Ruling]:
    """Return the newest rulings of the cases that may be in a state, or that a role may resolve. marks : sessions."""
    book = site.casebook
    if state in _RULED:
        return book.newest(_RULED[state])
    if state not in _UNDER_WAY and (state or not who):
        return book.newest()
    sent = [charge for entry in site.outbox.open_messages() for charge in entry.message.charges]
    by_sr = {
        sr: session for one in {charge.accession for charge in sent} for sr, session in book.sessions_by_sr(one).items()
    }
    sessions = {by_sr[charge.sr_uid] for charge in sent if charge.sr_uid in by_sr}
    found = {}
    if not state:
        found = {one.session: one for one in book.newest(("held", "correction", "denied"))}
        sessions |= set(marks)
    for session in sessions - set(found):
        if (one := book.newest_of(session)) is not None:
            found[session] = one
    return list(found.values())


def marked(acts: Iterable[CaseAct], own: Iterable[Known]) -> dict[str, tuple[str, ...]]:
    """Return the charges that are out, break CMS's edits and wait for a coder: by key, the edits in words."""
    live = {known.charge.key for known in own if known.state in LIVE}
    found: dict[str, tuple[str, ...]] = {}
    for act in acts:
        if act.kind == "mark":
            found |= {key: tuple(act.detail["edits"]) for key in act.detail["keys"] if key in live}
        elif act.kind == "keep":
            for key in act.detail["keys"]:
                found.pop(key, None)
    return found


def is_appealed(state: str, reasons: Collection[str], acts: Iterable[CaseAct]) -> bool:
    """Tell whether a payer's denial was appealed against, and nobody has decided since what follows from the answer."""
    if state != "held" or "CHARGE_TURNED_DOWN" not in reasons:
        return False
    decisive = [act.kind for act in acts if act.kind in ("appeal", "release", "deny", "reopen", "credit")]
    return bool(decisive) and decisive[-1] == "appeal"


def marks_of(site: Site, session: str, accession: str) -> dict[str, tuple[str, ...]]:
    """Return the marked charges of a case, as `marked` does."""
    return marked(site.casebook.acts(session), site.outbox.charges(accession))


def _item(ruling: Ruling, own: Sequence[Known], acts: Sequence[CaseAct], now: datetime) -> WorkItem:
    content = ruling.content
    reasons = tuple(content["reasons"])
    who = tuple(dict.fromkeys(each["resolver"] for each in content["explanations"]))
    live = [known for known in own if known.state in LIVE]
    state: str = ruling.state
    lines = content["lines"] or content["proposed"]
    if state == "charged" and live:
        waits = any(known.message_state == "operator" for known in live)
        state = "operator" if waits else live[-1].state
        reasons, who = ((), ()) if not waits else (("MESSAGE_WAITS",), ("operator",))
    elif state == "correction":
        reasons, who = ("CORRECTION_DUE", *reasons), tuple(dict.fromkeys(("coder", *who)))
    elif state == "denied" and "CREDITED_BY_CODER" in reasons:
        state = "credited"
    if is_appealed(state, reasons, acts):
        reasons = ("APPEALED", *reasons)
    if marked(acts, own):
        reasons, who = ("EDIT_FORBIDS", *reasons), tuple(dict.fromkeys(("coder", *who)))
    codes = dict.fromkeys([known.charge.code for known in live] or [line["code"] for line in lines])
    return WorkItem(
        ruling.accession,
        ruling.session,
        ruling.sr_uid,
        state,
        ", ".join(codes),
        reasons,
        who,
        ruling.since,
        max((now - ruling.since).days, 0),
        ruling,
    )


def find(site: Site, word: str) -> Ruling:
    """Return the newest ruling of the one case that an accession, a session or an SR's UID names.

    Raises WorkError when it names none, or several.
    """
    named = site.casebook.sessions(word)
    if not named:
        raise WorkError(f"{word}: no case has this accession, session or SR; `workstation charge list` shows all.")
    if len(named) > 1:
        listed = ", ".join(session for session, _ in named)
        raise WorkError(f"{word}: there are {len(named)} cases; name one of the sessions {listed}.")
    session, accession = named[0]
    newest = site.casebook.newest_of(session)
    if newest is None:
        settle_accession(accession, site, "asked for")
        newest = site.casebook.newest_of(session)
    assert newest is not None, "a record that was settled has a ruling"
    return newest
