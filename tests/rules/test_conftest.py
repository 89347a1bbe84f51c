"""What tests/conftest.py does. With WORKSTATION_TEST_STRICT=1 a test that skips because something is missing fails."""

from pathlib import Path

import pytest

from tests.conftest import LONG

pytest_plugins = ["pytester"]

# Every way to skip, each for a reason that counts.
MISSING = """
import pytest

@pytest.mark.skipif(True, reason="Xvfb and xdotool are not installed")
def test_marked():
    pass

def test_called():
    pytest.skip("storescu is not installed (Debian package dcmtk)")

@pytest.fixture
def orthanc():
    pytest.skip("Orthanc is not installed (Debian package orthanc)")

def test_in_a_fixture(orthanc):
    pass

def test_imported():
    pytest.importorskip("a_package_that_nobody_has")
"""
MODULE = """
import pytest
pytest.importorskip("another_package_that_nobody_has")
def test_never_collected():
    pass
"""
# What may skip, what does not skip, and what is expected to fail.
ALLOWED = """
import pytest

def test_root():
    pytest.skip("only root on Linux may mount a file system")

def test_mount():
    pytest.skip("mkfs.ext4 is not permitted here: no loop device")

@pytest.mark.skipif(True, reason="serve does not run there")
def test_windows():
    pass

@pytest.mark.xfail(reason="dciodvfy is not installed, says somebody")
def test_expected():
    assert False

def test_passes():
    pass
"""
DATA = """
import pytest

def test_series():
    pytest.skip("test data set 'ct_liver_ircad01' is not in /somewhere (WORKSTATION_TEST_DATA names another folder)")
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A suite of its own with our conftest, and without what this run is told."""
    pytester.makeconftest((Path(__file__).parents[1] / "conftest.py").read_text(encoding="utf-8"))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # loading them takes seconds
    for name in ("WORKSTATION_TEST_STRICT", "WORKSTATION_TEST_DATA", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)
    return pytester


def outcomes(suite: pytest.Pytester) -> dict[str, int]:
    return suite.runpytest_inprocess("-p", "no:cacheprovider").parseoutcomes()


def test_what_is_missing_skips_without_the_switch(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    suite.makepyfile(test_missing=MISSING, test_module=MODULE)
    assert outcomes(suite) == {"skipped": 5}
    monkeypatch.setenv("WORKSTATION_TEST_STRICT", "0")
    assert outcomes(suite) == {"skipped": 5}


def test_what_is_missing_fails_with_it(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSTATION_TEST_STRICT", "1")
    suite.makepyfile(test_missing=MISSING)
    found = suite.runpytest_inprocess("-p", "no:cacheprovider")
    # What fails before the test itself is an error.
    assert found.parseoutcomes() == {"failed": 2, "errors": 2}
    found.stdout.fnmatch_lines(["*WORKSTATION_TEST_STRICT is set: *storescu is not installed*"])


def test_a_module_that_is_missing_fails_with_it(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSTATION_TEST_STRICT", "1")
    suite.makepyfile(test_module=MODULE)
    assert outcomes(suite) == {"errors": 1}


def test_what_may_skip_still_skips(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSTATION_TEST_STRICT", "1")
    suite.makepyfile(ALLOWED)
    assert outcomes(suite) == {"skipped": 3, "xfailed": 1, "passed": 1}


def test_a_series_may_be_absent_where_no_folder_is_named(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKSTATION_TEST_STRICT", "1")
    suite.makepyfile(DATA)
    assert outcomes(suite) == {"skipped": 1}
    monkeypatch.setenv("WORKSTATION_TEST_DATA", "/somewhere")
    assert outcomes(suite) == {"failed": 1}


def test_the_files_that_come_first_are_there() -> None:
    """A name that has gone stale would put its file last again."""
    assert [name for name in LONG if not (Path(__file__).parents[1] / name).is_file()] == []
