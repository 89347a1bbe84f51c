"""`workstation upgrade` and `move-database`: the site's database, to this program's version, and to PostgreSQL."""

from typing import Annotated

import typer

from workstation.cli.shared import Json, example, progress_bar, root, show
from workstation.errors import WorkstationError


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("upgrade")(upgrade)
    app.command("move-database")(move_database)


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


@example("workstation move-database postgresql+psycopg://workstation@db/workstation --dry-run")
def move_database(
    url: Annotated[str, typer.Argument(metavar="URL", help="An empty PostgreSQL database.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be copied; copy nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Copy everything that the database of this state folder holds into a PostgreSQL database that hosts can share.

    Stop `serve` and every desktop first. All rows are copied, or none, and the ledger is checked in its new place. The
    old database stays as it is. Afterwards set `database` and `store`; the folders `instances`, `documents`,
    `quarantine` and `prepared` belong into the store.
    """
    from workstation.config import load_config
    from workstation.store import schema
    from workstation.store.ledger import Ledger
    from workstation.store.outbox import Outbox

    if not url.startswith("postgresql+psycopg://"):
        raise WorkstationError(f"{url} is no URL that begins with postgresql+psycopg://. Nothing was copied.")
    source, target = schema.database_of(root(), load_config(root()).database), schema.database_of(root(), url)
    if dry_run:
        schema.make_ready(source)
        rows, done = schema.rows_in(source), False
    else:
        bar = progress_bar()
        rows, done = schema.move(source, target, lambda of, total: bar(f"{of} of {total} rows", of / total)), True
        if faults := list(Ledger(target).faults(Outbox(target).heads())):
            raise WorkstationError(f"{faults[0]} The copy is not to be used; the old database is as it was.")
    text = [f"{name:22} {count}" for name, count in rows.items() if count]
    text.append(
        "Everything is there, and the ledger holds. The old database is as it was." if done else "Nothing was copied."
    )
    show(as_json, {"rows": rows, "done": done}, "\n".join(text))
