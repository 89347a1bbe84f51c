"""Preparations are claimed by leases, as all other work is, tell how far they are, and which priors they fetched."""

from alembic import op
from sqlalchemy import Column, Integer, String

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.drop_column("preparation", "until_s")
    # Those were times of hosts. What waits is due, and what is running has no lease: it is begun again.
    op.execute("UPDATE preparation SET due_s = 0")
    op.add_column("preparation", Column("doing", String(64), nullable=False, server_default=""))
    op.add_column("preparation", Column("done", Integer, nullable=False, server_default="0"))
    op.add_column("preparation", Column("total", Integer, nullable=False, server_default="0"))
    op.create_index("preparation_newest", "preparation", ["state", "changed_s"])
    op.create_table("fetched_prior", Column("series_uid", String(64), primary_key=True))
