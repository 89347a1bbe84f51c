"""The claims by which hosts share the work."""

from alembic import op
from sqlalchemy import Column, Float, String

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "lease",
        Column("name", String(200), primary_key=True),
        Column("owner", String(200), nullable=False),
        Column("until", Float(53), nullable=False),
    )
