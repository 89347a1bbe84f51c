"""What the commands of `workstation charge` share: whose act it is, why, and what a case has become."""

from typing import Annotated, Any

import typer

from workstation.cli.shared import show

CaseArgument = Annotated[
    str, typer.Argument(metavar="CASE", help="An accession; or a session or SR UID where it has several.")
]
ByOption = Annotated[str, typer.Option("--by", help="Who does this: an ID of `workstation people list`.")]
WhyOption = Annotated[str, typer.Option("--why", help="The reason; kept in the casebook.")]


def print_settled(settled: Any, as_json: bool) -> None:
    """Prints what a case has become by an act."""
    from workstation.charge import decision_to_json
    from workstation.cli import words

    (one,) = settled
    result = {
        "accession": one.record.accession,
        "session": one.record.session,
        "state": one.state,
        "decision": decision_to_json(one.decision),
        "queued": list(one.queued),
    }
    text = [f"Accession {one.record.accession}: {one.state}.", words.decision(one.decision)]
    show(as_json, result, "\n".join([*text, f"{len(one.queued)} new messages in the outbox."]))
