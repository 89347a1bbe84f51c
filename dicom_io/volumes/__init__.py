"""Slices to a volume, or the reason why not."""

from dicom_io.volumes.build import build_volume

__all__ = ["build_volume"]
