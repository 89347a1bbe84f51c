"""DCMTK, which knows nothing of us, sends to us, receives from us and reads what we write."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from dicom_io.archive import Archive
from dicom_io.capabilities import EXPLICIT_LITTLE
from dicom_io.files.series import open_series
from dicom_io.network.receive import Receiver
from dicom_io.network.requestor import echo
from dicom_io.network.send import send
from dicom_io.volumes import build_volume
from render.picture import window_8bit
from render.recipe import Reformat
from tests.conformance.objects import Made, make
from tests.dicom_io.real import SAMPLE, real_set
from tests.dicom_io.synthetic import grid, ramp, write_series
from tests.peers.servers import program, run, storescp
from tests.workstation.samples import SLICES


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("slices")
    for file in SLICES:
        shutil.copy(file, folder)
    return make(open_series(folder)[0])


@pytest.fixture
def saved(made: Made, tmp_path: Path) -> Archive:
    """An archive with everything derived from the sample and its SR."""
    archive = Archive(tmp_path / "ours")
    archive.keep([*made.datasets, made.sr])
    return archive


def test_echoscu(tmp_path: Path) -> None:
    with Receiver(Archive(tmp_path)) as receiver:
        run(program("echoscu"), "-aec", "WORKSTATION", "127.0.0.1", str(receiver.port))


# storescu proposes JPEG-LS with -xt; dcmsend proposes what the files are in.
@pytest.mark.parametrize(("tool", "option"), [("storescu", "-xt"), ("dcmsend", "--decompress-never")])
@pytest.mark.parametrize("name", ["sample", "ct_ctpa_rider_jls"])
def test_dcmtk_sends_a_series_to_us(tmp_path: Path, tool: str, option: str, name: str) -> None:
    sender = program(tool)
    files = sorted((SAMPLE if name == "sample" else real_set(name)).glob("*.dcm"))[:20]
    archive = Archive(tmp_path)
    with Receiver(archive) as receiver:
        run(sender, option, "-aec", "WORKSTATION", "127.0.0.1", str(receiver.port), *files)
    (series,) = archive.all_series()
    assert len(series.instances) == 20
    originals = {str(dcmread(f, stop_before_pixels=True).SOPInstanceUID): f for f in files}
    for instance in series.instances:
        sent = dcmread(originals[instance.sop_instance_uid])
        assert dcmread(instance.path).PixelData == sent.PixelData
        assert instance.transfer_syntax_uid == sent.file_meta.TransferSyntaxUID
    assert build_volume(series).shape[0] == 20


def test_storescu_that_decompresses(tmp_path: Path) -> None:
    """Without -xs storescu proposes uncompressed transfer syntaxes alone."""
    sent = write_series(tmp_path / "sent", ramp((4, 16, 16)), grid())
    archive = Archive(tmp_path / "archive")
    with Receiver(archive) as receiver:
        run(program("storescu"), "127.0.0.1", str(receiver.port), *(i.path for i in sent.instances))
    np.testing.assert_array_equal(build_volume(archive.all_series()[0]).voxels, ramp((4, 16, 16)))


@pytest.mark.slow
def test_we_send_everything_we_make_to_storescp(saved: Archive, tmp_path: Path) -> None:
    instances = [i for s in saved.all_series() for i in s.instances]
    with storescp(tmp_path / "theirs") as peer:
        echo(peer)
        results = send(instances, peer)
    assert [r.status for r in results] == [0] * len(instances)
    received = {str(ds.SOPInstanceUID): ds for ds in map(dcmread, (tmp_path / "theirs").iterdir())}
    for instance in instances:
        assert received[instance.sop_instance_uid] == dcmread(instance.path)


@pytest.mark.parametrize("option", ["+xe", "+xi"])
def test_storescp_that_takes_only_uncompressed(tmp_path: Path, option: str) -> None:
    instances = open_series(SAMPLE)[0].instances[:5]
    assert all(i.transfer_syntax_uid == "1.2.840.10008.1.2.4.80" for i in instances)
    with storescp(tmp_path / "theirs", option) as peer:
        results = send(instances, peer)
    assert [r.status for r in results] == [0] * 5
    received = {str(ds.SOPInstanceUID): ds for ds in map(dcmread, (tmp_path / "theirs").iterdir())}
    for instance in instances:
        theirs = received[instance.sop_instance_uid]
        if option == "+xe":
            assert theirs.file_meta.TransferSyntaxUID == EXPLICIT_LITTLE
        np.testing.assert_array_equal(theirs.pixel_array, dcmread(instance.path).pixel_array)


def test_dsrdump_reads_our_sr(made: Made, saved: Archive) -> None:
    path = saved.instance(made.sr.SOPInstanceUID).path
    text = run(program("dsrdump"), "--print-long-values", path)
    for words in ("Maximum intensity projection", "Meier", "I supervised this concurrently.", "VERIFIED"):
        assert words in text, text[:2000]
    complaints = [line for line in text.splitlines() if line.startswith(("W: ", "E: "))]
    assert [c for c in complaints if "VR checker does not support" not in c] == []  # says so of every UTF-8
    for product in made.evidence.products:
        assert product.pixel_digest in text


def test_dcmdump_reads_every_object(made: Made, saved: Archive) -> None:
    for ds in [*made.datasets, made.sr]:
        text = run(program("dcmdump"), saved.instance(ds.SOPInstanceUID).path)
        assert "W: " not in text and "E: " not in text


def test_dcm2pnm_shows_what_we_drew(made: Made, saved: Archive, tmp_path: Path) -> None:
    for picture, group in zip(made.pictures, made.groups, strict=True):
        for index, ds in enumerate(group):
            out = tmp_path / "x.pnm"
            window = ["--use-window", "1"] if "WindowCenter" in ds else []
            run(program("dcm2pnm"), *window, saved.instance(ds.SOPInstanceUID).path, out)
            shown = np.asarray(Image.open(out)).astype(int)
            drawn = picture.pixels[index if isinstance(picture.recipe, Reformat) else 0]
            if picture.unit != "RGB":
                recipe = picture.recipe
                assert not hasattr(recipe, "transfer")
                drawn = window_8bit(drawn, recipe.window.centre, recipe.window.width)
            assert np.abs(shown - drawn.astype(int)).max() <= 1, picture.recipe.name
