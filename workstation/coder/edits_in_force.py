"""CMS's edits put in force by a person; charges that are out and break them are marked, and not taken back."""

import hashlib
import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from dicom_io.evidence import Person
from workstation.billing.charged_line import read_billed
from workstation.billing.gather_facts import table_before_edits
from workstation.billing.reconcile import LIVE
from workstation.charge.cms import violated
from workstation.charge.cms_imports import Imported, compare_edits, put_in_force
from workstation.coder.acts import may
from workstation.coder.units_out import units_out
from workstation.coder.work_list import WorkError, find, marks_of
from workstation.site import Site
from workstation.store.cases import Ruling
from workstation.store.messages import Known


@dataclass(frozen=True, slots=True)
class BrokenEdit:
    """A charge that is out and the edits that it breaks, in words."""

    session: str
    accession: str
    known: Known
    texts: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """JSON-ready, for a list."""
        charge = self.known.charge
        return {
            "accession": self.accession,
            "session": self.session,
            "key": charge.key,
            "code": charge.code,
            "state": self.known.state,
            "edits": list(self.texts),
        }


_WANTED = {"0": "no modifier parts them", "1": "a modifier parts them, and the charge has none"}


def import_edits(site: Site, path: Path, begins: date | None) -> dict[str, Any]:
    """Read a PTP or an MUE file and say, JSON-ready, what it would change and which charges that are out it would mark.

    Raises EditsError when the file is not usable.
    """
    new, found = compare_edits(path, site.root, table_before_edits(site.config, site.root), site.clock().date(), begins)
    return {**found, "in_force": False, "marked": [each.as_json() for each in broken(site, new)]}


def accept_edits(site: Site, path: Path, begins: date | None, by: Person, why: str) -> dict[str, Any]:
    """Put a file in force in the name of a coder or compliance officer, and mark the charges that are out and break it.

    Nothing is taken back by this. The acceptance and each mark are acts of that person in the casebook. Doing it again
    marks nothing twice. Returns what changed, JSON-ready; `marked` has the charges that were not marked before.

    Raises EditsError when the file is not usable, WorkError when this person may not, or gives no reason.
    """
    may(by, "accept", why)
    new, found = compare_edits(path, site.root, table_before_edits(site.config, site.root), site.clock().date(), begins)
    detail = {
        **{key: found[key] for key in ("file", "kind", "rows", "kept", "codes")},
        "added": len(found["added"]),
        "removed": len(found["removed"]),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    # Written down before it holds: no edit is in force that nobody accepted.
    site.casebook.act("", "", site.clock(), by.id, by.role, "accept", why, detail, due=False)
    put_in_force(new, site.root)
    fresh = [each for each in broken(site, new) if not _known(site, each)]
    for each in fresh:
        said = {"keys": [each.known.charge.key], "edits": list(each.texts), "file": path.name}
        words = f"{path.name}: {'; '.join(each.texts)}"
        # Not made due: whether it is decided anew, and taken back, is for the coder.
        site.casebook.act(each.session, each.accession, site.clock(), by.id, by.role, "mark", words, said, due=False)
    return {**found, "in_force": True, "marked": [each.as_json() for each in fresh]}


def keep(site: Site, word: str, by: Person, why: str) -> tuple[str, ...]:
    """A coder or compliance officer says that a marked charge stands. Returns the keys of the charges.

    Raises WorkError when no charge of the case is marked, or this person may not.
    """
    may(by, "keep", why)
    ruling = find(site, word)
    keys = tuple(marks_of(site, ruling.session, ruling.accession))
    if not keys:
        raise WorkError(f"{word}: no charge of this case is marked; there is nothing to keep.")
    detail = {"keys": list(keys)}
    site.casebook.act(ruling.session, ruling.accession, site.clock(), by.id, by.role, "keep", why, detail, due=False)
    return keys


def broken(site: Site, edits: Imported) -> tuple[BrokenEdit, ...]:
    """Return the charges that are out and break these edits, oldest first."""
    newest = {ruling.session: ruling for ruling in site.casebook.newest()}
    sessions = site.casebook.sessions_by_sr()
    live = [known for known in site.outbox.charges() if known.state in LIVE]
    over = _over_the_units(site, edits)
    by_accession: dict[str, set[str]] = {}
    for known in live:
        by_accession.setdefault(known.charge.accession, set()).add(known.charge.code)
    found = []
    for known in live:
        ruling = newest.get(sessions.get(known.charge.sr_uid, ""))
        if ruling is None or not known.charge.billed:
            continue
        billed = read_billed(known.charge.billed)
        charge, line = known.charge, billed.line
        beside = {line.base, *_performed(ruling), *by_accession[charge.accession]} - {line.code}
        breaks = violated(edits.pairs, line.code, line.modifiers, beside, billed.subject.date_of_service)
        texts = *(f"{edit.text}: {_WANTED[edit.indicator]}" for edit in breaks), *over.get(charge.key, ())
        if texts:
            found.append(BrokenEdit(ruling.session, ruling.accession, known, texts))
    return tuple(found)


def _over_the_units(site: Site, edits: Imported) -> dict[str, tuple[str, ...]]:
    """The charges that go over what an MUE file allows a patient on a day, by key: those queued after the others."""
    found: dict[str, tuple[str, ...]] = {}
    for of, charges in units_out(site).items():
        most = edits.units_allowed(of.code, of.day)
        total, so_far = sum(units for _, units in charges), 0
        for known, units in charges:
            so_far += units
            if most is not None and so_far > most:
                words = f"{total} units of {of.code} are out for this patient on {of.day}; the MUE file allows {most}"
                found[known.charge.key] = (words,)
    return found


def _performed(ruling: Ruling) -> set[str]:
    facts = json.loads(ruling.facts)
    bases = {each["code"] for each in facts.get("base_procedures", ()) if each["status"] == "performed"}
    return bases | set(facts.get("other_procedures", ()))


def _known(site: Site, found: BrokenEdit) -> bool:
    """Whether the charge was marked for these edits already, and perhaps kept."""
    said = {
        text
        for act in site.casebook.acts(found.session)
        if act.kind == "mark" and found.known.charge.key in act.detail["keys"]
        for text in act.detail["edits"]
    }
    return set(found.texts) <= said
