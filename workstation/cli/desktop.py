"""`workstation desktop` and `workstation people …`."""

import gc
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from workstation import DISTRIBUTION
from workstation.cli.shared import Json, example, note_change, root, show
from workstation.text_table import table

Identity = Annotated[str, typer.Argument(metavar="ID", help="One word, e.g. the login name.")]


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(desktop)
    people = typer.Typer(no_args_is_help=True, help="The register: who may work here, and by what they are known.")
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
    # What is loaded stays: to look for garbage in it meanwhile takes a seventh of the time. `start` goes on with it.
    gc.disable()
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
    """List who may work here, in which role, and what each is known by."""
    from workstation.people import people_of

    rows: list[dict[str, Any]] = [
        {
            "id": a.person.id,
            "name": a.person.name,
            "role": a.person.role,
            "logins": list(a.logins),
            "password": bool(a.password),
            "pin": bool(a.pin),
            "npi": a.npi,
        }
        for a in people_of(root()).accounts()
    ]
    text = [
        [r["id"], r["name"], r["role"], ", ".join(r["logins"]), _known_by(r["password"], r["pin"]), r["npi"]]
        for r in rows
    ]
    show(as_json, rows, table(text, ["id", "name", "role", "logins", "secret", "npi"]))


def _known_by(password: bool, pin: bool) -> str:
    return " and ".join(word for word, there in (("password", password), ("PIN", pin)) if there) or "none"


@example("workstation people add DR1 --name 'Sample^Radiologist' --role physician")
def add(
    identity: Identity,
    name: Annotated[str, typer.Option(help="As DICOM writes it: Family^Given.")],
    role: Annotated[
        str,
        typer.Option(
            help="physician, qualified_professional, resident, technologist, coder, compliance or administrator."
        ),
    ],
    password: Annotated[
        str,
        typer.Option(
            envvar="WORKSTATION_PASSWORD",
            help="Asked for where neither it nor a login is given; WORKSTATION_PASSWORD is for scripts.",
        ),
    ] = "",
    pin: Annotated[
        str, typer.Option(envvar="WORKSTATION_PIN", help="Digits to sign and act with, in place of the password.")
    ] = "",
    login: Annotated[
        list[str] | None,
        typer.Option(help="An account of this machine that acts for them without a secret; may be given again."),
    ] = None,
    npi: Annotated[str, typer.Option(help="National Provider Identifier.")] = "",
    as_json: Json = False,
) -> None:
    """Add somebody to the register, or put what is given in the place of what was known of them.

    With a password they may sign in at the desktop. A PIN, the password or a login says that it is them where they sign
    or act on a charge.
    """
    from dicom_io.evidence import Person, checked_role
    from workstation.people import people_of
    from workstation.store.console import ConsoleStore

    try:
        person = Person(identity, name, checked_role(role))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    note = note_change("people", identity)
    if not password and not login:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    people = people_of(root())
    people.add(person, password, pin, login or (), npi)
    ConsoleStore(people.register.engine).end_all(identity)
    known = [word for word, there in (("a password", password), ("a PIN", pin), ("a login", login)) if there]
    note(f"added or changed: {role}, with {', '.join(known)}")
    show(as_json, {"id": identity, "role": role}, f"{identity} is in the register as {role}, with {', '.join(known)}.")


@example("workstation people remove DR1")
def remove(identity: Identity, as_json: Json = False) -> None:
    """Take somebody out of the register. What they signed stays signed."""
    from workstation.people import people_of
    from workstation.store.console import ConsoleStore

    note = note_change("people", identity)
    people = people_of(root())
    people.remove(identity)
    # Else whoever gets this ID next would find the sessions of the one before.
    ConsoleStore(people.register.engine).end_all(identity)
    note("removed")
    show(as_json, {"removed": identity}, f"{identity} can no longer sign in or act.")


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
