"""Storage commitment by destinations: our requests and their answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Column, Engine, Integer, Table, Text, delete, insert, select

from workstation.store.tables import TABLES

if TYPE_CHECKING:  # the network is not loaded for those who only look here
    from dicom_io.network.commitment import Committed, Reference

_asked = Table(
    "commitment_asked",
    TABLES,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("transaction_uid", Text, nullable=False, index=True),
    Column("destination", Text, nullable=False),
    Column("sop_instance_uid", Text, nullable=False, index=True),
    Column("at", Text, nullable=False),
)
_answered = Table(
    "commitment_answered",
    TABLES,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("transaction_uid", Text, nullable=False, index=True),
    Column("sop_instance_uid", Text, nullable=False, index=True),
    Column("reason", Integer, nullable=False),  # 0: committed; else why not (PS3.3 C.14.1.1)
    Column("at", Text, nullable=False),
)
# Whether a destination offers the service: the newest row of each counts.
_offers = Table(
    "commitment_offered",
    TABLES,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("destination", Text, nullable=False, index=True),
    Column("offers", Integer, nullable=False),
    Column("at", Text, nullable=False),
)


# Up to so many instances are named to the database; all are read instead of more.
_FEW = 5000


@dataclass(frozen=True, slots=True)
class CommitmentState:
    """The state of an instance at a destination. reason : of the last answer, None without one, 0 for committed."""

    asked_at: datetime
    reason: int | None


class Commitments:
    """The commitments in a database of `dicom_io.archive.database.open_database`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # By destination: a number of the outbox, and which acknowledged instances were not committed then. So a look
        # for what to ask for reads the history once in a process.
        self.left: dict[str, tuple[int, tuple[str, ...]]] = {}

    def ask(self, destination: str, transaction_uid: str, references: "Sequence[Reference]", at: datetime) -> None:
        """Files a request; called before it is sent, as its answer may come before the peer acknowledges it."""
        rows = [
            {
                "transaction_uid": transaction_uid,
                "destination": destination,
                "sop_instance_uid": reference.sop_instance_uid,
                "at": at.isoformat(),
            }
            for reference in references
        ]
        with self._engine.begin() as connection:
            connection.execute(insert(_asked), rows)

    def not_taken(self, transaction_uid: str) -> None:
        """Removes a request that the destination did not take; its instances are due again."""
        with self._engine.begin() as connection:
            connection.execute(delete(_asked).where(_asked.c.transaction_uid == transaction_uid))

    def answer(self, answer: "Committed", at: datetime) -> tuple[str, ...]:
        """Files an answer and returns its instances. Ignores an answer to a request that was never made."""
        uid = answer.transaction_uid
        results = [(r.sop_instance_uid, 0) for r in answer.committed]
        results += [(r.sop_instance_uid, reason) for r, reason in answer.failed]
        with self._engine.begin() as connection:
            wanted = set(
                connection.execute(select(_asked.c.sop_instance_uid).where(_asked.c.transaction_uid == uid)).scalars()
            )
            rows = [
                {"transaction_uid": uid, "sop_instance_uid": instance, "reason": reason, "at": at.isoformat()}
                for instance, reason in results
                if instance in wanted
            ]
            if rows:
                connection.execute(insert(_answered), rows)
        return tuple(str(row["sop_instance_uid"]) for row in rows)

    def standing(self, destination: str, *uids: str) -> dict[str, CommitmentState]:
        """Returns the state of some instances, or of all, at a destination, without those never asked for. An instance
        that was once committed stays committed."""
        query = (
            select(_asked.c.sop_instance_uid, _asked.c.at, _answered.c.reason)
            .join_from(
                _asked,
                _answered,
                (_asked.c.transaction_uid == _answered.c.transaction_uid)
                & (_asked.c.sop_instance_uid == _answered.c.sop_instance_uid),
                isouter=True,
            )
            .where(_asked.c.destination == destination)
            .order_by(_asked.c.place, _answered.c.place)
        )
        if uids:
            query = query.where(_asked.c.sop_instance_uid.in_(uids))
        found: dict[str, CommitmentState] = {}
        with self._engine.connect() as connection:
            for row in connection.execute(query):
                before = found.get(row.sop_instance_uid)
                kept = before is not None and before.reason == 0
                found[row.sop_instance_uid] = CommitmentState(datetime.fromisoformat(row.at), 0 if kept else row.reason)
        return found

    def found(self, destination: str, at: datetime, *, offers: bool) -> None:
        """Files whether a destination was found to offer the service."""
        with self._engine.begin() as connection:
            connection.execute(insert(_offers), {"destination": destination, "offers": offers, "at": at.isoformat()})

    def offers(self, destination: str) -> tuple[bool, datetime] | None:
        """Returns whether a destination offers the service, and when that was found; None when it was never asked."""
        query = select(_offers).where(_offers.c.destination == destination).order_by(_offers.c.place.desc())
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        return None if row is None else (bool(row.offers), datetime.fromisoformat(row.at))

    def forget(self, destination: str, uid: str) -> None:
        """Removes the requests for an instance that is sent again."""
        which = (_asked.c.destination == destination) & (_asked.c.sop_instance_uid == uid)
        with self._engine.begin() as connection:
            connection.execute(delete(_asked).where(which))

    def asked_of(self, transaction_uid: str) -> str:
        """Returns the destination of a request, empty for one that was never made."""
        query = select(_asked.c.destination).where(_asked.c.transaction_uid == transaction_uid)
        with self._engine.connect() as connection:
            return str(connection.execute(query).scalar() or "")

    def committed(self, destination: str, uid: str) -> bool:
        """Whether a destination has taken responsibility for an instance."""
        standing = self.standing(destination, uid).get(uid)
        return standing is not None and standing.reason == 0

    def not_committed(self, destination: str, uids: Sequence[str]) -> dict[str, CommitmentState | None]:
        """Returns those of these instances that a destination has not committed to, with their state; None for one
        never asked for."""
        few = uids if len(uids) <= _FEW else ()
        standing = self.standing(destination, *few) if uids else {}
        found = {uid: standing.get(uid) for uid in uids}
        return {uid: state for uid, state in found.items() if state is None or state.reason != 0}
