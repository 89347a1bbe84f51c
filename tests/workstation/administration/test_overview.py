"""What an overview says where work is claimed, and where the check of the storage fails."""

from collections.abc import Callable
from pathlib import Path

import pytest

from workstation.administration import storage_check
from workstation.administration.overview import age_in_words, overview_of
from workstation.administration.storage_check import StorageCheck
from workstation.site import Site
from workstation.store.preparation_rows import WantedPreparation


def test_claims_are_said_in_words(tmp_path: Path, site_at: Callable[..., Site]) -> None:
    site = site_at(tmp_path)
    (tmp_path / "last_backup").write_text("2026-03-01T02:00:00+00:00", encoding="ascii")
    site.preparations.plan("1.2", "A", 1, [WantedPreparation("head", 0)], 0.0, 0.0)
    assert site.preparations.claim(0.0) is not None
    with site.archive.leases.held("outbox"), site.archive.leases.held("other"):
        found = overview_of(site)
    assert {each.what for each in found.work} == {"delivers messages", "prepares a series", "other"}
    assert all(each.left_s > 0 for each in found.work)
    assert found.backup_at is not None and found.backup_at.year == 2026
    assert dict(found.queues)["Instances in quarantine"] == 0


@pytest.mark.parametrize(
    ("seconds", "words"), [(5, "5 s"), (90, "2 min"), (7000, "117 min"), (9000, "2 h"), (200_000, "2 d")]
)
def test_ages(seconds: float, words: str) -> None:
    assert age_in_words(seconds) == words


def test_a_check_that_fails_says_so_and_can_be_begun_again(
    tmp_path: Path, site_at: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, check = site_at(tmp_path), StorageCheck()

    def broken(*_: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(storage_check, "verify", broken)
    for _ in range(2):
        assert check.begin(site, "ad")
        assert check.thread is not None
        check.thread.join()
        assert check.state is not None and check.state.failed == "OSError: the disk is gone"
