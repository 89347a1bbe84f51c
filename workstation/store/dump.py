"""A PostgreSQL database as one file, and back, by PostgreSQL's own programs.

Source: its manual, "Backup and Restore".
"""

import os
import shutil
import subprocess
from pathlib import Path

from sqlalchemy import Engine, text

from workstation.errors import WorkstationError
from workstation.store.ledger import APPEND_ONLY


class DumpError(WorkstationError):
    """pg_dump or pg_restore is not there, or failed; the message says what it said."""


def dump(engine: Engine, place: Path) -> None:
    """Writes the database as it is at this moment, whoever writes meanwhile, in the custom format. Raises DumpError."""
    _run("pg_dump", engine, "--format=custom", "--no-owner", "--no-privileges", f"--file={place}")


def load(engine: Engine, place: Path) -> None:
    """Fills an empty database from such a file, with all of it or nothing. Raises DumpError."""
    words = ("--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction", str(place))
    _run("pg_restore", engine, *words)
    with engine.begin() as connection:
        for table in APPEND_ONLY:  # privileges are of roles, which another server does not have
            connection.execute(text(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM PUBLIC, CURRENT_USER"))


def _run(program: str, engine: Engine, *words: str) -> None:
    if shutil.which(program) is None:
        raise DumpError(
            f"{program} is not installed here (Debian: postgresql-client), and without it a PostgreSQL database can "
            "neither be saved nor restored. It has to be of the server's version or a newer one."
        )
    url = engine.url.set(drivername="postgresql")
    # What is in the command is everybody's to read (ps).
    secret = {"PGPASSWORD": url.password} if isinstance(url.password, str) else {}
    where = url.set(password=None).render_as_string(hide_password=False)
    ran = subprocess.run(
        [program, f"--dbname={where}", *words],
        capture_output=True,
        text=True,
        env={**os.environ, **secret},
        check=False,
    )
    if ran.returncode:
        raise DumpError(f"{program} failed: {ran.stderr.strip()[-1000:]}")
