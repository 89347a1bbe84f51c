"""The commands of compliance: what they print, what they write, and who may."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workstation.conftest import Command
from tests.workstation.desk import Desk, desk
from tests.workstation.orders.ris import Ris, Study, config, enrol

AS_CO = ("--by", "co")


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path / "root", config()) as here:
        enrol(here.site.root)
        for study in (Study("ACC1"), Study("ACC2", "P2", "A2", "V2")):
            ris = Ris(study)
            here.sr(study)
            here.hear(ris.order(), ris.report())
        yield here


def test_a_sample_is_drawn_reviewed_and_written(command: Command, two: Desk, tmp_path: Path) -> None:
    words = ("compliance", "sample", "--month", "2026-03", "--count", 1, "--why", "quarterly", "--seed", 5, "--json")
    refused = command(*words, "--by", "jd")
    assert refused.code == 1 and "takes a compliance" in refused.err
    drawn = command(*words, *AS_CO).json
    assert (drawn["population"], drawn["seed"]) == (2, 5)
    assert [each["number"] for each in command("compliance", "samples", "--json").json] == [drawn["number"]]
    (session,) = drawn["sessions"]
    command("compliance", "review", drawn["number"], session, "--finding", "agreed", "--text", "documented", *AS_CO)
    sheet = tmp_path / "sheet.csv"
    (row,) = command("compliance", "worksheet", drawn["number"], "-o", sheet, "--json").json
    assert (row["finding"], row["text"]) == ("agreed", "documented")
    assert sheet.read_text().splitlines()[1].startswith(f"{row['accession']},2026-03-02,DR1,")


def test_searches_rates_and_persons(command: Command, two: Desk, tmp_path: Path) -> None:
    command("charge", "credit", "ACC1", "--by", "jd", "--why", "wrong class")
    assert [row["kind"] for row in command("compliance", "search", "--person", "jd", "--json").json] == ["credit"]
    paged = command("compliance", "search", "--case", "ACC1", "--size", 1, "--page", 2)
    assert paged.out.splitlines()[-1].startswith("page 2 of ")
    listed = tmp_path / "found.pdf"
    command("compliance", "search", "--case", "ACC1", "-o", listed)
    assert listed.read_bytes().startswith(b"%PDF")
    assert command("compliance", "search", "--source", "rumour").code == 2
    (row,) = command("compliance", "by-hand", "--json").json
    assert (row["kind"], row["person"], row["accession"]) == ("credit", "jd", "ACC1")
    every = command("compliance", "rates", "--month", "2026-03", "--json").json[0]
    assert (every["modality"], every["charges"], every["examinations"]) == ("CT", 1, 2)
    persons = command("compliance", "by-person", "--month", "2026-03", "--json").json
    assert [(each["capacity"], each["person"], each["cases"]) for each in persons] == [
        ("supervised", "DR1", 1),
        ("released", "the rules", 1),
    ]
