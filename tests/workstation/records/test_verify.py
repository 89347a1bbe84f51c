"""A record holds on another machine, and no longer when one byte of it, its sources or its journal is changed."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from dicom_io.errors import NotReadable
from dicom_io.files.digests import is_sealed
from dicom_io.files.series import read_dataset
from dicom_io.sr.evidence_sr import read_sr, write_sr
from render.geometry import View
from render.mask_steps import Bone
from tests.signing import identity
from tests.thorough import examples
from tests.workstation.conftest import Command, SiteAt
from tests.workstation.records.test_pdf import text_of
from tests.workstation.samples import DOCUMENTED, SERIES_UID, tiny_protocol
from workstation import pipeline
from workstation.case import Case
from workstation.records.measurements import measure, measure_mask
from workstation.records.verify import Check, holds, open_record, verify
from workstation.site import Site, open_site
from workstation.store.papers import read_papers


@pytest.fixture
def made(kept: Path, site_at: SiteAt, tmp_path: Path) -> tuple[Site, Path]:
    """A site with one case that was run, with a measurement, and its SR."""
    site = site_at(shutil.copytree(kept, tmp_path / "root"))
    return site, Path(site.archive.instances_of("1.2.840.10008.5.1.4.1.1.88.34")[0].path)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, slices: Path) -> Path:
    """A root with a case, made once; every test and example works on a copy."""
    root = tmp_path_factory.mktemp("kept") / "root"
    site, _ = run_case(open_site, root, slices)
    site.papers.engine.dispose()
    return root


def run_case(site_at: Callable[[Path], Site], root: Path, slices: Path) -> tuple[Site, Path]:
    site = site_at(root)
    site.archive.import_files(slices)
    session = read_papers(DOCUMENTED).session
    assert session is not None
    from dicom_io.volumes import build_volume

    volume = build_volume(site.archive.series(SERIES_UID))
    x, y, z = volume.centre_mm
    corners = ((x - 20, y - 20, z), (x + 20, y - 10, z), (x, y + 20, z))
    measured = (
        measure("polygon 1", "polygon", corners, View.parse("foot"), volume),
        measure_mask("bone 1", (Bone(),), 1, volume),
    )
    case = Case(SERIES_UID, tiny_protocol(), session=session, measurements=measured)
    return site, Path(pipeline.run(case, site).sr.path)


def failed(checks: list[Check]) -> list[str]:
    return [check.what for check in checks if check.agrees is False]


def test_everything_is_looked_at(made: tuple[Site, Path], slices: Path) -> None:
    site, sr = made
    checks = list(verify(sr, site))
    assert [(check.what, check.agrees) for check in checks] == [
        ("record", True),
        ("signature", None),
        ("journal", True),
        ("ledger", True),
        ("sources", True),
        ("picture Bone", True),
        ("picture MIP", True),
        ("picture Axial", True),
        ("measurement polygon 1", True),
        ("measurement bone 1", True),
        ("stored objects", True),
    ]
    elsewhere = list(verify(sr, slices))
    unseen = {"signature", "journal", "ledger", "stored objects"}
    assert [c for c in elsewhere if c.what not in unseen] == [c for c in checks if c.what not in unseen]
    assert {c.what for c in elsewhere if c.agrees is None} == unseen


@pytest.mark.slow
def test_a_record_of_which_nothing_could_be_checked_is_not_verified(
    command: Command, made: tuple[Site, Path], slices: Path, tmp_path: Path
) -> None:
    """Sealed, and nothing differs; but there is no picture to be made again, or no digest to compare sources with."""
    site, sr = made
    _, ds, evidence = open_record(sr)
    nothing = replace(evidence, sop_instance_uid="", products=(), measurements=(), objects=())
    unknown = replace(evidence, sop_instance_uid="", sources=tuple(replace(s, digest="") for s in evidence.sources))
    for number, changed in enumerate((nothing, unknown)):
        stamp = site.stamp(evidence.session_uid, evidence.acts[0].at)
        file = tmp_path / f"{number}.dcm"
        write_sr(changed, ds, stamp).save_as(file, enforce_file_format=True)
        checks = list(verify(file, slices))
        assert failed(checks) == []
        assert not holds(checks)
        answer = command("verify", file, "--folder", slices)
        assert answer.code == 1
        assert "Not verified" in answer.out
    assert holds(list(verify(sr, slices)))


def test_the_command_says_so(command: Command, sr: Path, slices: Path, tmp_path: Path) -> None:
    answer = command("verify", sr)
    assert answer.code == 0
    assert "picture Bone" in answer.out and "DIFFERENT" not in answer.out
    uid = str(dcmread(sr).SOPInstanceUID)
    assert command("verify", uid, "--archive", tmp_path / "root", root=tmp_path / "empty").out == answer.out
    assert command("verify", sr, "--folder", slices, root=tmp_path / "empty").code == 0
    both = command("verify", sr, "--folder", slices, "--archive", tmp_path)
    assert both.code == 2
    assert command("verify", "no such file").code == 1


@pytest.mark.slow
@pytest.mark.parametrize("cache", ["same kernels", "fresh"])
def test_it_holds_in_another_process_with_one_core(sr: Path, slices: Path, tmp_path: Path, cache: str) -> None:
    environment = dict(os.environ)
    if cache == "fresh":
        environment |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "NUMBA_CACHE_DIR": str(tmp_path / "numba")}
    core = min(os.sched_getaffinity(0))
    code = f"import os, sys; os.sched_setaffinity(0, {{{core}}}); from workstation.cli.main import main; main()"
    words = ["--root", str(tmp_path / "there"), "verify", str(sr), "--folder", str(slices), "--json"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True, text=True, check=False, env=environment, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [row["what"] for row in rows if row["what"].startswith("picture") and row["agrees"]] == [
        "picture Bone", "picture MIP", "picture Axial"
    ]  # fmt: skip


def data_set_of(path: Path) -> int:
    """Where the data set begins, behind the file meta information."""
    head = path.read_bytes()[:144]
    return 144 + int.from_bytes(head[140:144], "little")


def flipped(path: Path, part: float, mask: int) -> None:
    data = bytearray(path.read_bytes())
    start = data_set_of(path)
    data[start + int(part * (len(data) - start))] ^= mask
    path.write_bytes(data)


def meaning(path: Path) -> Dataset | None:
    try:
        ds = dcmread(path)
        ds.decode()
        return ds
    except Exception:  # noqa: BLE001 - whatever pydicom says of a damaged file
        return None


# Without shrinking: which byte it was says nothing.
@pytest.mark.slow
@settings(
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)
@given(
    what=st.sampled_from(["source", "SR"]),
    which=st.integers(0, 15),
    part=st.floats(0.0, 1.0, exclude_max=True),
    mask=st.integers(1, 255),
)
def test_one_changed_byte_is_found(
    kept: Path, tmp_path_factory: pytest.TempPathFactory, site_at: SiteAt, what: str, which: int, part: float, mask: int
) -> None:
    root = tmp_path_factory.mktemp("copy") / "root"
    shutil.copytree(kept, root)
    site = site_at(root)
    sr = Path(site.archive.instances_of("1.2.840.10008.5.1.4.1.1.88.34")[0].path)
    sources = sorted(i.path for i in site.archive.series(SERIES_UID).instances)
    file = sr if what == "SR" else Path(sources[which])
    before = meaning(file)
    flipped(file, part, mask)
    try:
        checks = list(verify(sr, site))
    except NotReadable:
        checks = [Check("record", False)]
    assert failed(checks)
    if what == "SR" and "record" not in failed(checks):
        # Only the journal has seen it: padding, which means nothing.
        assert meaning(file) == before
    shutil.rmtree(root.parent)


@settings(
    max_examples=examples(15),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
@given(
    column=st.sampled_from(["at", "person", "role", "kind", "detail", "hash"]),
    number=st.integers(0, 7),
    part=st.floats(0.0, 1.0, exclude_max=True),
)
@example(column="at", number=0, part=0.404)  # the T between day and hour
def test_one_changed_character_of_the_journal_is_found(
    kept: Path, tmp_path_factory: pytest.TempPathFactory, site_at: SiteAt, column: str, number: int, part: float
) -> None:
    root = tmp_path_factory.mktemp("copy") / "root"
    shutil.copytree(kept, root)
    site = site_at(root)
    sr = Path(site.archive.instances_of("1.2.840.10008.5.1.4.1.1.88.34")[0].path)
    with site.journal.engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER event_no_update")
        (old,) = connection.exec_driver_sql(f"SELECT {column} FROM event WHERE number = ?", (number,)).one()
        at = int(part * len(old))
        new = old[:at] + ("1" if old[at : at + 1] != "1" else "2") + old[at + 1 :]
        connection.exec_driver_sql(f"UPDATE event SET {column} = ? WHERE number = ?", (new, number))
    assert "journal" in failed(list(verify(sr, site)))
    shutil.rmtree(root.parent)


def test_a_missing_source_is_counted(made: tuple[Site, Path], slices: Path, tmp_path: Path) -> None:
    folder = tmp_path / "short"
    shutil.copytree(slices, folder)
    for file in sorted(folder.iterdir())[:2]:
        file.unlink()
    checks = {check.what: check for check in verify(made[1], folder)}
    assert checks["sources"] == Check("sources", False, "2 of 16 are not there")
    assert "2 of 16 source instances are not in" in checks["picture Bone"].why


def test_a_changed_picture_in_the_archive_is_found(made: tuple[Site, Path]) -> None:
    site, sr = made
    image = read_sr(dcmread(sr)).products[2].images[0]
    flipped(Path(site.archive.instance(image.sop_instance_uid).path), 0.99, 1)
    assert failed(list(verify(sr, site))) == ["stored objects"]


def test_a_sealed_record_that_lies_about_a_picture_is_found(made: tuple[Site, Path], tmp_path: Path) -> None:
    site, sr = made
    evidence = read_sr(dcmread(sr))
    first, second, third = evidence.products
    changed = replace(second, recipe=second.recipe.replace('"mode":"mip"', '"mode":"minip"'))
    other_engine = replace(third, engine_version="0.0.1", pixel_digest="0" * 64)
    lying = replace(evidence, sop_instance_uid="", products=(first, changed, other_engine))
    ds = write_sr(lying, read_dataset(sr), site.stamp(evidence.session_uid, evidence.acts[0].at))
    assert is_sealed(ds)
    ds.save_as(tmp_path / "lying.dcm", enforce_file_format=True)
    checks = {check.what: check for check in verify(tmp_path / "lying.dcm", site)}
    assert failed(list(checks.values())) == ["journal", "picture MIP", "picture Axial"]
    assert "not the one of the recorded digest" in checks["picture MIP"].why
    assert "recorded with engine cpu 0.0.1, this is cpu" in checks["picture Axial"].why


def test_a_seal_holds_however_a_pacs_encodes_the_record(made: tuple[Site, Path], tmp_path: Path) -> None:
    ds = dcmread(made[1])
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    for element in ds.iterall():
        if element.VR == "SQ":
            element.is_undefined_length = True
    ds.save_as(tmp_path / "implicit.dcm", implicit_vr=True, little_endian=True)
    again = dcmread(tmp_path / "implicit.dcm")
    assert is_sealed(again)
    again.PatientID = "OTHER"
    assert not is_sealed(again)


@pytest.mark.slow
def test_where_the_site_signs_a_record_is_as_it_was_signed(
    command: Command, slices: Path, tmp_path: Path, site_at: SiteAt
) -> None:
    who, other = identity(tmp_path, "site"), identity(tmp_path, "other")
    root = tmp_path / "root"
    root.mkdir()
    settings_file = f'signing = {{ certificate = "{who.certificate_file}", key = "{who.key_file}" }}\n'
    (root / "config.toml").write_text(settings_file)
    command("import", slices)
    words = ("run", SERIES_UID, "--protocol", "tiny", "--papers", DOCUMENTED, "--json")
    made = command(*words).json
    sr = Path(made["sr"]["path"])
    assert command(*words).json["sr"] == made["sr"]
    assert "of CN=site" in command("verify", sr).out
    assert command("verify", sr, "--authority", who.certificate_file).code == 0
    strange = command("verify", sr, "--authority", other.certificate_file)
    assert strange.code == 1 and "has not certified" in strange.out
    # Sealed and in the journal's words it may be, but it is not what was signed.
    ds = dcmread(sr)
    ds.DigitalSignaturesSequence[0].Signature = bytes(256)
    ds.save_as(tmp_path / "broken.dcm")
    assert "not as it was signed" in command("verify", tmp_path / "broken.dcm", "--folder", slices).out
    del ds.DigitalSignaturesSequence
    ds.save_as(tmp_path / "stripped.dcm")
    assert "signature" in failed(list(verify(tmp_path / "stripped.dcm", site_at(root))))
    assert command("report", sr, "-o", tmp_path / "r.pdf").code == 0
    assert "Digitally signed by CN=site" in text_of(tmp_path / "r.pdf")[1]
    # Who cannot sign does no work first.
    (root / "config.toml").write_text(settings_file.replace(str(who.key_file), str(other.key_file)))
    refused = command(*words)
    assert refused.code == 1 and "is not that of key" in refused.err


def test_an_unverified_record_is_not_signed(command: Command, slices: Path, tmp_path: Path) -> None:
    who = identity(tmp_path, "site")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "config.toml").write_text(
        f'signing = {{ certificate = "{who.certificate_file}", key = "{who.key_file}" }}\n'
    )
    command("import", slices)
    made = command("run", SERIES_UID, "--protocol", "tiny", "--json").json
    assert "DigitalSignaturesSequence" not in dcmread(made["sr"]["path"])
    assert command("verify", made["sr"]["path"]).code == 0
