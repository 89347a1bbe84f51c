"""The page of a month: what stands on it, whole numbers on its axes, and no text over another or off the paper."""

import re
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text

from tests.thorough import one_in
from workstation.charge.reasons import REASONS
from workstation.coder import month_page
from workstation.coder.expected_amount import NOT_KNOWN

LONG = [f"Featherstonehaugh-Cholmondeley^Maximiliana^Wilhelmina^{number}" for number in range(14)]
WIDE = [f"WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW{number}WWWWWWWWWWWWWWWWWWWWWWWWWWWWWW" for number in range(14)]


def group(column: str, names: list[str], cases: int) -> list[dict[str, Any]]:
    return [{column: name, "cases": cases, "charged": cases // 2} for name in names]


def month(cases: int, names: list[str], lost: int) -> dict[str, Any]:
    share = {"with_3d": 4, "examinations": 15, "share": 0.2667, "limit": 0.2, "above_limit": True}
    none = {**share, "with_3d": 0, "examinations": 0, "share": None, "above_limit": False}
    total = {"cases": cases, "expected_low": "1234.00", "expected_high": "98765.00", "unknown": 1}
    row = {
        "accession": "ACCESSION-" * 3,
        "date_of_service": "2026-03-02",
        "techniques": ["average_ip", "curved_mpr", "volume_rendering"],
        "why": f"12 3D images of study 1.2.826.{'9' * 50} that no SR tells of",
        "expected_low": "",
        "expected_high": "",
        "basis": NOT_KNOWN,
    }
    return {
        "month": "2026-03",
        "cases": [{}] * cases,
        "money": {
            "charged": total,
            "held": {**total, "expected_low": "41.50", "expected_high": "41.50"},
            "lost": {**total, "expected_low": "0.00", "expected_high": "0.00", "unknown": cases},
        },
        "not_chargeable": 3,
        "states": group("state", ["acknowledged", "held"], cases),
        "by_physician": group("physician", names, cases),
        "by_payer": group("payer", names, cases),
        "by_technique": group("techniques", ["average_ip", "volume_rendering"], cases),
        "by_reason": group("reasons", [kind.code for kind in REASONS], cases),
        "share": {**share, "by_modality": {"CT": share, "MR": none}},
        "hold_ageing": {"up to 7 days": cases, "8 to 30 days": 0, "31 to 90 days": 1, "more than 90 days": 0},
        "lost": [row] * lost,
    }


@cache
def pages_of(name: str) -> tuple[Figure, ...]:
    return month_page.first_page(MONTHS[name]), *month_page.further_pages(MONTHS[name])


def texts(figure: Figure) -> list[Text]:
    """Every text that is seen."""
    figure.canvas.draw()
    found = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for axes in figure.axes:
        low, high = axes.get_xlim()
        # A tick beyond the limits has a label too, which is not drawn.
        drawn = [tick.label1 for tick in axes.xaxis.get_major_ticks() if low <= tick.get_loc() <= high]
        found += [axes.title, axes.xaxis.label, *drawn, *axes.get_yticklabels()]
    return [text for text in found if text.get_text()]


MONTHS = {
    "empty": month(0, [], 0),
    "small": month(1, ["DR1"], 1),
    "busy": month(230, LONG, 77),
    "wide": month(9999, WIDE, 10),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*MONTHS][one_in(2) - 1 :: one_in(2)])
def test_no_text_lies_over_another_or_off_the_paper(name: str) -> None:
    for figure in pages_of(name):
        boxes = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
        assert len(boxes) > 5
        for text, box in boxes:
            assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1, text
        for (one, first), (other, second) in combinations(boxes, 2):
            assert not first.overlaps(second), (one, other)
        for axes in figure.axes:
            frame = axes.get_window_extent()
            for text, box in boxes:
                assert not frame.overlaps(box), text


@pytest.mark.parametrize("name", [*MONTHS][:: one_in(3)])
def test_axes_of_counts_have_whole_numbers(name: str) -> None:
    figure = pages_of(name)[0]
    figure.canvas.draw()
    assert len(figure.axes) == 6
    for axes in figure.axes:
        labels = [label.get_text() for label in axes.get_xticklabels()]
        assert len(labels) >= 2
        assert all(re.fullmatch(r"\d+", label) for label in labels), labels
        assert all(tick == int(tick) for tick in axes.get_xticks())


def test_what_stands_on_it() -> None:
    words = [text.get_text() for text in texts(month_page.first_page(MONTHS["busy"]))]
    assert "Charged: $1,234.00 to 98,765.00" in words
    assert "Held: $41.50" in words
    assert "Lost: not known" in words
    assert "230 cases: 229 in the sum, 1 of unknown amount" in words
    assert "230 cases: 0 in the sum, 230 of unknown amount" in words
    assert any(
        text.startswith("A month is flagged when more than 20% of CT and MR have 3D")
        and text.endswith("26.7%, ABOVE the limit.")
        for text in words
    )
    assert "and 6 more: see the printed report" in words
    assert "Lost work: 77; 3 more cases were not chargeable by the rules" in words
    assert {"accession", "technique", "why lost", "expected dollars"} <= {*words}
    assert sum("68 more" in text for text in words) == 1


@pytest.mark.slow
def test_all_lost_work_is_on_the_pages_of_a_pdf(tmp_path: Path) -> None:
    found = MONTHS["busy"]
    pages = pages_of("busy")
    assert sum(text.get_text() == NOT_KNOWN for page in pages for text in page.texts) == 77
    month_page.write_page(found, tmp_path / "march.pdf")
    assert len(re.findall(rb"/Type /Page\b", (tmp_path / "march.pdf").read_bytes())) == len(pages) == 3


def test_no_two_names_become_one() -> None:
    figure = Figure()
    canvas = FigureCanvasAgg(figure)
    names = [f"{'A' * 40}{number}{'B' * 40}" for number in range(12)]
    short = month_page.shortened(["DR1", *names], 100, figure)
    assert short[0] == "DR1"
    assert len(set(short)) == 13
    for name in short:
        width, _, _ = canvas.get_renderer().get_text_width_height_descent(name, FontProperties(size=7), ismath=False)
        assert width * 72 / figure.dpi <= 100


@pytest.mark.slow
def test_signs_of_formulas_are_letters_in_a_name(tmp_path: Path) -> None:
    """Text between two dollar signs would be set as a formula, or refused as a wrong one."""
    found = month(1, [r"$\frac{$"], 1)
    assert r"$\frac{$" in [text.get_text() for text in texts(month_page.first_page(found))]
    month_page.write_page(found, tmp_path / "march.png")
