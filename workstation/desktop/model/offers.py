"""The volumes that the images of a series make, and those that they make with gaps bridged. Knows no Qt."""

from dataclasses import dataclass

from dicom_io.errors import VolumeRefused
from dicom_io.files.series import Series
from dicom_io.volumes.build import RefusedImages, Stack, find_stacks, stacks_of


@dataclass(frozen=True, slots=True)
class VolumeOffer:
    """A volume that a series makes. title : what sets it apart, and of how many slices. which : its number, None for
    the only one. bridged : whether missing slices have to be interpolated from their neighbours."""

    title: str
    which: int | None
    bridged: bool = False


def volumes_of(series: Series) -> tuple[VolumeOffer, ...]:
    """Returns a series' volumes, in order. Raises VolumeRefused with the reason when it has none."""
    stacks = stacks_of(series)
    return tuple(_offer(stack, n if len(stacks) > 1 else None) for n, stack in enumerate(stacks))


def bridged_volumes_of(series: Series) -> tuple[VolumeOffer, ...]:
    """Returns the volumes that a series makes only where its missing slices are interpolated."""
    whole = find_stacks(series)
    if not any(isinstance(part, RefusedImages) and part.bridgeable for part in whole):
        return ()
    bridged = [stack for stack in find_stacks(series, bridge_gaps=True) if isinstance(stack, Stack)]
    numbers = [n if len(bridged) > 1 else None for n in range(len(bridged))]
    return tuple(_offer(s, n, True) for s, n in zip(bridged, numbers, strict=True) if s not in whole)


def comparable_volumes_of(series: Series) -> tuple[VolumeOffer, ...]:
    """Returns the volumes of a series that another one can be compared with, those with gaps bridged too. Raises
    VolumeRefused with the reason when there is none."""
    bridged = bridged_volumes_of(series)
    try:
        return (*volumes_of(series), *bridged)
    except VolumeRefused:
        if not bridged:
            raise
        return bridged


def _offer(stack: Stack, which: int | None, bridged: bool = False) -> VolumeOffer:
    return VolumeOffer(f"{stack.label or 'the volume'}, {len(stack.slices)} slices", which, bridged)
