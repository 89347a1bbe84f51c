"""A directory (DICOMDIR) of files that are given out together. Sources: PS3.3 F (Basic Directory), PS3.10 8."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.fileset import FileSet
from pydicom.sequence import Sequence

from dicom_io.errors import NotReadable


def directory_of(files: Iterable[Path]) -> tuple[bytes, dict[str, str]]:
    """Returns a DICOMDIR, and the place that it gives each file, relative and with `/`, by SOP Instance UID.

    Only headers are read, and nothing is copied. Raises NotReadable where a file lacks what a directory needs.
    """
    found = FileSet()
    try:
        for file in files:
            found.add(_header(dcmread(file, stop_before_pixels=True)))
        with tempfile.TemporaryDirectory() as folder:
            found.write(Path(folder))
            places = {str(each.SOPInstanceUID): "/".join(Path(each.FileID).parts) for each in found}
            return (Path(folder) / "DICOMDIR").read_bytes(), places
    except (AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        raise NotReadable(f"No DICOMDIR can be made: {error}") from error
    finally:
        # pydicom has a folder of its own, which it leaves to the garbage collector.
        found._stage["t"].cleanup()


def _header(ds: Dataset) -> Dataset:
    """Returns what a directory record is made of: pydicom takes a document's content as a whole, where the standard
    wants what modifies its title. Source: PS3.3 F.5.25 (SR Document), F.5.26 (Key Object Document)."""
    if "EncapsulatedDocument" in ds:
        ds.EncapsulatedDocument = b""
    if "ContentSequence" in ds:
        modifiers = [item for item in ds.ContentSequence if item.get("RelationshipType") == "HAS CONCEPT MOD"]
        if modifiers:
            ds.ContentSequence = Sequence(modifiers)
        else:
            del ds.ContentSequence
    observers = ds.get("VerifyingObserverSequence")
    if observers:
        ds.VerificationDateTime = observers[0].VerificationDateTime
    return ds
