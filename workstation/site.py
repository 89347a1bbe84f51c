"""A site: the state folder with its settings and stores, the clock, and the versions. Made once, handed down."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_io.archive import Archive
from dicom_io.archive.arrivals import Arrivals
from dicom_io.archive.quarantine import finish_releases
from dicom_io.stamp import Stamp
from dicom_io.uids import derived, performed_step
from render.engine.cpu import ENGINE_VERSION
from workstation import DISTRIBUTION
from workstation.config import Config, load_config
from workstation.errors import WorkstationError
from workstation.hosts import note_host
from workstation.people import People, people_in
from workstation.store.casebook import Casebook
from workstation.store.commitments import Commitments
from workstation.store.console import ConsoleStore
from workstation.store.journal import Journal
from workstation.store.ledger import Ledger
from workstation.store.news import NewsBoard
from workstation.store.outbox import Outbox
from workstation.store.papers import PapersFile
from workstation.store.preparations import Preparations
from workstation.store.register import Register
from workstation.store.result_links import ResultLinks
from workstation.store.schema import database_of, make_ready

if TYPE_CHECKING:
    from dicom_io.sr.signatures import Signer

Clock = Callable[[], datetime]
# A folder that a state folder has while a backup is restored into it.
RESTORING = ".restoring"


class NotRestored(WorkstationError):  # noqa: N818 - reads as a sentence where it is raised
    """A state folder into which a backup was not restored to the end."""


def local_clock() -> datetime:
    """Now, with the local offset, in whole seconds: what DICOM and HL7 write."""
    return datetime.now(UTC).astimezone().replace(microsecond=0)


@dataclass(frozen=True, slots=True)
class Site:
    """Everything a case needs beside itself. One database holds all of its stores."""

    root: Path
    config: Config
    archive: Archive
    journal: Journal
    ledger: Ledger
    papers: PapersFile
    outbox: Outbox
    casebook: Casebook
    commitments: Commitments
    arrivals: Arrivals
    preparations: Preparations
    news: NewsBoard
    console: ConsoleStore
    result_links: ResultLinks
    people: People
    clock: Clock

    def on(self, day: date | None) -> "Site":
        """The site with the settings for a date of service."""
        config = self.config.on(day)
        return self if config is self.config else replace(self, config=config)

    def stamp(self, session_uid: str, at: datetime) -> Stamp:
        config = self.config
        burned = () if config.burn_in == "none" else (f"burned in {config.burn_in}",)
        told = any("steps" in destination.takes for destination in config.destinations)
        step = performed_step(session_uid) if told else ""
        versions = (f"workstation {version(DISTRIBUTION)}", f"cpu engine {ENGINE_VERSION}")
        return Stamp(
            at=at,
            # All of it stands in every object: after an upgrade the same case makes other objects, not other bytes
            # under the same UIDs, which the archive would refuse.
            session=derived(
                "made",
                session_uid,
                config.institution,
                config.station_name,
                config.device,
                *versions,
                *burned,
                *([step] if step else []),
            ),
            station_name=config.station_name,
            device_uid=config.device,
            software_versions=versions,
            institution=config.institution,
            performed_step=step,
        )


def signer_of(config: Config) -> "Signer | None":
    """What signs verified records here; None where the site has them unsigned. Raises SigningError."""
    if config.signing is None:
        return None
    from dicom_io.sr.signatures import load_signer

    return load_signer(Path(config.signing.certificate).expanduser(), Path(config.signing.key).expanduser())


def open_to_others(root: Path) -> str:
    """Returns, as a sentence, that other accounts of this machine can read the state folder; empty when they cannot.
    Windows has no such permissions."""
    if os.name == "nt" or not root.exists() or not root.stat().st_mode & 0o077:
        return ""
    return f"{root} is open to other accounts of this machine; its owner closes it with `chmod 700 {root}`."


def store_of(root: Path, config: Config) -> Path:
    """Returns the folder of received files and documents: the one that a site's hosts share, or the state folder."""
    return Path(config.store).expanduser() if config.store else root


def open_site(root: Path, config: Config | None = None, clock: Clock = local_clock) -> Site:
    """Opens (and makes, the first time) the state folder. Raises ConfigError for wrong settings, NotRestored."""
    root = root.absolute()
    settings = config or load_config(root)
    if any((folder / RESTORING).exists() for folder in (root, store_of(root, settings))):
        raise NotRestored(
            f"A backup is being restored into {root}, or was not to the end. Wait for it, or empty the folder (and the "
            "shared store and database) and restore again."
        )
    # Patients' data, and who may act here: nobody else's to read, whoever made the folder.
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    if open_to_others(root):
        with suppress(PermissionError):  # it is somebody else's; `serve` and `doctor` say so
            root.chmod(0o700)
    database = database_of(root, settings.database)
    make_ready(database)
    if settings.database and settings.store:
        note_host(store_of(root, settings), root, clock())
    outbox, archive = Outbox(database), Archive(store_of(root, settings), database)
    finish_releases(archive)
    return Site(
        root=root,
        config=settings,
        archive=archive,
        journal=Journal(database),
        ledger=Ledger(database),
        papers=PapersFile(database),
        outbox=outbox,
        casebook=Casebook(database, outbox),
        commitments=Commitments(database),
        arrivals=Arrivals(archive, database, settings.receiver.series_quiet_s),
        preparations=Preparations(database, archive.leases),
        news=NewsBoard(database),
        console=ConsoleStore(database),
        result_links=ResultLinks(database),
        people=people_in(Register(database), root),
        clock=clock,
    )
