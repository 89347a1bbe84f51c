"""Traffic that must not make a charge, and acts after the day: forged records, foreign senders, batches, denials.

What it all comes to is told here from the stories alone, as in `day.py`.
"""

import random
from dataclasses import dataclass, replace
from datetime import timedelta

from pydicom.dataset import Dataset

from tests.workstation.day import Charge, Story
from tests.workstation.orders.ris import DAY, WHOLE, Ris, Study, objects

# Later than all that stories say: whatever is believed of it has the last word.
_LATE = 300


@dataclass(frozen=True, slots=True)
class OddTraffic:
    """taken : messages that are answered AA and change nothing. refused : that are not. instances : forged records."""

    taken: tuple[bytes, ...]
    refused: tuple[bytes, ...]
    instances: tuple[Dataset, ...]


def odd_traffic(stories: list[Story], rng: random.Random) -> OddTraffic:
    """For each story something that would change what it comes to, if it were believed."""
    taken: list[bytes] = []
    refused: list[bytes] = []
    instances: list[Dataset] = []
    for number, story in enumerate(stories):
        ris = Ris(story.study, minute=_LATE)
        kind = (number + rng.randrange(2)) % 9
        # Where there is a charge, it would be taken back; where there is none, the report would say everything.
        said = ris.report("X", ()) if story.charge else ris.report("F", WHOLE)
        if kind == 0:
            refused.append(said.replace(b"|RIS|", b"|LIS|"))
        elif kind == 1:
            refused.append(b"BHS|^~\\&|RIS\r" + said + b"BTS|1\r")
        elif kind == 2:
            refused.append(said + rng.choice(stories).messages[0])
        elif kind == 3:
            ahead = f"{DAY + timedelta(days=3650):%Y%m%d%H%M%S}"
            header, _, rest = said.partition(b"+0000")
            refused.append(header[:-14] + ahead.encode() + b"+0000" + rest)
        elif kind == 4:
            refused.append(said.replace(b"|P|2.5.1", b"|T|2.5.1"))
        elif kind == 5:
            # A number of another hospital, merged there: no patient of ours.
            body = ris.merge("ELSEWHERE").replace(b"^^^^MR", b"^^^OTHER^MR")
            taken.append(body)
        elif kind == 6:
            # Signed by nobody here, in a session that nobody worked in.
            instances += objects(replace(story.study, session="forged", attended=True, signed=True, required=True))
        elif kind == 7:
            # In the session that there was, with another signature and statement.
            forged = replace(story.study, attended=True, signed=True, required=True, signed_after_min=90)
            instances += objects(forged)[1:]
        else:
            # An accession that nobody worked on, with all its papers.
            other = Study(f"F{number:05}", f"Q{number:05}", f"B{number:05}", f"W{number:05}")
            papers = Ris(other)
            taken += [papers.order(), papers.report()]
            instances += objects(other)
    return OddTraffic(tuple(taken), tuple(refused), tuple(instances))


@dataclass(frozen=True, slots=True)
class Denial:
    """A payer's denial of a charge, and what a coder does then: charge it again, write it off, or leave it."""

    accession: str
    then: str
    charge: Charge | None


def denials(stories: list[Story], rng: random.Random) -> list[Denial]:
    """What payers deny of what was charged, and what it comes to in the books of billing."""
    charged = [each.charge for each in stories if each.charge is not None]
    found = []
    for number, charge in enumerate(rng.sample(charged, max(len(charged) // 12, 3))):
        then = ("again", "write off", "leave")[number % 3]
        accession, patient, account, code, modifiers, diagnoses = charge
        again: Charge = (accession, patient, account, code, (*modifiers, "76"), diagnoses)
        # What is left stands in the books of billing until somebody writes it off.
        after = {"again": again, "write off": None, "leave": charge}[then]
        found.append(Denial(accession, then, after))
    return found
