"""What the hands in the panes may do: the part of the viewer that gestures use."""

from collections.abc import Callable
from typing import Any, Protocol

from render import Volume
from render.geometry import Box, Vector
from workstation.desktop.finding import SeekingTools
from workstation.desktop.model.measuring import Measuring
from workstation.desktop.model.screen import PaneName, Screen
from workstation.desktop.model.session import ReadingSession
from workstation.desktop.pane import Pane


class EditedPanes(Protocol):
    """The part of the viewer that gestures use: its panes, the current tool, and ways to edit the session's screen.

    under : the pane under the mouse. whole_box : the box that crops nothing away, LPS mm. brush_mm : radius of the
    brush. grow_range : how far values may be from the one clicked. finding : the tools that look for something.
    other : the volume that is compared, None for none.
    """

    session: ReadingSession
    measuring: Measuring
    tool: str
    under: PaneName
    panes: dict[PaneName, Pane]
    brush_mm: float
    grow_range: float
    finding: SeekingTools
    other: Volume | None

    @property
    def whole_box(self) -> Box: ...
    def do(self, edit: Callable[..., Screen], *arguments: Any, moving: bool = False) -> None: ...
    def try_to(self, edit: Callable[..., Screen], *arguments: Any) -> None: ...
    def refresh(self, moving: bool = False) -> None: ...
    def say(self, sentence: str) -> None: ...
    def show_overlay(self, name: PaneName) -> None: ...
    def one_or_four(self, name: PaneName | None = None) -> None: ...
    def segment_to_mark(self) -> int | None: ...
    def select(self, number: int | None) -> None: ...
    def ask_words(self, number: int) -> None: ...
    def thicken(self, by_mm: float, name: PaneName | None = None) -> None: ...
    def volume_of(self, name: PaneName) -> Volume | None: ...
    def index_of(self, place_mm: Vector) -> tuple[int, int, int]: ...
