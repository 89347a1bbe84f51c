"""Fonts for text on pictures: finds one with all the glyphs, or refuses and names the missing scripts.

Pillow brings a Latin font. For other scripts the fonts of this machine are searched, so that a name is written in its
own script and never as a row of empty boxes.
"""

import sys
import unicodedata
from functools import cache
from itertools import groupby
from pathlib import Path

from PIL import ImageDraw, ImageFont, features

from render.errors import RenderError

Font = ImageFont.FreeTypeFont
Runs = list[tuple[str, Font]]

# The font folders of each system.
_FOLDERS = {
    "linux": ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts"),
    "darwin": ("/System/Library/Fonts", "/Library/Fonts", "~/Library/Fonts"),
    "win32": ("C:/Windows/Fonts", "~/AppData/Local/Microsoft/Windows/Fonts"),
}
# Searched first, in this order: plain fonts with many scripts, found on most machines.
_FIRST = ("DejaVuSans.ttf", "NotoSans-Regular", "NotoSansCJK-Regular", "NotoSans", "LiberationSans-Regular", "Arial")
# A code point that no font has: it is drawn as the glyph for a missing one. Source: Unicode 23.7 (Noncharacters).
_NO_GLYPH = "\U0010ffff"
_PROBE_PX = 24


class FontError(RenderError):
    """The fonts of this machine cannot write a text. The message never holds the text itself."""


def runs(text: str, size_px: int, own: Path | None = None) -> Runs:
    """Divides the text into pieces, each with a font that has all of its glyphs.

    own : a font file to try first; None searches only the system's fonts.

    Raises FontError, which names scripts and not letters, when glyphs are missing or this machine cannot join the
    script's letters or write in its direction.
    """
    _check_layout(text)
    letters = tuple(dict.fromkeys(text))
    # One font for the whole text if possible: it looks better, and words from right to left keep their order.
    for path in ("", *_elsewhere(own)):
        if all(_has(path, letter) for letter in letters):
            return [(text, _load(path, size_px))]
    chosen = {letter: next((path for path in ("", *_elsewhere(own)) if _has(path, letter)), None) for letter in letters}
    missing = [letter for letter, path in chosen.items() if path is None]
    if missing:
        scripts = sorted({_script(letter) for letter in missing})
        raise FontError(
            f"{len(missing)} characters ({', '.join(scripts)}) are in no font of this machine. Install a font that has "
            "them (on Debian fonts-noto-core or fonts-noto-cjk), or name one in the setting `font`."
        )
    if _runs_left(text):
        raise FontError(
            "No font of this machine has all of a text that runs from right to left. Install one that has (on Debian "
            "fonts-noto-core), or name one in the setting `font`."
        )
    return [
        ("".join(letters), _load(str(path), size_px))
        for path, letters in groupby(text, key=lambda letter: chosen[letter])
    ]


def nearly(text: str, size_px: int) -> Runs:
    """As `runs`, for texts without a person's name: missing glyphs are replaced by plain letters, never refused."""
    try:
        return runs(text, size_px)
    except FontError:
        return runs(text.replace("°", " deg").encode("ascii", "replace").decode(), size_px)


def length(pieces: Runs) -> float:
    """Returns the width in pixels."""
    return sum(font.getlength(text) for text, font in pieces)


def write(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    pieces: Runs,
    colour: tuple[int, int, int],
    edge: tuple[int, int, int] | None = None,
) -> None:
    """Writes the pieces one after the other on one base line. at : left end and top. edge : colour of an outline."""
    x, y = at
    base = y + pieces[0][1].getmetrics()[0] if pieces else y
    for text, font in pieces:
        draw.text((x, base), text, colour, font, anchor="ls", stroke_width=int(edge is not None), stroke_fill=edge)
        x += font.getlength(text)


def _check_layout(text: str) -> None:
    """Raises FontError for scripts with joined letters or from right to left, where Pillow lacks Raqm to lay them out.

    Without Raqm such a name would be written backwards and unjoined.
    """
    joins = any(unicodedata.category(letter) in ("Mn", "Mc") for letter in text)
    if (joins or _runs_left(text)) and not (features.check("raqm") and features.check("fribidi")):
        raise FontError(
            "The text has letters that join or run from right to left, and this Pillow cannot lay them out. Install "
            "libfribidi (on Debian libfribidi0) and a Pillow with Raqm."
        )


def _script(letter: str) -> str:
    """Returns the first word of the character's Unicode name, which is its script: CJK, HANGUL, ARABIC …"""
    return unicodedata.name(letter, "UNNAMED").split()[0]


def _runs_left(text: str) -> bool:
    return any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text)


def _elsewhere(own: Path | None) -> tuple[str, ...]:
    return (str(own), *_files()) if own else _files()


@cache
def _has(path: str, letter: str) -> bool:
    if letter.isspace() or unicodedata.category(letter) == "Cf":
        return True
    try:
        font = _load(path, _PROBE_PX)
        drawn, missing = font.getmask(letter), font.getmask(_NO_GLYPH)
    except (OSError, ValueError):
        return False  # not a font, or one that FreeType cannot scale
    # An empty picture means no glyph: even combining marks have one of their own.
    return drawn.getbbox() is not None and (drawn.size, bytes(drawn)) != (missing.size, bytes(missing))


@cache
def _load(path: str, size_px: int) -> Font:
    if not path:
        font = ImageFont.load_default(size_px)
        assert isinstance(font, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
        return font
    return ImageFont.truetype(path, size_px)


@cache
def _files() -> tuple[str, ...]:
    """Lists the font files of this machine, likely ones first, upright and regular before bold and italic."""
    found = [
        path
        for folder in _FOLDERS.get(sys.platform, _FOLDERS["linux"])
        for path in Path(folder).expanduser().rglob("*")
        if path.suffix.lower() in (".ttf", ".otf", ".ttc")
    ]

    def rank(path: Path) -> tuple[int, bool, str]:
        name = path.name
        first = next((n for n, start in enumerate(_FIRST) if name.startswith(start)), len(_FIRST))
        styled = any(word in name.lower() for word in ("bold", "italic", "oblique", "mono", "light", "thin", "black"))
        return (first, styled, str(path))

    return tuple(str(path) for path in sorted(found, key=rank))
