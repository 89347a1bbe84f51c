"""What messages on file state, each read once in a process: for questions over a month that are asked again."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any
from weakref import WeakKeyDictionary

from dicom_io.files.scanning import batches
from workstation.config import Config
from workstation.site import Site
from workstation.store.casebook import Casebook
from workstation.store.cases import Received

_TOGETHER = 200
# By casebook and question: the settings by which messages were read, and what each states, by its place. Messages on
# file never change; under other settings they are read anew.
_KNOWN: WeakKeyDictionary[Casebook, dict[str, tuple[Config, dict[int, Any]]]] = WeakKeyDictionary()


def read_once(
    site: Site, question: str, kinds: Sequence[str], since: date, until: date, read: Callable[[Received], Any]
) -> list[Any]:
    """Return what messages state that came from one day to another, both included, oldest first.

    question : names `read`; of one question it always gives the same of the same message. Its answers stay in memory.
    """
    config, known = _KNOWN.setdefault(site.casebook, {}).setdefault(question, (site.config, {}))
    if config is not site.config:
        known = {}
        _KNOWN[site.casebook][question] = site.config, known
    places = site.casebook.message_places(kinds, since, until)
    for some in batches([place for place in places if place not in known], _TOGETHER):
        known |= {received.place: read(received) for received in site.casebook.messages_at(some)}
    return [known[place] for place in places]
