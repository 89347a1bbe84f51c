"""Making a proposal: the volume is built, the protocol drawn, and the tools are run.

It runs in a process of its own, knows no database, and writes nothing but its folder; so it may as well run on another
host that sees the same files.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from dicom_io.errors import NotReadable, VolumeRefused
from dicom_io.files.series import Series
from dicom_io.volumes import build_volume
from render.draw import draw
from render.engine.choice import EngineName, choose
from render.engine.cpu import ENGINE_VERSION
from render.errors import RenderError
from render.geometry import Matrix, inverse
from render.mask_steps import Automatic
from render.presets import load_preset
from render.protocols import drawable, load_protocol
from render.recipe import LabelRule, Recipe, RecipeError, VolumeRendering
from render.volume import Volume
from workstation.preparation.priors import FoundPrior
from workstation.preparation.proposals import (
    PreparedPicture,
    PreparedPrior,
    PreparedProposal,
    attempt_at,
    digest_of_sources,
    write_content,
    write_picture,
    write_progress,
)
from workstation.preparing import PrepareRule, Tool

_TOOL_PX = 512
# What a structure is drawn with.
_PRESETS: dict[Tool, str] = {"bone": "ct_bone", "vessels": "ct_vessels", "lungs": "ct_lung"}


@dataclass(frozen=True, slots=True)
class PreparationWork:
    """What is to be made. which : the number of the volume where the series makes several. folder : where, absolute.
    prior : the one to register, where the rule wants one."""

    series: Series
    rule: PrepareRule
    which: int | None
    revision: int
    engine: EngineName
    folder: str
    prior: FoundPrior | None = None


@dataclass(frozen=True, slots=True)
class PreparationMade:
    """What became of it. size : of the folder in bytes. refused : why nothing can be made of this series, however often
    it is tried; empty where something was made."""

    size: int = 0
    pictures: int = 0
    refused: str = ""


# Draws and writes the pictures of a proposal, in order: volume, recipes, what is to be made, the folder.
DrawAll = Callable[[Volume, Sequence[Recipe], PreparationWork, Path], Iterable[PreparedPicture]]


def in_turn(
    volume: Volume, recipes: Sequence[Recipe], work: PreparationWork, folder: Path
) -> Iterator[PreparedPicture]:
    """Draws one picture after the other, here."""
    engine = choose(work.engine)
    for number, recipe in enumerate(recipes, 1):
        yield write_picture(draw(volume, recipe, engine=engine.for_recipe(recipe)), recipe, folder, number)


def make_proposal(work: PreparationWork, draw_all: DrawAll = in_turn) -> PreparationMade:
    """Makes a proposal in its folder. Raises whatever may be otherwise at the next try, such as OSError and
    MemoryError."""
    whole = Path(work.folder)
    folder = attempt_at(whole)
    try:
        folder.mkdir(parents=True)
        made = _made(work, folder, draw_all)
        if not made.refused:
            shutil.rmtree(whole, ignore_errors=True)
            folder.replace(whole)
        return made
    except (VolumeRefused, RenderError, NotReadable) as error:
        shutil.rmtree(folder, ignore_errors=True)
        return PreparationMade(refused=str(error))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _made(work: PreparationWork, folder: Path, draw_all: DrawAll) -> PreparationMade:
    write_progress(folder, "volume")
    volume = build_volume(work.series, work.which)
    notes: list[str] = []
    recipes: list[Recipe] = []
    try:
        if work.rule.protocol:
            found, missing = drawable(volume, load_protocol(work.rule.protocol))
            recipes += found
            notes += missing
    except RecipeError as error:
        if not work.rule.tools:
            raise
        notes.append(str(error))
    for recipe, what in _of_tools(volume, work.rule.tools, {recipe.name for recipe in recipes}, folder):
        recipes += [recipe] if recipe is not None else []
        notes.append(what)
    prior = None
    if work.prior is not None:
        prior, why = _registered(volume, work.prior, folder)
        notes += [why] if why else []
    write_progress(folder, "pictures", len(recipes))
    pictures = list(draw_all(volume, recipes, work, folder))
    if not pictures and prior is None:
        return PreparationMade(refused=" ".join(notes))
    proposal = PreparedProposal(
        1, work.series.uid, work.which, work.rule.name, work.rule.protocol, work.revision,
        digest_of_sources(volume.source_uids), volume.digest, ENGINE_VERSION, tuple(notes), tuple(pictures), prior,
    )  # fmt: skip
    return PreparationMade(write_content(proposal, folder), len(pictures))


def _registered(volume: Volume, prior: FoundPrior, folder: Path) -> tuple[PreparedPrior | None, str]:
    """Registers a prior with a volume. Returns how it lies, and a warning; or None and why it was declined."""
    from render.registration import register

    write_progress(folder, "registration")
    other = build_volume(prior.series, prior.which)
    found = register(volume, other)
    if found.declined:
        return None, f"The prior of {prior.study_date} is left out: {found.declined}"
    rows = tuple(tuple(round(float(value), 6) for value in row) for row in inverse(found.affine).tolist())
    made = PreparedPrior(
        prior.series.uid, prior.which, prior.study_date, digest_of_sources(other.source_uids), cast(Matrix, rows),
        found.quality, found.overlap, found.sharpness, found.warning,
    )  # fmt: skip
    return made, found.warning


def _of_tools(
    volume: Volume, tools: tuple[Tool, ...], taken: set[str], folder: Path
) -> Iterator[tuple[Recipe | None, str]]:
    """Yields for each tool the recipe that shows what it finds alone, or None, and a sentence about it."""
    from render.segment import find, volume_ml

    for tool in tools:
        write_progress(folder, tool)
        finding = find(volume, tool)
        if finding.declined:
            yield None, f"{tool} is left out: {finding.declined}"
            continue
        name = f"{tool.capitalize()} found"
        recipe = VolumeRendering(
            load_preset(_PRESETS[tool]), rows=_TOOL_PX, columns=_TOOL_PX, fit="shown", segments=(Automatic(tool),),
            masking=(LabelRule(1, "include"),), name=name if name not in taken else f"{name} (2)",
        )  # fmt: skip
        yield recipe, f"{tool}: {volume_ml(volume, finding.region):.0f} ml, confidence {finding.confidence:.2f}"
