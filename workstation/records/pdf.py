"""Prints a session as a PDF that reads as a radiology report: patient, study, indication, technique, findings,
measures, impression, key pictures, signature. How each picture was made, digests and UIDs stand in an appendix.

The same record and pictures give the same bytes.
"""

import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    KeepTogether,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)
from reportlab.platypus import Image as Picture

from dicom_io.evidence import Evidence
from dicom_io.objects.burn_in import banner
from dicom_io.person_names import spoken
from render import fonts
from workstation.records import plain_words
from workstation.records.explain import attestation, picture, sources
from workstation.records.pdf_contents import HEADINGS, ReportSections, Shown, SignedReport, divided

_WIDTH, _HEIGHT = A4
_MARGIN, _TOP, _BOTTOM = 18 * mm, 34 * mm, 20 * mm
_INK, _FAINT, _LINE = colors.HexColor("#1a1d21"), colors.HexColor("#5b636d"), colors.HexColor("#c4cad1")
_FACES = {"Sans": "DejaVuSans.ttf", "Sans-Bold": "DejaVuSans-Bold.ttf"}
# Pixels for each point, for text drawn as a picture because the PDF's fonts lack its letters.
_FINE = 4
_SHOWN_MM = 83.0

_BODY = ParagraphStyle("body", fontName="Sans", fontSize=9, leading=13, textColor=_INK)
_SMALL = ParagraphStyle("small", parent=_BODY, fontSize=7.5, leading=10.5, textColor=_FAINT)
_TITLE = ParagraphStyle("title", parent=_BODY, fontName="Sans-Bold", fontSize=15, leading=20, spaceAfter=2 * mm)
_HEAD = ParagraphStyle(
    "head", parent=_BODY, fontName="Sans-Bold", fontSize=10.5, leading=14, spaceBefore=5 * mm, spaceAfter=1.5 * mm
)


def print_report(
    evidence: Evidence,
    header: Dataset,
    report: SignedReport | None,
    shown: Sequence[Shown],
    signatures: Sequence[str],
    path: Path,
) -> None:
    """Writes the PDF. header : the SR, for patient and study. signatures : a line on each digital signature.

    Raises BannerError when the SR has neither patient name nor ID, or the name cannot be written.
    """
    who = banner(header)
    for name, file in _FACES.items():
        pdfmetrics.registerFont(TTFont(name, str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / file)))
    indication, findings, impression, others = divided(report)
    title = "Amended radiology report" if report is not None and report.amends else "Radiology report"
    story = [
        Paragraph(title, _TITLE),
        _study(evidence, header),
        *_report_sections(indication),
        *_section("Technique", _technique(evidence)),
        *(_section("Findings", [_UNSIGNED]) if report is None else _report_sections(findings)),
        *_measurements(evidence),
        *_report_sections(impression),
        *_report_sections(others),
        *_pictures(shown),
        *_signed(evidence, header, report),
        PageBreak(),
        Paragraph("Appendix: how it came about", _TITLE),
        *_texts(_origin(evidence, report, signatures), _SMALL),
        *_how(evidence),
        *_acts(evidence),
    ]
    buffer = io.BytesIO()
    document = BaseDocTemplate(buffer, pagesize=A4, title="Radiology report", author=evidence.station_name, invariant=1)
    body = Frame(_MARGIN, _BOTTOM, _WIDTH - 2 * _MARGIN, _HEIGHT - _TOP - _BOTTOM, 0, 0, 0, 0)
    document.addPageTemplates([PageTemplate(frames=[body])])
    frame = partial(_frame, who, header, evidence)
    document.build(story, canvasmaker=partial(_Numbered, frame))
    path.write_bytes(buffer.getvalue())


class _Numbered(Canvas):  # type: ignore[misc]
    """A canvas that draws header and footer at the end, when the number of pages is known."""

    def __init__(self, frame: Callable[[Canvas, int, int], None], *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._around = frame
        self._done: list[dict[str, Any]] = []

    def showPage(self) -> None:  # noqa: N802 - reportlab's name
        self._done.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        count = len(self._done)
        for number, page in enumerate(self._done, start=1):
            self.__dict__.update(page)
            self._around(self, number, count)
            super().showPage()
        super().save()


def _frame(who: Sequence[str], header: Dataset, evidence: Evidence, canvas: Canvas, number: int, count: int) -> None:
    y = _HEIGHT - 13 * mm
    for line, size in zip(who, (11, *[8] * len(who)), strict=False):
        _write(canvas, _MARGIN, y, line, size, bold=size > 8)
        y -= size * 1.32
    # On the right: institution and workstation.
    where = [str(header.get("InstitutionName") or ""), f"Workstation {evidence.station_name}"]
    for place, line in enumerate(filter(None, where)):
        image = _drawn(line, 8)
        width = image.width / _FINE if image else pdfmetrics.stringWidth(line, "Sans", 8)
        _write(canvas, _WIDTH - _MARGIN - width, _HEIGHT - 13 * mm - place * 11, line, 8)
    canvas.setStrokeColor(_LINE)
    canvas.line(_MARGIN, _HEIGHT - _TOP + 2 * mm, _WIDTH - _MARGIN, _HEIGHT - _TOP + 2 * mm)
    canvas.line(_MARGIN, _BOTTOM - 4 * mm, _WIDTH - _MARGIN, _BOTTOM - 4 * mm)
    canvas.setFont("Sans", 6.5)
    canvas.setFillColor(_FAINT)
    canvas.drawString(_MARGIN, _BOTTOM - 8 * mm, "Not cleared for diagnosis.")
    canvas.drawRightString(_WIDTH - _MARGIN, _BOTTOM - 8 * mm, f"Page {number} of {count}")


# Text in any script


def _write(canvas: Canvas, x: float, y: float, text: str, size: float, *, bold: bool = False) -> None:
    image = _drawn(text, size)
    if image is None:
        canvas.setFont("Sans-Bold" if bold else "Sans", size)
        canvas.setFillColor(_INK)
        canvas.drawString(x, y, text)
    else:
        width, height = image.width / _FINE, image.height / _FINE
        canvas.drawImage(ImageReader(image), x, y - height * 0.24, width, height)


def _covered(text: str) -> bool:
    """Whether the PDF's own font has all letters of a text."""
    face = pdfmetrics.getFont("Sans").face
    return all(ord(letter) in face.charToGlyph or letter.isspace() for letter in text)


def _drawn(text: str, size: float) -> Image.Image | None:
    """Draws a line of text as a picture; None where the PDF's own font has all letters."""
    if _covered(text):
        return None
    pieces = fonts.nearly(text, round(size * _FINE))
    image = Image.new("RGB", (max(1, round(fonts.length(pieces))), round(size * 1.4 * _FINE)), "white")
    fonts.write(ImageDraw.Draw(image), (0, 0), pieces, (26, 29, 33))
    return image


def _text(text: str, style: ParagraphStyle) -> Flowable:
    """Makes a paragraph; as pictures of lines where the PDF's font lacks letters."""
    if _covered(text):
        return Paragraph(_escaped(text), style)
    rows = []
    for line in _wrapped(text, style.fontSize, _WIDTH - 2 * _MARGIN):
        image = _drawn(line, style.fontSize)
        if image is None:
            rows.append([Paragraph(_escaped(line), style)])
        else:
            buffer = io.BytesIO()
            image.save(buffer, "PNG")
            rows.append([Picture(buffer, image.width / _FINE, image.height / _FINE, hAlign="LEFT")])
    return Table(rows, style=TableStyle([("LEFTPADDING", (0, 0), (-1, -1), 0), *_tight()]), hAlign="LEFT")


def _wrapped(text: str, size: float, width: float) -> Iterator[str]:
    """Yields lines of at most `width` points, broken between words; between letters where words have no spaces."""
    for paragraph in text.splitlines():
        line, used = "", 0.0
        for word in re.findall(r"[\x21-\u2fff]+\s*|.", paragraph):
            wide = fonts.length(fonts.nearly(word, round(size * _FINE))) / _FINE
            if line and used + wide > width:
                yield line
                line, used = "", 0.0
            line, used = line + word, used + wide
        yield line


def _tight() -> list[tuple[Any, ...]]:
    return [("TOPPADDING", (0, 0), (-1, -1), 0), ("BOTTOMPADDING", (0, 0), (-1, -1), 0)]


def _escaped(text: str) -> str:
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return plain.replace("\r\n", "<br/>").replace("\n", "<br/>")


def _texts(texts: Sequence[str], style: ParagraphStyle) -> list[Flowable]:
    return [_text(text, style) for text in texts if text.strip()]


# Parts


_UNSIGNED = "No signed report of this study is on file."
_TECHNIQUES = {
    "volume_rendering": "volume rendering",
    "mip": "maximum intensity projection",
    "minip": "minimum intensity projection",
    "average_ip": "mean intensity projection",
    "mpr": "multiplanar reformat",
    "curved_mpr": "curved reformat",
}


def _study(evidence: Evidence, header: Dataset) -> Flowable:
    """Makes the block below the title: what was examined, when, for whom."""
    lines = {
        "Examination": str(header.get("StudyDescription") or "") or evidence.modality,
        "Date": _day(evidence.study_date),
        "Accession": evidence.accession,
        "Referring physician": spoken(str(header.get("ReferringPhysicianName") or "")),
        "Institution": str(header.get("InstitutionName") or ""),
    }
    rows = [[Paragraph(title, _SMALL), _text(said, _BODY)] for title, said in lines.items() if said]
    width = _WIDTH - 2 * _MARGIN
    return _table(rows, [0.24 * width, 0.76 * width])


def _technique(evidence: Evidence) -> list[str]:
    """Says what was done, in sentences: no digest, no UID."""
    count = Counter(_TECHNIQUES.get(product.technique, product.technique) for product in evidence.products)
    made = ", ".join(f"{number} {name}{'s' if number > 1 else ''}" for name, number in count.items())
    where = "an independent workstation" if evidence.independent else "the workstation of the scanner"
    images = f"{len(evidence.sources)} {evidence.modality} images"
    return [
        f"3D post-processing of {images} on {where} ({evidence.station_name}), "
        f"by {spoken(evidence.operator.name)} ({evidence.operator.role}): {made or 'no pictures'}."
    ]


def _origin(evidence: Evidence, report: SignedReport | None, signatures: Sequence[str]) -> tuple[str, ...]:
    """Returns the UIDs of what was printed, and the digital signatures."""
    return (
        f"Record: SR {evidence.sop_instance_uid}.",
        f"It amends SR {evidence.predecessor.sop_instance_uid}." if evidence.predecessor else "",
        f"Report: SR {report.sop_instance_uid}." if report is not None and report.sop_instance_uid else "",
        f"It amends report SR {report.amends}." if report is not None and report.amends else "",
        f"Study {evidence.study_uid}.",
        sources(evidence),
        *signatures,
    )


def _section(heading: str, texts: Sequence[str]) -> list[Flowable]:
    first, *more = _texts(texts, _BODY) or [Spacer(0, 0)]
    return [KeepTogether([Paragraph(_escaped(heading), _HEAD), first]), *more]


def _report_sections(sections: ReportSections) -> list[Flowable]:
    return [part for heading, texts in sections for part in _section(HEADINGS.get(heading, heading), texts)]


def _pictures(shown: Sequence[Shown]) -> list[Flowable]:
    if not shown:
        return _section("Key pictures", ["No picture of the record is on file here."])
    cells = []
    for shown_picture in shown:
        buffer = io.BytesIO()
        Image.fromarray(shown_picture.pixels).save(buffer, "PNG")
        rows, columns = shown_picture.pixels.shape[:2]
        scale = _SHOWN_MM * mm / max(rows, columns)
        cells.append(
            [Picture(buffer, columns * scale, rows * scale, hAlign="LEFT"), _text(shown_picture.title, _SMALL)]
        )
    rows_of = [cells[n : n + 2] for n in range(0, len(cells), 2)]
    tables = [
        Table(
            [row + [""] * (2 - len(row))],
            colWidths=[(_WIDTH - 2 * _MARGIN) / 2] * 2,
            style=TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0)]),
        )
        for row in rows_of
    ]
    return [KeepTogether([Paragraph("Key pictures", _HEAD), tables[0]]), *tables[1:]]


def _measurements(evidence: Evidence) -> list[Flowable]:
    if not evidence.measurements:
        return []
    rows = [
        [
            _text(measurement.name, _BODY),
            _text(measurement.finding, _BODY) if measurement.finding else "",
            _text(", ".join(plain_words.quantity(q) for q in measurement.quantities), _BODY),
        ]
        for measurement in evidence.measurements
    ]
    width = _WIDTH - 2 * _MARGIN
    rows = [[Paragraph(title, _SMALL) for title in ("Measure", "Of", "Value")], *rows]
    return [KeepTogether([Paragraph("Measures", _HEAD), _table(rows, [0.2 * width, 0.3 * width, 0.5 * width])])]


def _table(rows: Sequence[Sequence[Any]], widths: Sequence[float]) -> Table:
    lines = [("LINEBELOW", (0, 0), (-1, -2), 0.4, _LINE), ("VALIGN", (0, 0), (-1, -1), "TOP")]
    return Table(rows, colWidths=widths, style=TableStyle([*lines, ("LEFTPADDING", (0, 0), (0, -1), 0)]))


def _signed(evidence: Evidence, header: Dataset, report: SignedReport | None) -> list[Flowable]:
    said = (
        [f"Report signed by {spoken(report.signed_by)} on {_moment(report.signed_at)}."] if report is not None else []
    )
    lines = list(attestation(evidence)) or ["No attestation is on record."]
    if evidence.verified:
        observer = header.VerifyingObserverSequence[0]
        where = str(observer.get("VerifyingOrganization") or "")
        at = _moment(str(observer.VerificationDateTime))
        by = ", ".join(part for part in (spoken(evidence.verified_by), where) if part and part != "not stated")
        lines.append(f"Record verified by {by}, on {at}.")
    else:
        lines.append("The record is not verified by a physician.")
    box = Table(
        [[_texts([*said, *lines], _BODY)]],
        colWidths=[_WIDTH - 2 * _MARGIN],
        style=TableStyle([("BOX", (0, 0), (-1, -1), 0.6, _LINE), ("TOPPADDING", (0, 0), (-1, -1), 6)]),
    )
    return [KeepTogether([Paragraph("Signature", _HEAD), box])]


def _how(evidence: Evidence) -> list[Flowable]:
    found: list[Flowable] = [Paragraph("How each picture came about", _HEAD)]
    for product in evidence.products:
        first, *more = _texts(picture(product), _SMALL)
        found += [KeepTogether([_text(product.name, _BODY), first]), *more, Spacer(0, 2 * mm)]
    return found


def _acts(evidence: Evidence) -> list[Flowable]:
    lines = [plain_words.act(act) for act in evidence.acts]
    end = f"Journal sha256 {evidence.journal_head}" if evidence.journal_head else ""
    return [Paragraph("Who did what", _HEAD), *_texts([*lines, end], _SMALL)]


def _moment(text: str) -> str:
    """Writes a DT for people. Source: PS3.5 6.2."""
    return f"{text[:4]}-{text[4:6]}-{text[6:8]} {text[8:10]}:{text[10:12]}:{text[12:14]} {text[14:]}".strip()


def _day(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}" if len(text) == 8 else text
