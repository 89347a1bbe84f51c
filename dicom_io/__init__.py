"""DICOM in and out: receive, archive, read series, build volumes, write derived objects and SR, send."""

from pydicom import config

# What scanners write breaks value rules every day. We check what a volume or a charge rests on ourselves and say so
# in our own words; a warning per wrong value on stderr helps nobody. What we write ourselves is checked strictly.
config.settings.reading_validation_mode = config.IGNORE
