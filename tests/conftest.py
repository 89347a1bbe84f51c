"""The one flag of golden pictures; see tests/golden/compare.py."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--new-goldens", action="store_true", help="Write the golden pictures anew instead of comparing with them."
    )
