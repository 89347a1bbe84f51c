"""`workstation doctor --site`: what an administrator looks at before a day begins, each with what to do about it.

It changes nothing and sends nothing but greetings: C-ECHO to peers, a connection to destinations.
"""

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from dicom_io.archive.leases import Leases
from dicom_io.errors import DicomIOError
from dicom_io.network.requestor import echo
from render import fonts
from render.engine.choice import choose
from workstation.administration import preflight
from workstation.certificates import last_day_of
from workstation.config import Config, ConfigError, load_config
from workstation.errors import WorkstationError
from workstation.hosts import other_hosts
from workstation.peers.known import PeersError, load_peers
from workstation.site import RESTORING, Site, open_site, open_to_others, store_of
from workstation.store import schema
from workstation.store.outbox import DatabaseFailed
from workstation.transports.deliver import reach_destinations

_WARN_DAYS, _BACKUP_HOURS = 30, 36.0
# Clocks: DICOM and HL7 write whole seconds; messages that are ten minutes ahead are refused.
_CLOCK_WARN_S, _CLOCK_FAULT_S = 2.0, 60.0
_SCRIPTS = {"Greek": "\u03a9", "Cyrillic": "\u042f", "Chinese and Japanese": "\u6f22", "Korean": "\ud55c"}


What = Literal[
    "settings", "state folder", "store", "disk", "certificate", "peers", "OpenGL", "font", "monitor", "database",
    "clock", "backup", "people", "destination", "peer", "farm",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class SiteFinding:
    """A line. what : what was looked at. todo : what to do; empty where all is well."""

    what: What
    state: Literal["ok", "warning", "fault"]
    words: str
    todo: str = ""


def check_site(root: Path) -> Iterator[SiteFinding]:
    """Yields a finding for everything that is looked at; what cannot be looked at is a fault. Never raises for it."""
    try:
        config = load_config(root)
    except ConfigError as error:
        yield SiteFinding("settings", "fault", str(error), "Mend config.toml; docs/settings.md has every key.")
        return
    usable = True
    for finding in _before_it_is_opened(root, config):
        usable = usable and (finding.state != "fault" or finding.what in ("disk", "certificate"))
        yield finding
    if not usable or not root.exists() or (not config.database and not (root / "workstation.db").exists()):
        return
    site = open_site(root, config)
    try:
        yield from _opened(site)
    except DatabaseFailed as error:
        yield SiteFinding(
            "database", "fault", f"It cannot be read ({type(error).__name__}).", "`workstation upgrade --dry-run`."
        )
    finally:
        site.papers.engine.dispose()


def _before_it_is_opened(root: Path, config: Config) -> Iterator[SiteFinding]:
    yield from _folder("state folder", root)
    if config.store:
        yield from _folder("store", store_of(root, config))
    yield from _disk(root, config)
    yield from certificates(root, config)
    yield from _drawing(config)
    if not config.monitor_port:
        words = "monitor_port is 0: nobody can watch serve."
        yield SiteFinding("monitor", "warning", words, "Set it, docs/operations.md.")
    yield from _database(root, config)


def _folder(what: Literal["state folder", "store"], folder: Path) -> Iterator[SiteFinding]:
    if not folder.exists():
        todo = "`workstation serve` makes it." if what == "state folder" else "Mount it."
        yield SiteFinding(what, "warning" if what == "state folder" else "fault", f"{folder} is not there.", todo)
    elif (folder / RESTORING).exists():
        yield SiteFinding(what, "fault", f"A restore into {folder} was not finished.", "Empty it and restore again.")
    elif not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield SiteFinding(
            what, "fault", f"{folder} cannot be written by this account.", "Run this as the account of serve."
        )
    elif said := open_to_others(folder):
        yield SiteFinding(what, "warning", said, f"`chmod 700 {folder}`.")
    else:
        yield SiteFinding(what, "ok", f"{folder} is its owner's alone.")


def _disk(root: Path, config: Config) -> Iterator[SiteFinding]:
    folder = next(
        each for each in (store_of(root, config), *store_of(root, config).absolute().parents) if each.exists()
    )
    free, least = shutil.disk_usage(folder).free >> 20, config.receiver.min_free_mb
    state: Literal["ok", "warning", "fault"] = "fault" if free < least else "warning" if free < 2 * least else "ok"
    todo = "" if state == "ok" else "`workstation storage prune --keep-days N`, or a larger disk."
    yield SiteFinding("disk", state, f"{free} MB are free; below {least} MB nothing is received.", todo)


def _named(where: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every certificate file that settings name, with the place that names it."""
    if isinstance(value, tuple):
        for number, each in enumerate(value, 1):
            yield from _named(f"{where} {getattr(each, 'name', number)}", each)
    elif is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            held = getattr(value, each.name)
            if isinstance(held, str):
                if held and each.name in ("certificate", "certificate_authority", "client_authority", "authority"):
                    yield f"{where} {each.name}".strip(), held
            else:
                yield from _named(f"{where} {each.name}".strip(), held)


def certificates(root: Path, config: Config) -> Iterator[SiteFinding]:
    """Yields a finding for every certificate that settings and peers name, with the days that it holds yet."""
    try:
        peers = load_peers(root)
    except PeersError as error:
        peers = ()
        yield SiteFinding("peers", "fault", str(error), "Mend peers.toml.")
    for where, name in (*_named("", config), *_named("peer", peers)):
        path = root / Path(name).expanduser()
        try:
            last = last_day_of(path)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            yield SiteFinding(
                "certificate", "fault", f"{where}: {path} cannot be read ({why}).", "Put it there, as PEM."
            )
            continue
        days = (last - datetime.now(UTC)).days
        state: Literal["ok", "warning", "fault"] = "fault" if days < 0 else "warning" if days < _WARN_DAYS else "ok"
        words = f"{where}: {path} is valid until {last:%Y-%m-%d}, {days} days."
        yield SiteFinding(
            "certificate", state, words, "" if state == "ok" else "Have a new one issued, and start serve again."
        )


def _drawing(config: Config) -> Iterator[SiteFinding]:
    choice = choose(config.engine)
    if config.engine == "vtk" and choice.engine != "vtk":
        yield SiteFinding("OpenGL", "warning", choice.why, 'engine = "cpu", or a graphics processor with its driver.')
    else:
        yield SiteFinding("OpenGL", "ok", choice.why)
    lacking = []
    for script, letter in _SCRIPTS.items():
        try:
            fonts.runs(letter, 12, config.font_file)
        except (fonts.FontError, OSError):
            lacking.append(script)
    if lacking and config.burn_in == "patient":
        todo = "Install fonts-noto-core and fonts-noto-cjk, or set `font`."
        yield SiteFinding("font", "warning", f"Names in {', '.join(lacking)} letters cannot be written.", todo)
    else:
        yield SiteFinding("font", "ok", "There are letters for what is burned in.")


def _database(root: Path, config: Config) -> Iterator[SiteFinding]:
    if not config.database and not (root / "workstation.db").exists():
        yield SiteFinding("database", "warning", "There is none yet.", "`workstation serve` makes it.")
        return
    try:
        engine = schema.database_of(root, config.database)
        found = schema.version_of(engine)
        if found == schema.NEWEST:
            yield SiteFinding("database", "ok", f"Its tables are of version {found}, as this program needs.")
        elif found is None:
            yield SiteFinding("database", "warning", "It is empty.", "`workstation serve` makes its tables.")
        else:
            words = f"Its tables are of version {found or 'none'}; this program needs {schema.NEWEST}."
            yield SiteFinding(
                "database", "fault", words, "`workstation upgrade --dry-run`, or the program that made it."
            )
        if config.database and found is not None:
            yield _clock(Leases(engine).clock_ahead_s())
        engine.dispose()
    except (DatabaseFailed, WorkstationError, ImportError) as error:
        words = str(getattr(error, "orig", error)).strip().split("\n")[0]
        yield SiteFinding(
            "database", "fault", f"It does not answer: {words}", "Start it, or mend `database` and its password."
        )
        return
    if config.database:
        yield from _of_postgresql(config.database)


def _clock(ahead_s: float) -> SiteFinding:
    words, off = f"The database's clock is {ahead_s:+.1f} s ahead of this host's.", abs(ahead_s)
    state: Literal["ok", "warning", "fault"] = (
        "fault" if off > _CLOCK_FAULT_S else "warning" if off > _CLOCK_WARN_S else "ok"
    )
    return SiteFinding("clock", state, words, "" if state == "ok" else "Have both follow a time server (chrony, NTP).")


def _of_postgresql(url: str) -> Iterator[SiteFinding]:
    place = url.split("@")[-1].split("/")[0]
    local = not place or place.split(":")[0] in ("localhost", "127.0.0.1")
    if not local and "sslmode=verify-full" not in url:
        words = f"The connection to {place} does not check whose server it is."
        yield SiteFinding("database", "warning", words, "Add `?sslmode=verify-full&sslrootcert=…` to `database`.")
    if shutil.which("pg_dump") is None:
        yield SiteFinding(
            "backup", "warning", "pg_dump is not here.", "Install PostgreSQL's client programs to back up."
        )


def _opened(site: Site) -> Iterator[SiteFinding]:
    try:
        warned = preflight.check_settings(site)
        yield from (SiteFinding("settings", "warning", words, "Mend config.toml or peers.toml.") for words in warned)
        if not warned:
            yield SiteFinding("settings", "ok", "Every key is known, and every file that they name can be used.")
    except ConfigError as error:
        yield SiteFinding("settings", "fault", str(error), "serve does not start like this.")
    if not site.people.accounts():
        yield SiteFinding("people", "warning", "Nobody is in the register.", "`workstation people add`.")
    for reached in reach_destinations(site):
        fine = reached["state"] == "reached"
        todo = "" if fine else "Its address in config.toml, its firewall, its own list of who may call."
        words = f"{reached['destination']} ({reached['kind']}): {reached['answer'] or reached['state']}"
        yield SiteFinding("destination", "ok" if fine else "fault", words, todo)
    for peer in load_peers(site.root):
        try:
            echo(peer.at(site.root), site.config.ae_title)
            yield SiteFinding("peer", "ok", f"{peer.name} answers C-ECHO.")
        except (DicomIOError, OSError) as error:
            todo = "Its address (`workstation peers list`), its firewall, our AE title there."
            yield SiteFinding("peer", "warning", f"{peer.name}: {error}", todo)
    if site.config.farm:
        yield _farm(site)
    yield from _backup(site.root)
    yield from _others(site)


def _farm(site: Site) -> SiteFinding:
    from workstation.farm import Farm, FarmError  # only where there is one

    try:
        farm = Farm(site.config, site.root)
    except FarmError as error:
        return SiteFinding("farm", "fault", str(error), "Start its scheduler, or mend `farm` and `farm_tls`.")
    workers = farm.workers
    farm.shutdown()
    if not workers:
        return SiteFinding("farm", "fault", "Its scheduler has no workers.", "`dask worker`, see docs/operations.md.")
    return SiteFinding("farm", "ok", f"Its scheduler answers, with {workers} workers.")


def _others(site: Site) -> Iterator[SiteFinding]:
    """The state folders of the other hosts of the site."""
    for one in other_hosts(site.archive.root, site.root, site.clock()):
        kept = datetime.fromisoformat(one.backed_up_at) if one.backed_up_at else None
        fresh = kept is not None and site.clock() - kept <= timedelta(hours=_BACKUP_HOURS)
        todo = "" if fresh else "There: `workstation backup FOLDER --this-host`, by a timer."
        yield SiteFinding("backup", "ok" if fresh else "warning", f"{one.words}.", todo)


def _backup(root: Path) -> Iterator[SiteFinding]:
    try:
        hours = (time.time() - (root / "last_backup").stat().st_mtime) / 3600.0
    except FileNotFoundError:
        yield SiteFinding("backup", "warning", "This host has made none.", "`workstation backup FOLDER`, by a timer.")
        return
    old = hours > _BACKUP_HOURS
    words = f"The last one is {hours:.0f} hours old."
    yield SiteFinding(
        "backup", "warning" if old else "ok", words, "`workstation backup FOLDER`, by a timer." if old else ""
    )
