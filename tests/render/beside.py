"""Whether other threads run beside slow work, as a window's has to."""

import threading
import time
from collections.abc import Callable


def turns_beside(work: Callable[[], object]) -> int:
    """Does the work on a thread of its own, and returns how many turns of a millisecond another one had meanwhile."""
    worker = threading.Thread(target=work)
    turns = 0
    worker.start()
    while worker.is_alive():
        time.sleep(0.001)
        turns += 1
    return turns
