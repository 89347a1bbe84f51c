"""One signed session for all tests that only read it."""

from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from tests.workstation.results.signed import Signed, signed_session


@pytest.fixture(scope="session")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signed]:
    found = signed_session(tmp_path_factory.mktemp("signed") / "root")
    yield found
    found.site.papers.engine.dispose()


@pytest.fixture(autouse=True)
def _fast_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes that cost next to nothing."""
    monkeypatch.setattr("workstation.results.links._HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
