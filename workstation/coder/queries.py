"""Queries to physicians: a question about a case, its reply, and what waits for a physician."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from dicom_io.evidence import Person
from workstation.billing.settle import SettledCase
from workstation.coder.acts import ANSWERS, answer_with, file_act, fresh_case, may
from workstation.coder.queue import Queue
from workstation.coder.queue_rows import QueueFilter, QueueRow, open_queries
from workstation.coder.work_list import WorkError, find
from workstation.site import Site
from workstation.store.cases import CaseAct

# What a reply may state: what a physician may.
REPLY_FACTS = tuple(path for path, (_, roles) in ANSWERS.items() if "physician" in roles)


@dataclass(frozen=True, slots=True)
class InboxItem:
    """What waits for a physician: a query to them, or a hold that takes a physician, of a session that is theirs.

    query : the place of the query, 0 for a hold. text : the question, or the reasons as sentences. by : who asked,
    empty for a hold. since : when it was asked, or since when the case is held. facts : what they may state to it.
    """

    row: QueueRow
    query: int
    text: str
    by: str
    since: datetime
    facts: tuple[str, ...]


def query(site: Site, word: str, by: Person, to: str, question: str) -> int:
    """Ask a physician of the register about a case. Return the number of the query; nothing else follows.

    Raises WorkError when this person may not ask, or nobody of that ID is a physician.
    """
    who = may(by, "query", question)
    physician_of(site, to)
    ruling = find(site, word)
    at, detail = site.clock(), {"to": to}
    return site.casebook.act(
        ruling.session, ruling.accession, at, who.id, who.role, "query", question, detail, due=False
    )


def physician_of(site: Site, identity: str) -> Person:
    """Return a physician of the register. Raises WorkError when nobody of that ID is one."""
    for person in site.people.all():
        if person.id == identity and person.role == "physician":
            return person
    raise WorkError(f"{identity!r} is no physician of the register of people. Nothing was done.")


def reply(
    site: Site, number: int, identity: str, secret: str, text: str, stated: Sequence[str] = ()
) -> list[SettledCase]:
    """A physician replies to a query with their PIN or password. With facts it is an answer as well, whose document is
    the text of the reply; then what is decided of the case is returned.

    number : of the query. stated : facts as `path=value`, of `REPLY_FACTS`.

    Raises WorkError when the query is none that waits for this physician, PeopleError for a wrong secret.
    """
    by = may(site.people.signature(identity, secret), "reply", text)
    asked = open_query(site, number)
    known = site.casebook.count_acts(asked.session)
    open_query(site, number)  # still so, now that the acts are counted
    if asked.detail["to"] != by.id:
        raise WorkError(f"Query {number} is to {asked.detail['to']}; {by.id} cannot reply to it. Nothing was done.")
    if stated:
        words = f"{asked.why}\n\n{text}\n\n{', '.join(stated)}\n"
        return answer_with(
            site, asked.session, by, text, stated, f"reply-{number}.txt", words.encode(), {"query": number}, known
        )
    ruling = replace(fresh_case(site, asked.session), known_acts=known)
    file_act(site, ruling, by, "reply", text, {"query": number}, due=False)
    return []


def open_query(site: Site, number: int) -> CaseAct:
    """Return a query that has no reply. Raises WorkError when there is none of that number."""
    for act in site.casebook.acts(kinds={"query"}):
        if act.place == number:
            if any(each.place == number for each in open_queries(site.casebook.acts(act.session))):
                return act
            raise WorkError(f"Query {number} has its reply already. Nothing was done.")
    raise WorkError(f"There is no query {number}. Nothing was done.")


def cases_waiting(person: Person, queue: Queue) -> int:
    """Return how many cases wait for a physician, as `queries` lists them, without reading any of them."""
    asked = {row.key for row in queue.rows(named=False) if person.id in row.asked}
    held = queue.rows(QueueFilter(state="held", who="physician", physician=person.id), named=False)
    return len(asked | {row.key for row in held})


def queries(site: Site, person: Person, queue: Queue | None = None) -> tuple[InboxItem, ...]:
    """Return what waits for a physician, the oldest first: open queries to them, and the holds that take a physician of
    sessions that they supervised.

    queue : the process's own; without one all cases are read.
    """
    rows = queue or Queue(site)
    found: list[InboxItem] = []
    for unnamed in rows.rows(named=False):
        if person.id in unnamed.asked:
            row = rows.find(unnamed.key)
            found += [
                InboxItem(row, act.place, act.why, act.person, act.at, REPLY_FACTS)
                for act in open_queries(site.casebook.acts(row.session))
                if act.detail["to"] == person.id
            ]
    for row in rows.rows(QueueFilter(state="held", who="physician", physician=person.id)):
        ruling = site.casebook.newest_of(row.session)
        wanted = [each for each in ruling.content["explanations"] if each["resolver"] == "physician"] if ruling else []
        if wanted:
            facts = tuple(path for path in REPLY_FACTS if any(path in each["fact"] for each in wanted))
            text = "\n".join(each["sentence"] for each in wanted)
            found.append(InboxItem(row, 0, text, "", row.since, facts))
    return tuple(sorted(found, key=lambda item: (item.since, item.row.session, item.query)))
