"""Releasing and discarding what is in quarantine, with who did it and why in the audit trail."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Literal

from dicom_io.archive import quarantine
from dicom_io.errors import NotFound, NotReadable
from dicom_io.files.instance import Instance
from workstation.audit.trail import by_study, late, trail_of
from workstation.site import Site


def release(name: str, site: Site, person_id: str, why: str = "") -> Instance:
    """Keeps a file in quarantine instead of the instance that was kept so far, which goes there. Returns the new one.

    person_id : who does it, by ID or account. Raises NotFound, NotReadable, Busy.
    """
    touched = []
    with suppress(NotFound):
        touched.append(site.archive.instance(quarantine.header_of(site.archive, name).sop_instance_uid))
    kept = quarantine.release(site.archive, name)
    _note(site, [*(i for i in touched if i.study_uid != kept.study_uid), kept], "U", person_id, why)
    return kept


def discard(name: str, site: Site, person_id: str, why: str = "") -> None:
    """Deletes a file in quarantine for good. Raises NotFound."""
    known = []
    with suppress(NotReadable):  # half a file is nobody's
        known.append(quarantine.header_of(site.archive, name))
    quarantine.discard(site.archive, name)
    _note(site, known, "D", person_id, why)


def _note(site: Site, what: Iterable[Instance], action: Literal["U", "D"], person_id: str, why: str) -> None:
    trail = trail_of(site.config, site.root)
    for study in by_study(what):
        with late():
            trail.accessed(person_id, study, action, site.clock(), why=why)
