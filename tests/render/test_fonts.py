"""Names in any script are written with a font that has their letters, or refused with the script's name."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, features

from render import fonts

# VTK's wheel brings Matplotlib, and that a font of many scripts: a file that is there on every machine.
MATPLOTLIB = pytest.importorskip("matplotlib")
DEJAVU = Path(MATPLOTLIB.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


@pytest.fixture
def no_system_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_files", lambda: ())


def drawn(text: str, font: fonts.Font) -> Image.Image:
    image = Image.new("L", (100, 40))
    ImageDraw.Draw(image).text((0, 30), text, 255, font, anchor="ls")
    return image


@pytest.mark.usefixtures("no_system_fonts")
class TestOnAMachineWithoutFonts:
    def test_plain_letters_are_written_with_pillows_own_font(self) -> None:
        [(text, font)] = fonts.runs("Doe, Jane 1970-01-01", 14)
        assert text == "Doe, Jane 1970-01-01"
        assert font.getname()[0] == "Aileron"

    def test_the_refusal_names_scripts_and_no_letters(self) -> None:
        with pytest.raises(fonts.FontError, match=r"4 characters \(CJK, HANGUL\)") as refusal:
            fonts.runs("Hong 洪吉 홍길", 14)
        assert not set("洪吉홍길") & set(str(refusal.value))
        assert "fonts-noto-cjk" in str(refusal.value)

    @pytest.mark.parametrize("text", ["Müller", "Иванов", "Παπαδόπουλος", "Nguyễn Văn"])
    def test_a_font_that_is_named_is_taken(self, text: str) -> None:
        with pytest.raises(fonts.FontError):
            fonts.runs(text, 14)
        [(written, font)] = fonts.runs(text, 14, DEJAVU)
        assert (written, font.getname()[0]) == (text, "DejaVu Sans")

    def test_what_names_nobody_is_written_nearly(self) -> None:
        assert "".join(text for text, _ in fonts.nearly("perspective of 30°, Zähne", 14)) == (
            "perspective of 30 deg, Z?hne"
        )

    def test_a_text_from_right_to_left_is_never_pieced_together(self) -> None:
        # Hebrew and a CJK letter: the one font there is has not both.
        with pytest.raises(fonts.FontError):
            fonts.runs("שלום 山", 14, DEJAVU)


@pytest.mark.usefixtures("no_system_fonts")
def test_without_raqm_joined_scripts_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check", lambda name: False)
    with pytest.raises(fonts.FontError, match="libfribidi"):
        fonts.runs("محمد", 14, DEJAVU)


@pytest.mark.skipif(not (features.check("raqm") and features.check("fribidi")), reason="this Pillow has no Raqm")
@pytest.mark.usefixtures("no_system_fonts")
def test_arabic_is_joined_and_runs_from_the_right() -> None:
    [(_, font)] = fonts.runs("محمد", 24, DEJAVU)
    apart = sum(font.getlength(letter) for letter in "محمد")
    assert font.getlength("محمد") < apart  # joined letters are narrower
    # The last letter, dal, does not join to the left: written from the right it stands at the left end.
    whole, dal = (np.asarray(drawn(text, font)) for text in ("محمد", "د"))
    width = int(font.getlength("د")) - 2
    assert np.abs(whole[:, :width].astype(int) - dal[:, :width]).mean() < 12.0


def test_pieces_stand_side_by_side_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_files", lambda: (str(DEJAVU),))
    both = fonts.runs("Ab", 20) + fonts.runs("Ж", 20)
    image = Image.new("RGB", (80, 40))
    fonts.write(ImageDraw.Draw(image), (2, 2), both, (255, 255, 255))
    ink = np.asarray(image)[..., 0] > 128
    rows = np.flatnonzero(ink[:, : 2 + int(both[0][1].getlength("A"))].any(axis=1))
    right = np.flatnonzero(ink[:, 2 + int(fonts.length(both[:1])) :].any(axis=1))
    assert abs(int(rows.max()) - int(right.max())) <= 1  # both capitals end on the base line
    assert np.flatnonzero(ink.any(axis=0)).max() <= 2 + fonts.length(both)
