"""Moving pictures: what an independent decoder finds in them, and the refusal where there is no encoder."""

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.workstation.conftest import Command
from workstation.export import movies


def turning(frames: int, rows: int, columns: int) -> list[NDArray[np.uint8]]:
    """A bright disc that goes round on blue."""
    j, i = np.indices((rows, columns))
    made = []
    for n in range(frames):
        angle = 2 * np.pi * n / frames
        disc = np.hypot(j - rows * (0.5 + 0.3 * np.sin(angle)), i - columns * (0.5 + 0.3 * np.cos(angle))) < 12
        made.append(np.where(disc[..., None], (240, 200, 40), (20, 40, 120)).astype(np.uint8))
    return made


@pytest.mark.parametrize("size", [(96, 128), (97, 127)])
def test_an_mp4_shows_the_frames(tmp_path: Path, size: tuple[int, int]) -> None:
    av = pytest.importorskip("av")
    frames = turning(12, *size)
    file = movies.save_mp4(frames, tmp_path / "turn.mp4")
    with av.open(str(file)) as opened:
        stream = opened.streams.video[0]
        assert stream.codec_context.name in ("h264", "mpeg4")
        assert stream.average_rate == movies.FRAMES_PER_S
        read = [frame.to_ndarray(format="rgb24") for frame in opened.decode(stream)]
    assert len(read) == 12
    rows, columns = size
    for ours, theirs in zip(frames, read, strict=True):
        assert theirs.shape == (rows + rows % 2, columns + columns % 2, 3)
        assert np.abs(theirs[:rows, :columns].astype(int) - ours).mean() < 6.0


def test_no_frames_are_no_film(tmp_path: Path) -> None:
    pytest.importorskip("av")
    with pytest.raises(ValueError, match="no frames"):
        movies.save_mp4([], tmp_path / "none.mp4")


def test_without_the_package_nothing_is_drawn(
    command: Command, slices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    answer = command("render", slices, "--protocol", "tiny", "--mp4", "-o", tmp_path / "out")
    assert answer.code == 1
    assert "pip install 'radiology-3d-workstation[video]'" in answer.err
    assert not (tmp_path / "out").exists()
    assert "pip install 'radiology-3d-workstation[video]'" in command("doctor").out


def test_every_picture_of_several_frames_gets_its_film(command: Command, slices: Path, tmp_path: Path) -> None:
    pytest.importorskip("av")
    out = tmp_path / "out"
    done = command("render", slices, "--protocol", "tiny", "--gif", "--mp4", "-o", out, "--json").json
    assert {Path(f).name for f in done["files"]} >= {"03-axial.gif", "03-axial.mp4"}
    assert [f.name for f in sorted(out.glob("*.mp4"))] == ["03-axial.mp4"]
