"""Colours for a dark reading room, and for a bright office."""

from importlib.resources import files
from typing import Literal

Theme = Literal["dark", "light"]
COLOURS: dict[Theme, dict[str, str]] = {
    "dark": {"back": "#16181b", "raised": "#22262b", "edge": "#3a4047", "text": "#d7dbe0", "dim": "#8b929b",
             "accent": "#4aa3df", "bad": "#e5806b"},
    "light": {"back": "#f3f4f6", "raised": "#ffffff", "edge": "#c3c8ce", "text": "#1d2126", "dim": "#5d646d",
              "accent": "#1f6fb2", "bad": "#b23a1f"},
}  # fmt: skip


def style_sheet(theme: Theme) -> str:
    """Returns the Qt style sheet of a theme."""
    text = (files(__package__) / "theme.qss").read_text(encoding="utf-8")
    for name, colour in COLOURS[theme].items():
        text = text.replace(f"@{name}", colour)
    return text
