"""The list of messages that are not done, which the database itself keeps beside the outbox.

The tables of the outbox only grow, and a message's state follows from its attempts: without this list every look for
what is left to send would read the history of years. Triggers keep it, so that it is right whoever writes.
"""

from sqlalchemy import Column, Connection, Table, Text, delete, text

from dicom_io.archive.database import names_in
from workstation.store.tables import TABLES

# A message may stand here although it is done (withdrawn, and answered after that); none that is not done is missing.
unfinished = Table("unfinished", TABLES, Column("message", Text, primary_key=True))

_DONE = "('acknowledged', 'withdrawn')"
# Only the newest attempt counts: an acknowledged message may be rejected later.
_FILL = (
    "INSERT INTO unfinished (message) SELECT key FROM message WHERE key NOT IN "
    "(SELECT attempt.message FROM attempt JOIN (SELECT message, max(place) AS place FROM attempt GROUP BY message) "
    "AS newest ON newest.place = attempt.place "
    f"WHERE attempt.outcome IN {_DONE})"
)
_SQLITE = {
    "message_unfinished": "AFTER INSERT ON message BEGIN INSERT OR IGNORE INTO unfinished VALUES (NEW.key); END",
    "attempt_unfinished": f"AFTER INSERT ON attempt WHEN NEW.outcome NOT IN {_DONE} "
    "BEGIN INSERT OR IGNORE INTO unfinished VALUES (NEW.message); END",
    "attempt_done": f"AFTER INSERT ON attempt WHEN NEW.outcome IN {_DONE} "
    "BEGIN DELETE FROM unfinished WHERE message = NEW.message; END",
}
# Two sessions may write attempts at one message at once: under the lock the newest of them decides.
_POSTGRESQL = (
    "CREATE OR REPLACE FUNCTION list_message() RETURNS trigger AS $$ BEGIN "
    "INSERT INTO unfinished VALUES (NEW.key) ON CONFLICT DO NOTHING; RETURN NULL; END $$ LANGUAGE plpgsql",
    "CREATE OR REPLACE FUNCTION list_attempt() RETURNS trigger AS $$ BEGIN "
    "PERFORM pg_advisory_xact_lock(hashtext(NEW.message)); "
    f"IF (SELECT outcome FROM attempt WHERE message = NEW.message ORDER BY place DESC LIMIT 1) IN {_DONE} "
    "THEN DELETE FROM unfinished WHERE message = NEW.message; "
    "ELSE INSERT INTO unfinished VALUES (NEW.message) ON CONFLICT DO NOTHING; "
    "END IF; RETURN NULL; END $$ LANGUAGE plpgsql",
    "CREATE OR REPLACE TRIGGER message_unfinished AFTER INSERT ON message FOR EACH ROW EXECUTE FUNCTION list_message()",
    "CREATE OR REPLACE TRIGGER attempt_unfinished AFTER INSERT ON attempt FOR EACH ROW EXECUTE FUNCTION list_attempt()",
)


def list_unfinished(connection: Connection) -> None:
    """Makes the triggers that keep the list; where they were missing, the list anew from the attempts on file. Nobody
    else may write meanwhile."""
    sqlite = connection.dialect.name == "sqlite"
    triggers = set(_SQLITE) if sqlite else {"message_unfinished", "attempt_unfinished"}
    if triggers <= names_in(connection):
        return
    connection.execute(delete(unfinished))
    connection.execute(text(_FILL))
    made = (f"CREATE TRIGGER IF NOT EXISTS {name} {what}" for name, what in _SQLITE.items())
    for statement in made if sqlite else _POSTGRESQL:
        connection.execute(text(statement))
