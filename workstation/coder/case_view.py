"""A case as a coder and a compliance officer read it: everything that is on file of it, as JSON and in words."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import Any

from workstation.billing.charged_line import read_billed
from workstation.coder.acts import numbered
from workstation.coder.work_list import WorkError, marks_of
from workstation.hl7.syntax import Hl7Error
from workstation.orders.patients import PatientIdentifier
from workstation.orders.stated import MessageRefused
from workstation.orders.statements import statements_of
from workstation.site import Site
from workstation.store.cases import Ruling


def view(site: Site, ruling: Ruling) -> dict[str, Any]:
    """Return a case, JSON-ready: the decision now, its history, charges, acts and what could not be used."""
    records = site.casebook.records_of(ruling.session)
    uids = {record.sr_uid for record in records}
    history = site.casebook.history(ruling.session)
    charges = []
    marks = marks_of(site, ruling.session, ruling.accession)
    for known in site.outbox.charges(ruling.accession):
        if known.charge.sr_uid not in uids:
            continue
        billed = read_billed(known.charge.billed) if known.charge.billed else None
        charges.append(
            {
                "key": known.charge.key,
                "code": known.charge.code,
                "modifiers": list(billed.line.modifiers) if billed else [],
                "base": known.charge.base,
                "state": known.state,
                "message": known.message,
                "queued_at": known.queued_at.isoformat(),
                "breaks_edits": list(marks.get(known.charge.key, ())),
            }
        )
    return {
        "accession": ruling.accession,
        "session": ruling.session,
        "state": ruling.state,
        "since": ruling.since.isoformat(),
        "decision": {key: ruling.content[key] for key in _DECISION},
        "correction_of": ruling.content["stale"],
        "not_used": ruling.content["strangers"],
        "srs": [
            {"sr_uid": r.sr_uid, "verified": r.evidence.verified, "counts": r.sr_uid == ruling.sr_uid} for r in records
        ],
        "charges": charges,
        "acts": [
            {"at": a.at.isoformat(), "person": a.person, "role": a.role, "kind": a.kind, "why": a.why, **a.detail}
            for a in site.casebook.acts(ruling.session)
        ],
        "history": [
            {
                "at": each.at.isoformat(),
                "state": each.state,
                "reasons": each.content["reasons"],
                "cause": each.cause,
                "changed": each.content["changed"],
                "policy": each.content["policy"],
                "edition": each.content["edition"],
            }
            for each in history
        ],
    }


_DECISION = ("disposition", "work_tier", "lines", "proposed", "reasons", "explanations", "policy", "edition")


def in_words(seen: dict[str, Any]) -> str:
    """Return a case for people."""
    decision = seen["decision"]
    lines = [f"Accession {seen['accession']}: {seen['state']} since {seen['since']}"]
    lines.append(f"  policy {decision['policy']} {decision['edition'] or '(no edition)'}, tier {decision['work_tier']}")
    lines += [f"  charge: {_line(each)}" for each in decision["lines"]]
    lines += [f"  once cleared, line {n}: {_line(each)}" for n, each in numbered(decision["proposed"]).items()]
    for each in decision["explanations"]:
        lines.append(f"  {each['code']}: {each['sentence']} [{each['fact']}; by: {each['resolver']}]")
    if seen["correction_of"]:
        lines.append(f"  out and no longer borne by the facts: {', '.join(seen['correction_of'])}")
    lines += [f"  not used: {each}" for each in seen["not_used"]]
    lines.append("Charges:" if seen["charges"] else "Charges: none")
    for each in seen["charges"]:
        code = "-".join([each["code"], *each["modifiers"]])
        lines.append(f"  {each['key']} {code} beside {each['base']}: {each['state']}")
        lines += [
            f"      breaks an edit of CMS: {edit}; `charge correct`, `credit` or `keep`"
            for edit in each["breaks_edits"]
        ]
    lines.append("Decisions:")
    for each in seen["history"]:
        lines.append(f"  {each['at']} {each['state']} {', '.join(each['reasons'])} because: {each['cause']}")
        lines += [f"      {change}" for change in each["changed"]]
    if seen["acts"]:
        lines.append("Acts:")
    lines += [f"  {a['at']} {a['person']} ({a['role']}): {a['kind']}{_chosen(a)}: {a['why']}" for a in seen["acts"]]
    return "\n".join(lines)


def _chosen(act: dict[str, Any]) -> str:
    """What was chosen with an act: lines at release, to whom, to which query, which message."""
    chosen = [" ".join(each) for each in act.get("lines", ())]
    chosen += [f"modifiers {' '.join(act['modifiers'])}"] if act.get("modifiers") else []
    chosen += [f"base {act['base']}"] if act.get("base") else []
    chosen += [str(act["called"])] if act.get("called") else []
    chosen += [f"to {act['to'] or 'nobody'}"] if act["kind"] in ("assign", "query") else []
    chosen += [f"query {act['query']}"] if act.get("query") else []
    chosen += [f"{act['source']}, of accession {act['accession']}"] if act["kind"] in ("attach", "detach") else []
    return f" ({', '.join(chosen)})" if chosen else ""


def _line(line: dict[str, Any]) -> str:
    code = "-".join([line["code"], *line["modifiers"]])
    return f"{code} x {line['units']} beside {line['base']} ({line['entity']})"


def audit(site: Site, since: date | None) -> list[dict[str, Any]]:
    """Return every decision and every act since a day, oldest first, JSON-ready. It names no patient."""
    rows: list[tuple[datetime, int, dict[str, Any]]] = []
    for number, ruling in enumerate(site.casebook.every_ruling()):
        content = ruling.content
        row = {
            "at": ruling.at.isoformat(),
            "what": "decision",
            "accession": ruling.accession,
            "session": ruling.session,
            "sr_uid": ruling.sr_uid,
            "state": ruling.state,
            "cause": ruling.cause,
            "queued": content["queued"],
            "facts_changed": [change.partition(":")[0] for change in content["changed"]],
            **{key: content[key] for key in ("reasons", "lines", "policy", "edition")},
        }
        rows.append((ruling.at, number, row))
    for act in site.casebook.acts():
        row = {
            "at": act.at.isoformat(),
            "what": act.kind,
            "session": act.session,
            "person": act.person,
            "role": act.role,
            "why": act.why,
            "facts": sorted(act.detail.get("facts", {})),
            "document": act.detail.get("sha256", ""),
        }
        rows.append((act.at, act.place, row))
    rows.sort(key=lambda each: each[:2])
    return [row for at, _, row in rows if since is None or at.date() >= since]


def stated(site: Site, path: Path, day: date) -> dict[str, Any]:
    """Return what a message in a file states, JSON-ready, with the answer that it would get.

    day : the date of service by whose settings it is read.

    Raises WorkError when the file cannot be read.
    """
    try:
        # An editor ends lines its own way, and adds one at the end; MLLP's frame may still be around it.
        body = path.read_bytes().strip(b"\x0b\x1c\r\n")
        body += b"\r" if b"\r" in body else b"\n"
    except OSError as error:
        raise WorkError(f"{path}: cannot be read ({error.strerror}).") from None
    return stated_in(site, body, day)


def stated_in(site: Site, body: bytes, day: date) -> dict[str, Any]:
    """Return what a message states, JSON-ready, as `stated`."""
    zone = site.clock().tzinfo
    assert zone is not None, "a site's clock knows its offset"
    processing_id = site.config.listener.processing_id if site.config.listener else "P"
    try:
        found = statements_of(body, site.config.on(day).reading, zone, processing_id)
    except MessageRefused as refused:
        return {"answer": refused.code, "reason": str(refused), "states": []}
    except Hl7Error as error:
        return {"answer": "none", "reason": str(error), "states": []}
    states = []
    for each in found:
        said = asdict(each.statement)
        said.pop("demographics", None)
        plain: dict[str, Any] = {
            key: sorted(value) if isinstance(value, frozenset) else value for key, value in said.items()
        }
        for key in ("prior", "survivor"):
            plain |= {key: PatientIdentifier(**plain[key]).text} if key in plain else {}
        if "patients" in plain:
            plain["patients"] = [PatientIdentifier(**each).text for each in plain["patients"]]
        if "sentences" in plain:
            plain["sentences"] = [{**each, "counts": not each["why_not"]} for each in plain["sentences"]]
        states.append({"kind": type(each.statement).__name__.lower(), "at": each.stated_at.isoformat(), **plain})
    return {"answer": "AA", "reason": "", "states": states}


# What is said of a report only where there is something to say.
_SAID_ALONE = ("unread", "addendum", "document", "parent", "sentences")


def stated_in_words(found: dict[str, Any]) -> str:
    """Return what a message states for people."""
    if found["answer"] != "AA":
        return f"It would be answered {found['answer']}: {found['reason']}"
    lines = [] if found["states"] else ["It states nothing that bears on a charge."]
    for each in found["states"]:
        lines.append(f"{each['kind']}, {each['at']}")
        for key, value in each.items():
            if key in ("kind", "at") or value is None or (key in _SAID_ALONE and not value):
                continue
            if key == "sentences":
                lines += [f"  {_verdict(each)}: {each['text']}" for each in value]
            elif key == "items":
                lines += [f"  {i['code']}: {i['status']}{', orders 3D' if i['three_d'] else ''}" for i in value]
            elif isinstance(value, dict):
                said = [f"{name} {each}" for name, each in _filled(value)]
                lines += [f"  {key}: {', '.join(said)}"] if said else []
            else:
                lines.append(f"  {key}: {', '.join(map(str, value)) if isinstance(value, list | tuple) else value}")
    return "\n".join(lines)


def _filled(values: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What is not empty, of objects within too."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from ((f"{name} {inner}", each) for inner, each in _filled(value))
        elif value:
            yield name, value


def _verdict(sentence: dict[str, Any]) -> str:
    if sentence["counts"]:
        return f"counts as {sentence['fact']}"
    return f"does not count{' as ' + sentence['fact'] if sentence['fact'] else ''}, {sentence['why_not']}"
