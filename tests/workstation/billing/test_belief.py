"""No record is charged that our journal does not know and no trusted sister has signed, however well it is forged."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from sqlalchemy import text

from dicom_io.errors import NotReadable
from dicom_io.evidence import Evidence
from dicom_io.files.instance import Instance
from dicom_io.files.series import read_dataset
from dicom_io.sr.evidence_sr import COMPREHENSIVE_3D_SR, write_sr
from dicom_io.sr.signatures import Signer, sign
from tests.signing import Identity, identity
from tests.workstation.conftest import Command, SiteAt
from tests.workstation.samples import AT, DOCUMENTED, papers_with, signer_in, ticking, tiny_protocol
from workstation import pipeline
from workstation.billing import filing
from workstation.billing.recheck import recheck
from workstation.billing.settle import settle_due
from workstation.case import Case, session_of
from workstation.coder.unmatched import unmatched
from workstation.coder.work_list import work_items
from workstation.config import Config, ConfigError, Signing, Sister, load_config
from workstation.destinations import FolderDestination
from workstation.site import Site, open_site
from workstation.store.papers import read_papers

CONFIG = Config(destinations=(FolderDestination(name="out", takes=("charges",), folder="out"),))
# A record of nobody: what an attacker knows of the site, from records that were sent to a PACS.
VICTIM = "VICTIM-1"


@dataclass(frozen=True)
class Recorded:
    """A site with one record of its own, charged, and what an attacker makes of it."""

    site: Site
    made: pipeline.CaseRun

    @property
    def header(self) -> Dataset:
        return read_dataset(self.made.images[0].path)

    def forge(
        self, how: Callable[[Evidence], Evidence], header: Callable[[Dataset], None] = lambda ds: None
    ) -> Dataset:
        """A record that says something else, whole and sealed."""
        source = self.header
        header(source)
        evidence = how(replace(self.made.evidence, sop_instance_uid="", predecessor=None))
        return write_sr(evidence, source, self.site.stamp(evidence.session_uid or "1.2.3", AT))

    def take_in(self, ds: Dataset) -> Instance:
        """As a sender's C-STORE would: kept, filed if it can be, and everything decided."""
        (kept,) = self.site.archive.keep([ds])
        filing.file_record(kept, self.site)
        filing.file_new_records(self.site)
        settle_due(self.site)
        recheck(self.site, everything=True)
        return kept

    def charges(self) -> list[tuple[str, str]]:
        return [(known.charge.accession, known.charge.code) for known in self.site.outbox.charges()]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, slices: Path) -> Recorded:
    """Recorded once, to be copied."""
    made = record_at(open_site(tmp_path_factory.mktemp("kept") / "root", CONFIG, ticking()), slices, DOCUMENTED)
    made.site.papers.engine.dispose()
    return made


@pytest.fixture
def recorded(kept: Recorded, site_at: SiteAt, tmp_path: Path) -> Recorded:
    site = site_at(shutil.copytree(kept.site.root, tmp_path / "root"), CONFIG, ticking(kept.site.clock()))
    here = [site.archive.instance(each.sop_instance_uid) for each in (kept.made.sr, *kept.made.images)]
    return Recorded(site, replace(kept.made, sr=here[0], images=tuple(here[1:])))


def record_at(site: Site, slices: Path, papers: Path) -> Recorded:
    uid = site.archive.import_files(slices).series[0].uid
    given = read_papers(papers)
    assert given.on_file is not None
    for accession in (given.accession, VICTIM):
        site.papers.put(accession, given.on_file, site.clock())
    session = session_of(given, site.archive.series(uid).first.accession, signer_in(given))
    return Recorded(site, pipeline.run(Case(uid, tiny_protocol(), session=session), site))


def to_victim(evidence: Evidence) -> Evidence:
    return replace(evidence, accession=VICTIM)


def as_victim(ds: Dataset) -> None:
    ds.AccessionNumber = VICTIM


FORGERIES: dict[str, Callable[[Evidence], Evidence]] = {
    "acts, head and device of ours, for another accession": to_victim,
    "no head at all": lambda e: replace(to_victim(e), journal_head="", session_uid=""),
    "an invented session with a head of its own": lambda e: replace(
        to_victim(e), session_uid="1.2.3", journal_head="0" * 64
    ),
    "another device": lambda e: replace(to_victim(e), device_uid="2.25.99", station_name="ELSEWHERE"),
    "no acts": lambda e: replace(to_victim(e), acts=(), journal_head=""),
    "another physician": lambda e: replace(
        to_victim(e),
        verified_by="Other^Physician",
        supervisor=replace(e.supervisor, id="DR9") if e.supervisor else None,
    ),
}


@pytest.mark.parametrize("how", FORGERIES)
def test_a_forged_record_is_a_document_and_no_case(recorded: Recorded, how: str) -> None:
    before = recorded.charges()
    forged = recorded.take_in(recorded.forge(FORGERIES[how], as_victim))
    assert recorded.charges() == before == [(recorded.made.evidence.accession, "76377")]
    assert [item.accession for item in work_items(recorded.site)] == [recorded.made.evidence.accession]
    with pytest.raises(NotReadable, match=forged.sop_instance_uid):
        pipeline.explain(forged, recorded.site)
    # It is listed, with the reason, where a coder looks for what belongs to no case.
    (row,) = [row for row in unmatched(recorded.site) if row.what == "SR that is not believed"]
    assert forged.sop_instance_uid in row.message and row.accession == VICTIM and row.why


@pytest.mark.parametrize("keyword", ["AccessionNumber", "PatientID", "VerificationFlag", "StudyInstanceUID"])
def test_a_value_that_was_changed_breaks_the_seal(recorded: Recorded, keyword: str) -> None:
    ds = dcmread(recorded.made.sr.path)
    setattr(ds, keyword, {"StudyInstanceUID": "1.2.3", "VerificationFlag": "UNVERIFIED"}.get(keyword, VICTIM))
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    before = recorded.charges()
    kept = recorded.take_in(ds)
    assert recorded.charges() == before
    with pytest.raises(NotReadable, match="was changed after it was made"):
        pipeline.explain(kept, recorded.site)


def test_a_record_that_is_sent_again_charges_nothing_again(recorded: Recorded) -> None:
    before = recorded.charges()
    recorded.take_in(dcmread(recorded.made.sr.path))
    assert recorded.charges() == before


def test_an_older_record_that_is_replayed_does_not_count_again(site_at: SiteAt, tmp_path: Path, slices: Path) -> None:
    """The first record said that supervision was concurrent; the amended one no longer does. The first comes again."""
    site = site_at(tmp_path / "root", CONFIG)
    first = record_at(site, slices, DOCUMENTED)
    old = dcmread(first.made.sr.path)
    later = record_at(site, slices, papers_with(tmp_path, session__attestation__concurrent_supervision=False))
    assert later.made.decision.disposition == "deny"
    later.take_in(old)
    (item,) = work_items(site)
    assert item.sr_uid == later.made.sr.sop_instance_uid
    assert item.state == "correction"


def test_the_command_explains_it_and_charges_nothing(command: Command, sr: Path, tmp_path: Path, slices: Path) -> None:
    assert command("charge", "explain", sr).code == 0
    other = tmp_path / "elsewhere"
    refused = command("charge", "explain", sr, root=other)
    assert refused.code == 1 and "the journal here knows nothing of it" in refused.err
    # As a document it is explained all the same.
    assert "Verified by" in command("explain", sr, root=other).out


class TestBackups:
    def test_a_journal_older_than_the_record(self, recorded: Recorded) -> None:
        """The archive has the record, the journal that was put back does not: it is listed, with what to do."""
        site = recorded.site
        with site.journal.engine.begin() as connection:
            connection.execute(text("DROP TRIGGER event_no_delete"))
            connection.execute(text("DELETE FROM event"))
            connection.execute(text("DROP TRIGGER decision_no_delete"))
            for table in ("record", "decision"):
                connection.execute(text(f"DELETE FROM {table}"))
        assert filing.file_new_records(site) == 0
        (row,) = [row for row in unmatched(site) if row.what == "SR that is not believed"]
        assert "restore the journal's backup" in row.why

    def test_a_record_that_is_filed_already_is_held_when_its_journal_is_gone(self, recorded: Recorded) -> None:
        site = recorded.site
        with site.journal.engine.begin() as connection:
            connection.execute(text("DROP TRIGGER event_no_delete"))
            connection.execute(text("DELETE FROM event"))
        recheck(site, everything=True)
        (item,) = work_items(site)
        assert "JOURNAL_TAMPERED" in item.reasons

    def test_an_archive_older_than_the_journal(self, recorded: Recorded) -> None:
        """The journal knows a record whose file is gone: nothing breaks, and running the case again makes it anew."""
        site = recorded.site
        Path(recorded.made.sr.path).unlink()
        settle_due(site)
        assert [item.accession for item in work_items(site)] == [recorded.made.evidence.accession]


class TestSigning:
    """A site that signs its records asks its own signature of them."""

    def test_an_unsigned_record_is_not_believed(self, site_at: SiteAt, tmp_path: Path, slices: Path) -> None:
        site = site_at(tmp_path / "root", CONFIG)
        record_at(site, slices, DOCUMENTED)
        who = identity(tmp_path, "site")
        signing = site_at(
            tmp_path / "root", replace(CONFIG, signing=Signing(str(who.certificate_file), str(who.key_file)))
        )
        with signing.journal.engine.begin() as connection:
            connection.execute(text("DELETE FROM record"))
        assert filing.file_new_records(signing) == 0
        assert "lacks the signature of this site" in filing.documents(signing)[0][1]

    def test_its_own_are(self, site_at: SiteAt, tmp_path: Path, slices: Path) -> None:
        who = identity(tmp_path, "site")
        site = site_at(
            tmp_path / "root", replace(CONFIG, signing=Signing(str(who.certificate_file), str(who.key_file)))
        )
        assert record_at(site, slices, DOCUMENTED).made.decision.disposition == "release"


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory, slices: Path) -> Iterator[tuple[Identity, Recorded]]:
    """Of the sister, which is only read."""
    folder = tmp_path_factory.mktemp("sister")
    who = identity(folder, "sister")
    config = replace(CONFIG, station_name="SISTER", signing=Signing(str(who.certificate_file), str(who.key_file)))
    site = open_site(folder / "sister", config, ticking())
    yield who, record_at(site, slices, DOCUMENTED)
    site.papers.engine.dispose()


class TestSisters:
    """A record of another station counts where its certificate signed it; nothing else makes it count."""

    def there(
        self, site_at: SiteAt, folder: Path, signed: tuple[Identity, Recorded], now: datetime = AT, **trust: Any
    ) -> Site:
        who, theirs = signed
        keys = {"certificate": str(who.certificate_file), **trust}
        sister = Sister("sister", theirs.site.config.device, **{k: v for k, v in keys.items() if v != ""})
        site = site_at(
            folder / f"there{len(list(folder.glob('there*')))}", replace(CONFIG, trust=(sister,)), ticking(now)
        )
        site.papers.put(theirs.made.evidence.accession, theirs.site.papers.get(theirs.made.evidence.accession), AT)
        site.archive.keep([dcmread(image.path) for image in theirs.made.images])
        return site

    def why(self, site: Site, ds: Dataset) -> str:
        (kept,) = site.archive.keep([ds])
        if filing.file_record(kept, site):
            return ""
        return next(why for sr, why in filing.documents(site) if sr.sop_instance_uid == kept.sop_instance_uid)

    def test_what_it_signed_counts(self, site_at: SiteAt, tmp_path: Path, signed: tuple[Identity, Recorded]) -> None:
        site = self.there(site_at, tmp_path, signed, people=("DR1",))
        assert self.why(site, dcmread(signed[1].made.sr.path)) == ""
        settle_due(site)
        assert [known.charge.code for known in site.outbox.charges()] == ["76377"]

    def test_by_an_authority_only_the_named_subject(
        self, site_at: SiteAt, tmp_path: Path, signed: tuple[Identity, Recorded]
    ) -> None:
        authority = str(signed[0].certificate_file)
        for subject, believed in (("CN=sister", True), ("CN=web server", False)):
            site = self.there(site_at, tmp_path, signed, certificate="", authority=authority, subject=subject)
            assert (self.why(site, dcmread(signed[1].made.sr.path)) == "") is believed

    @pytest.mark.parametrize(
        ("days", "words"),
        [(0, ""), (-1, "at a time to come"), (40000, "when the certificate was not valid")],
    )
    def test_dates_are_checked(
        self, site_at: SiteAt, tmp_path: Path, signed: tuple[Identity, Recorded], days: int, words: str
    ) -> None:
        site = self.there(site_at, tmp_path, signed, AT + timedelta(days=days))
        why = self.why(site, dcmread(signed[1].made.sr.path))
        assert (words in why) if words else why == ""

    def test_who_may_not_sign_there_does_not_count(
        self, site_at: SiteAt, tmp_path: Path, signed: tuple[Identity, Recorded]
    ) -> None:
        site = self.there(site_at, tmp_path, signed, people=("DR7",))
        assert "who may not sign there" in self.why(site, dcmread(signed[1].made.sr.path))

    def test_without_its_signature_it_is_a_document(
        self, site_at: SiteAt, tmp_path: Path, signed: tuple[Identity, Recorded]
    ) -> None:
        site = self.there(site_at, tmp_path, signed)
        bare = dcmread(signed[1].made.sr.path)
        del bare.DigitalSignaturesSequence, bare.MACParametersSequence
        assert "no whole signature" in self.why(site, bare)
        mallory = identity(tmp_path, "mallory")
        assert not isinstance(mallory.key, type(None))
        sign(bare, Signer(mallory.key, mallory.certificate), AT)  # type: ignore[arg-type]
        bare.SOPInstanceUID = bare.file_meta.MediaStorageSOPInstanceUID  # the same record, signed by somebody else
        other = self.there(site_at, tmp_path, signed)
        assert "no whole signature" in self.why(other, bare)

    def test_an_expired_certificate_signs_nothing(self, site_at: SiteAt, tmp_path: Path, slices: Path) -> None:
        old = identity(tmp_path, "old", valid=(datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)))
        config = replace(CONFIG, station_name="OLD", signing=Signing(str(old.certificate_file), str(old.key_file)))
        theirs = record_at(site_at(tmp_path / "old", config), slices, DOCUMENTED)
        site = self.there(site_at, tmp_path, (old, theirs))
        assert "when the certificate was not valid" in self.why(site, dcmread(theirs.made.sr.path))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('certificate = "a"\nauthority = "b"\nsubject = "c"', "either `certificate` or `authority`"),
        ("", "either `certificate` or `authority`"),
        ('authority = "b"', "go together"),
    ],
)
def test_trust_that_cannot_be(tmp_path: Path, lines: str, words: str) -> None:
    (tmp_path / "config.toml").write_text(f'[[trust]]\nname = "s"\ndevice_uid = "2.25.9"\n{lines}\n')
    with pytest.raises(ConfigError, match=words):
        load_config(tmp_path)


def test_a_station_does_not_trust_itself_as_a_sister(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(
        'device_uid = "2.25.9"\n[[trust]]\nname = "s"\ndevice_uid = "2.25.9"\ncertificate = "a"\n'
    )
    with pytest.raises(ConfigError, match="trust names this device"):
        load_config(tmp_path)


def test_only_three_d_records_are_looked_at(recorded: Recorded) -> None:
    assert {sr.sop_class_uid for sr, _ in filing.documents(recorded.site)} <= {COMPREHENSIVE_3D_SR}
