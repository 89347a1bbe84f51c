"""Key images of a series that is read in 2D: a selection of its own, stored and sent as a document is."""

from collections.abc import Sequence

from dicom_io.evidence import ImageReference, Person
from dicom_io.files.headers import read_dataset
from dicom_io.sr.key_objects import KEY_OBJECT_SELECTION, write_key_objects
from dicom_io.uids import derived
from dicom_io.volumes import SeriesImage
from workstation.billing.address import address_documents
from workstation.site import Site


def keep_key_images(chosen: Sequence[SeriesImage], chosen_by: Person, site: Site) -> str:
    """Stores a Key Object Selection of images of one series, and queues it for whoever takes images. Returns its SOP
    Instance UID; the same images chosen again by the same person are the same selection.

    Raises ValueError where none is chosen; OSError and what else storing raises.
    """
    if not chosen:
        raise ValueError("No image is marked; mark the key images first.")
    first, frames = chosen[0].instance, dict[str, list[int]]()
    references = dict[str, ImageReference]()
    for each in chosen:
        uid = each.instance.sop_instance_uid
        references[uid] = ImageReference(each.instance.sop_class_uid, uid, each.instance.series_uid)
        if len(each.instance.frames) > 1:
            frames.setdefault(uid, []).append(each.frame + 1)
    words = [f"{uid} {sorted(frames.get(uid, ()))}" for uid in sorted(references)]
    session, at = derived("key images", first.series_uid, chosen_by.id, *words), site.clock()
    # The series follows from who chose what; the object has the time in it as well.
    known = {
        each.series_uid: each.sop_instance_uid
        for each in site.archive.instances_of(KEY_OBJECT_SELECTION, first.accession)
    }
    made = write_key_objects(
        tuple(references.values()), chosen_by, read_dataset(first.path), first.study_uid, site.stamp(session, at),
        frames=frames, of_report=False,
    )  # fmt: skip
    if made.SeriesInstanceUID in known:
        return known[made.SeriesInstanceUID]
    kept = site.archive.keep([made])
    site.outbox.queue(address_documents(kept, first.accession, site.config, site.archive.root), at)
    return str(made.SOPInstanceUID)
