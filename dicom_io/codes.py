"""Every coded concept that this project writes or reads, with its source.

DCM: PS3.16 Annex D. SCT: SNOMED CT as used in PS3.16. 99WS3D: this project's own scheme, for concepts that no standard
scheme has; every object that uses it declares it in its Coding Scheme Identification Sequence.
"""

from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept. Source: PS3.3 8.8 (basic coded entry)."""

    value: str
    scheme: str
    meaning: str

    def item(self) -> Dataset:
        """Returns a Code Sequence item; values over 16 characters go to Long Code Value. Source: PS3.3 Table 8.8-1."""
        ds = Dataset()
        if len(self.value) > 16:
            ds.LongCodeValue = self.value
        else:
            ds.CodeValue = self.value
        ds.CodingSchemeDesignator = self.scheme
        ds.CodeMeaning = self.meaning
        return ds

    def sequence(self) -> Sequence:
        return Sequence([self.item()])

    def matches(self, ds: Dataset) -> bool:
        """Whether value and scheme are equal; meanings may differ between languages and editions."""
        value = ds.get("CodeValue") or ds.get("LongCodeValue")
        return bool(value == self.value and ds.get("CodingSchemeDesignator") == self.scheme)


def code_of(ds: Dataset) -> Code:
    """Returns the Code of a code sequence item."""
    return Code(
        str(ds.get("CodeValue") or ds.get("LongCodeValue") or ""),
        str(ds.get("CodingSchemeDesignator") or ""),
        str(ds.get("CodeMeaning") or ""),
    )


OWN_SCHEME = "99WS3D"
OWN_SCHEME_UID = "2.25.29817466358290551274905463187290345511"

# Derivation by technique, named as in the charge facts. DCM codes: PS3.16 CID 7203.
# The standard has no concept for an average intensity projection or endoluminal view: own codes.
DERIVATIONS: dict[str, Code] = {
    "volume_rendering": Code("113074", "DCM", "Volume rendering"),
    "surface_rendering": Code("113075", "DCM", "Surface rendering"),
    "segmentation_volumetry": Code("113076", "DCM", "Segmentation"),
    "endoluminal": Code("endoluminal", OWN_SCHEME, "Endoluminal rendering"),
    "mip": Code("113078", "DCM", "Maximum intensity projection"),
    "minip": Code("113079", "DCM", "Minimum intensity projection"),
    "average_ip": Code("average_ip", OWN_SCHEME, "Average intensity projection"),
    "mpr": Code("113072", "DCM", "Multiplanar reformatting"),
    "curved_mpr": Code("113073", "DCM", "Curved multiplanar reformatting"),
}

# PS3.16 CID 7005 (contributing equipment purposes of reference)
ACQUISITION_EQUIPMENT = Code("109101", "DCM", "Acquisition Equipment")
PROCESSING_EQUIPMENT = Code("109102", "DCM", "Processing Equipment")
# PS3.16 CID 7202 (source image purposes of reference)
SOURCE_FOR_PROCESSING = Code("121322", "DCM", "Source image for image processing operation")
# PS3.16 CID 7100 (RCS registration methods)
CONTENT_ALIGNMENT = Code("125024", "DCM", "Image Content-based Alignment")

# PS3.16 TID 1500 and what it includes
IMAGING_MEASUREMENT_REPORT = Code("126000", "DCM", "Imaging Measurement Report")
LANGUAGE = Code("121049", "DCM", "Language of Content Item and Descendants")
ENGLISH = Code("en", "RFC5646", "English")
OBSERVER_TYPE = Code("121005", "DCM", "Observer Type")
PERSON = Code("121006", "DCM", "Person")
DEVICE = Code("121007", "DCM", "Device")
PERSON_NAME = Code("121008", "DCM", "Person Observer Name")
PERSON_ROLE = Code("121011", "DCM", "Person Observer's Role in this Procedure")
PERSON_ORGANIZATION_ROLE = Code("121010", "DCM", "Person Observer's Role in the Organization")
PERSON_LOGIN = Code("128774", "DCM", "Person Observer's Login Name")
DEVICE_UID = Code("121012", "DCM", "Device Observer UID")
DEVICE_NAME = Code("121013", "DCM", "Device Observer Name")
DEVICE_MANUFACTURER = Code("121014", "DCM", "Device Observer Manufacturer")
DEVICE_MODEL = Code("121015", "DCM", "Device Observer Model Name")
PROCEDURE_REPORTED = Code("121058", "DCM", "Procedure reported")
IMAGE_LIBRARY = Code("111028", "DCM", "Image Library")
IMAGE_LIBRARY_GROUP = Code("126200", "DCM", "Image Library Group")
IMAGING_MEASUREMENTS = Code("126010", "DCM", "Imaging Measurements")
MEASUREMENT_GROUP = Code("125007", "DCM", "Measurement Group")
TRACKING_IDENTIFIER = Code("112039", "DCM", "Tracking Identifier")
TRACKING_UID = Code("112040", "DCM", "Tracking Unique Identifier")
FINDING = Code("121071", "DCM", "Finding")
FINDING_SITE = Code("363698007", "SCT", "Finding Site")
SOURCE_IMAGE = Code("260753009", "SCT", "Source")
ALGORITHM_NAME = Code("111001", "DCM", "Algorithm Name")
ALGORITHM_VERSION = Code("111003", "DCM", "Algorithm Version")
ALGORITHM_PARAMETERS = Code("111002", "DCM", "Algorithm Parameters")
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")

# PS3.16 CID 7452 (organizational roles). Coder and automatic are ours.
ROLES: dict[str, Code] = {
    "physician": Code("121081", "DCM", "Physician"),
    "qualified_professional": Code("qualified_professional", OWN_SCHEME, "Qualified health care professional"),
    "resident": Code("121086", "DCM", "Resident"),
    "technologist": Code("121083", "DCM", "Technologist"),
    "coder": Code("coder", OWN_SCHEME, "Coder"),
    "compliance": Code("compliance", OWN_SCHEME, "Compliance officer"),
    "administrator": Code("administrator", OWN_SCHEME, "Administrator"),
    "automatic": Code("automatic", OWN_SCHEME, "Automatic, no person"),
}
# PS3.16 CID 7453 (performing roles)
PERFORMING = Code("121094", "DCM", "Performing")

# PS3.16 CID 100 (quantitative diagnostic imaging procedures)
CT_PROCEDURE = Code("25045-6", "LN", "CT unspecified body region")
OTHER_PROCEDURE = Code("363679005", "SCT", "Imaging procedure")
MODALITY = Code("121139", "DCM", "Modality")
# PS3.16 CID 29 (acquisition modality)
MODALITIES: dict[str, Code] = {
    "CT": Code("CT", "DCM", "Computed Tomography"),
    "MR": Code("MR", "DCM", "Magnetic Resonance"),
    "US": Code("US", "DCM", "Ultrasound"),
    "PT": Code("PT", "DCM", "Positron emission tomography"),
    "NM": Code("NM", "DCM", "Nuclear Medicine"),
    "MG": Code("MG", "DCM", "Mammography"),
    "XA": Code("XA", "DCM", "X-Ray Angiography"),
    "DX": Code("DX", "DCM", "Digital Radiography"),
}
OTHER_MODALITY = Code("OT", "DCM", "Other Modality")

# PS3.16 CID 7150 (segmentation property categories) and 7166, 7191 (types): as far as a mask's steps tell them.
ANATOMY = Code("123037004", "SCT", "Anatomical Structure")
TISSUE = Code("85756007", "SCT", "Tissue")
PHYSICAL_OBJECT = Code("260787004", "SCT", "Physical object")
IMPLANT = Code("40388003", "SCT", "Implant")
BONE = Code("272673000", "SCT", "Bone")

# PS3.16 TID 2010: CID 7010 (document titles) and its rows
OF_INTEREST = Code("113000", "DCM", "Of Interest")
FOR_REPORT_ATTACHMENT = Code("113020", "DCM", "For Report Attachment")
KEY_OBJECT_DESCRIPTION = Code("113012", "DCM", "Key Object Description")

YES = Code("373066001", "SCT", "Yes")
NO = Code("373067005", "SCT", "No")

# Own concepts: the record of a 3D picture needs them, and PS3.16 has none.
SOURCE_VOLUME_DIGEST = Code("volume_digest", OWN_SCHEME, "SHA-256 of source volume")
SOURCE_DIGESTS = Code("source_digests", OWN_SCHEME, "SHA-256 of the image library's instances, in its order")
OBJECT_DIGESTS = Code("object_digests", OWN_SCHEME, "SHA-256 of the other instances of the evidence, in their order")
IMAGE_DIGESTS = Code("image_digests", OWN_SCHEME, "SHA-256 of the stored instances, in their order")
PIXEL_DIGEST = Code("pixel_digest", OWN_SCHEME, "SHA-256 of rendered pixels")
RECIPE_DIGEST = Code("recipe_digest", OWN_SCHEME, "SHA-256 of recipe")
PERFORMED_HERE = Code("performed_here", OWN_SCHEME, "Rendered on this workstation")
PURPOSE = Code("purpose", OWN_SCHEME, "Purpose of rendering")
REGION = Code("region", OWN_SCHEME, "Anatomic region as billed")
LATERALITY = Code("laterality", OWN_SCHEME, "Side of the region, L or R")
PREPARED = Code("prepared", OWN_SCHEME, "Made unattended and not adjusted since")
BASE_PROCEDURE = Code("base_procedure", OWN_SCHEME, "Base procedure of this rendering")
RENDERING_DEVICE = Code("rendering_device", OWN_SCHEME, "Graphics device")
WARNING = Code("warning", OWN_SCHEME, "Warning about the source volume")
INDEPENDENT = Code("independent", OWN_SCHEME, "Workstation independent of the scanner")
ACT = Code("act", OWN_SCHEME, "Act of the session")
SESSION = Code("session", OWN_SCHEME, "Session in the journal")
JOURNAL_HEAD = Code("journal_head", OWN_SCHEME, "SHA-256 of the journal up to its last act")
ATTESTED_BY = Code("attested_by", OWN_SCHEME, "Attested by")
ATTESTED_AT = Code("attested_at", OWN_SCHEME, "Attested at")
SUPERVISOR = Code("supervisor", OWN_SCHEME, "Supervising physician")
ATTESTATION_TEXT = Code("attestation", OWN_SCHEME, "Attestation")
CONCURRENT = Code("concurrent", OWN_SCHEME, "Concurrent supervision")
WORKSTATION_REQUIRED = Code("ws_required", OWN_SCHEME, "Independent workstation required")

# Measurements: PS3.16 TID 1501, 1410, 300, 1419. Of the methods, only Cobb's has a code in a context group.
MEASUREMENT_METHOD = Code("370129005", "SCT", "Measurement Method")
IMAGE_REGION = Code("111030", "DCM", "Image Region")
DERIVATION = Code("121401", "DCM", "Derivation")
COMMENT = Code("121106", "DCM", "Comment")
MEASURE_VIEW = Code("measure_view", OWN_SCHEME, "Seen from, in patient terms")
MEASURE_METHODS: dict[str, Code] = {
    "distance": Code("distance", OWN_SCHEME, "Straight line between two points"),
    "length": Code("length", OWN_SCHEME, "Line through places in space, in no one plane"),
    "angle": Code("angle", OWN_SCHEME, "Angle at a vertex"),
    "cobb": Code("cobb", OWN_SCHEME, "Cobb's angle between two lines"),
    "ellipse": Code("ellipse", OWN_SCHEME, "Ellipse on a plane"),
    "polygon": Code("polygon", OWN_SCHEME, "Polygon on a plane"),
    "area": Code("area", OWN_SCHEME, "Outline on a curved surface, in no one plane"),
    "volume": Code("volume", OWN_SCHEME, "Voxels of a mask"),
    "lesion": Code("lesion", OWN_SCHEME, "Closed surface about a click"),
    "vessel": Code("vessel", OWN_SCHEME, "Sections across a vessel's centreline"),
    "trajectory": Code("trajectory", OWN_SCHEME, "Straight way from an entry to a target"),
    "targets": Code("126081", "DCM", "RECIST 1.1"),  # CID 6147
}
# What a number is called, its derivation, and its method, where it has one. PS3.16 CID 7469 (generic intensity and size
# measurements), 218 (quantitative image features), 12121 (vascular lumen), 3810 (plaque and vessel: tortuosity), 7464
# (general region of interest measurement modifiers). IBSI: the Image Biomarker Standardisation Initiative.
_MEAN = Code("373098007", "SCT", "Mean")
_DEVIATION = Code("386136009", "SCT", "Standard Deviation")
_LEAST = Code("255605001", "SCT", "Minimum")
_GREATEST = Code("56851009", "SCT", "Maximum")
_VOLUME = Code("118565006", "SCT", "Volume")
_LENGTH, _ANGLE = Code("410668003", "SCT", "Length"), Code("1483009", "SCT", "Angle")
_LONG_AXIS = Code("103339001", "SCT", "Long Axis")
_SOLID = Code("solid", OWN_SCHEME, "Of the solid part of a part-solid nodule")
_LUMEN_DIAMETER = Code("397413000", "SCT", "Vessel lumen diameter")
_LUMEN_STENOSIS = Code("408715008", "SCT", "Lumen Diameter Stenosis")
_TARGET_SUM = Code("target_sum", OWN_SCHEME, "Sum of diameters of target lesions")
_TARGET_CHANGE = Code("target_sum_change", OWN_SCHEME, "Change of the sum of diameters of target lesions")
_PRIOR = Code("prior", OWN_SCHEME, "As measured in an earlier study")
_BASELINE, _NADIR = Code("C1442488", "UMLS", "Baseline"), Code("C1708760", "UMLS", "Nadir")  # CID 6146
# What lesions say. PS3.16 TID 4108 and CID 6144, which has no codes for all lesions together.
CURRENT_RESPONSE = Code("112048", "DCM", "Current Response")
RESPONSES: dict[str, Code] = {
    "target CR": Code("112041", "DCM", "Target Lesion Complete Response"),
    "target PR": Code("112042", "DCM", "Target Lesion Partial Response"),
    "target SD": Code("112044", "DCM", "Target Lesion Stable Disease"),
    "target PD": Code("112043", "DCM", "Target Lesion Progressive Disease"),
    "non-target CR": Code("112045", "DCM", "Non-Target Lesion Complete Response"),
    "non-target NN": Code("112046", "DCM", "Non-Target Lesion Incomplete Response or Stable Disease"),
    "non-target PD": Code("112047", "DCM", "Non-Target Lesion Progressive Disease"),
    "overall CR": Code("overall_cr", OWN_SCHEME, "Overall Complete Response"),
    "overall PR": Code("overall_pr", OWN_SCHEME, "Overall Partial Response"),
    "overall SD": Code("overall_sd", OWN_SCHEME, "Overall Stable Disease"),
    "overall PD": Code("overall_pd", OWN_SCHEME, "Overall Progressive Disease"),
}
SIZES: dict[str, tuple[Code, Code | None, Code | None]] = {
    "length": (_LENGTH, None, None),
    "angle": (_ANGLE, None, None),
    "cobb_angle": (Code("285285000", "SCT", "Cobb angle"), None, None),
    "area": (Code("42798000", "SCT", "Area"), None, None),
    "volume": (_VOLUME, None, None),
    "longest_diameter": (Code("L0JK", "IBSI", "Maximum 3D Diameter of a Mesh"), None, None),
    "long_axis": (_LONG_AXIS, None, None),
    "short_axis": (Code("103340004", "SCT", "Short Axis"), None, None),
    "solid_volume": (_VOLUME, None, _SOLID),
    "solid_axis": (_LONG_AXIS, None, _SOLID),
    "prior_long_axis": (_LONG_AXIS, None, _PRIOR),
    "long_axis_change": (
        Code("long_axis_change", OWN_SCHEME, "Change of Long Axis since an earlier study"),
        None,
        None,
    ),
    "target_sum": (_TARGET_SUM, None, None),
    "prior_target_sum": (_TARGET_SUM, None, _PRIOR),
    "prior_target_change": (_TARGET_CHANGE, None, _PRIOR),
    "baseline_target_sum": (_TARGET_SUM, None, _BASELINE),
    "baseline_target_change": (_TARGET_CHANGE, None, _BASELINE),
    "nadir_target_sum": (_TARGET_SUM, None, _NADIR),
    "nadir_target_change": (_TARGET_CHANGE, None, _NADIR),
    "least_diameter": (_LUMEN_DIAMETER, _LEAST, None),
    "greatest_diameter": (_LUMEN_DIAMETER, _GREATEST, None),
    "reference_diameter": (_LUMEN_DIAMETER, None, Code("healthy", OWN_SCHEME, "Of the healthy vessel beyond")),
    "nascet": (_LUMEN_STENOSIS, None, Code("nascet", OWN_SCHEME, "NASCET: against the healthy vessel beyond")),
    "ecst": (_LUMEN_STENOSIS, None, Code("ecst", OWN_SCHEME, "ECST: against the lumen that was there")),
    "area_stenosis": (Code("408714007", "SCT", "Lumen Area Stenosis"), None, None),
    "tortuosity": (Code("15690004", "SCT", "Tortuosity"), None, None),
    "coronal_angle": (_ANGLE, None, Code("coronal", OWN_SCHEME, "To the head-foot axis, seen from the front")),
    "sagittal_angle": (_ANGLE, None, Code("sagittal", OWN_SCHEME, "To the head-foot axis, seen from the side")),
    "clearance": (_LENGTH, _LEAST, Code("clearance", OWN_SCHEME, "Distance to what is to be avoided")),
    "clearance_depth": (_LENGTH, None, Code("clearance_depth", OWN_SCHEME, "From the entry to the least distance")),
    "through": (_LENGTH, None, Code("through", OWN_SCHEME, "Within what is to be avoided")),
}
# Of the voxels' values, whose name follows from their unit.
STATISTICS: dict[str, Code] = {"mean": _MEAN, "deviation": _DEVIATION, "least": _LEAST, "greatest": _GREATEST}
ATTENUATION = Code("112031", "DCM", "Attenuation Coefficient")
INTENSITY = Code("intensity", OWN_SCHEME, "Voxel value")
# UCUM (http://unitsofmeasure.org), as in PS3.16 CID 7181
UNITS: dict[str, Code] = {
    "mm": Code("mm", "UCUM", "millimeter"),
    "deg": Code("deg", "UCUM", "degree"),
    "mm2": Code("mm2", "UCUM", "square millimeter"),
    "mm3": Code("mm3", "UCUM", "cubic millimeter"),
    "[hnsf'U]": Code("[hnsf'U]", "UCUM", "Hounsfield unit"),
    "%": Code("%", "UCUM", "percent"),
    "1": Code("1", "UCUM", "no units"),
}

# PS3.16 TID 2000 and what it includes: CID 7000 (titles), 7001 (headings), 7002 (elements)
DIAGNOSTIC_REPORT = Code("18748-4", "LN", "Diagnostic imaging report")
INDICATIONS = Code("121109", "DCM", "Indications for Procedure")
FINDINGS = Code("121070", "DCM", "Findings")
IMPRESSIONS = Code("121072", "DCM", "Impressions")
IMPRESSION = Code("121073", "DCM", "Impression")
CONCLUSIONS = Code("121076", "DCM", "Conclusions")
KEY_IMAGES = Code("121180", "DCM", "Key Images")
# The statements that a 3D report has to make, named as in the charge facts.
REPORT_FACTS: dict[str, Code] = {
    "three_d_findings": Code("three_d_findings", OWN_SCHEME, "Findings of the 3D pictures"),
    "workstation_statement": Code("ws_statement", OWN_SCHEME, "Statement of the independent workstation"),
    "medical_necessity": Code("necessity", OWN_SCHEME, "Medical necessity of 3D"),
    "clinical_utility": Code("utility", OWN_SCHEME, "Clinical utility of 3D"),
}


def own_scheme() -> Sequence:
    """Returns the Coding Scheme Identification Sequence for 99WS3D. Source: PS3.3 C.12.1 (SOP Common)."""
    ds = Dataset()
    ds.CodingSchemeDesignator = OWN_SCHEME
    ds.CodingSchemeUID = OWN_SCHEME_UID
    ds.CodingSchemeName = "Independent 3D Workstation concepts"
    return Sequence([ds])
