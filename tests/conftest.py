"""The one flag of golden pictures (see tests/golden/compare.py), the switch that lets no peer be missing, the order of
the files, and where they write."""

import gc
import os
import re
import shutil
import tempfile
from collections.abc import Generator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest
from argon2 import PasswordHasher
from hypothesis import settings
from sqlalchemy import Engine, create_engine

from dicom_io.archive import database
from tests.thorough import examples
from workstation import people
from workstation.store import schema

# Hashes that take 64 MB and a fifth of a second each are for thieves; those that tests make are made cheaply.
people._HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

# A new state folder's database is a copy of one that was made once, which is four times as quick as making its tables.
# `test_schema.py` has those that are made.
_open_database = database.open_database


@cache
def _new_database() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        engine = _open_database(Path(folder) / "workstation.db")
        schema.make_ready(engine)
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        engine.dispose()
        return (Path(folder) / "workstation.db").read_bytes()


def _open_or_copy(place: Path | str, **more: bool) -> Engine:
    if isinstance(place, Path) and place.parent.is_dir() and not place.exists():
        place.write_bytes(_new_database())
    return _open_database(place, **more)


vars(schema)["open_database"] = _open_or_copy

# A statement is put into SQL once for all databases of the tests, which open some thousands, and not once for each.
_create_engine = create_engine


@cache
def _first_engine() -> Engine:
    engine = _create_engine("sqlite://", query_cache_size=2000)
    engine.connect().close()
    return engine


def _with_the_same_words(url: str, **more: Any) -> Engine:
    engine = _create_engine(url, **more)
    if engine.dialect.name == "sqlite":
        engine.dialect, engine._compiled_cache = _first_engine().dialect, _first_engine()._compiled_cache
    return engine


vars(database)["create_engine"] = _with_the_same_words

settings.register_profile("ours", settings.default, max_examples=examples(100))
settings.load_profile("ours")

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

# WORKSTATION_TEST_STRICT=1 makes a test that skips fail. What may skip all the same: the reason, and why.
_MAY_SKIP = (
    (r"only root on Linux may mount a file system", "CI may run as somebody else"),
    (r"\w[\w.]* is not permitted here", "a container may lack the right to mount, even for root"),
    (r"the tree has no history", "an archive of the tree has none, and what it holds was checked where it was made"),
    (r"no such permissions there|serve does not run there", "Windows"),
    (r"resident memory is read from Linux's /proc", "macOS and Windows"),
)
# Sets of public series: a machine that names the folder where they are says that it has them.
_DATA_SET = r"test data set '\w+' is not in"
# Inputs that once went wrong, likewise.
_FAILING = r"failing input '\w+' is not there"


# Files that take longest in either run, in about that order. A worker is given whole files, and one that comes last is
# waited for by all. Nothing else depends on it; `--no-loadscope-reorder` has xdist keep it.
LONG = (
    "workstation/desktop/test_days.py",
    "workstation/web/test_days.py",
    "conformance/test_validators.py",
    "workstation/records/test_verify.py",
    "workstation/test_day.py",
    "workstation/serve/test_faults.py",
    "workstation/test_farm.py",
    "rules/test_distribution.py",
    "workstation/cli/test_demo.py",
    "workstation/cli/test_cli.py",
    "workstation/test_pipeline.py",
    "workstation/desktop/test_window.py",
    "workstation/serve/test_prepare.py",
    "render/engine/test_same_bytes.py",
    "workstation/coder/test_acts.py",
    "workstation/cli/test_charge.py",
    "workstation/web/test_attacks.py",
    "workstation/charge/test_properties.py",
    "workstation/billing/test_belief.py",
    "dicom_io/sr/test_evidence_sr.py",
    "workstation/coder/test_month_report.py",
    "workstation/web/test_coder_pages.py",
    "workstation/desktop/test_real_window.py",
)


# What has to be on the disk waits for the disk: half of the time of tests that file much. Where memory is mounted as a
# folder and has room for all that they write, they write there; after a failure it is left, and named at the end.
# PYTEST_DEBUG_TEMPROOT names another place.
_MEMORY, _ROOM_BYTES = Path("/dev/shm"), 6 << 30


def _in_memory() -> Path | None:
    """Makes a folder in memory for this run; None where there is no room, or another place is named."""
    if "PYTEST_DEBUG_TEMPROOT" in os.environ or not os.access(_MEMORY, os.W_OK):
        return None
    if shutil.disk_usage(_MEMORY).free < _ROOM_BYTES:
        return None
    made = Path(tempfile.mkdtemp(prefix="workstation-tests-", dir=_MEMORY))
    os.environ["PYTEST_DEBUG_TEMPROOT"] = str(made)
    return made


MADE_IN_MEMORY = _in_memory()


def pytest_sessionfinish(exitstatus: int) -> None:
    if MADE_IN_MEMORY is not None:  # a worker of xdist has been told of it, and made none
        if exitstatus == pytest.ExitCode.TESTS_FAILED:
            print(f"\nWhat the tests wrote is in {MADE_IN_MEMORY}")
        else:
            shutil.rmtree(MADE_IN_MEMORY, ignore_errors=True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One worker more than cores: a quarter of the time tests wait for other processes."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Modules and tests stay to the end: the garbage collector neither goes through them again and again while they
    come, nor later; through what tests leave it goes seldom."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()
        gc.set_threshold(700, 10, 100)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    rank = {here / name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(item.path, len(LONG)))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--new-goldens", action="store_true", help="Write the golden pictures anew instead of comparing with them."
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _strictly((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _strictly((yield))


def _strictly(report: Report) -> Report:
    """A report of something that was skipped, as a failure where that counts as one."""
    if os.environ.get("WORKSTATION_TEST_STRICT") == "1" and report.skipped and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        allowed = [pattern for pattern, _ in _MAY_SKIP]
        allowed += [] if os.environ.get("WORKSTATION_TEST_DATA") else [_DATA_SET]
        allowed += [] if os.environ.get("WORKSTATION_TEST_FAILING") else [_FAILING]
        if not any(re.match(f"(?:Skipped: )?(?:{pattern})", reason) for pattern in allowed):
            report.outcome, report.longrepr = "failed", f"not run, and WORKSTATION_TEST_STRICT is set: {reason}"
    return report
