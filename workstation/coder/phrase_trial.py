"""The site's report phrases tried beside others on the reports on file: nothing is put in force, nothing written."""

import multiprocessing
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from workstation.billing.accession import read
from workstation.billing.reconcile import DECIDED
from workstation.billing.settle import decide_record
from workstation.charge import decision_to_json
from workstation.coder.work_list import WorkError
from workstation.config import Config
from workstation.hl7.syntax import Hl7Error
from workstation.orders.sentences import Sentence
from workstation.orders.stated import MessageRefused, Reported
from workstation.orders.statements import DOCUMENTS, RESULTS, statements_of
from workstation.reading import Reading
from workstation.site import Site, open_site
from workstation.store.cases import counted
from workstation.strict import StrictError, read_strictly, toml_in


def candidate(phrases: Mapping[str, Sequence[str]]) -> Reading:
    """Return a reading that has these phrases alone. Raises WorkError, naming the phrase that cannot be one."""
    try:
        return read_strictly(Reading, {"phrases": {key: list(value) for key, value in phrases.items()}}, "the phrases")
    except StrictError as error:
        raise WorkError(str(error)) from None


def phrases_in(file: Path) -> dict[str, list[str]]:
    """Return the phrases of a TOML file, which may hold them as `[reading.phrases]` as well. Raises WorkError."""
    try:
        said = toml_in(file)
    except OSError as error:
        raise WorkError(f"{file}: cannot be read ({error.strerror}).") from None
    except StrictError as error:
        raise WorkError(f"{file}: {error}") from None
    inner = said.get("reading", said)
    found = inner.get("phrases", inner) if isinstance(inner, dict) else inner
    if not isinstance(found, dict) or not all(isinstance(value, list) for value in found.values()):
        raise WorkError(f"{file}: no table of phrases; write FACT = ['phrase', …], as [reading.phrases] has them.")
    return found


def try_phrases(site: Site, phrases: Mapping[str, Sequence[str]], last: int = 200) -> dict[str, Any]:
    """Try phrases in the place of the site's own on the last reports on file, JSON-ready.

    phrases : by fact, as `[reading.phrases]`; facts that are not named keep theirs. `sentences` has those that would
    state another fact, or a fact where they stated none, or none any more; `cases` those whose decision would change.

    Raises WorkError when a phrase cannot be one.
    """
    wanted = candidate(phrases).phrases
    trial = replace(site, config=_with(site, wanted))
    zone = site.clock().tzinfo
    assert zone is not None, "a site's clock knows its offset"
    processing_id = site.config.listener.processing_id if site.config.listener is not None else "P"
    messages = site.casebook.latest_messages((*RESULTS, *DOCUMENTS), last)
    sentences: list[dict[str, Any]] = []
    touched: dict[str, None] = {}
    for received in messages:
        day = received.at.date()
        for accession in _accessions(site, received.body, day, zone, processing_id):
            day = _day_of(site, accession) or day
            was, now = (
                _sentences(received.body, each.config.on(day).reading, zone, processing_id, accession)
                for each in (site, trial)
            )
            changed = _changed(was, now)
            if changed:
                touched[accession] = None
            sentences += [
                {"accession": accession, "message": f"{received.kind} {received.control_id}", **each}
                for each in changed
            ]
    return {
        "reports": len(messages),
        "sentences": sentences,
        "counting": sum(bool(each["now"]) and not each["before"] for each in sentences),
        "no_longer": sum(bool(each["before"]) and not each["now"] for each in sentences),
        "cases": [case for accession in touched for case in _cases(site, trial, accession)],
    }


def try_apart(
    site: Site, phrases: Mapping[str, Sequence[str]], last: int = 200, seconds: float = 60.0
) -> dict[str, Any]:
    """Try phrases as `try_phrases`, in a process of its own: a pattern that goes through a text again and again would
    hold up everything else that this one does.

    Raises WorkError when a phrase cannot be one, and when it takes longer than so many seconds.
    """
    candidate(phrases)
    started = multiprocessing.get_context("spawn")
    here, there = started.Pipe(duplex=False)
    plain = {key: list(value) for key, value in phrases.items()}
    process = started.Process(target=_answer, args=(there, site.root, site.config, plain, last), daemon=True)
    process.start()
    there.close()
    try:
        found = here.recv() if here.poll(seconds) else None
    except EOFError:
        raise WorkError(
            "The phrases could not be tried; the process that tried them ended. Try fewer reports."
        ) from None
    finally:
        process.kill()
        process.join()
        here.close()
    if found is None:
        raise WorkError(
            f"Trying took longer than {seconds:.0f} s and was ended. Try fewer reports; a pattern with repeats within "
            "repeats may go through a text without end."
        )
    if isinstance(found, str):
        raise WorkError(found)
    answer: dict[str, Any] = found
    return answer


def _answer(to: Connection, root: Path, config: Config, phrases: dict[str, list[str]], last: int) -> None:
    """What the process does: a result, or why there is none as a sentence."""
    site = open_site(root, config)
    try:
        to.send(try_phrases(site, phrases, last))
    except WorkError as error:
        to.send(str(error))
    finally:
        site.papers.engine.dispose()


def _with(site: Site, wanted: Mapping[Any, tuple[str, ...]]) -> Any:
    """The settings with other phrases, whatever the date of service."""

    def changed(reading: Reading) -> Reading:
        return replace(reading, phrases={**reading.phrases, **wanted})

    dated = tuple(
        replace(each, reading=changed(each.reading)) if each.reading is not None else each
        for each in site.config.charging
    )
    return replace(site.config, reading=changed(site.config.reading), charging=dated)


def _accessions(site: Site, body: bytes, day: Any, zone: Any, processing_id: str) -> list[str]:
    found: dict[str, None] = {}
    with suppress(MessageRefused, Hl7Error):
        for each in statements_of(body, site.config.on(day).reading, zone, processing_id):
            if isinstance(each.statement, Reported):
                found[each.statement.accession] = None
    return list(found)


def _day_of(site: Site, accession: str) -> Any:
    records = site.casebook.read(accession).records
    return records[0].date_of_service if records else None


def _sentences(body: bytes, reading: Reading, zone: Any, processing_id: str, accession: str) -> list[Sentence]:
    with suppress(MessageRefused, Hl7Error):
        return [
            sentence
            for each in statements_of(body, reading, zone, processing_id)
            if isinstance(each.statement, Reported) and each.statement.accession == accession
            for sentence in each.statement.sentences
        ]
    return []


def _changed(was: Sequence[Sentence], now: Sequence[Sentence]) -> list[dict[str, Any]]:
    """The sentences that state other facts, with why one that nearly counts does not."""
    texts = dict.fromkeys(each.text for each in (*was, *now))
    found = []
    for text in texts:
        before, after = (
            sorted(each.fact for each in side if each.text == text and each.counts and each.fact) for side in (was, now)
        )
        if before != after:
            why = next((each.why_not for each in now if each.text == text and each.why_not), "")
            found.append({"text": text, "before": before, "now": after, "why_not": why})
    return found


def _cases(site: Site, trial: Site, accession: str) -> list[dict[str, Any]]:
    """The cases of an accession whose decision would be another one."""
    view, tried = read(accession, site), read(accession, trial)
    found = []
    for session, record in counted(view.snapshot.records).items():
        before, now = (
            decision_to_json(decide_record(record, each, where).decision)
            for each, where in ((view, site), (tried, trial))
        )
        if any(before[key] != now[key] for key in DECIDED):
            kept = ("disposition", "reasons", "lines")
            found.append(
                {
                    "accession": accession,
                    "session": session,
                    "before": {key: before[key] for key in kept},
                    "now": {key: now[key] for key in kept},
                }
            )
    return found
