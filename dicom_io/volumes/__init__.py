"""Builds a volume from slices, or gives the reason why not."""

from dicom_io.volumes.build import build_volume
from dicom_io.volumes.images import ImageStack, SeriesImage, stack_of

__all__ = ["ImageStack", "SeriesImage", "build_volume", "stack_of"]
