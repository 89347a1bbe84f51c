"""Links that show the results of a session to a referring physician."""

from alembic import op
from sqlalchemy import Column, Float, Integer, String, Text

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "result_link",
        Column("place", Integer, primary_key=True, autoincrement=True),
        Column("token_sha256", String(64), nullable=False, unique=True),
        Column("session", Text, nullable=False, index=True),
        Column("accession", Text, nullable=False),
        Column("recipient", Text, nullable=False),
        Column("made_by", Text, nullable=False),
        Column("made_s", Float, nullable=False),
        Column("expires_s", Float, nullable=False),
        Column("secret", Text, nullable=False),
        Column("reports", Integer, nullable=False),
        Column("revoked_s", Float, nullable=False),
        Column("revoked_by", Text, nullable=False),
        Column("wrong", Integer, nullable=False),
        Column("wrong_s", Float, nullable=False),
        Column("uses", Integer, nullable=False),
        Column("used_s", Float, nullable=False),
        sqlite_autoincrement=True,
    )
