"""What receiving processes have to tell the deciding one, whatever host they are on."""

from alembic import op
from sqlalchemy import Column, Integer, Text

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "news",
        Column("place", Integer, primary_key=True, autoincrement=True),
        Column("kind", Text, nullable=False),
        Column("uid", Text, nullable=False),
        sqlite_autoincrement=True,
    )
