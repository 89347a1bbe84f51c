"""The automatic tools: a structure found without a click, how sure that is, or the reason why the tool declines."""

import threading
import weakref
from collections.abc import Callable

from render.mask_steps import Structure
from render.segment.bone import bone
from render.segment.brain import brain
from render.segment.filled_vessels import filled_vessels
from render.segment.finding import Finding
from render.segment.trunk import airways, body, lungs, nothing
from render.volume import Volume

_TOOLS: dict[Structure, Callable[[Volume], Finding]] = {
    "body": body,
    "lungs": lungs,
    "airways": airways,
    "bone": bone,
    "brain": brain,
    "vessels": lambda volume: filled_vessels(volume, find),
}
_LEAST = 0.1  # a tool that is less sure declines
_known: "weakref.WeakKeyDictionary[Volume, dict[Structure, Finding]]" = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def find(volume: Volume, structure: Structure) -> Finding:
    """Finds a structure. It is found once for a volume, and remembered as long as the volume lives."""
    with _lock:
        known = _known.setdefault(volume, {}).get(structure)
    if known is None:
        known = _TOOLS[structure](volume)
        if not known.declined and known.confidence < _LEAST:
            known = nothing(volume, f"What was found for {structure} is too unlike it to be believed.")
        known.region.setflags(write=False)
        with _lock:
            _known.setdefault(volume, {})[structure] = known
    return known
