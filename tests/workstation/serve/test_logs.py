"""What libraries and accidents say becomes events, and no patient is in them."""

import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.workstation.serve.running import Serving
from workstation.serve.logs import guarded, tell_logs


@pytest.fixture
def told() -> Iterator[list[dict[str, Any]]]:
    """What is told; afterwards logging is as pytest had it."""
    root, hook = logging.getLogger(), threading.excepthook
    handlers, level = root.handlers, root.level
    events: list[dict[str, Any]] = []
    tell_logs(events.append, "receive 0")
    yield events
    logging.captureWarnings(False)
    root.handlers, threading.excepthook = handlers, hook
    root.setLevel(level)


def test_other_libraries_are_not_quoted(told: list[dict[str, Any]]) -> None:
    logging.getLogger("pydicom").warning("Invalid value: %s", "DOE^JANE")
    with warnings.catch_warnings():  # pytest shows warnings its own way until here
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.simplefilter("always")
        warnings.warn("Invalid value: 'DOE^JANE'", stacklevel=1)
        logging.captureWarnings(False)
    logging.getLogger("dicom_io.network").warning("%s broke off", "10.0.0.5")
    logging.getLogger("dicom_io.network").info("not told")
    assert [each["by"] for each in told] == ["pydicom", "py.warnings", "dicom_io.network"]
    assert "DOE" not in json.dumps(told) and told[2]["detail"] == "10.0.0.5 broke off"
    assert all(each["event"] == "log" and ".py:" in each["at_line"] for each in told)


def test_exceptions_are_told_by_their_type_and_way(told: list[dict[str, Any]]) -> None:
    def fail() -> None:
        raise ValueError("DOE^JANE")

    try:
        fail()
    except ValueError:
        logging.getLogger("dicom_io.x").exception("It failed")
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    with pytest.raises(SystemExit) as end:
        guarded("decide", told.append, fail)
    assert end.value.code == 1
    assert [each["error"] for each in told] == ["ValueError"] * 3
    assert all("test_logs.py:" in each["way"] for each in told) and "DOE" not in json.dumps(told)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="serve does not run there")
def test_every_line_of_serve_is_an_event_with_its_time(tmp_path: Path) -> None:
    """A warning before it starts as well; nothing is written past it."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "config.toml").write_text('roles = ["deliver"]\n[receiver]\nexpected_from = "nobody"\n')
    with Serving(root) as serving:
        serving.ask_to_stop()
        events = list(serving.events())
        assert serving.log() == ""
    assert events[-1]["event"] == "stopped"  # `Serving` has read the time of each line
