"""Results and documents: whose report it is, of which accessions, whether it is signed, and what its text states.

Source: HL7 v2.5.1 7.3.1 (ORU^R01), 7.4.1 (OBR), 7.4.2 (OBX), 9.6 (MDM), 9.7 (TXA).
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from workstation.charge.facts import ReportStatus
from workstation.hl7.reader import Incoming, Segment
from workstation.orders.patients import PatientIdentifier
from workstation.orders.report_text import ReportText, coded_facts, stands, text_of
from workstation.orders.sentences import facts_stated, sentences_in
from workstation.orders.stated import MessageRefused, Reported
from workstation.reading import Reading

# HL7 table 0123, result status; and table 0085 where only OBX-11 tells.
_RESULT: dict[str, ReportStatus] = {"F": "final", "C": "final", "X": "none", "D": "none", "W": "none"}
# HL7 table 0085: preliminary, entered and not verified, partial.
_NOT_YET = frozenset("PRS")
# HL7 table 0271, document completion status: authenticated and legally authenticated documents are signed.
_DOCUMENT: dict[str, ReportStatus] = {"AU": "final", "LA": "final"}
# The suffix of an observation identifier, and the LOINC code, of an addendum. Source: HL7 v2.3.1 7.1.3; LOINC.
_ADDENDUM_SUFFIX, _ADDENDUM_CODE = "ADT", "55107-7"
# HL7 table 0273, document availability status: no longer to be had.
_UNAVAILABLE = ("CA", "OB", "UN")
_BODY = ("OBX", "NTE")


def accession_in(obr: Segment | None, orc: Segment, ipc: Segment | None, reading: Reading) -> str:
    segments = {"OBR": obr, "ORC": orc, "IPC": ipc}
    for place in reading.accession_fields:
        name, _, number = place.partition("-")
        segment = segments[name]
        if segment is not None and segment.text(int(number)):
            return segment.text(int(number))
    raise MessageRefused(
        "AE", f"No accession in {', '.join(reading.accession_fields)}; it could never be matched to a study."
    )


def reports_in(message: Incoming, patients: tuple[PatientIdentifier, ...], reading: Reading) -> list[Reported]:
    """Return the reports of a result message, one for each accession.

    Raises
    ------
    MessageRefused
        It has no OBR, or no accession in one.
    """
    groups = list(message.groups("OBR"))
    if not groups:
        raise MessageRefused("AE", "There is no OBR segment, so nothing was reported.")
    orders, found = _orders_of_results(message), dict[str, Reported]()
    for group, results in zip(groups, _results_of(groups), strict=True):
        obr = group[0]
        accession = accession_in(obr, orders[id(obr)], None, reading)
        status = _status_of(obr, {segment.text(11) for segment in results if segment.name == "OBX"})
        report = _report(Incoming((message.header, *results)), accession, patients, status, reading)
        earlier = found.get(accession)
        found[accession] = report if earlier is None else _together(earlier, report)
    return list(found.values())


def _report(
    part: Incoming, accession: str, patients: tuple[PatientIdentifier, ...], status: ReportStatus, reading: Reading
) -> Reported:
    text = text_of(part.all(*_BODY))
    sentences = sentences_in(text.text, reading)
    return Reported(
        accession,
        patients,
        status,
        coded_facts(part, reading) | facts_stated(sentences),
        text.unread,
        status != "none" and _is_addendum(part, text, reading),
        sentences=sentences,
        text=text.text,
    )


def _together(first: Reported, second: Reported) -> Reported:
    """Several results of one accession are one report: signed when all are, saying what any says."""
    return Reported(
        first.accession,
        first.patients,
        second.status if first.status == "final" else first.status,
        first.stated | second.stated,
        tuple(dict.fromkeys((*first.unread, *second.unread))),
        first.addendum and second.addendum,
        sentences=tuple(dict.fromkeys((*first.sentences, *second.sentences))),
        text="\n\n".join(dict.fromkeys(filter(None, (first.text, second.text)))),
    )


def _status_of(obr: Segment, observed: Collection[str]) -> ReportStatus:
    """The status of a result: OBR-25, else OBX-11. It is final only where both agree: a field with several values says
    none, and a result with an observation that is preliminary, partial or not verified is not final yet."""
    told = obr.text(25)
    if not told:
        return "final" if observed and set(observed) <= {"F", "C", "U"} else "preliminary"
    status = _RESULT.get(told, "preliminary")
    several = obr.plain(obr.raw(25)).strip() != told
    return "preliminary" if several or (status == "final" and _NOT_YET & set(observed)) else status


def _is_addendum(part: Incoming, text: ReportText, reading: Reading) -> bool:
    """Whether a result holds an addendum alone: by what its observations are called, else by how its text begins.

    A text with the headings of a whole report is a corrected report, whatever it begins with: taking it for an addendum
    would leave standing what it corrects.
    """
    coded = [obx for obx in part.all("OBX") if stands(obx) and obx.text(2) in ("TX", "FT", "ST", "ED")]
    if coded and all(_addendum_code(obx) for obx in coded):
        return True
    begins = re.match(reading.addendum, text.text.lstrip(), re.IGNORECASE)
    return bool(begins) and not re.search(reading.whole_report, text.text, re.IGNORECASE | re.MULTILINE)


def _addendum_code(obx: Segment) -> bool:
    return obx.text(3) == _ADDENDUM_CODE or _ADDENDUM_SUFFIX in (obx.text(3), obx.text(3, subcomponent=2))


def _results_of(groups: Sequence[Sequence[Segment]]) -> list[Sequence[Segment]]:
    """The results of each OBR, its own or those that it shares, each with its OBR before them.

    Linked orders have one report: an OBR without results shares those of the OBR that it names as its parent (OBR-29),
    else those of the next OBR that has any, when nothing but OBRs stands between.
    """
    own = [[segment for segment in group if segment.name in _BODY] for group in groups]
    numbers = _by_number(groups, own)
    found: list[Sequence[Segment]] = []
    for index, (group, results) in enumerate(zip(groups, own, strict=True)):
        if not results:
            obr = group[0]
            parents = [obr.text(29, component) for component in (1, 2)]
            named = next((numbers[each] for each in parents if each in numbers), None)
            behind = next((other for other in own[index:] if other), []) if not any(parents) else []
            results = named if named is not None else behind
        found.append([group[0], *results])
    return found


def _by_number(groups: Sequence[Sequence[Segment]], own: Sequence[list[Segment]]) -> Mapping[str, list[Segment]]:
    """The results of those OBRs that have any, by their numbers (OBR-2, OBR-3)."""
    return {
        number: results
        for group, results in zip(groups, own, strict=True)
        for number in (group[0].text(2), group[0].text(3))
        if number and results
    }


def _orders_of_results(message: Incoming) -> dict[int, Segment]:
    """The ORC that each OBR belongs to, by the identity of the OBR: the one just before it; where there is one ORC
    alone, that. Source: HL7 v2.5.1 7.3.1 (ORDER_OBSERVATION)."""
    empty = Segment(("ORC",))
    several = sum(1 for _ in message.all("ORC")) > 1
    found: dict[int, Segment] = {}
    current = empty
    for segment in message.all("ORC", "OBR"):
        if segment.name == "ORC":
            current = segment
        else:
            found[id(segment)] = current
            if several:
                current = empty
    return found


def document_in(message: Incoming, patients: tuple[PatientIdentifier, ...], reading: Reading) -> Reported:
    """Return the report that a document message is.

    Raises
    ------
    MessageRefused
        It has no TXA, or no accession.
    """
    txa = message.first("TXA")
    if txa is None:
        raise MessageRefused("AE", "TXA is missing, so it cannot be told whether the document is signed.")
    obr, orc = message.first("OBR"), message.first("ORC")
    # TXA-15 is the filler's order number, TXA-14 the placer's. Only v2.6 lets OBR and ORC travel with a document.
    accession = ""
    if obr is not None or orc is not None:
        accession = accession_in(obr, orc or Segment(("ORC",)), None, reading)
    accession = accession or txa.text(15) or txa.text(14)
    if not accession:
        raise MessageRefused("AE", "No accession in TXA-15, TXA-14 or OBR; it could never be matched to a study.")
    status: ReportStatus = _DOCUMENT.get(txa.text(17), "preliminary")
    if message.kind == "MDM^T11" or txa.text(19) in _UNAVAILABLE:
        status = "none"
    said = _report(message, accession, patients, status, reading)
    # T06 is the notification of an addendum (9.6.6). Any other document is what its number says, whatever its words.
    return replace(said, addendum=message.kind == "MDM^T06", document=txa.text(12), parent=txa.text(13))
