"""Lists as files: CSV that no spreadsheet takes for formulas, and PDF pages of a table."""

import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from workstation.coder.work_list import WorkError
from workstation.text_table import csv_line

# A4 across, points; margins of 15 mm.
_PAPER, _MARGIN = (841.89, 595.28), 42.5
_LONGEST = 400  # characters of one cell
_MOST_ROWS = 3000  # on paper


def as_csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return rows as CSV. A cell that a spreadsheet would take for a formula gets an apostrophe in front."""
    lines = [csv_line(columns), *(csv_line(tuple(cell(row[name]) for name in columns)) for row in rows)]
    return b"".join(lines)


def cell(value: Any) -> str | float:
    """Return a value for a cell: lists as words, objects as `key: value`, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return value
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {cell(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return " ".join(str(cell(each)) for each in value)
    return str(value)


def as_pdf(
    title: str, about: Sequence[str], columns: Sequence[str], rows: Sequence[Mapping[str, Any]], made_at: datetime
) -> bytes:
    """Return rows as pages of a PDF, the head of the table on each. about : lines under the title. Of very many rows
    the first, and a line that says so: that is for people, and CSV has all."""
    import matplotlib
    from reportlab.lib import colors
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont
    from reportlab.pdfgen.canvas import Canvas
    from reportlab.platypus import LongTable, Paragraph, SimpleDocTemplate, Spacer, TableStyle

    for name, file in (("Sans", "DejaVuSans.ttf"), ("Sans-Bold", "DejaVuSans-Bold.ttf")):
        pdfmetrics.registerFont(TTFont(name, str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / file)))
    if len(rows) > _MOST_ROWS:
        about = [*about, f"The first {_MOST_ROWS} of {len(rows)} rows; the CSV file has all."]
        rows = rows[:_MOST_ROWS]
    body = ParagraphStyle("body", fontName="Sans", fontSize=7, leading=9)
    bold = ParagraphStyle("bold", parent=body, fontName="Sans-Bold")
    large = ParagraphStyle("title", parent=bold, fontSize=14, leading=18)

    def text(value: Any, style: ParagraphStyle) -> Paragraph:
        words = str(cell(value))
        words = words if len(words) <= _LONGEST else f"{words[:_LONGEST]}…"
        return Paragraph(words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"), style)

    cells = [[text(name.replace("_", " "), bold) for name in columns]]
    cells += [[text(row[name], body) for name in columns] for row in rows]
    width = _PAPER[0] - 2 * _MARGIN
    table = LongTable(cells, colWidths=_widths(columns, rows, width), repeatRows=1)
    line = (0.4, colors.HexColor("#c4cad1"))
    table.setStyle(
        TableStyle(
            [
                ("LINEBELOW", (0, 0), (-1, -1), *line),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("TOPPADDING", (0, 0), (-1, -1), 2),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
                ("LEFTPADDING", (0, 0), (-1, -1), 2),
                ("RIGHTPADDING", (0, 0), (-1, -1), 4),
            ]
        )
    )

    def foot(canvas: Canvas, document: SimpleDocTemplate) -> None:
        canvas.setFont("Sans", 7)
        canvas.drawString(_MARGIN, 25, f"{title}, made {made_at:%Y-%m-%d %H:%M}")
        canvas.drawRightString(_PAPER[0] - _MARGIN, 25, f"page {document.page}")

    buffer = io.BytesIO()
    document = SimpleDocTemplate(
        buffer, pagesize=_PAPER, leftMargin=_MARGIN, rightMargin=_MARGIN, topMargin=_MARGIN, bottomMargin=_MARGIN,
        title=title, invariant=1,
    )  # fmt: skip
    story = [text(title, large), *(text(each, body) for each in about), Spacer(0, 8), table]
    document.build(story, onFirstPage=foot, onLaterPages=foot)
    return buffer.getvalue()


def _widths(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], width: float) -> list[float]:
    """Columns as wide as their longest words of the first rows want, within limits."""
    wanted = [min(max([len(name), *(len(str(cell(row[name]))) for row in rows[:200])]), 45) + 2 for name in columns]
    return [width * each / sum(wanted) for each in wanted]


def write(
    path: Path,
    title: str,
    about: Sequence[str],
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    made_at: datetime,
) -> None:
    """Write rows to a file; its kind follows from the name. Raises WorkError for another kind than .csv and .pdf."""
    if path.suffix.lower() == ".csv":
        path.write_bytes(as_csv(columns, rows))
    elif path.suffix.lower() == ".pdf":
        path.write_bytes(as_pdf(title, about, columns, rows, made_at))
    else:
        raise WorkError(f"{path}: a list is written as a .csv or .pdf file.")
