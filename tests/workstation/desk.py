"""A site with its casebook in this process: SRs come in, messages are heard, everything is decided and delivered."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.workstation.orders.ris import DAY, Study, config, journalled
from tests.workstation.samples import ticking
from workstation.billing.filing import file_new_records
from workstation.billing.settle import settle_due
from workstation.config import Config
from workstation.hl7.acknowledgement import parse_acknowledgement
from workstation.hl7.reader import read_message
from workstation.orders.hl7_listener import answering
from workstation.site import Clock, Site, open_site
from workstation.store.cases import Ruling
from workstation.transports.deliver import drain


@dataclass(frozen=True)
class Desk:
    """Use with `desk(...)`."""

    site: Site
    answer: Callable[..., bytes | None]

    def sr(self, study: Study) -> None:
        """An SR and its picture are in the archive, and decided."""
        self.site.archive.keep(journalled(study, self.site.journal))
        file_new_records(self.site)
        settle_due(self.site)

    def hear(self, *bodies: bytes) -> list[str]:
        """Messages come in and are decided; returns what was answered."""
        answers = []
        for body in bodies:
            answer = self.answer(body)
            assert answer
            answers.append(parse_acknowledgement(answer).code)
        settle_due(self.site)
        return list(answers)

    def case(self, accession: str = "ACC1") -> Ruling:
        """The newest ruling of the one case of an accession."""
        (found,) = [each for each in self.site.casebook.newest() if each.accession == accession]
        return found

    @property
    def state(self) -> tuple[str, list[str]]:
        """State and reasons of the one case."""
        case = self.case()
        return case.state, case.content["reasons"]

    def charges(self, accession: str = "ACC1") -> list[tuple[str, str]]:
        """Code and state of every charge, oldest first."""
        return [(known.charge.code, known.state) for known in self.site.outbox.charges(accession)]

    def sent(self) -> list[tuple[str, str, str, str, str]]:
        """FT1-6, FT1-7, FT1-2, PID-3 and PID-18 of all that was queued for billing, oldest first."""
        found = []
        for entry in self.site.outbox.list():
            if entry.message.body is None:
                continue
            message = read_message(entry.message.body)
            pid = message.first("PID")
            assert pid is not None
            found += [(f.text(6), f.text(7), f.text(2), pid.text(3), pid.text(18)) for f in message.all("FT1")]
        return found

    def deliver(self) -> None:
        """Everything goes out."""
        drain(self.site)


@contextmanager
def desk(root: Path, settings: Config | None = None, clock: Clock | None = None, **more: Any) -> Iterator[Desk]:
    """A desk over a state folder; its database is closed at the end."""
    site = open_site(root, settings or config(**more), clock or ticking(DAY + timedelta(hours=12)))
    try:
        yield Desk(site, answering(site))
    finally:
        site.papers.engine.dispose()
