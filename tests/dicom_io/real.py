"""Series that tests read: the sample in this repository, and sets of public data that may be on this machine or not."""

import os
from collections.abc import Iterable
from pathlib import Path

import pydicom
import pytest

SAMPLE = Path(__file__).parents[2] / "sample_data" / "ct_head"
_CACHE = Path(os.environ.get("WORKSTATION_TEST_DATA") or Path.home() / ".cache" / "workstation-test-data")


def uncompressed(files: Iterable[Path], folder: Path) -> Path:
    """Writes the same images into a folder, their pixels uncompressed and their UIDs kept: read often, most of the time
    would be the codec's. Returns the folder."""
    for file in files:
        image = pydicom.dcmread(file)
        image.decompress(generate_instance_uid=False)
        image.save_as(folder / file.name)
    return folder


def real_set(name: str) -> Path:
    """The folder of a set. Skips the test, naming the set, where it is absent."""
    folder = _CACHE / name
    if not folder.is_dir():
        pytest.skip(f"test data set {name!r} is not in {_CACHE} (WORKSTATION_TEST_DATA names another folder)")
    return folder


def failing_input(name: str, kind: str = "series") -> Path:
    """The folder of an input on which this project once went wrong, a series or another kind. Skips the test, naming
    it, where it is absent."""
    folder = Path(os.environ.get("WORKSTATION_TEST_FAILING") or "absent") / kind / name
    if not folder.is_dir():
        pytest.skip(f"failing input {name!r} is not there (WORKSTATION_TEST_FAILING names the folder of {kind}/)")
    return folder
