"""The image planes of an instance: position, scaling of values, and the traits that may set a frame apart."""

from collections.abc import Iterator

import numpy as np
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset

from dicom_io.files.instance import Frame
from dicom_io.files.values import first, integer, many, number, numbers, plain, private_numbers, private_text, text
from render.geometry import cross, unit_vector

# Traits that may tell two frames at the same place apart, in the order of trial: (name in words, attribute).
_CLASSIC: tuple[tuple[str, str], ...] = (
    ("echo time", "EchoTime"),
    ("echo number", "EchoNumbers"),
    ("b-value", "DiffusionBValue"),
    ("inversion time", "InversionTime"),
    ("flip angle", "FlipAngle"),
    ("temporal position", "TemporalPositionIdentifier"),
    ("cardiac phase", "NominalPercentageOfCardiacPhase"),
    ("trigger time", "TriggerTime"),
    ("respiratory phase", "NominalPercentageOfRespiratoryPhase"),
    ("frame reference time", "FrameReferenceTime"),
    ("contrast phase", "ContrastBolusAgentPhase"),
    ("contrast agent", "ContrastBolusAgent"),
    ("stack", "StackID"),
    ("reconstruction kernel", "ConvolutionKernel"),
    ("tube voltage", "KVP"),
    ("irradiation event", "IrradiationEventUID"),
    ("acquisition number", "AcquisitionNumber"),
    ("acquisition time", "AcquisitionTime"),
    ("exposure", "Exposure"),
)
# The same for an enhanced image: (name in words, attribute, functional group that holds it). Source: PS3.3 C.7.6.16.2,
# C.8.13.5, C.8.15.3 and C.8.22.5.
_ENHANCED: tuple[tuple[str, str, str], ...] = (
    ("stack", "StackID", "FrameContentSequence"),
    ("echo time", "EffectiveEchoTime", "MREchoSequence"),
    ("b-value", "DiffusionBValue", "MRDiffusionSequence"),
    ("diffusion", "DiffusionDirectionality", "MRDiffusionSequence"),
    ("inversion time", "InversionTimes", "MRModifierSequence"),
    ("flip angle", "FlipAngle", "MRTimingAndRelatedParametersSequence"),
    ("labelling", "ASLContext", "MRArterialSpinLabelingSequence"),
    ("temporal position", "TemporalPositionIndex", "FrameContentSequence"),
    ("temporal offset", "TemporalPositionTimeOffset", "TemporalPositionSequence"),
    ("cardiac phase", "NominalPercentageOfCardiacPhase", "CardiacSynchronizationSequence"),
    ("cardiac trigger delay", "NominalCardiacTriggerDelayTime", "CardiacSynchronizationSequence"),
    ("respiratory phase", "NominalPercentageOfRespiratoryPhase", "RespiratorySynchronizationSequence"),
    ("contrast phase", "ContrastBolusAgentPhase", "ContrastBolusUsageSequence"),
    ("reconstruction kernel", "ConvolutionKernel", "CTReconstructionSequence"),
    ("tube voltage", "KVP", "CTXRayDetailsSequence"),
    ("irradiation event", "IrradiationEventUID", "IrradiationEventIdentificationSequence"),
    ("acquisition number", "FrameAcquisitionNumber", "FrameContentSequence"),
)
# Groups that carry a frame's image type. Source: PS3.3 C.8.13.5.1, C.8.15.3.1, C.8.22.5.1.
_TYPE_GROUPS = ("CTImageFrameTypeSequence", "MRImageFrameTypeSequence", "PETFrameTypeSequence")
# Vendors' private b-values, from before the standard attribute existed: (creator, group, element, how many numbers).
# Sources: GE, Siemens and Philips DICOM conformance statements; dcm2niix reads the same elements.
_PRIVATE_B = (
    ("SIEMENS MR HEADER", 0x0019, 0x0C, 1),
    ("Philips Imaging DD 001", 0x2001, 0x03, 1),
    ("GEMS_PARM_01", 0x0043, 0x39, 4),
)
# Philips numbers the phases of a slice and says which images are labelled: (name in words, creator, group, element).
# Source: Philips' DICOM conformance statements; dcm2niix reads the same elements.
_PRIVATE_NAMES = (
    ("phase number", "Philips Imaging DD 001", 0x2001, 0x08),
    ("labelling", "Philips MR Imaging DD 005", 0x2005, 0x29),
)
_PHILIPS_SLICE = ("Philips Imaging DD 001", 0x2001, 0x0A)
_PRIVATE_DIRECTION = (("SIEMENS MR HEADER", 0x0019, 0x0E, 3),)
# Dimensions that merely number the slices.
_PLACES = ("ImagePositionPatient", "InStackPositionNumber", "ImagePositionVolume", "SliceLocation")
_NM_IMAGE = "1.2.840.10008.5.1.4.1.1.20"


def frames_of(ds: Dataset, count: int) -> tuple[Frame, ...]:
    """Returns a Frame for each of the `count` frames of the pixel data; fewer where functional groups are missing."""
    per_frame = ds.get("PerFrameFunctionalGroupsSequence")
    if per_frame:
        shared = _macros(first(ds, "SharedFunctionalGroupsSequence"))
        names = _dimensions(ds)
        between = number(ds, "SpacingBetweenSlices")
        return tuple(_enhanced(shared | _macros(groups), names, between) for groups in list(per_frame)[:count])
    if str(ds.get("SOPClassUID")) == _NM_IMAGE:
        return tuple(_nuclear(ds, count))
    return (_classic(ds),) * count


def _classic(ds: Dataset) -> Frame:
    types = [str(v).strip() for v in many(ds.get("ImageType"))]
    traits = [("image type", "\\".join(types[2:]))] if types[2:] else []
    for name, keyword in _CLASSIC:
        value = ds.get(keyword)
        if value is not None and plain(value):
            traits.append((name, plain(value)))
    if ds.get("Modality") == "MR":
        traits += _private_diffusion(ds)
        for name, creator, group, element in _PRIVATE_NAMES:
            value = plain(private_text(ds, group, creator, element))
            if value:
                traits.append((name, value))
    if types[:2]:
        traits.append(("pixel data characteristics", "\\".join(types[:2])))
    return Frame(
        numbers(ds, "ImagePositionPatient", 3),  # type: ignore[arg-type]
        numbers(ds, "ImageOrientationPatient", 6),  # type: ignore[arg-type]
        numbers(ds, "PixelSpacing", 2),  # type: ignore[arg-type]
        *_rescale(ds),
        tuple(traits),
        number(ds, "SliceThickness"),
        number(ds, "SpacingBetweenSlices"),
        _slice_number(ds),
        _window(ds),
    )


def _slice_number(ds: Dataset) -> int:
    """Returns the number of a classic image among the slices of its stack; 0 where none is known."""
    creator, group, element = _PHILIPS_SLICE
    said = private_text(ds, group, creator, element) if ds.get("Modality") == "MR" else ""
    return integer(ds, "InStackPositionNumber") or (int(said) if said.isdecimal() else 0)


def _window(ds: Dataset | None) -> tuple[float, float] | None:
    """Returns centre and width of the first window. Source: PS3.3 C.11.2.1.2."""
    centres, widths = (many(ds.get(k)) if ds is not None else () for k in ("WindowCenter", "WindowWidth"))
    try:
        return (float(centres[0]), float(widths[0])) if centres and widths and float(widths[0]) > 0.0 else None
    except (TypeError, ValueError):
        return None


def _private_diffusion(ds: Dataset) -> Iterator[tuple[str, str]]:
    for creator, group, element, count in () if "DiffusionBValue" in ds else _PRIVATE_B:
        found = private_numbers(ds, group, creator, element, count)
        if found is not None:
            yield ("b-value", f"{found[0] % 100000:g}")  # GE adds 10⁹ to say that it is one
    direction = numbers(ds, "DiffusionGradientOrientation", 3)
    for creator, group, element, count in _PRIVATE_DIRECTION:
        direction = direction or private_numbers(ds, group, creator, element, count)
    if direction is not None:
        yield ("gradient direction", _direction(direction))


def _direction(values: tuple[float, ...]) -> str:
    return " ".join(f"{v:.4g}" for v in values)


def _macros(groups: Dataset | None) -> dict[str, Dataset]:
    """Returns the functional groups that are present, by keyword: a frame has few of the many that we look for."""
    found = {}
    for tag in groups.keys() if groups is not None else ():
        keyword = keyword_for_tag(tag)
        item = first(groups, keyword) if keyword else None
        if item:
            found[keyword] = item
    return found


def _enhanced(macros: dict[str, Dataset], dimensions: tuple[str, ...], between_mm: float | None) -> Frame:
    """Reads a frame from its functional groups, its own before the shared ones. between_mm : what the image itself
    says, where its groups say nothing. Source: PS3.3 C.7.6.16."""
    macro = macros.get
    traits: list[tuple[str, str]] = []
    for keyword in _TYPE_GROUPS:
        frame_type = macro(keyword)
        if frame_type is not None:
            traits.append(("image type", "\\".join(str(v) for v in many(frame_type.get("FrameType"))[2:])))
            if text(frame_type, "ComplexImageComponent"):
                traits.append(("component", text(frame_type, "ComplexImageComponent")))
    for name, key, sequence in _ENHANCED:
        holder = macro(sequence)
        value = holder.get(key) if holder is not None else None
        if value is not None and plain(value):
            traits.append((name, plain(value)))
    gradient = first(macro("MRDiffusionSequence"), "DiffusionGradientDirectionSequence")
    direction = numbers(gradient, "DiffusionGradientOrientation", 3)
    if direction is not None:
        traits.append(("gradient direction", _direction(direction)))
    measures, content = macro("PixelMeasuresSequence"), macro("FrameContentSequence")
    # The scanner's own dimensions: it says itself that frames differ in them. Source: PS3.3 C.7.6.17.
    index = many((content or Dataset()).get("DimensionIndexValues"))
    traits += [(f"dimension {name}", str(value)) for name, value in zip(dimensions, index, strict=False) if name]
    # Enhanced US Volume gives its planes in the coordinates of the volume. Source: PS3.3 C.8.24.
    position = numbers(macro("PlanePositionSequence"), "ImagePositionPatient", 3) or numbers(
        macro("PlanePositionVolumeSequence"), "ImagePositionVolume", 3
    )
    orientation = numbers(macro("PlaneOrientationSequence"), "ImageOrientationPatient", 6) or numbers(
        macro("PlaneOrientationVolumeSequence"), "ImageOrientationVolume", 6
    )
    return Frame(
        position,  # type: ignore[arg-type]
        orientation,  # type: ignore[arg-type]
        numbers(measures, "PixelSpacing", 2),  # type: ignore[arg-type]
        *_enhanced_rescale(macro("PixelValueTransformationSequence"), macro("RealWorldValueMappingSequence")),
        tuple(traits),
        number(measures, "SliceThickness"),
        number(measures, "SpacingBetweenSlices") or between_mm,
        integer(content, "InStackPositionNumber") if content is not None else 0,
        _window(macro("FrameVOILUTSequence")),
    )


def _dimensions(ds: Dataset) -> tuple[str, ...]:
    """Returns the names of the dimensions in index order, empty for those that number slices. Source: PS3.3
    C.7.6.17."""
    names = []
    for item in many(ds.get("DimensionIndexSequence")):
        pointer = item.get("DimensionIndexPointer") if isinstance(item, Dataset) else None
        keyword = keyword_for_tag(pointer) if pointer is not None else ""
        label = text(item, "DimensionDescriptionLabel") if isinstance(item, Dataset) else ""
        names.append("" if keyword in _PLACES else keyword or label or f"{pointer}")
    return tuple(names)


def _nuclear(ds: Dataset, count: int) -> Iterator[Frame]:
    """Yields the frames of a reconstructed NM image: slices follow the first along the normal, in the direction that
    the sign of the spacing gives.

    Sources: PS3.3 C.8.4.8 (frame increment pointer), C.8.4.11 (detector), C.8.4.15 (reconstruction).
    """
    detector = first(ds, "DetectorInformationSequence")
    position = numbers(detector, "ImagePositionPatient", 3) or numbers(ds, "ImagePositionPatient", 3)
    orientation = numbers(detector, "ImageOrientationPatient", 6) or numbers(ds, "ImageOrientationPatient", 6)
    spacing, distance = numbers(ds, "PixelSpacing", 2), number(ds, "SpacingBetweenSlices")
    slices = many(ds.get("SliceVector"))
    if position is None or orientation is None or distance is None or len(slices) != count:
        yield from [Frame(None, None, spacing, *_rescale(ds))] * count  # type: ignore[arg-type]
        return
    step = distance * np.array(unit_vector(cross(orientation[:3], orientation[3:])))  # type: ignore[arg-type]
    vectors = [
        (name, many(ds.get(keyword)))
        for name, keyword in (
            ("energy window", "EnergyWindowVector"),
            ("time slot", "TimeSlotVector"),
            ("cardiac phase", "RRIntervalVector"),
            ("phase", "PhaseVector"),
        )
    ]
    for n in range(count):
        x, y, z = (float(v) for v in np.array(position) + (int(slices[n]) - 1) * step)
        traits = tuple((name, str(values[n])) for name, values in vectors if len(values) == count)
        yield Frame((x, y, z), orientation, spacing, *_rescale(ds), traits)  # type: ignore[arg-type]


def _rescale(ds: Dataset | None) -> tuple[float, float]:
    """Returns (slope, intercept); 1, 0 where the image has none. Source: PS3.3 C.11.1.1.2."""
    slope, intercept = number(ds, "RescaleSlope"), number(ds, "RescaleIntercept")
    return (slope if slope else 1.0, intercept if intercept is not None else 0.0)


def _enhanced_rescale(transform: Dataset | None, mapping: Dataset | None) -> tuple[float, float]:
    """Returns (slope, intercept) of the pixel value transformation, else of a linear real world value mapping.
    Source: PS3.3 C.7.6.16.2.9 and .11."""
    slope, intercept = number(mapping, "RealWorldValueSlope"), number(mapping, "RealWorldValueIntercept")
    if transform is None and slope and intercept is not None:
        return (slope, intercept)
    return _rescale(transform)
