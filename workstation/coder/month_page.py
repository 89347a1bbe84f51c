"""A month on paper: money, what is flagged, counts, and the work that was lost; .png, .pdf or .svg."""

from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workstation.coder.month_report import dollars, limit_in_words
from workstation.coder.work_list import WorkError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PAPER = (11.7, 8.3)  # A4, inches
_DPI = 150
_SMALL = 7  # points
_BARS = 8  # in one chart; how many more there are is written under it
_LABEL = 116  # points of room for names before a chart
_PANELS = (
    ("Physician", "by_physician", "physician"),
    ("Payer", "by_payer", "payer"),
    ("Technique", "by_technique", "techniques"),
    ("State", "states", "state"),
    ("Reason", "by_reason", "reasons"),
)
_MONEY = (
    ("charged", "Charged", "tab:blue"),
    ("held", "Held", "tab:orange"),
    ("lost", "Lost", "tab:red"),
)
# Columns of the list of lost work: title, left edge as a share of the paper's width, points of room.
_LOST = (
    ("accession", 0.03, 128),
    ("date", 0.19, 55),
    ("technique", 0.26, 152),
    ("expected dollars", 0.45, 112),
    ("why lost", 0.59, 315),
)
_FIRST_PAGE, _NEXT_PAGE = 9, 48  # rows of lost work
_LINE = 0.0185  # of the paper's height


def write_page(found: Mapping[str, Any], path: Path) -> None:
    """Plot a month; the kind of file follows from the name. Lost work that has no room goes on further pages of a .pdf.

    Raises WorkError for another kind than .png, .pdf and .svg.
    """
    kind = path.suffix.lower()
    if kind not in (".png", ".pdf", ".svg"):
        raise WorkError(f"{path}: a page is a .png, .pdf or .svg file.")
    if kind != ".pdf":
        first_page(found).savefig(path)
        return
    from matplotlib.backends.backend_pdf import PdfPages

    with PdfPages(path) as pages:
        for figure in (first_page(found), *further_pages(found)):
            pages.savefig(figure)


def first_page(found: Mapping[str, Any]) -> "Figure":
    """Return the page with the money, the charts and the first of the lost work."""
    figure = _blank()
    figure.text(0.03, 0.955, f"3D charges, {found['month']}: {len(found['cases'])} cases", fontsize=14)
    for place, (key, title, colour) in enumerate(_MONEY):
        _money(figure, 0.03 + 0.32 * place, title, found["money"][key], colour)
    above = found["share"]["above_limit"] or any(each["above_limit"] for each in found["share"]["by_modality"].values())
    for row, line in enumerate(limit_in_words(found)):
        figure.text(0.03, 0.812 - 0.024 * row, line, fontsize=9, color="tab:red" if above else "black")
    for place, (title, key, column) in enumerate(_PANELS):
        _bars(figure, _panel(figure, place, title), [(str(r[column]), r["cases"], r["charged"]) for r in found[key]])
    ages = [(name, cases, 0) for name, cases in found["hold_ageing"].items()]
    _bars(figure, _panel(figure, len(_PANELS), "Age of holds"), ages)
    handles, names = figure.axes[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, names, loc="upper right", ncols=2, fontsize=8, frameon=False)
    shown, left = found["lost"][:_FIRST_PAGE], len(found["lost"]) - _FIRST_PAGE
    excluded = f"; {found['not_chargeable']} more cases were not chargeable by the rules" * bool(
        found["not_chargeable"]
    )
    figure.text(0.03, 0.235, f"Lost work: {len(found['lost']) or 'none found'}{excluded}", fontsize=10)
    _list(figure, 0.21, shown)
    if left > 0:
        words = f"and {left} more: on the next pages of a .pdf, and in the printed report"
        figure.text(0.03, 0.21 - _LINE * (len(shown) + 1), words, fontsize=_SMALL, style="italic")
    return figure


def further_pages(found: Mapping[str, Any]) -> list["Figure"]:
    """Return the pages with the lost work that has no room on the first."""
    rest = found["lost"][_FIRST_PAGE:]
    pages = []
    for start in range(0, len(rest), _NEXT_PAGE):
        figure = _blank()
        figure.text(0.03, 0.955, f"Lost work, {found['month']}, continued", fontsize=14)
        _list(figure, 0.925, rest[start : start + _NEXT_PAGE])
        pages.append(figure)
    return pages


def shortened(names: Sequence[str], room: float, figure: "Figure") -> list[str]:
    """Return the names, those wider than `room` points with their middle cut out; no two names become one."""
    found: list[str] = []
    for name in names:
        short = _cut(name, room, figure)
        numbers = count(2)
        while short in found:
            short = _cut(name, room, figure, f" #{next(numbers)}")
        found.append(short)
    return found


def _cut(text: str, room: float, figure: "Figure", end: str = "") -> str:
    """By measured width: as many capitals take half as much room again as small letters."""
    if _width(text + end, figure) <= room:
        return text + end

    def with_left(left: int) -> str:
        tail = left // 3
        return f"{text[: left - tail]}…{text[len(text) - tail :]}{end}"

    # The most characters that fit, found by halving: each measurement takes a millisecond.
    fits, wide = 1, len(text)
    while wide - fits > 1:
        middle = (fits + wide) // 2
        fits, wide = (middle, wide) if _width(with_left(middle), figure) <= room else (fits, middle)
    return with_left(fits)


def _width(text: str, figure: "Figure") -> float:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.font_manager import FontProperties

    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    width, _, _ = canvas.get_renderer().get_text_width_height_descent(text, FontProperties(size=_SMALL), ismath=False)
    return float(width) * 72 / figure.dpi


def _blank() -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Measured as it is drawn: the same text is wider or narrower at another resolution.
    figure = Figure(figsize=_PAPER, dpi=_DPI)
    FigureCanvasAgg(figure)
    return figure


def _money(figure: "Figure", left: float, title: str, total: Mapping[str, Any], colour: str) -> None:
    known, unknown = total["cases"] - total["unknown"], total["unknown"]
    amount = dollars(total)
    words = f"{title}: {amount if amount == 'not known' else f'${amount}'}"
    figure.text(left, 0.9, words, fontsize=12, color=colour, weight="bold")
    figure.text(
        left,
        0.872,
        f"{total['cases']} case{'s' * (total['cases'] != 1)}: {known} in the sum, {unknown} of unknown amount",
        fontsize=8,
    )


def _panel(figure: "Figure", place: int, title: str) -> "Axes":
    # The room before every chart is the same, so that a long name takes nothing from its neighbours.
    column, row = place % 3, place // 3
    axes = figure.add_axes((0.165 + 0.325 * column, 0.56 - 0.265 * row, 0.165, 0.18))
    axes.set_title(title, fontsize=10)
    return axes


def _bars(figure: "Figure", axes: "Axes", rows: Sequence[tuple[str, int, int]]) -> None:
    """Draw cases, and of these the charged ones, as horizontal bars under each other, the most on top."""
    from matplotlib.ticker import MaxNLocator

    shown, left = rows[:_BARS], len(rows) - _BARS
    if left > 0:
        # Not one more bar: it would be the longest by far, and make the others too short to read.
        axes.set_xlabel(f"and {left} more: see the printed report", fontsize=_SMALL, style="italic", labelpad=1)
    # By place and not by name: bars of one name would be drawn over each other.
    places = range(len(shown))
    axes.barh(places, [cases for _, cases, _ in shown], color="0.75", label="cases")
    axes.barh(places, [charged for _, _, charged in shown], color="tab:blue", label="of these charged", height=0.4)
    names = [name.replace("_", " ") if name.islower() else name for name, _, _ in shown]
    axes.set_yticks(places, shortened(names, _LABEL, figure), parse_math=False)
    axes.set_ylim(max(len(shown), 4) - 0.4, -0.6)
    axes.set_xlim(0, max([1, *(cases for _, cases, _ in shown)]) * 1.05)
    # Cases are whole.
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
    axes.tick_params(labelsize=_SMALL)


def _list(figure: "Figure", top: float, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    for title, left, _ in _LOST:
        figure.text(left, top, title, fontsize=_SMALL, weight="bold")
    for number, row in enumerate(rows, 1):
        techniques = ", ".join(row["techniques"]).replace("_", " ") or "not read"
        cells = (row["accession"], row["date_of_service"], techniques, dollars(row), row["why"])
        for (_, left, room), cell in zip(_LOST, cells, strict=True):
            figure.text(left, top - _LINE * number, _cut(cell, room, figure), fontsize=_SMALL, parse_math=False)
