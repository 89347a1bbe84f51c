"""What was prepared of a volume before anybody looked, as the tray takes it. Knows no Qt."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from dicom_io.errors import NotFound, NotReadable, VolumeRefused
from render.engine.cpu import ENGINE_VERSION
from render.recipe import Recipe, read_recipe
from render.volume import Volume
from workstation.desktop.model.identity import SeriesIdentity
from workstation.desktop.model.screen import Compared, VolumeKey
from workstation.preparation.proposals import PreparedPrior, digest_of_sources, proposal_in, still_of
from workstation.site import Site
from workstation.store.preparation_rows import Preparation


@dataclass(frozen=True, slots=True)
class PreparedPictures:
    """recipes : of the pictures, in order. stills : files with a frame of each, by its recipe without its name; none of
    what another version of the engine drew. priors : that were registered. warnings : for the reader."""

    recipes: tuple[Recipe, ...]
    stills: dict[Recipe, Path]
    priors: tuple[PreparedPrior, ...] = ()
    warnings: tuple[str, ...] = ()


def prepared_of(site: Site, series_uid: str, which: int | None, volume: Volume) -> PreparedPictures:
    """Returns what was prepared of a volume by all rules; nothing of what was made of the series as it was before."""
    recipes: list[Recipe] = []
    stills: dict[Recipe, Path] = {}
    priors: list[PreparedPrior] = []
    sources = digest_of_sources(volume.source_uids)
    rows = site.preparations.of_series(series_uid)
    for preparation in rows:
        proposal = proposal_in(site.archive.root, preparation)
        if proposal is None or (proposal.which, proposal.sources) != (which, sources):
            continue
        for picture in proposal.pictures:
            recipe = read_recipe(picture.recipe)
            recipes.append(recipe)
            if proposal.engine_version == ENGINE_VERSION:
                stills[replace(recipe, name="")] = still_of(site.archive.root, preparation, picture)
        priors += [proposal.prior] if proposal.prior is not None else []
    making = any(row.state == "running" for row in rows)
    said = "It is being prepared at this moment; what is made is there when it is opened again."
    return PreparedPictures(tuple(recipes), stills, tuple(priors), (said,) if making else ())


def prepared_readings(site: Site) -> dict[str, tuple[str, Preparation | None]]:
    """Returns by series `prepared`, or `being prepared` with what is being made of it."""
    found: dict[str, tuple[str, Preparation | None]] = {
        row.series_uid: ("being prepared", row) for row in site.preparations.list("running")
    }
    return found | dict.fromkeys(site.preparations.ready_series(), ("prepared", None))


def same_persons(
    priors: tuple[PreparedPrior, ...], identity: SeriesIdentity, identity_of: Callable[[str], SeriesIdentity]
) -> tuple[PreparedPrior, ...]:
    """Returns the priors that are still there, and whose header names nobody else."""

    def is_same(prior: PreparedPrior) -> bool:
        try:
            return not identity.differs_from(identity_of(prior.series_uid))
        except (NotFound, NotReadable):
            return False

    return tuple(filter(is_same, priors))


def compared_with_prior(prior: PreparedPrior, volume_of: Callable[[VolumeKey], Volume]) -> tuple[Compared, Volume]:
    """Returns a prior beside the open study, as it was registered. volume_of : builds it; its errors are raised.

    Raises VolumeRefused where it has changed since.
    """
    compared = Compared(prior.series_uid, prior.which, matrix=prior.matrix)
    other = volume_of(compared.key)
    if digest_of_sources(other.source_uids) != prior.sources:
        raise VolumeRefused("The prior has changed since it was registered; choose it under View > Compare with.")
    return compared, other
