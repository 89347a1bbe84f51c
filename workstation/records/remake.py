"""Makes a recorded picture again from its SR and the sources, and compares the two."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dicom_io.archive import Archive
from dicom_io.errors import NotFound, NotReadable
from dicom_io.evidence import Evidence, Product
from dicom_io.files.series import Series, scan
from dicom_io.objects.segmentation import SEGMENTATION
from dicom_io.objects.segmentation_reading import read_segmentation
from dicom_io.volumes.build import Stack, assemble, find_stacks
from render.draw import draw
from render.picture import Picture
from render.progress import Progress
from render.recipe import Reformat, VolumeRendering, read_recipe
from render.segment import give
from render.volume import Volume


@dataclass(frozen=True, slots=True)
class Remade:
    """A product of an SR, drawn again here. The digests are of the pixels: recorded, and now."""

    product: Product
    picture: Picture

    @property
    def same(self) -> bool:
        return self.picture.digest == self.product.pixel_digest

    @property
    def difference(self) -> str:
        """Why the pictures may differ, in words; empty when they are the same."""
        made = self.picture.provenance
        if self.same:
            return ""
        if made.device != self.product.graphics_device:
            return f"recorded on {self.product.graphics_device or 'the cpu'}, this is {made.device or 'the cpu'}"
        if (made.engine, made.engine_version) != (self.product.engine, self.product.engine_version):
            return (
                f"recorded with engine {self.product.engine} {self.product.engine_version}, "
                f"this is {made.engine} {made.engine_version}"
            )
        return "same engine and version, other pixels: the record or the sources were changed"


class Remaker:
    """Makes a record's pictures again. Raises NotFound when the sources are not there."""

    def __init__(self, evidence: Evidence, sources: Path | Archive) -> None:
        self._series = recorded_series(evidence, sources)
        self._fused = fused_series(evidence, sources)
        self._volumes: dict[str, Volume] = {}
        self._kept = _kept_masks(evidence, sources)

    def picture(self, product: Product) -> Remade:
        """Draws a product again. Raises NotFound as `volume`, and RecipeError, DrawError and NotReadable."""
        # A gap that was bridged then is bridged again; without gaps both ways find the same stacks.
        bridged = any("bridged" in warning for warning in product.warnings)
        recipe, volume = read_recipe(product.recipe), self.volume(product.volume_digest, bridged)
        fusion = recipe.fusion if isinstance(recipe, Reformat | VolumeRendering) else None
        second = self.volume(fusion.volume_digest, bridged) if fusion is not None else None
        return Remade(product, draw(volume, recipe, second=second, engine=product.engine))

    def volume(self, digest: str, bridged: bool = False) -> Volume:
        """Builds the volume with that digest. Raises NotFound when no volume of the series, or of those fused with it,
        has it."""
        for series in (self._series, *self._fused):
            if digest in self._volumes:
                break
            for stack in find_stacks(series, bridge_gaps=bridged):
                if isinstance(stack, Stack):
                    volume = assemble(stack)
                    self._give(volume)
                    self._volumes[volume.digest] = volume
        if digest not in self._volumes:
            raise NotFound(
                f"No volume of series {self._series.uid} is the recorded one: a source instance was changed, or the "
                "record was."
            )
        return self._volumes[digest]

    def _give(self, volume: Volume) -> None:
        """Gives a volume the masks that were kept beside the record, for the steps that name them."""
        for path in self._kept:
            with suppress(NotReadable):  # of another volume, or damaged: the step that needs it says what is missing
                give(volume, read_segmentation(path, volume).mask)


def _kept_masks(evidence: Evidence, sources: Path | Archive) -> tuple[Path, ...]:
    wanted = {each.sop_instance_uid for each in evidence.objects if each.sop_class_uid == SEGMENTATION}
    if not wanted or not any('"given"' in product.recipe for product in evidence.products):
        return ()
    if isinstance(sources, Archive):
        found = []
        for uid in sorted(wanted):
            with suppress(NotFound):
                found.append(Path(sources.instance(uid).path))
        return tuple(found)
    return tuple(Path(i.path) for s in scan(sources).series for i in s.instances if i.sop_instance_uid in wanted)


def remake(
    evidence: Evidence, sources: Path | Archive, progress: Progress = lambda what, part: None
) -> Iterator[Remade]:
    """Draws every product of a record again, in order. Raises as `Remaker`."""
    remaker = Remaker(evidence, sources)
    for number, product in enumerate(evidence.products, start=1):
        yield remaker.picture(product)
        progress(f"drawing {product.name}", number / len(evidence.products))


def recorded_series(evidence: Evidence, sources: Path | Archive) -> Series:
    """Returns the series that the record was made from, with only the recorded instances. Raises NotFound."""
    return _recorded(evidence, sources, evidence.sources[0].series_uid if evidence.sources else "")


def fused_series(evidence: Evidence, sources: Path | Archive) -> tuple[Series, ...]:
    """Returns the other series that the record was made from, fused with the first. Raises NotFound."""
    uids = list(dict.fromkeys(source.series_uid for source in evidence.sources))
    return tuple(_recorded(evidence, sources, uid) for uid in uids[1:])


def _recorded(evidence: Evidence, sources: Path | Archive, uid: str) -> Series:
    if isinstance(sources, Archive):
        series = sources.series(uid)
    else:
        series = next((s for s in scan(sources).series if s.uid == uid), Series(uid, ()))
    recorded = {s.sop_instance_uid for s in evidence.sources if s.series_uid == uid}
    found = tuple(i for i in series.instances if i.sop_instance_uid in recorded)
    if len(found) < len(recorded):
        place = sources.root if isinstance(sources, Archive) else sources
        raise NotFound(f"{len(recorded) - len(found)} of {len(recorded)} source instances are not in {place}.")
    return Series(uid, found)
