"""The catalogue of series says all that a work list shows. It is made anew from the files."""

from alembic import op
from sqlalchemy import Column, Integer, LargeBinary, String, Text

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.drop_table("described")
    op.create_table(
        "catalogue",
        Column("series_uid", String(64), primary_key=True),
        Column("study_uid", String(64), nullable=False, index=True),
        Column("instances", Integer, nullable=False),
        Column("path", Text, nullable=False),
        Column("patient_id", Text, index=True),
        Column("patient_name", Text, index=True),
        Column("study_date", Text, index=True),
        Column("accession", Text, index=True),
        Column("modality", Text, index=True),
        Column("header", LargeBinary),
        Column("summary", Text, nullable=False),
    )
