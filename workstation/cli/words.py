"""Outcomes, evidence and decisions in plain words and as JSON."""

from typing import Any

from dicom_io.evidence import Evidence
from render.engine.choice import choose
from workstation.case import Case
from workstation.charge import Decision, Line, decision_to_json
from workstation.pipeline import CaseRun
from workstation.site import Site


def line(charge: Line) -> str:
    """`76377-26 x 1 beside 70450 (professional)`."""
    code = "-".join([charge.code, *charge.modifiers])
    return f"{code} x {charge.units} beside {charge.base} ({charge.entity})"


def decision(made: Decision) -> str:
    """The decision with every reason, who can resolve it, and what would go out then."""
    headline = {"release": "RELEASED", "hold": "HELD", "deny": "NOT BILLABLE"}[made.disposition]
    lines = [f"{headline}, work tier {made.work_tier}, policy {made.policy} {made.edition or '(no edition)'}"]
    lines += [f"  charge: {line(item)}" for item in made.lines]
    for reason in made.reasons:
        who = "nobody can resolve it" if reason.resolver == "nobody" else f"can be resolved by: {reason.resolver}"
        lines.append(f"  {reason.code}: {reason.sentence} [{reason.fact}; {who}]")
    lines += [f"  once cleared: {line(item)}" for item in made.proposed]
    return "\n".join(lines)


def evidence(recorded: Evidence) -> str:
    """What an SR says, for a person."""
    supervisor, stated = recorded.supervisor, recorded.attestation
    lines = [
        f"SR {recorded.sop_instance_uid}",
        f"  accession {recorded.accession or '(none)'}, {recorded.modality} of {recorded.study_date}, "
        f"{len(recorded.sources)} source instances",
        f"  made on {recorded.station_name}, independent of the scanner: {'yes' if recorded.independent else 'no'}",
        f"  operator {recorded.operator.id} ({recorded.operator.role}); supervised by "
        + (f"{supervisor.id} ({supervisor.role})" if supervisor else "nobody on record"),
        f"  verified by a physician: {'yes' if recorded.verified else 'no'}; attestation: "
        + (f"{stated.text!r}" if stated else "none"),
    ]
    for product in recorded.products:
        lines.append(
            f"  {product.name}: {product.technique} of {product.region}, {len(product.images)} instances, engine "
            f"{product.engine} {product.engine_version}, pixels {product.pixel_digest[:16]}"
        )
    return "\n".join(lines)


def outcome(made: CaseRun) -> str:
    lines = [
        f"{len(made.pictures)} pictures drawn and kept as {len(made.images)} instances.",
        *(f"warning: {words}" for words in made.left_out),
        f"SR {made.sr.sop_instance_uid} ({'verified' if made.evidence.verified else 'not verified'}): {made.sr.path}",
        decision(made.decision),
        f"{len(made.queued)} new messages in the outbox ({len(made.messages)} in all for this case); "
        "`workstation outbox send` or `workstation serve` delivers them.",
    ]
    return "\n".join(lines)


def outcome_json(made: CaseRun) -> dict[str, Any]:
    return {
        "pictures": [{"name": p.recipe.name, "digest": p.digest, "frames": len(p.pixels)} for p in made.pictures],
        "images": [i.sop_instance_uid for i in made.images],
        "sr": {"sop_instance_uid": made.sr.sop_instance_uid, "path": made.sr.path, "verified": made.evidence.verified},
        "decision": decision_to_json(made.decision),
        "messages": [m.key for m in made.messages],
        "queued": list(made.queued),
        "left_out": list(made.left_out),
    }


def plan(case: Case, site: Site) -> dict[str, Any]:
    """What `run --dry-run` says; raises NotFound when the series is not there."""
    series = site.archive.series(case.series_uid)
    return {
        "series": f"{series.modality} {series.description!r}, {len(series.instances)} instances",
        "recipes": ", ".join(r.name for r in case.protocol.recipes),
        "engine": choose(site.config.engine).engine,
        "burned_in": site.config.burn_in,
        "destinations": ", ".join(f"{d.name} ({d.kind}: {' and '.join(d.takes)})" for d in site.config.destinations),
    }
