"""A mask that several threads want at once is made once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from render import MaskStep, StepError, Values, Volume
from render.geometry import affine_from
from render.segment import made, making

FIRST, SECOND = Values(10.0, 20.0, 1), Values(30.0, 40.0, 2)


@pytest.fixture
def volume() -> Volume:
    values = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    return Volume(values, affine_from((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)), "HU")


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[list[MaskStep], threading.Event, threading.Event]]:
    """Has the first step wait until it is told to go on, and fail where that is wanted."""

    def wait(fails: int = 0) -> tuple[list[MaskStep], threading.Event, threading.Event]:
        carried_out, begun, go_on = list[MaskStep](), threading.Event(), threading.Event()
        carry_out: Any = making._carry_out

        def carry(volume: Volume, step: MaskStep, labels: Any) -> None:
            carried_out.append(step)
            begun.set()
            assert go_on.wait(60)
            if len(carried_out) <= fails:
                raise StepError("Nothing was found.")
            carry_out(volume, step, labels)

        monkeypatch.setattr(making, "_carry_out", carry)
        return carried_out, begun, go_on

    return wait


def test_others_wait_for_who_began(volume: Volume, slowly: Any) -> None:
    carried_out, begun, go_on = slowly()
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(made, volume, (FIRST,))
        assert begun.wait(60)
        others = [pool.submit(made, volume, (FIRST,)), *(pool.submit(made, volume, (FIRST, SECOND)) for _ in range(2))]
        go_on.set()
        assert others[0].result(60) is first.result(60)
        assert others[1].result(60) is others[2].result(60)
    assert carried_out == [FIRST, SECOND]
    assert np.array_equal(others[1].result().labels == 2, (volume.voxels >= 30) & (volume.voxels <= 40))


def test_another_mask_waits_for_nobody(volume: Volume, slowly: Any) -> None:
    _, begun, go_on = slowly()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(made, volume, (FIRST,))
        assert begun.wait(60)
        begun.clear()
        second = pool.submit(made, volume, (SECOND,))
        assert begun.wait(60)  # although the first one is not done
        go_on.set()
        assert first.result(60).counts[1] == 11 and second.result(60).counts[2] == 11


def test_who_waited_tries_where_it_failed(volume: Volume, slowly: Any) -> None:
    carried_out, begun, go_on = slowly(fails=1)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(made, volume, (FIRST,))
        assert begun.wait(60)
        second = pool.submit(made, volume, (FIRST,))
        go_on.set()
        with pytest.raises(StepError):
            first.result(60)
        assert second.result(60).counts[1] == 11
    assert carried_out == [FIRST, FIRST]
