"""`workstation desktop` and `workstation people …`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from workstation import DISTRIBUTION
from workstation.cli.shared import Json, example, note_change, root, show
from workstation.text_table import table

Identity = Annotated[str, typer.Argument(metavar="ID", help="One word, e.g. the login name.")]


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(desktop)
    people = typer.Typer(no_args_is_help=True, help="Who may sign in at the desktop.")
    app.add_typer(people, name="people")
    people.command("list")(list_people)
    people.command("add")(add)
    people.command("remove")(remove)


@example("workstation desktop")
def desktop(
    study: Annotated[str, typer.Argument(help="A series UID to open at once.")] = "",
    region: Annotated[str, typer.Option(help="The body region, where the series does not say.")] = "",
    language: Annotated[str, typer.Option(help="Of the window: en, de.")] = "en",
    demo: Annotated[
        Path | None,
        typer.Option(exists=True, help="Take in this folder, e.g. sample_data/ct_head, and show the guide."),
    ] = None,
    launcher: Annotated[bool, typer.Option("--launcher", help="Write a .desktop file for the menu, and end.")] = False,
) -> None:
    """Show the radiologist's desktop: work list, planes and 3D, captures, measures, report, charge."""
    if launcher:
        typer.echo(write_launcher(Path.home() / ".local" / "share" / "applications", root()))
        return
    try:
        from workstation.desktop.app import start
    except ImportError as error:
        typer.echo(
            f"error: The desktop needs PySide6 ({error}). Install it: pip install '{DISTRIBUTION}[desktop]'.", err=True
        )
        raise typer.Exit(1) from error
    raise typer.Exit(start(root(), study, region, language, demo))


@example("workstation people list")
def list_people(as_json: Json = False) -> None:
    """List who may sign in at the desktop."""
    from workstation.people import people_of

    rows = [{"id": p.id, "name": p.name, "role": p.role} for p in people_of(root()).all()]
    show(as_json, rows, table([[*row.values()] for row in rows], ["id", "name", "role"]))


@example("workstation people add DR1 --name 'Sample^Radiologist' --role physician")
def add(
    identity: Identity,
    name: Annotated[str, typer.Option(help="As DICOM writes it: Family^Given.")],
    role: Annotated[str, typer.Option(help="physician, resident, technologist or coder.")],
    password: Annotated[
        str,
        typer.Option(
            prompt=True, hide_input=True, confirmation_prompt=True, envvar="WORKSTATION_PASSWORD",
            help="Asked for where it is not given; WORKSTATION_PASSWORD is for scripts.",
        ),
    ],
    pin: Annotated[
        str, typer.Option(envvar="WORKSTATION_PIN", help="Digits to sign reports with, in place of the password.")
    ] = "",
    as_json: Json = False,
) -> None:  # fmt: skip
    """Add somebody who may sign in at the desktop, or give them a new password."""
    from dicom_io.evidence import Person, checked_role
    from workstation.people import people_of

    try:
        person = Person(identity, name, checked_role(role))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    note = note_change("people", identity)
    people_of(root()).add(person, password, pin)
    note(f"added or changed: {role}, {'with' if pin else 'without'} a PIN")
    show(as_json, {"id": identity, "role": role}, f"{identity} may sign in as {role}.")


@example("workstation people remove DR1")
def remove(identity: Identity, as_json: Json = False) -> None:
    """Take away somebody's sign-in. What they signed stays signed."""
    from workstation.people import people_of

    note = note_change("people", identity)
    people_of(root()).remove(identity)
    note("removed")
    show(as_json, {"removed": identity}, f"{identity} can no longer sign in.")


def write_launcher(folder: Path, state: Path) -> Path:
    """A menu entry for this installation and state folder. Source: Desktop Entry Specification 1.5."""
    entry = {
        "Type": "Application",
        "Name": "3D workstation",
        "Comment": "Work list, planes and 3D, report and charge. Not cleared for diagnosis.",
        "Exec": f'"{sys.executable}" -m workstation --root "{state}" desktop',
        "Terminal": "false",
        "Categories": "Graphics;MedicalSoftware;",
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "workstation.desktop"
    file.write_text("[Desktop Entry]\n" + "".join(f"{key}={value}\n" for key, value in entry.items()), encoding="utf-8")
    return file
