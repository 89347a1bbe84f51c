"""`workstation upgrade`: the tables of the site's database, from the version of an older program to this one's."""

from typing import Annotated

import typer

from workstation.cli.shared import Json, example, root, show
from workstation.errors import WorkstationError


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("upgrade")(upgrade)


@example("workstation upgrade --dry-run")
def upgrade(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what there is to do; change nothing.")] = False,
    kept: Annotated[
        bool,
        typer.Option(
            "--backed-up", help="There is a backup of a PostgreSQL database (`pg_dump`), so none is made here."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring the database to the version of this program, with a copy of it from before in the folder `backups`.

    Stop `serve` and every desktop first. All steps are taken, or none. A database of a newer program is left alone.
    """
    from datetime import datetime

    from workstation.config import load_config
    from workstation.site import local_clock
    from workstation.store import schema

    engine = schema.database_of(root(), load_config(root()).database)
    found = schema.version_of(engine)
    steps = schema.steps_from(found)
    was = {None: "empty", "": "from before versions"}.get(found, found)
    result = {
        "found": found or "",
        "needed": schema.NEWEST,
        "steps": [{"version": step.version, "what": step.what} for step in steps],
        "copy": "",
        "done": False,
    }
    text = [f"The database is {was}; this program needs {schema.NEWEST}.", *(f"  {s.version}  {s.what}" for s in steps)]
    if not steps:
        text.append("There is nothing to do.")
    elif dry_run:
        text.append("Nothing was changed.")
    else:
        if found is not None:
            at: datetime = local_clock()
            if engine.dialect.name == "sqlite":
                copy = root() / "backups" / f"workstation.{found or 'unversioned'}.{at:%Y%m%dT%H%M%S}.db"
                schema.copy_of(engine, copy)
                result["copy"] = str(copy)
                text.append(f"What was there before is kept as {copy}.")
            elif not kept:
                raise WorkstationError(
                    "The database is on PostgreSQL. Make a backup of it with `pg_dump`, and say so with --backed-up. "
                    "Nothing was changed."
                )
        schema.upgrade(engine)
        result["done"] = True
        text.append("Done.")
    show(as_json, result, "\n".join(text))
