"""Papers: read strictly, with errors that name file and key; kept append-only, the newest counts."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from dicom_io.archive.database import open_database
from tests.workstation.samples import AT, DOCUMENTED, UTILITY_MISSING, papers_with
from workstation.store.papers import NOTHING, OnFile, PapersError, PapersFile, read_papers
from workstation.store.schema import make_ready


def on_file(path: Path) -> OnFile:
    papers = read_papers(path).on_file
    assert papers is not None
    return papers


class TestReading:
    def test_the_samples(self) -> None:
        papers = read_papers(DOCUMENTED)
        assert papers.session is not None and papers.session.supervisor is not None
        assert papers.session.supervisor.role == "physician"
        assert on_file(DOCUMENTED).report.clinical_utility
        assert not on_file(UTILITY_MISSING).report.clinical_utility
        assert read_papers(UTILITY_MISSING).session == papers.session

    def test_either_part_may_be_left_out(self, tmp_path: Path) -> None:
        for name in ("session", "on_file"):
            content = json.loads(DOCUMENTED.read_text(encoding="utf-8"))
            del content[name]
            file = tmp_path / f"{name}.json"
            file.write_text(json.dumps(content), encoding="utf-8")
            assert getattr(read_papers(file), name) is None

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"colour": "red"}, ["colour", "not known"]),
            ({"on_file__report": {}}, ["on_file.report.status", "missing", "on_file.report.clinical_utility"]),
            ({"on_file__report__status": "finall"}, ["on_file.report.status", "final, preliminary, none"]),
            ({"on_file__report__clinical_utility": 1}, ["on_file.report.clinical_utility", "true or false"]),
            ({"on_file__diagnoses": ["S02.0XXA", " "]}, ["on_file.diagnoses[1]"]),
            ({"on_file__other_procedures": [""]}, ["on_file.other_procedures[0]"]),
            ({"on_file__payer__id": ""}, ["on_file.payer.id"]),
            ({"session__operator": None}, ["session.operator"]),
            ({"session__operator__role": "surgeon"}, ["session.operator.role", "'surgeon'"]),
            ({"session__operator__id": "two words"}, ["session.operator", "one word"]),
            ({"session__supervisor__name": "^ "}, ["session", "'DR1' needs a name"]),
            ({"session__supervisor__mood": "good"}, ["session.supervisor.mood", "not known"]),
            ({"session__supervisor": None}, ["session", "needs a supervisor"]),
            ({"session__acts": ["image selection"]}, ["session.acts[0]", "'image selection'", "image_selection"]),
            ({"session__attestation__text": " "}, ["session.attestation.text"]),
            ({"session__attestation__signed": "yes"}, ["session.attestation.signed", "true or false"]),
            ({"accession": None}, ["accession"]),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
    )
    def test_an_error_names_file_and_key(self, tmp_path: Path, changes: dict[str, Any], words: list[str]) -> None:
        file = papers_with(tmp_path, **changes)
        with pytest.raises(PapersError) as error:
            read_papers(file)
        said = str(error.value)
        assert said.startswith(f"{file}: ")
        for word in words:
            assert word in said

    @pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[" * 100_000, b"3"])
    def test_what_is_no_papers_file(self, tmp_path: Path, content: bytes) -> None:
        file = tmp_path / "papers.json"
        file.write_bytes(content)
        with pytest.raises(PapersError, match=r"papers\.json: "):
            read_papers(file)

    def test_what_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(PapersError, match=r"none\.json: cannot be read"):
            read_papers(tmp_path / "none.json")


class TestKeeping:
    @pytest.fixture
    def papers(self, tmp_path: Path) -> Iterator[PapersFile]:
        engine = open_database(tmp_path / "papers.db")
        make_ready(engine)
        yield PapersFile(engine)
        engine.dispose()

    def count(self, papers: PapersFile) -> int:
        with papers.engine.connect() as connection:
            return int(connection.execute(text("SELECT count(*) FROM papers")).scalar_one())

    def test_nothing_has_arrived(self, papers: PapersFile) -> None:
        assert papers.get("A1") == NOTHING
        assert NOTHING.report.status == "none"

    def test_the_newest_counts_and_the_older_stay(self, papers: PapersFile) -> None:
        for path in (UTILITY_MISSING, UTILITY_MISSING, DOCUMENTED, UTILITY_MISSING):
            papers.put("A1", on_file(path), AT)
            assert papers.get("A1") == on_file(path)
        # The second time nothing was new.
        assert self.count(papers) == 3

    def test_accessions_are_kept_apart(self, papers: PapersFile) -> None:
        papers.put("A1", on_file(DOCUMENTED), AT)
        assert papers.get("A2") == NOTHING
        assert papers.get("a1") == NOTHING

    def test_without_an_accession_nobody_could_find_them(self, papers: PapersFile) -> None:
        with pytest.raises(PapersError, match="no accession"):
            papers.put("", on_file(DOCUMENTED), AT)
        assert self.count(papers) == 0
