"""How thoroughly a test goes: `make test` and `make slow` take a part of the examples of a property and of the changes
of a mutation test, `make check-all` takes all of them."""

import os
from typing import Any

import pytest

THOROUGH = os.environ.get("WORKSTATION_TEST_THOROUGH") == "1"


def examples(count: int) -> int:
    """Returns how many of `count` examples hypothesis draws: a third, and at least five."""
    return count if THOROUGH else max(count // 3, min(count, 5))


def slowly(*values: object) -> list[Any]:
    """Returns parameters that are tried with the slow tests alone: others go the same ways of the code sooner."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


def one_in(count: int) -> int:
    """Returns the step through a list of which one in `count` is enough for now."""
    return 1 if THOROUGH else count
