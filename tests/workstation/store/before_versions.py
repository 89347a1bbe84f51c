"""Databases as they were before tables had versions."""

from sqlalchemy import Engine, text

from workstation.store.migrations.versions import v0001_release_0_2_0

# Tables that came with a step of their own.
LATER = (
    "lease",
    "preparation",
    "preparation_asked",
    "fetched_prior",
    "news",
    "console_session",
    "sign_in_attempt",
    "saved_view",
    "presence",
    "result_link",
    "catalogue",
)
# A table that a later step took away.
_GONE = v0001_release_0_2_0.METADATA.tables["described"]


def as_before_versions(engine: Engine) -> None:
    """Takes away what came since: the version, and the tables of later steps."""
    with engine.begin() as connection:
        for table in ("alembic_version", *LATER):
            connection.execute(text(f"DROP TABLE {table}"))
        _GONE.create(connection)
