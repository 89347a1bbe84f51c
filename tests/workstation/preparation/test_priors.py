"""A prior that is found by query, fetched and registered; or the reason why not, and never that of somebody else."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicom_io.files.series import Series
from dicom_io.network.receive import Receiver
from dicom_io.network.send import send
from render.geometry import Affine, inverse
from tests.dicom_io.synthetic import grid, ramp, write_series
from tests.peers.servers import dcmqrscp
from tests.render.heads import head, move_of, target_error_mm
from tests.thorough import slowly
from tests.workstation.conftest import Command, SiteAt
from tests.workstation.preparation.preparing import prepare
from workstation.config import Config
from workstation.preparation.priors import PriorMissing, find_prior
from workstation.preparation.proposals import proposal_in
from workstation.preparation.working import make_anew, plan_all
from workstation.preparing import PreparationSettings, PrepareRule, PriorWanted
from workstation.site import Site
from workstation.storage import take_in

MOVE = move_of((6.0, -8.0, 10.0), (12.0, -7.0, 15.0))
WANTED = PriorWanted("pacs", min_images=2)
RULE = PrepareRule("head", modality="CT", prior=WANTED)
Change = Callable[[Dataset], None]


def written(
    folder: Path, name: str, day: str, move: Affine | None = None, *changes: Change, small: bool = False
) -> Series:
    """A made-up head as CT of a day; a small one is no head."""

    def change(ds: Dataset, k: int) -> None:
        ds.StudyDate, ds.BodyPartExamined, ds.StudyDescription = day, "HEAD", "CT head"
        for each in changes:
            each(ds)

    volume = head(move) if move is not None else head()
    voxels = (2 * volume.voxels - 1000).astype(np.int16)  # air about it
    if small:
        return write_series(folder / name, ramp((3, 8, 8)), grid(), series=name, change=change)
    return write_series(folder / name, voxels, volume.affine, series=name, change=change)


def with_(**values: str) -> Change:
    def change(ds: Dataset) -> None:
        for keyword, value in values.items():
            setattr(ds, keyword, value)

    return change


def site_of(site_at: SiteAt, tmp_path: Path, rule: PrepareRule = RULE, *, small: bool = False, **settings: Any) -> Site:
    """A site with the study of today, complete and planned."""
    site = site_at(tmp_path / "root", Config(prepare=(rule,), preparation=PreparationSettings(**settings)))
    written(tmp_path / "today", "today", "20260302", small=small)
    take_in(site, tmp_path / "today", "T1")
    plan_all(site)
    return site


@contextmanager
def pacs(tmp_path: Path, site: Site, command: Command, how: str, *series: Series) -> Iterator[None]:
    """A PACS that has these series, and sends them on the way that `how` names."""
    with Receiver(site.archive) as receiver, dcmqrscp(tmp_path / "pacs", receiver.port) as peer:
        for each in series:
            assert all(sent.accepted for sent in send(each.instances, peer))
        words = ["peers", "add", "pacs", peer.host, str(peer.port), "-aec", peer.ae_title, "--retrieve", how]
        assert command(*words).code == 0
        yield


@pytest.mark.slow
@pytest.mark.parametrize("how", ["get", *slowly("move")])
def test_it_is_fetched_and_registered(site_at: SiteAt, tmp_path: Path, command: Command, how: str) -> None:
    """Of several the one of the same region, and newest; and the fetched one has none fetched in turn."""
    site = site_of(site_at, tmp_path)
    there = (
        written(tmp_path, "before", "20250210", MOVE),
        written(tmp_path, "long before", "20230210", small=True),
        written(tmp_path, "abdomen", "20260110", None, with_(BodyPartExamined="ABDOMEN"), small=True),
        written(tmp_path, "later", "20260303", small=True),
    )
    with pacs(tmp_path, site, command, how, *there):
        assert prepare(site) == ["ready"], site.preparations.list()
    (row,) = site.preparations.list()
    proposal = proposal_in(site.archive.root, row)
    assert proposal is not None and proposal.prior is not None
    found = proposal.prior
    assert (found.series_uid, found.study_date, proposal.pictures) == (there[0].uid, "20250210", ())
    assert site.archive.counts([there[0].uid]) == {there[0].uid: 48}
    assert target_error_mm(head(), MOVE, inverse(np.array(found.matrix))) < 0.3 * 3.5
    # Nobody prepares what came to be compared with, but where a person wants it.
    site.arrivals.whole([there[0].uid], site.clock())
    plan_all(site)
    assert [each.series_uid for each in site.preparations.list()] == [row.series_uid]
    assert [each.state for each in make_anew(there[0].uid, site)] == ["waiting"]
    shown = command("prepare", "show", row.series_uid).out
    assert f"prior of 20250210: {there[0].uid}, registered" in shown


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (with_(PatientBirthDate="19710101"), "the birth date is not the same"),
        (with_(PatientBirthDate=""), "no birth date is given"),
        (with_(PatientName="Phantom^Other"), "the name is not the same"),
        (with_(IssuerOfPatientID="ELSEWHERE"), "the patient ID is another one"),
    ],
)
def test_nobody_elses_is_used(site_at: SiteAt, tmp_path: Path, command: Command, change: Change, why: str) -> None:
    """Neither by what the peer says, nor by what the images say that came."""
    rule = replace(RULE, prior=WANTED)
    site = site_of(site_at, tmp_path, rule, small=True)
    config = replace(site.config, reading=replace(site.config.reading, assigning_authority="HERE"))
    site = replace(site, config=config)
    theirs = written(tmp_path, "before", "20250210", None, change, small=True)
    with pacs(tmp_path, site, command, "get", theirs):
        assert prepare(site) == ["failed"], site.preparations.list()[0].reason
    (row,) = site.preparations.list()
    assert row.reason.startswith("No prior was found at pacs and in the archive: ") and why in row.reason
    assert row.attempts == 1 and "Phantom" not in row.reason
    # What is in the archive already is asked the same.
    take_in(site, tmp_path / "before", "T1")
    with pytest.raises(PriorMissing, match=why):
        find_prior(site.archive.series(row.series_uid), PriorWanted(min_images=2), site)


def test_one_image_of_somebody_else_is_enough(site_at: SiteAt, tmp_path: Path) -> None:
    site = site_of(site_at, tmp_path, small=True)
    numbers = iter(["P-1", "P-1", "P-2"])
    written(tmp_path, "before", "20250210", None, lambda ds: setattr(ds, "PatientID", next(numbers)), small=True)
    take_in(site, tmp_path / "before", "T1")
    today = site.archive.series(site.preparations.list()[0].series_uid)
    with pytest.raises(PriorMissing, match="of an image that came, the patient ID is another one"):
        find_prior(today, PriorWanted(min_images=2), site)


def test_what_is_in_the_archive_is_not_fetched(site_at: SiteAt, tmp_path: Path, command: Command) -> None:
    site = site_of(site_at, tmp_path, small=True)
    theirs = written(tmp_path, "before", "20250210", small=True)
    take_in(site, tmp_path / "before", "T1")
    today = site.archive.series(site.preparations.list()[0].series_uid)
    fetched: list[str] = []
    with pacs(tmp_path, site, command, "get", theirs):
        found = find_prior(today, WANTED, site, chosen=fetched.append)
    assert (found.series.uid, found.which, fetched) == (theirs.uid, None, [])


def test_a_peer_that_is_away_is_asked_again(site_at: SiteAt, tmp_path: Path, command: Command) -> None:
    """Pictures do not wait for it."""
    rule = replace(RULE, protocol="ct_generic")
    site = site_of(site_at, tmp_path, rule, small=True, retry_s=1e-6, attempts=2)
    assert command("peers", "add", "pacs", "127.0.0.1", "1", "-aec", "NOBODY").code == 0
    assert sorted(prepare(site)) == ["failed", "ready", "waiting"]
    pictures, prior = site.preparations.list()
    assert (pictures.rule, pictures.state, prior.rule, prior.attempts) == ("head", "ready", "head: prior", 2)
    assert prior.reason.startswith("Tried 2 times. PeerUnreachable: ")


def test_a_prior_that_is_too_large_is_not_fetched_whole(site_at: SiteAt, tmp_path: Path, command: Command) -> None:
    site = site_of(site_at, tmp_path, replace(RULE, prior=replace(WANTED, max_images=2)), small=True)
    with pacs(tmp_path, site, command, "get", written(tmp_path, "before", "20250210", small=True)):
        assert prepare(site) == ["failed"], site.preparations.list()[0].reason
    assert "No prior was found" in site.preparations.list()[0].reason


def test_what_cannot_be_registered_says_why(site_at: SiteAt, tmp_path: Path) -> None:
    site = site_of(site_at, tmp_path, small=True)
    written(tmp_path, "before", "20250210", small=True)
    take_in(site, tmp_path / "before", "T1")
    shutil.rmtree(tmp_path / "before")
    site = replace(site, config=replace(site.config, prepare=(replace(RULE, prior=PriorWanted(min_images=2)),)))
    assert prepare(site) == ["failed"]
    assert site.preparations.list()[0].reason.startswith("The prior of 20250210 is left out: ")
