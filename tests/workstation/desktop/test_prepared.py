"""A study that was prepared: its tray is filled at once, marked; and from there to the charge, adjusted or not."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from dicom_io.errors import VolumeRefused
from dicom_io.evidence import Product
from render import draw
from render.geometry import IDENTITY, inverse
from tests.render.heads import head, target_error_mm
from tests.thorough import slowly
from tests.workstation.conftest import SiteAt
from tests.workstation.desktop.conftest import DOCTOR
from tests.workstation.desktop.test_preview import WRITTEN
from tests.workstation.preparation.preparing import RULE, prepare, small
from tests.workstation.preparation.test_priors import MOVE, site_of, written
from tests.workstation.preparation.test_priors import RULE as HEAD
from tests.workstation.samples import ACCESSION, CT_HEAD, SERIES_UID, ticking
from workstation.config import Config
from workstation.desktop.app import make_window
from workstation.desktop.drawer import Drawer
from workstation.desktop.model import edits, prepared, tray_edits
from workstation.desktop.model.desk import ReadingDesk
from workstation.desktop.model.identity import SeriesIdentity
from workstation.desktop.model.session import session_file
from workstation.desktop.model.studies import Opened
from workstation.desktop.study_table import reading_of
from workstation.preparation.proposals import PreparedPrior, folder_of, proposal_in, take
from workstation.preparation.working import plan_all
from workstation.preparing import PriorWanted
from workstation.site import Site, open_site
from workstation.storage import take_in
from workstation.store.preparation_rows import PreparationProgress


@pytest.fixture
def desk(signing_root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReadingDesk]:
    """A desk where a proposal of the sample lies."""
    small(monkeypatch)
    made = ReadingDesk(open_site(signing_root, Config(prepare=(RULE,)), clock=ticking()))
    made.site.arrivals.whole([SERIES_UID], made.site.clock())
    plan_all(made.site)
    assert prepare(made.site) == ["ready"]
    yield made
    made.close()


def opened(desk: ReadingDesk) -> Opened:
    found = desk.studies.open(SERIES_UID)
    desk.note(found, DOCTOR, "opened")
    return found


def reading(desk: ReadingDesk) -> str:
    (row,) = desk.studies.rows()
    return row.reading


def recorded(site: Site) -> tuple[Product, ...]:
    (record,) = site.casebook.read(ACCESSION).records
    return record.evidence.products


def test_the_tray_is_filled_and_marked_and_has_its_pictures(desk: ReadingDesk) -> None:
    assert reading(desk) == "prepared"
    session = opened(desk).session
    assert [(c.recipe.name, c.origin, c.key) for c in session.screen.captures] == [
        ("Bone", "prepared", False), ("MIP", "prepared", False), ("Axial", "prepared", False),
    ]  # fmt: skip
    assert all(session.stills[replace(c.recipe, name="")].is_file() for c in session.screen.captures)
    assert reading(desk) == "prepared" and not session_file(desk.site.root, SERIES_UID, None).exists()


def test_what_is_drawn_here_has_the_bytes_of_what_was_prepared(desk: ReadingDesk) -> None:
    session = opened(desk).session
    proposal = proposal_in(desk.site.root, desk.site.preparations.list()[0])
    assert proposal is not None
    drawn = [draw(session.volume, capture.recipe).digest for capture in session.screen.captures]
    assert drawn == [picture.digest for picture in proposal.pictures]


def test_adjusting_makes_it_adjusted_and_a_name_does_not(desk: ReadingDesk) -> None:
    session = opened(desk).session
    session.change(tray_edits.renamed, 0, "The skull")
    session.change(tray_edits.retaken, 1)
    assert [c.origin for c in session.screen.captures] == ["prepared", "adjusted", "prepared"]
    assert replace(session.screen.captures[0].recipe, name="") in session.stills
    assert replace(session.screen.captures[1].recipe, name="") not in session.stills
    session.undo()
    assert [c.origin for c in session.screen.captures] == ["prepared", "prepared", "prepared"]
    assert reading(desk) == "in work"
    session.change(tray_edits.retaken, 1)
    assert reading(desk) == "to sign"
    again = desk.studies.open(SERIES_UID).session
    assert [c.origin for c in again.screen.captures] == ["prepared", "adjusted", "prepared"]
    assert len(again.stills) == 3


def test_a_proposal_of_the_series_as_it_was_is_not_shown(desk: ReadingDesk, tmp_path: Path) -> None:
    late = tmp_path / "late"
    late.mkdir()
    shutil.copy(sorted(CT_HEAD.glob("*.dcm"))[56], late)
    desk.site.archive.import_files(late)  # still arriving: nothing was planned anew
    session = opened(desk).session
    assert session.screen.captures == () and session.stills == {}
    assert reading(desk) == "to read"


def test_pictures_of_another_engine_are_drawn_anew(desk: ReadingDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "ENGINE_VERSION", "0.0.0")
    session = opened(desk).session
    assert (len(session.screen.captures), session.stills) == (3, {})


@pytest.mark.parametrize("adjusts", [*slowly(False), True])
def test_from_received_to_the_charge(desk: ReadingDesk, adjusts: bool) -> None:
    """All papers are there: what nobody adjusted is held, and one adjusted picture releases it."""
    found, site = opened(desk), desk.site
    proposal = proposal_in(site.root, site.preparations.list()[0])
    assert proposal is not None
    found.session.write(**WRITTEN)
    if adjusts:
        found.session.change(tray_edits.retaken, 0)
    before = [reason.code for reason in desk.preview(found, DOCTOR).reasons]
    assert ("PREPARED_UNCHANGED" in before) is not adjusts
    assert site.archive.instances_of("1.2.840.10008.5.1.4.1.1.88.34") == ()  # a proposal is no record
    desk.deliver(found, DOCTOR)
    assert [product.prepared for product in recorded(site)] == [not adjusts, True, True]
    same = [
        product.pixel_digest == picture.digest
        for product, picture in zip(recorded(site), proposal.pictures, strict=True)
    ]
    assert same == [not adjusts, True, True]  # drawn anew, with the same bytes
    (ruling,) = site.casebook.newest()
    codes = [known.charge.code for known in site.outbox.charges()]
    if adjusts:
        assert (ruling.state, codes) == ("charged", ["76377"])
    else:
        assert (ruling.state, ruling.content["reasons"], codes) == ("held", ["PREPARED_UNCHANGED"], [])
    assert [row.state for row in site.preparations.list()] == ["taken"]
    assert not any(folder_of(site.root).iterdir())
    # Opened again, what was signed says so still.
    origins = [c.origin for c in desk.studies.open(SERIES_UID).session.screen.captures]
    assert origins == ["adjusted" if adjusts else "prepared", "prepared", "prepared"]


def test_a_picture_taken_by_the_reader_releases_it_too(desk: ReadingDesk) -> None:
    found = opened(desk)
    found.session.write(**WRITTEN)
    found.session.change(edits.captured, "solid", 64)
    assert "PREPARED_UNCHANGED" not in [reason.code for reason in desk.preview(found, DOCTOR).reasons]


def test_the_window_shows_them_at_once(
    desk: ReadingDesk, qtbot: QtBot, settled: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(Drawer, "ask_small", lambda self, name, *_: asked.append(name))
    window = make_window(desk.site.root)
    qtbot.addWidget(window)
    window.show()
    with qtbot.waitSignal(window.ready, timeout=60_000):
        window.open_series(SERIES_UID)
    assert window.viewer is not None
    tray = window.tray
    assert tray is not None
    assert [tray.list.item(n).text() for n in range(tray.list.count())] == ["Bone", "MIP", "Axial"]
    assert asked == [] and not any(tray.list.item(n).icon().isNull() for n in range(3))
    settled(window.viewer)
    window.close()


def test_signing_one_volume_takes_no_proposal_of_another(desk: ReadingDesk) -> None:
    take(desk.site, SERIES_UID, 1)
    assert [row.state for row in desk.site.preparations.list()] == ["ready"]
    take(desk.site, SERIES_UID, None)
    assert [row.state for row in desk.site.preparations.list()] == ["taken"]


@pytest.mark.slow
def test_a_registered_prior_is_offered_and_shown_as_it_was_registered(
    site_at: SiteAt, tmp_path: Path, qtbot: QtBot, settled: Callable[..., None]
) -> None:
    """Nothing is compared before the reader wants it; one that has changed since is not used."""
    site = site_of(site_at, tmp_path, replace(HEAD, prior=PriorWanted()))
    before = written(tmp_path, "before", "20250210", MOVE)
    take_in(site, tmp_path / "before", "T1")
    assert prepare(site) == ["ready"]
    uid = site.preparations.list()[0].series_uid
    window = make_window(site.root)
    qtbot.addWidget(window)
    window.resize(1500, 900)
    window.show()
    with qtbot.waitSignal(window.ready, timeout=60_000):
        window.open_series(uid)
    tray, viewer = window.tray, window.viewer
    assert tray is not None and viewer is not None and viewer.session.screen.compared is None
    (offer,) = tray.priors
    offer.click()
    qtbot.waitUntil(lambda: viewer.other is not None and not window.works.busy, timeout=60_000)
    compared = viewer.session.screen.compared
    assert compared is not None and compared.series_uid == before.uid
    assert target_error_mm(head(), MOVE, inverse(compared.to_other)) < 0.3 * 3.5
    settled(viewer)
    window.close()
    proposal = proposal_in(site.root, site.preparations.list()[0])
    assert proposal is not None and proposal.prior is not None
    with pytest.raises(VolumeRefused, match="has changed since it was registered"):
        prepared.compared_with_prior(replace(proposal.prior, sources="other"), ReadingDesk(site).studies.volume)


def test_a_prior_of_somebody_else_is_not_offered() -> None:
    ours = SeriesIdentity("Phantom, Small", "P-1", "1970-01-01")
    prior = PreparedPrior("1.2", None, "20250210", "", IDENTITY, 1.0, 1.0, 1.0)
    same, other = replace(ours, sex="O"), replace(ours, birth_date="1971-01-01")
    assert prepared.same_persons((prior,), ours, lambda uid: same) == (prior,)
    assert prepared.same_persons((prior,), ours, lambda uid: other) == ()


def test_the_work_list_says_what_is_being_prepared(desk: ReadingDesk) -> None:
    store = desk.site.preparations
    (ready,) = store.list()
    store.again([ready.place], 0.0)
    claimed = store.claim(0.0)
    assert claimed is not None
    (row,) = desk.studies.rows()
    assert (row.reading, reading_of(row)) == ("being prepared", "being prepared")
    assert store.renew(claimed, 1.0, PreparationProgress("pictures", 1, 3))
    (row,) = desk.studies.rows()
    assert reading_of(row) == "being prepared: pictures 1/3"
    assert "It is being prepared at this moment" in opened(desk).warning
