"""Builds a volume from slices, or gives the reason why not."""

from dicom_io.volumes.build import build_volume

__all__ = ["build_volume"]
