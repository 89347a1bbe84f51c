"""What is prepared unattended, and which completions of series its rules were asked about."""

from alembic import op
from sqlalchemy import Column, Float, Integer, String, Text, UniqueConstraint

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "preparation",
        Column("place", Integer, primary_key=True, autoincrement=True),
        Column("series_uid", String(64), nullable=False),
        Column("rule", Text, nullable=False),
        Column("accession", Text, nullable=False),
        Column("revision", Integer, nullable=False),
        Column("state", String(16), nullable=False, index=True),
        Column("urgent", Integer, nullable=False),
        Column("priority", Integer, nullable=False),
        Column("arrived_s", Float, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("due_s", Float, nullable=False),
        Column("owner", String(32), nullable=False),
        Column("until_s", Float, nullable=False),
        Column("changed_s", Float, nullable=False),
        Column("reason", Text, nullable=False),
        Column("folder", Text, nullable=False),
        Column("bytes", Integer, nullable=False),
        UniqueConstraint("series_uid", "rule"),
    )
    op.create_table(
        "preparation_asked",
        Column("series_uid", String(64), primary_key=True),
        Column("revision", Integer, nullable=False),
    )
