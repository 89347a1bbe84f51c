"""Files kept durably, with an index."""

from dicom_io.archive.archive import Archive

__all__ = ["Archive"]
