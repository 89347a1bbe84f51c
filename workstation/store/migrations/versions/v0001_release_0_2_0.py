"""The tables of release 0.2.0. In a database of an earlier version, what it lacks is added: columns, the chain of the
journal, the ledger, the list of messages that are not done."""

from alembic import op
from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from dicom_io.archive.database import make_tables, names_in
from workstation.store.journal import chain_old_events
from workstation.store.ledger import enter_all, guard
from workstation.store.unfinished import list_unfinished

revision = "0001"
down_revision = None

APPEND_ONLY = (
    "ledger", "event", "act", "decision", "papers", "person", "message", "attempt", "charge", "credit", "charge_event"
)  # fmt: skip
METADATA = MetaData()
Table(
    "instance",
    METADATA,
    Column("sop_instance_uid", String(64), primary_key=True),
    Column("series_uid", String(64), nullable=False, index=True),
    Column("study_uid", String(64), nullable=False, index=True),
    Column("accession", String(64), nullable=False, index=True),
    Column("sop_class_uid", String(64), nullable=False, index=True),
    Column("path", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("header", Text, nullable=False),
)
Table(
    "described",
    METADATA,
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
)
Table(
    "series_completion",
    METADATA,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("series_uid", String(64), nullable=False, index=True),
    Column("revision", Integer, nullable=False),
    Column("instances", Integer, nullable=False),
    Column("at", Text, nullable=False),
)
Table(
    "event",
    METADATA,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("session", Text, nullable=False, index=True),
    Column("at", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("number", Integer),
    Column("hash", Text),
    UniqueConstraint("session", "person", "kind", "detail"),
    Index("event_chain", "session", "number", unique=True),
)
Table(
    "ledger",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("place", Integer, nullable=False),
    Column("subject", Text, nullable=False, index=True),
    Column("digest", Text, nullable=False),
    Column("hash", Text, nullable=False),
)
Table(
    "papers",
    METADATA,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("accession", Text, nullable=False, index=True),
    Column("at", Text, nullable=False),
    Column("content", Text, nullable=False),
)
Table(
    "message",
    METADATA,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("key", Text, nullable=False, unique=True),
    Column("destination", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("identity", Text, nullable=False, index=True),
    Column("accession", Text, nullable=False, index=True),
    Column("body", LargeBinary),
    Column("path", Text),
    Column("queued_at", Text, nullable=False),
    Column("account", Text, nullable=False, server_default=""),
    Column("head", Text, nullable=False, server_default=""),
)
Table(
    "attempt",
    METADATA,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("message", Text, ForeignKey("message.key"), nullable=False, index=True),
    Column("at", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("detail", Text, nullable=False),
)
Table(
    "charge",
    METADATA,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("key", Text, nullable=False, unique=True),
    Column("message", Text, ForeignKey("message.key"), nullable=False, index=True),
    Column("code", Text, nullable=False),
    Column("accession", Text, nullable=False, index=True),
    Column("base", Text, nullable=False),
    Column("sr_uid", Text, nullable=False),
    Column("billed", Text, nullable=False, server_default=""),
)
Table(
    "charge_event",
    METADATA,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("charge", Text, ForeignKey("charge.key"), nullable=False, index=True),
    Column("at", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("detail", Text, nullable=False),
)
Table(
    "credit",
    METADATA,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("charge", Text, ForeignKey("charge.key"), nullable=False, index=True),
    Column("message", Text, ForeignKey("message.key"), nullable=False, index=True),
)
Table(
    "act",
    METADATA,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("session", Text, nullable=False, index=True),
    Column("accession", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("kind", Text, nullable=False, index=True),
    Column("why", Text, nullable=False),
    Column("detail", Text, nullable=False),
)
Table(
    "concern",
    METADATA,
    Column("message", Integer, nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("other", Text, nullable=False),
    Index("concern_other", "kind", "other"),
    Index("concern_value", "kind", "value"),
)
Table(
    "decision",
    METADATA,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("accession", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("session", Text, nullable=False),
    Column("sr_uid", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("since", Text, nullable=False),
    Column("state", Text, nullable=False, index=True),
    Column("cause", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("facts", Text, nullable=False),
    UniqueConstraint("accession", "number"),
    Index("decision_newest", "session", "place"),
)
Table(
    "due",
    METADATA,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("accession", Text, nullable=False, index=True),
    Column("cause", Text, nullable=False),
    sqlite_autoincrement=True,
)
Table(
    "received",
    METADATA,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("at", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("control_id", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
Table(
    "record",
    METADATA,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("sr_uid", Text, nullable=False, unique=True),
    Column("session", Text, nullable=False, index=True),
    Column("accession", Text, nullable=False, index=True),
    Column("patient_id", Text, nullable=False, index=True),
    Column("path", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Index("record_session_of", "sr_uid", "session"),
)
Table(
    "refused",
    METADATA,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("at", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("kind", Text, nullable=False, index=True, server_default=""),
    Column("reason", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
Table(
    "commitment_answered",
    METADATA,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("transaction_uid", Text, nullable=False, index=True),
    Column("sop_instance_uid", Text, nullable=False, index=True),
    Column("reason", Integer, nullable=False),
    Column("at", Text, nullable=False),
)
Table(
    "commitment_asked",
    METADATA,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("transaction_uid", Text, nullable=False, index=True),
    Column("destination", Text, nullable=False),
    Column("sop_instance_uid", Text, nullable=False, index=True),
    Column("at", Text, nullable=False),
)
Table(
    "commitment_offered",
    METADATA,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("destination", Text, nullable=False, index=True),
    Column("offers", Integer, nullable=False),
    Column("at", Text, nullable=False),
)
Table(
    "person",
    METADATA,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("person", Text, nullable=False, index=True),
    Column("at", Text, nullable=False),
    Column("content", Text, nullable=False),
)
Table(
    "unfinished",
    METADATA,
    Column("message", Text, primary_key=True),
)


def upgrade() -> None:
    connection = op.get_bind()
    known = names_in(connection)
    chain_old_events(connection)
    make_tables(connection, METADATA)
    guard(connection, *APPEND_ONLY)
    if "ledger" not in known:
        enter_all(connection)
    list_unfinished(connection)
