"""Links in both databases: found by their digest, revoked once, and guesses counted before they are looked at."""

from dataclasses import replace
from threading import Barrier, Thread

import pytest
from sqlalchemy import Engine

from workstation.store.result_links import ResultLink, ResultLinks

LINK = ResultLink(0, "a" * 64, "1.2.3", "ACC1", "Dr. Stone", "meier", 10.0, 100.0, "hash", 1, 0.0, "", 0, 0.0, 0, 0.0)


@pytest.fixture
def store(engine: Engine) -> ResultLinks:
    return ResultLinks(engine)


def test_a_link_is_found_by_its_digest_alone(store: ResultLinks) -> None:
    kept = store.add(LINK)
    other = store.add(replace(LINK, token_sha256="b" * 64, session="4.5.6"))
    assert kept == replace(LINK, place=kept.place)
    assert store.of_token("a" * 64) == kept
    assert store.of_token("c" * 64) is None
    assert store.all() == (other, kept)
    assert store.all("1.2.3") == (kept,)


def test_it_holds_until_it_expires_or_is_revoked(store: ResultLinks) -> None:
    kept = store.add(LINK)
    assert kept.holds(99.9)
    assert not kept.holds(100.0)
    assert store.revoke(kept.place, "stone", 50.0)
    assert not store.revoke(kept.place, "other", 60.0)
    assert not store.revoke(kept.place + 1, "other", 60.0)
    found = store.at(kept.place)
    assert found is not None and (found.revoked_s, found.revoked_by, found.holds(55.0)) == (50.0, "stone", False)


def test_uses_are_counted(store: ResultLinks) -> None:
    kept = store.add(LINK)
    store.used(kept.place, 20.0)
    store.used(kept.place, 30.0)
    found = store.at(kept.place)
    assert found is not None and (found.uses, found.used_s) == (2, 30.0)


def test_guesses_cost_a_pause_and_end(store: ResultLinks) -> None:
    place = store.add(LINK).place

    def try_at(now_s: float) -> bool:
        return store.take_try(place, now_s, free=2, pause_s=10.0, most=4)

    assert [try_at(1.0), try_at(2.0), try_at(3.0), try_at(11.9)] == [True, True, False, False]
    assert [try_at(12.0), try_at(21.0), try_at(22.0)] == [True, False, True]
    assert not try_at(1000.0)  # the fourth was the last
    store.right_word(place)
    assert try_at(1001.0)


def test_guesses_at_the_same_time_all_count(store: ResultLinks) -> None:
    place, together, found = store.add(LINK).place, Barrier(6), []

    def guess() -> None:
        together.wait()
        found.append(store.take_try(place, 1.0, free=3, pause_s=10.0, most=9))

    threads = [Thread(target=guess) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(found) == 3
