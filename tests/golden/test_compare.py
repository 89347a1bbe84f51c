"""The comparison itself: what passes, what fails, and what it leaves behind."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.golden import compare as module
from tests.golden.compare import compare


@pytest.fixture(autouse=True)
def differences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "DIFFERENCES", tmp_path / "differences")
    return tmp_path / "differences"


def disc(radius: float) -> NDArray[np.uint8]:
    j, i = np.indices((64, 64))
    inside = np.clip(radius - np.hypot(j - 31.5, i - 31.5), 0.0, 1.0)
    return np.repeat(np.rint(200 * inside).astype(np.uint8)[..., None], 3, axis=-1)


def test_the_same_and_nearly_the_same_pass(tmp_path: Path, differences: Path) -> None:
    golden = tmp_path / "disc.png"
    compare(disc(20.0), golden, new=True)
    compare(disc(20.0), golden, new=False)
    rounded_otherwise = disc(20.0)
    rounded_otherwise[rounded_otherwise > 0] -= 1
    compare(rounded_otherwise, golden, new=False)
    assert not differences.exists()


@pytest.mark.parametrize("other", [disc(16.0), (disc(20.0) * 0.9).astype(np.uint8), disc(20.0)[:, ::-1][8:]])
def test_another_picture_fails_and_both_are_left(tmp_path: Path, differences: Path, other: NDArray[np.uint8]) -> None:
    golden = tmp_path / "disc.png"
    compare(disc(20.0), golden, new=True)
    with pytest.raises(pytest.fail.Exception, match="disc"):
        compare(other, golden, new=False)
    assert {"disc-drawn.png", "disc-expected.png"} <= {file.name for file in differences.iterdir()}


def test_a_missing_golden_picture_fails(tmp_path: Path, differences: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match="--new-goldens"):
        compare(disc(20.0), tmp_path / "none.png", new=False)
    assert [file.name for file in differences.iterdir()] == ["none-drawn.png"]
