"""What rules can ask of a series: from its header, the volumes it makes, and the orders of its accession."""

from dataclasses import dataclass, replace

from pydicom.dataset import Dataset

from dicom_io.errors import NotReadable, VolumeRefused
from dicom_io.files.series import Series, read_dataset
from dicom_io.stamp import Stamp
from dicom_io.volumes.build import stacks_of
from workstation.billing.accession import read
from workstation.orders.stated import Ordered
from workstation.preparing import SeriesTraits
from workstation.site import Site

OUR_NAME = Stamp.__dataclass_fields__["manufacturer"].default


@dataclass(frozen=True, slots=True)
class OrderedExamination:
    """What the orders of an accession say of its urgency, and which procedures they name."""

    urgent: bool = False
    codes: tuple[str, ...] = ()


def order_of(accession: str, site: Site) -> OrderedExamination:
    """Returns what is ordered under an accession, as far as anything is on file; papers count where the site believes
    them."""
    if not accession:
        return OrderedExamination()
    urgent, codes = False, dict[str, bool]()
    if site.config.believe_papers:
        papers = site.papers.get(accession)
        urgent = papers.order.urgent
        codes = {base.code: base.status != "cancelled" for base in papers.base_procedures}
    orders = [each.statement for each in read(accession, site).stated if isinstance(each.statement, Ordered)]
    for order in orders:
        urgent = urgent if order.urgent is None else order.urgent
        codes |= {item.code: item.status != "cancelled" for item in order.items}
    return OrderedExamination(urgent, tuple(code for code, stands in codes.items() if stands))


def traits_of(series: Series, ordered: OrderedExamination) -> SeriesTraits:
    """Returns what rules can ask of a series. Reads a header and no pixels; what makes no volume, or was made by this
    program, has a `refusal`."""
    first = series.first
    images = [instance for instance in series.instances if instance.is_image]
    known = SeriesTraits(first.modality, first.body_part, (first.series_description, first.study_description))
    try:
        ds = read_dataset(str(first.path))
    except NotReadable as error:
        return replace(known, refusal=str(error))
    thickness = images[0].frames[0].thickness_mm if images and images[0].frames else None
    rows, columns = images[0].plane if images else (0, 0)
    codes = (*ordered.codes, *_codes(ds))
    known = replace(
        known,
        protocol_name=_text(ds, "ProtocolName"),
        contrast=bool(_text(ds, "ContrastBolusAgent") or ds.get("ContrastBolusAgentSequence")),
        thickness_mm=thickness if thickness is not None else _number(ds, "SliceThickness"),
        rows=rows,
        columns=columns,
        images=sum(max(len(instance.frames), 1) for instance in images),
        station=_text(ds, "StationName"),
        procedure_codes=tuple(dict.fromkeys(codes)),
    )
    if _text(ds, "Manufacturer") == OUR_NAME:
        return replace(known, refusal="it was made by this program")
    try:
        stacks = stacks_of(series)
    except VolumeRefused as refused:
        return replace(known, refusal=str(refused))
    phase = " ".join(word for word in (_text(ds, name) for name in _PHASES) if word)
    return replace(known, volumes=tuple(" ".join((stack.label, phase)).strip() for stack in stacks))


# Contrast/Bolus Agent Phase, and what tells phases of the heart. Source: PS3.3 C.7.6.4b.1.1, C.7.6.18.1.
_PHASES = ("ContrastBolusAgentPhase", "NominalPercentageOfCardiacPhase", "CardiacCyclePosition")


def _codes(ds: Dataset) -> tuple[str, ...]:
    """The codes of the requested procedure, and of the performed one. Source: PS3.3 10.6, C.7.2.1."""
    requests = ds.get("RequestAttributesSequence") or []
    items = [item for request in requests for item in request.get("RequestedProcedureCodeSequence") or []]
    items += ds.get("ProcedureCodeSequence") or []
    return tuple(str(item.get("CodeValue") or "") for item in items if item.get("CodeValue"))


def _text(ds: Dataset, keyword: str) -> str:
    value = ds.get(keyword)
    return "" if value is None else " ".join(str(value).split())


def _number(ds: Dataset, keyword: str) -> float | None:
    try:
        return float(_text(ds, keyword))
    except ValueError:
        return None
