"""DICOM in and out: receive, archive, read series, build volumes, write derived objects and SR, send."""

from pydicom import config

# Scanners break value rules every day, and a warning on stderr for each wrong value helps nobody. So we check the
# values that a volume or a charge rests on ourselves, with our own messages. Our own objects are checked strictly.
config.settings.reading_validation_mode = config.IGNORE
