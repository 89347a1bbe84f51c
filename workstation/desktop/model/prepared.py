"""What was prepared of a volume before anybody looked, as the tray takes it. Knows no Qt."""

from dataclasses import dataclass, replace
from pathlib import Path

from render.engine.cpu import ENGINE_VERSION
from render.recipe import Recipe, read_recipe
from render.volume import Volume
from workstation.preparation.proposals import digest_of_sources, proposal_in, still_of
from workstation.site import Site


@dataclass(frozen=True, slots=True)
class PreparedPictures:
    """recipes : of the pictures, in order. stills : files with a frame of each, by its recipe without its name; none of
    what another version of the engine drew."""

    recipes: tuple[Recipe, ...]
    stills: dict[Recipe, Path]


def prepared_of(site: Site, series_uid: str, which: int | None, volume: Volume) -> PreparedPictures:
    """Returns what was prepared of a volume by all rules; nothing of what was made of the series as it was before."""
    recipes: list[Recipe] = []
    stills: dict[Recipe, Path] = {}
    sources = digest_of_sources(volume.source_uids)
    for preparation in site.preparations.of_series(series_uid):
        proposal = proposal_in(site.archive.root, preparation)
        if proposal is None or (proposal.which, proposal.sources) != (which, sources):
            continue
        for picture in proposal.pictures:
            recipe = read_recipe(picture.recipe)
            recipes.append(recipe)
            if proposal.engine_version == ENGINE_VERSION:
                stills[replace(recipe, name="")] = still_of(site.archive.root, preparation, picture)
    return PreparedPictures(tuple(recipes), stills)
