"""The SOP classes and transfer syntaxes that we receive, open and send.

The receiver, the sender and the conformance statement all take them from this table.
UIDs from PS3.6 Annex A; storage classes from PS3.4 Annex B.5.
"""

from dataclasses import dataclass
from typing import Literal

StorageRole = Literal["source", "derived", "document"]


@dataclass(frozen=True, slots=True)
class StorageClass:
    """A storage SOP class. role : a source of volumes, a derived picture, or a document."""

    uid: str
    name: str
    role: StorageRole


# PS3.4 Table B.5-1
STORAGE_CLASSES: tuple[StorageClass, ...] = (
    StorageClass("1.2.840.10008.5.1.4.1.1.2", "CT Image", "source"),
    StorageClass("1.2.840.10008.5.1.4.1.1.2.1", "Enhanced CT Image", "source"),
    StorageClass("1.2.840.10008.5.1.4.1.1.2.2", "Legacy Converted Enhanced CT Image", "source"),
    StorageClass("1.2.840.10008.5.1.4.1.1.4", "MR Image", "source"),
    StorageClass("1.2.840.10008.5.1.4.1.1.4.1", "Enhanced MR Image", "source"),
    StorageClass("1.2.840.10008.5.1.4.1.1.4.4", "Legacy Converted Enhanced MR Image", "source"),
    StorageClass("1.2.840.10008.5.1.4.1.1.6.2", "Enhanced US Volume", "source"),
    StorageClass("1.2.840.10008.5.1.4.1.1.128", "PET Image", "source"),
    StorageClass("1.2.840.10008.5.1.4.1.1.130", "Enhanced PET Image", "source"),
    StorageClass("1.2.840.10008.5.1.4.1.1.128.1", "Legacy Converted Enhanced PET Image", "source"),
    StorageClass("1.2.840.10008.5.1.4.1.1.20", "Nuclear Medicine Image", "source"),
    StorageClass("1.2.840.10008.5.1.4.1.1.13.1.1", "X-Ray 3D Angiographic Image", "source"),
    StorageClass("1.2.840.10008.5.1.4.1.1.13.1.2", "X-Ray 3D Craniofacial Image", "source"),
    StorageClass("1.2.840.10008.5.1.4.1.1.30", "Parametric Map", "source"),
    StorageClass("1.2.840.10008.5.1.4.1.1.7", "Secondary Capture Image", "derived"),
    StorageClass("1.2.840.10008.5.1.4.1.1.7.2", "Multi-frame Grayscale Byte Secondary Capture", "derived"),
    StorageClass("1.2.840.10008.5.1.4.1.1.7.3", "Multi-frame Grayscale Word Secondary Capture", "derived"),
    StorageClass("1.2.840.10008.5.1.4.1.1.7.4", "Multi-frame True Color Secondary Capture", "derived"),
    StorageClass("1.2.840.10008.5.1.4.1.1.66.4", "Segmentation", "derived"),
    StorageClass("1.2.840.10008.5.1.4.1.1.66.1", "Spatial Registration", "document"),
    StorageClass("1.2.840.10008.5.1.4.1.1.104.3", "Encapsulated STL", "document"),
    StorageClass("1.2.840.10008.5.1.4.1.1.104.4", "Encapsulated OBJ", "document"),
    StorageClass("1.2.840.10008.5.1.4.1.1.11.1", "Grayscale Softcopy Presentation State", "document"),
    StorageClass("1.2.840.10008.5.1.4.1.1.11.2", "Color Softcopy Presentation State", "document"),
    StorageClass("1.2.840.10008.5.1.4.1.1.11.6", "Grayscale Planar MPR Volumetric Presentation State", "document"),
    StorageClass("1.2.840.10008.5.1.4.1.1.11.9", "Volume Rendering Volumetric Presentation State", "document"),
    StorageClass("1.2.840.10008.5.1.4.1.1.88.11", "Basic Text SR", "document"),
    StorageClass("1.2.840.10008.5.1.4.1.1.88.22", "Enhanced SR", "document"),
    StorageClass("1.2.840.10008.5.1.4.1.1.88.33", "Comprehensive SR", "document"),
    StorageClass("1.2.840.10008.5.1.4.1.1.88.34", "Comprehensive 3D SR", "document"),
    StorageClass("1.2.840.10008.5.1.4.1.1.88.59", "Key Object Selection", "document"),
)

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
# Every peer takes these; documents are sent in them.
PLAIN = (EXPLICIT_LITTLE, IMPLICIT_LITTLE)

# PS3.5 Section 10 and Annex A.4: name by UID, in the order in which we accept them.
TRANSFER_SYNTAXES: dict[str, str] = {
    EXPLICIT_LITTLE: "Explicit VR Little Endian",
    IMPLICIT_LITTLE: "Implicit VR Little Endian",
    DEFLATED: "Deflated Explicit VR Little Endian",
    EXPLICIT_BIG: "Explicit VR Big Endian",
    "1.2.840.10008.1.2.4.80": "JPEG-LS Lossless",
    "1.2.840.10008.1.2.4.81": "JPEG-LS Near-lossless",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 Lossless",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
    "1.2.840.10008.1.2.4.70": "JPEG Lossless SV1",
    "1.2.840.10008.1.2.4.57": "JPEG Lossless",
    "1.2.840.10008.1.2.4.50": "JPEG Baseline",
    "1.2.840.10008.1.2.4.51": "JPEG Extended",
    "1.2.840.10008.1.2.4.201": "HTJ2K Lossless",
    "1.2.840.10008.1.2.4.202": "HTJ2K Lossless RPCL",
    "1.2.840.10008.1.2.4.203": "HTJ2K",
    "1.2.840.10008.1.2.5": "RLE Lossless",
}

# PS3.5 A.4: syntaxes that always or possibly lose information; the image's own lossy flag is read as well.
LOSSY_SYNTAXES = frozenset(
    {
        "1.2.840.10008.1.2.4.50",
        "1.2.840.10008.1.2.4.51",
        "1.2.840.10008.1.2.4.81",
        "1.2.840.10008.1.2.4.91",
        "1.2.840.10008.1.2.4.203",
    }
)
NATIVE_SYNTAXES = frozenset({IMPLICIT_LITTLE, EXPLICIT_LITTLE, DEFLATED, EXPLICIT_BIG})

CLASS_BY_UID: dict[str, StorageClass] = {c.uid: c for c in STORAGE_CLASSES}

VERIFICATION = "1.2.840.10008.1.1"
# PS3.4 Tables C.6.2-1, K.6-2 and J.3-1.
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
MODALITY_WORKLIST_FIND = "1.2.840.10008.5.1.4.31"
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
# PS3.4 F.7.3.
PERFORMED_STEP = "1.2.840.10008.3.1.2.3.3"


@dataclass(frozen=True, slots=True)
class ServiceClass:
    """A SOP class that is no storage class, and the roles in which we support it."""

    uid: str
    name: str
    scu: bool
    scp: bool


SERVICE_CLASSES: tuple[ServiceClass, ...] = (
    ServiceClass(VERIFICATION, "Verification", scu=True, scp=True),
    ServiceClass(STORAGE_COMMITMENT, "Storage Commitment Push Model", scu=True, scp=True),
    ServiceClass(STUDY_ROOT_FIND, "Study Root Query/Retrieve – FIND", scu=True, scp=True),
    ServiceClass(STUDY_ROOT_MOVE, "Study Root Query/Retrieve – MOVE", scu=True, scp=True),
    ServiceClass(STUDY_ROOT_GET, "Study Root Query/Retrieve – GET", scu=True, scp=True),
    ServiceClass(MODALITY_WORKLIST_FIND, "Modality Worklist – FIND", scu=True, scp=False),
    ServiceClass(PERFORMED_STEP, "Modality Performed Procedure Step", scu=True, scp=False),
)


def class_name(uid: str) -> str:
    """Returns the name of a SOP class, ours or the standard's; never a bare UID."""
    from pydicom.uid import UID  # only where our table lacks it

    known = CLASS_BY_UID.get(uid)
    if known:
        return known.name
    name = str(UID(uid).name).removesuffix(" Storage")
    return name if name != uid else f"An unknown SOP class ({uid})"


def syntaxes_for(storage_class: StorageClass) -> tuple[str, ...]:
    """Returns the transfer syntaxes that we accept for a class; none with image compression for documents."""
    if storage_class.role == "document":
        return (*PLAIN, DEFLATED, EXPLICIT_BIG)
    return tuple(TRANSFER_SYNTAXES)
