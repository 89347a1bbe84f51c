"""In which order messages are delivered, how many at once, and how long to wait after a failure."""

from collections import defaultdict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial

from workstation.store.messages import TRIES, Delivery, Message, QueuedMessage
from workstation.store.outbox import Outbox

_MOST_AT_ONCE = 16


def deliver_pending(
    outbox: Outbox,
    deliver: Callable[[Message], Delivery],
    clock: Callable[[], datetime],
    pause: Callable[[QueuedMessage], timedelta] = lambda entry: timedelta(0),
    at_once: Callable[[Message], int] = lambda message: 1,
) -> tuple[tuple[Message, Delivery], ...]:
    """Try once to deliver everything pending, oldest first; return what was tried and how it ended.

    A message waits while an earlier one of the same accession or of the same account to the same destination is not
    done, so that no charge overtakes its evidence, and no charge its credit. An `OSError` from `deliver` is
    recorded as `failed` and ends this destination's turn. Any other exception passes through, and leaves its
    message as it was.

    pause : how long to wait after the last attempt at a message, see `backoff`.
    at_once : how many messages go to the destination of this one at a time, each on a thread; where that is more
    than one, none of them waits for another.
    """
    tried: list[tuple[Message, Delivery]] = []
    waiting: set[tuple[str, str, str]] = set()
    down: set[str] = set()
    silent: dict[str, int] = defaultdict(int)
    under_way: dict[str, deque[tuple[Message, Future[Delivery]]]] = defaultdict(deque)

    def ended(message: Message, result: Callable[[], Delivery]) -> Delivery:
        try:
            delivery = result()
        except OSError as error:
            delivery = Delivery("failed", str(error))
            down.add(message.destination)
        outbox.attempted(message.key, clock(), delivery)
        tried.append((message, delivery))
        # One that answers nothing three times over would cost its whole time limit for every message.
        silent[message.destination] = silent[message.destination] + 1 if delivery.outcome == "failed" else 0
        if silent[message.destination] >= TRIES:
            down.add(message.destination)
        return delivery

    with ThreadPoolExecutor(_MOST_AT_ONCE) as pool:
        for entry in outbox.open_messages():
            message = entry.message
            many = min(at_once(message), _MOST_AT_ONCE)
            # Without an accession there is nothing to keep an order in.
            own = message.accession if many == 1 else ""
            turns = {(message.destination, "accession", own or message.key)}
            if message.account:
                turns.add((message.destination, "account", message.account))
            blocked = bool(turns & waiting) or message.destination in down
            waiting |= turns
            if blocked or entry.state == "operator":
                continue
            # A clock that was set back must not hold a message until it has caught up.
            if entry.last_at is not None and timedelta(0) <= clock() - entry.last_at < pause(entry):
                continue
            if many > 1:
                going = under_way[message.destination]
                going.append((message, pool.submit(deliver, message)))
                if len(going) >= many:
                    first, future = going.popleft()
                    ended(first, future.result)
            elif ended(message, partial(deliver, message)).outcome == "acknowledged":
                waiting -= turns
        for going in under_way.values():
            for message, future in going:
                ended(message, future.result)
    return tuple(tried)


def backoff(entry: QueuedMessage, first_s: float, most_s: float) -> timedelta:
    """Return the pause after an entry's failures: `first_s`, doubled with each further one, at most `most_s`."""
    doublings = min(entry.failures - 1, 30)
    return timedelta(seconds=min(first_s * 2**doublings, most_s) if entry.failures else 0.0)
