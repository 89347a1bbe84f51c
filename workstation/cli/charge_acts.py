"""`workstation charge …`: whose work a case is, queries to physicians, unmatched messages, what a payer denied."""

from typing import Annotated

import typer

from workstation.cli.charge_shared import ByOption, CaseArgument, WhyOption, print_settled
from workstation.cli.shared import Json, PinFd, acting, example, open_here, secret_of, show
from workstation.text_table import table

RowArgument = Annotated[str, typer.Argument(metavar="ID", help="The id of a row of `workstation charge unmatched`.")]


def add_to_group(charge: typer.Typer) -> None:
    """Adds the commands to the group that `charge.py` makes."""
    charge.command()(assign)
    charge.command()(query)
    charge.command()(queries)
    charge.command()(reply)
    charge.command()(attach)
    charge.command()(attached)
    charge.command()(detach)
    charge.command()(dismiss)
    charge.command()(rebill)
    charge.command("write-off")(write_off)
    charge.command()(appeal)


@example("workstation charge assign DEMO-0001 DEMO-0002 --to jd --by jd")
def assign(
    cases: Annotated[list[str], typer.Argument(metavar="CASE", help="Accessions, sessions or SR UIDs.")],
    to: Annotated[str, typer.Option("--to", help="Whose work they are: an ID of `people list`, or `nobody`.")],
    by: ByOption,
    why: Annotated[str, typer.Option("--why", help="The reason, if there is one.")] = "",
    pin_fd: PinFd = None,
    as_json: Json = False,
) -> None:
    """Say whose work cases are. One that is refused keeps none of the others back. Takes a coder or compliance."""
    from workstation.coder import assigning

    site = open_here()
    person = acting(site, by, pin_fd)
    done = assigning.one_by_one(cases, lambda case: assigning.assign(site, case, person, to, why))
    rows = [{"case": each.case, "to": "" if each.refused else to, "refused": each.refused} for each in done]
    show(as_json, rows, "\n".join(each.refused or f"{each.case}: assigned to {to}." for each in done))
    if any(each.refused for each in done):
        raise typer.Exit(1)


@example("workstation charge query DEMO-0001 --to DR1 --by jd --text 'Was 3D needed to plan the approach?'")
def query(
    case: CaseArgument,
    to: Annotated[str, typer.Option("--to", help="The physician, an ID of `people list`.")],
    text: Annotated[str, typer.Option("--text", help="The question; kept in the casebook.")],
    by: ByOption,
    pin_fd: PinFd = None,
    as_json: Json = False,
) -> None:
    """Ask a physician about a case. Takes a coder or compliance."""
    from workstation.coder import queries as asked

    site = open_here()
    number = asked.query(site, case, acting(site, by, pin_fd), to, text)
    show(as_json, {"case": case, "query": number, "to": to}, f"{case}: query {number} to {to}.")


@example("workstation charge queries --of DR1")
def queries(
    of: Annotated[str, typer.Option("--of", help="The physician, an ID of `people list`.")], as_json: Json = False
) -> None:
    """List what waits for a physician: queries to them, and holds of their sessions that take a physician."""
    from workstation.coder import queries as asked

    site = open_here()
    found = asked.queries(site, asked.physician_of(site, of))
    rows = [
        {
            "query": item.query,
            "accession": item.row.accession,
            "session": item.row.session,
            "since": item.since.isoformat(),
            "by": item.by,
            "text": item.text,
            "facts": list(item.facts),
        }
        for item in found
    ]
    columns = ["query", "accession", "since", "by", "text"]
    show(as_json, rows, table([[str(row[c]) for c in columns] for row in rows], columns))


@example("workstation charge reply 17 report.clinical_utility=true --by DR1 --text 'Yes, it changed the approach.'")
def reply(
    number: Annotated[int, typer.Argument(metavar="QUERY", help="Its number, as `charge queries` has it.")],
    by: ByOption,
    text: Annotated[str, typer.Option("--text", help="The reply; kept in the casebook.")],
    facts: Annotated[
        list[str] | None, typer.Argument(metavar="FACT=VALUE", help="What the reply states; then it is an answer too.")
    ] = None,
    pin_fd: PinFd = None,
    as_json: Json = False,
) -> None:
    """Reply to a query, with PIN or password of the physician who was asked."""
    from workstation.coder import queries as asked

    site = open_here()
    settled = asked.reply(site, number, by, secret_of(by, pin_fd), text, facts or ())
    if settled:
        print_settled(settled, as_json)
    else:
        show(as_json, {"query": number, "by": by}, f"Query {number} has its reply.")


@example("workstation charge attach 42-3f2a90c1d77e DEMO-0001 --by jd --why 'RIS sent the old accession'")
def attach(
    row: RowArgument, case: CaseArgument, by: ByOption, why: WhyOption, pin_fd: PinFd = None, as_json: Json = False
) -> None:
    """Have an unmatched message of the same patient read for a case from now on. Takes a coder or compliance."""
    from workstation.coder import unmatched

    site = open_here()
    print_settled(unmatched.attach(site, row, case, acting(site, by, pin_fd), why), as_json)


@example("workstation charge attached")
def attached(as_json: Json = False) -> None:
    """List the messages that people attached to cases."""
    from workstation.coder import unmatched

    rows = [
        {
            "id": row.id,
            "message": row.message,
            "named": row.named,
            "accession": row.accession,
            "at": row.at.isoformat(),
            "person": row.person,
            "why": row.why,
        }
        for row in unmatched.attached(open_here())
    ]
    columns = ["id", "message", "named", "accession", "at", "person", "why"]
    show(as_json, rows, table([[str(row[c]) for c in columns] for row in rows], columns))


@example("workstation charge detach 42-3f2a90c1d77e --by jd --why 'it is of the other examination'")
def detach(
    row: Annotated[str, typer.Argument(metavar="ID", help="The id of a row of `workstation charge attached`.")],
    by: ByOption,
    why: WhyOption,
    pin_fd: PinFd = None,
    as_json: Json = False,
) -> None:
    """Take an attachment back; the message is read for the accession that it names again."""
    from workstation.coder import unmatched

    site = open_here()
    print_settled(unmatched.detach(site, row, acting(site, by, pin_fd), why), as_json)


@example("workstation charge dismiss 42-3f2a90c1d77e --by jd --why 'of another department'")
def dismiss(row: RowArgument, by: ByOption, why: WhyOption, pin_fd: PinFd = None, as_json: Json = False) -> None:
    """Take a row off the list of what is unmatched. Takes a coder or compliance."""
    from workstation.coder import unmatched

    site = open_here()
    unmatched.dismiss(site, row, acting(site, by, pin_fd), why)
    show(as_json, {"dismissed": row}, f"{row} is off the list.")


@example("workstation charge rebill DEMO-0001 --by jd --why 'authorisation found' --modifier 59")
def rebill(
    case: CaseArgument,
    by: ByOption,
    why: WhyOption,
    modifier: Annotated[list[str] | None, typer.Option(help="Add a modifier to each line. Repeatable.")] = None,
    pin_fd: PinFd = None,
    as_json: Json = False,
) -> None:
    """Charge again what the payer denied; the denied charge is taken back with it. Takes a coder."""
    from workstation.coder import denials

    site = open_here()
    print_settled(denials.rebill(site, case, acting(site, by, pin_fd), why, modifier or ()), as_json)


@example("workstation charge write-off DEMO-0001 --by jd --why 'not worth an appeal'")
def write_off(case: CaseArgument, by: ByOption, why: WhyOption, pin_fd: PinFd = None, as_json: Json = False) -> None:
    """Take back what the payer denied and charge it no more. Takes a coder or compliance."""
    from workstation.coder import denials

    site = open_here()
    print_settled(denials.write_off(site, case, acting(site, by, pin_fd), why), as_json)


@example("workstation charge appeal DEMO-0001 --by jd --text 'The report documents necessity; see page 2.'")
def appeal(
    case: CaseArgument,
    by: ByOption,
    text: Annotated[str, typer.Option("--text", help="What the appeal says; kept in the casebook.")],
    pin_fd: PinFd = None,
    as_json: Json = False,
) -> None:
    """Write down that a payer's denial is appealed against; the case shows it until it is decided. Takes a coder."""
    from workstation.coder import denials

    site = open_here()
    denials.appeal(site, case, acting(site, by, pin_fd), text)
    show(as_json, {"case": case, "appealed": True}, f"{case}: appealed.")
