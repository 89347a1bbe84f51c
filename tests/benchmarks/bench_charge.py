"""How fast charges are decided, written and decided again. `python -m tests.benchmarks.bench_charge [--open-cases N]`.

Prints one line a figure: what, how many, seconds, and per second. Run it on a quiet machine, three times.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.workstation.charge.strategies import CASES
from tests.workstation.orders.ris import Ris, Study, config, journalled
from workstation.billing.charged_line import Billed
from workstation.billing.dft import ChargeSubject, charge_message
from workstation.billing.fhir import charge_item
from workstation.billing.recheck import changed_decisions
from workstation.billing.reconcile import DECIDED
from workstation.billing.settle import settle_due
from workstation.charge import Line, decide, decision_to_json, load_policy, read_facts
from workstation.hl7.syntax import Form, Version
from workstation.orders.statements import statements_of
from workstation.site import open_site
from workstation.store.cases import Ruling

AT = datetime(2026, 3, 2, 10, 15, tzinfo=UTC)
LINE = Line("76377", ("26",), 1, "70486", "professional")
SUBJECT = ChargeSubject(
    patient_id="PAT1",
    patient_name="Sample^Patient",
    birth_date=None,
    sex="U",
    account_number="A77",
    visit_number="V9",
    accession="ACC1",
    study_instance_uid="1.2.3.4",
    ordering_physician_id="DR2",
    performing_physician_id="DR1",
    attending_physician_id="DR1",
    date_of_service=AT.date(),
    diagnoses=("S02.2XXA",),
    sending_application="WORKSTATION",
    sending_facility="RAD",
    receiving_application="BILLING",
    receiving_facility="HOSPITAL",
)


def timed(what: str, count: int, work: Callable[[], object]) -> None:
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    print(f"{what:58} {count:8} in {seconds:8.2f} s   {count / seconds:10.0f} /s", flush=True)


def decisions(count: int) -> None:
    policies = [load_policy("guide"), load_policy("cpt")]
    facts = [read_facts(case["facts"]) for case in CASES]

    def work() -> None:
        for number in range(count):
            decide(facts[number % len(facts)], policies[number % 2])

    timed(f"decisions (the {len(CASES)} cases under both policies in turn)", count, work)
    plain = [case["facts"] for case in CASES]
    timed("facts read from JSON", count // 4, lambda: [read_facts(plain[n % len(plain)]) for n in range(count // 4)])


def messages(count: int) -> None:
    versions: tuple[Version, ...] = ("2.3", "2.5.1")
    for version in versions:
        form = Form(version)
        timed(
            f"DFT^P03 v{version}, built and strictly validated",
            count,
            lambda form=form: [  # type: ignore[misc]
                charge_message([LINE], SUBJECT, at=AT, occurrence=n + 1, form=form) for n in range(count)
            ],
        )
    timed(
        "ChargeItem R4B, built and validated",
        count,
        lambda: [charge_item(Billed(LINE, SUBJECT, n + 1), "R4B", AT, False) for n in range(count)],
    )
    ris = Ris(Study("ACC1"))
    bodies = [ris.order(), ris.report()]
    reading = config().reading
    timed(
        "orders and reports read to statements",
        count * 5,
        lambda: [statements_of(bodies[n % 2], reading, UTC) for n in range(count * 5)],
    )


def open_cases(count: int) -> None:
    """`count` cases in a casebook that are held, decided again under a new edition that releases a few of them."""
    policy = load_policy("guide")
    plain: list[dict[str, Any]] = []
    for case in CASES:
        facts = {**case["facts"], "previous_charges": []}
        made = decision_to_json(decide(read_facts(facts), policy))
        plain.append({"facts": facts, "rules": {key: made[key] for key in DECIDED}, **made, "contract": 2})
    newest = replace(policy.editions[-1], name="new", reformats="release")
    changed = replace(policy, editions=(newest,))

    def rulings() -> list[Ruling]:
        return [
            Ruling(
                f"ACC{n}",
                f"S{n}",
                f"SR{n}",
                AT,
                AT,
                "held",
                "bench",
                plain[n % len(plain)],
                json.dumps(plain[n % len(plain)]["facts"]),
            )
            for n in range(count)
        ]

    with tempfile.TemporaryDirectory() as folder:
        site = open_site(Path(folder), config())
        cases = rulings()

        def write() -> None:
            snapshot = site.casebook.read("bench")
            for start in range(0, count, 5000):
                # One accession for the number alone: what is measured is reading and deciding.
                base = replace(snapshot, number=start)
                batch = [replace(each, accession="bench") for each in cases[start : start + 5000]]
                site.casebook.commit(base, batch, (), AT)

        timed("rulings written", count, write)
        found: list[Any] = []
        timed(
            "open cases read and decided again after a new edition",
            count,
            lambda: found.extend(changed_decisions(site.casebook.newest(), lambda day: changed)),
        )
        print(f"{'':58} {len(found)} come out differently")
        site.papers.engine.dispose()


def accessions(count: int) -> None:
    """From messages on file to a charge in the outbox, durably: a whole accession each."""
    from workstation.billing.filing import file_new_records
    from workstation.orders.hl7_listener import answering

    with tempfile.TemporaryDirectory() as folder:
        site = open_site(Path(folder), config())
        answer = answering(site)
        bodies = []
        for number in range(count):
            study = Study(f"ACC{number}", patient=f"P{number}", account=f"A{number}", visit=f"V{number}")
            site.archive.keep(journalled(study, site.journal))
            ris = Ris(study)
            bodies += [ris.order(), ris.report()]
        timed("messages taken, durable before the answer", len(bodies), lambda: [answer(body) for body in bodies])
        timed("SRs filed", count, lambda: file_new_records(site))
        timed("accessions decided, charge queued in one transaction", count, lambda: settle_due(site))
        assert len(site.outbox.charges()) == count
        site.papers.engine.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--open-cases", type=int, default=100_000)
    parser.add_argument("--count", type=int, default=2000, help="messages and accessions")
    given = parser.parse_args()
    decisions(given.count * 20)
    messages(given.count // 4)
    accessions(given.count // 4)
    open_cases(given.open_cases)


if __name__ == "__main__":
    main()
