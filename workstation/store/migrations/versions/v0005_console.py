"""What the console keeps between two requests: who is signed in, attempts to, saved views, who looks at a case."""

from alembic import op
from sqlalchemy import Column, Integer, Text

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "console_session",
        Column("token", Text, primary_key=True),
        Column("person", Text, nullable=False),
        Column("started_at", Text, nullable=False),
        Column("seen_at", Text, nullable=False),
        Column("said", Text, nullable=False),
        Column("search", Text, nullable=False),
    )
    op.create_index("ix_console_session_person", "console_session", ["person"])
    op.create_table(
        "sign_in_attempt",
        Column("place", Integer, primary_key=True, autoincrement=True),
        Column("person", Text, nullable=False),
        Column("address", Text, nullable=False),
        Column("at", Text, nullable=False),
        Column("right", Integer, nullable=False),
    )
    op.create_index("ix_sign_in_attempt_person", "sign_in_attempt", ["person"])
    op.create_table(
        "saved_view",
        Column("person", Text, primary_key=True),
        Column("name", Text, primary_key=True),
        Column("query", Text, nullable=False),
    )
    op.create_table(
        "presence",
        Column("case_key", Text, primary_key=True),
        Column("person", Text, primary_key=True),
        Column("at", Text, nullable=False),
    )
    op.create_index("presence_at", "presence", ["at"])
