"""The administrator's pages: how the site is, what waits, and the acts that the command line has for it.

None of them shows a patient: accessions name what a message or a series is of, as in the log.
"""

from datetime import datetime

from starlette.responses import Response

from dicom_io.archive.quarantine import compared, quarantined
from dicom_io.archive.upkeep import status
from dicom_io.capabilities import TRANSFER_SYNTAXES
from workstation.administration import quarantining
from workstation.administration.overview import age_in_words, last_backup, overview_of
from workstation.administration.peer_answers import ask_peers
from workstation.administration.site_check import SiteFinding, certificates, check_site
from workstation.administration.storage_check import StorageCheck
from workstation.billing.settle import withdraw
from workstation.errors import WorkstationError
from workstation.peers.commitment import archived_in_words
from workstation.peers.known import load_peers
from workstation.preparation import working
from workstation.store.messages import QueuedMessage
from workstation.store.preparation_rows import PREPARATION_STATES
from workstation.web.call import Call, Roles, get, post

ADMINISTRATOR: Roles = frozenset({"administrator"})
# The pages of the area, in the order of their bar.
AREA: tuple[tuple[str, str], ...] = (
    ("/admin", "Overview"),
    ("/admin/outbox", "Outbox"),
    ("/admin/peers", "Peers"),
    ("/admin/preparation", "Preparation"),
    ("/admin/quarantine", "Quarantine"),
    ("/admin/storage", "Storage"),
    ("/admin/certificates", "Certificates"),
    ("/admin/people", "People"),
    ("/admin/settings", "Settings"),
    ("/admin/audit", "Audit trail"),
)
_MOST_ROWS = 500
_CHECK = StorageCheck()


def page(call: Call, template: str, status: int = 200, **values: object) -> Response:
    """A page of the area, with its bar."""
    return call.page(f"admin/{template}.html", status, area=AREA, here=call.request.url.path, **values)


def waiting(call: Call) -> int:
    """How many messages wait for an operator."""
    return sum(entry.state == "operator" for entry in call.site.outbox.open_messages())


def reason(call: Call) -> str:
    """The reason that a form gives, with who gives it. Raises WorkstationError without one."""
    why = call.said("why", 400)
    if not why:
        raise WorkstationError(call.tr("Say why; it is kept with what you do."))
    return f"{why} ({call.who.id})"


# Overview


def _overview(call: Call) -> Response:
    return page(call, "overview", found=overview_of(call.site), findings=(), age=age_in_words)


def _check_site(call: Call) -> Response:
    """All that `doctor --site` looks at: it greets peers and destinations, and changes nothing."""
    worst = ("fault", "warning", "ok")
    findings: tuple[SiteFinding, ...] = tuple(
        sorted(check_site(call.site.root), key=lambda finding: worst.index(finding.state))
    )
    return page(call, "overview", found=overview_of(call.site), findings=findings, age=age_in_words)


# Outbox


def _outbox(call: Call) -> Response:
    state, destination = call.query("state"), call.query("destination")
    entries = call.site.outbox.open_messages()
    return _messages(call, entries, state, destination)


def _messages(
    call: Call, entries: tuple[QueuedMessage, ...], state: str = "", destination: str = "", accession: str = ""
) -> Response:
    shown = [e for e in entries if state in ("", e.state) and destination in ("", e.message.destination)]
    shown.sort(key=lambda entry: entry.state != "operator")  # those that need somebody come first
    return page(
        call,
        "outbox",
        entries=shown[:_MOST_ROWS],
        total=len(shown),
        state=state,
        destination=destination,
        accession=accession,
        destinations=[each.name for each in call.site.config.destinations],
        archived=archived_in_words(call.site),
    )


def _find_messages(call: Call) -> Response:
    accession = call.said("accession", 64)
    if not accession:
        return call.go("/admin/outbox")
    return _messages(call, call.site.outbox.of_accession(accession), accession=accession)


def _retry(call: Call) -> Response:
    call.site.outbox.requeue(call.said("key", 128), call.site.clock(), reason(call))
    return call.go("/admin/outbox", call.tr("The message is due again."))


def _withdraw(call: Call) -> Response:
    withdraw(call.site, call.said("key", 128), reason(call))
    return call.go("/admin/outbox", call.tr("The message is withdrawn."))


# Peers


def _peers(call: Call) -> Response:
    return page(call, "peers", peers=load_peers(call.site.root), answers={})


def _echo(call: Call) -> Response:
    """Greets one peer, or all of them."""
    found = ask_peers(call.site.root, call.site.config.ae_title, call.said("peer", 64))
    return page(call, "peers", peers=load_peers(call.site.root), answers={each.name: each for each in found})


# Preparation


def _preparation(call: Call) -> Response:
    wanted = call.query("state")
    states = [each for each in PREPARATION_STATES if wanted in ("", each)]
    counts = call.site.preparations.counts()
    rows = call.site.preparations.listed(states, _MOST_ROWS)
    zone = call.site.clock().tzinfo
    return page(
        call,
        "preparation",
        rows=rows[:_MOST_ROWS],
        total=sum(counts[each] for each in states),
        state=wanted,
        states=PREPARATION_STATES,
        counts=counts,
        at=lambda seconds: datetime.fromtimestamp(seconds, zone),
    )


def _prepare_again(call: Call) -> Response:
    made = working.make_anew(call.said("series", 64), call.site, call.said("rule", 200))
    return call.go("/admin/preparation", call.tr("{n} wait to be prepared anew.", n=len(made)))


def _cancel_preparation(call: Call) -> Response:
    ended = working.cancel(call.said("series", 64), call.site, call.said("rule", 200))
    return call.go("/admin/preparation", call.tr("{n} are cancelled.", n=len(ended)))


# Quarantine


def _quarantine(call: Call) -> Response:
    return _quarantined(call, {})


def _compare(call: Call) -> Response:
    """Says which hold the same content as the kept instance; it reads both."""
    return _quarantined(call, {one.name: how for one, how in compared(call.site.archive)})


def _quarantined(call: Call, how: dict[str, str]) -> Response:
    rows = quarantined(call.site.archive)
    return page(
        call, "quarantine", rows=rows[:_MOST_ROWS], total=len(rows), how=how, syntaxes=TRANSFER_SYNTAXES,
    )  # fmt: skip


def _release(call: Call) -> Response:
    quarantining.release(call.said("name", 200), call.site, call.who.id, reason(call))
    return call.go("/admin/quarantine", call.tr("It is kept now; what was kept before is in quarantine."))


def _discard(call: Call) -> Response:
    quarantining.discard(call.said("name", 200), call.site, call.who.id, reason(call))
    return call.go("/admin/quarantine", call.tr("It is deleted."))


# Storage and certificates


def _storage(call: Call) -> Response:
    site = call.site
    return page(
        call,
        "storage",
        found=status(site.archive),
        least=site.config.receiver.min_free_mb << 20,
        backup_at=last_backup(site),
        check=_CHECK.state,
    )


def _check_storage(call: Call) -> Response:
    begun = _CHECK.begin(call.site, call.who.id)
    said = "Every file is read now; this page says what was found." if begun else "A check runs already."
    return call.go("/admin/storage", call.tr(said))


def _certificates(call: Call) -> Response:
    return page(call, "certificates", rows=tuple(certificates(call.site.root, call.site.config)))


ROUTES = (
    get("/admin", _overview, ADMINISTRATOR),
    post("/admin", _check_site, ADMINISTRATOR),
    get("/admin/outbox", _outbox, ADMINISTRATOR),
    post("/admin/outbox", _find_messages, ADMINISTRATOR),
    post("/admin/outbox/retry", _retry, ADMINISTRATOR),
    post("/admin/outbox/withdraw", _withdraw, ADMINISTRATOR),
    get("/admin/peers", _peers, ADMINISTRATOR),
    post("/admin/peers", _echo, ADMINISTRATOR),
    get("/admin/preparation", _preparation, ADMINISTRATOR),
    post("/admin/preparation/again", _prepare_again, ADMINISTRATOR),
    post("/admin/preparation/cancel", _cancel_preparation, ADMINISTRATOR),
    get("/admin/quarantine", _quarantine, ADMINISTRATOR),
    post("/admin/quarantine", _compare, ADMINISTRATOR),
    post("/admin/quarantine/release", _release, ADMINISTRATOR),
    post("/admin/quarantine/discard", _discard, ADMINISTRATOR),
    get("/admin/storage", _storage, ADMINISTRATOR),
    post("/admin/storage", _check_storage, ADMINISTRATOR),
    get("/admin/certificates", _certificates, ADMINISTRATOR),
)
