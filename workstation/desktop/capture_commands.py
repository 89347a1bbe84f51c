"""What puts pictures into the tray, and keeps a look under a name."""

from collections.abc import Callable
from functools import partial

from PySide6.QtWidgets import QWidget

from render import Protocol, Recipe, RecipeError
from render.protocols import drawable
from render.recipe import Solid
from workstation.desktop import dialogs
from workstation.desktop.acts_journal import ActsJournal
from workstation.desktop.background import Works
from workstation.desktop.language import tr
from workstation.desktop.model import tray_edits
from workstation.desktop.model.looks import Looks
from workstation.desktop.open_readings import DeskReader
from workstation.desktop.viewer import Viewer


class CaptureCommands:
    """Captures of the series on the screen. say : shows a sentence, in red where it is bad. parent : of dialogs."""

    def __init__(
        self,
        reader: DeskReader,
        acts: ActsJournal,
        looks: Looks,
        works: Works,
        say: Callable[[str, bool], None],
        parent: QWidget,
    ) -> None:
        self._reader, self._acts, self._looks, self._works = reader, acts, looks, works
        self._say, self._parent = say, parent

    def capture(self, frames: int) -> None:
        """Captures the pane under the mouse. frames : 1, or those of a rotation."""
        viewer = self._reader.viewer
        if viewer is not None:
            before = len(viewer.session.screen.captures)
            viewer.capture(frames)
            self._acts.captured(before)

    def run_protocol(self, protocol: Protocol) -> None:
        """Puts all pictures of a protocol into the tray; they are drawn when the study is signed."""
        viewer = self._reader.viewer
        if viewer is None:
            return
        if not any(isinstance(recipe, Solid) and recipe.masking for recipe in protocol.recipes):
            self._collect(viewer, protocol, protocol.recipes, ())
            return

        def found(drawn: object) -> None:
            if self._reader.viewer is viewer:  # the study may have been left meanwhile
                assert isinstance(drawn, tuple)
                self._collect(viewer, protocol, *drawn)

        # Bones, vessels or the brain are looked for first, which takes seconds.
        looking = partial(drawable, viewer.session.volume, protocol)
        self._works.run(lambda tell: looking(), found, tr("Looking for what it shows"))

    def _collect(
        self, viewer: Viewer, protocol: Protocol, recipes: tuple[Recipe, ...], left_out: tuple[str, ...]
    ) -> None:
        before = len(viewer.session.screen.captures)
        viewer.do(tray_edits.from_protocol, recipes)
        if viewer.session.sealed:
            return
        self._acts.captured(before)
        words = tr("{title}: {count} pictures captured.", title=tr(protocol.title), count=len(recipes))
        self._say(" ".join([words, *left_out]), False)

    def save_preset(self) -> None:
        """Saves the transfer function of the 3D pane as a preset, under a name that is asked for."""
        viewer = self._reader.viewer
        if viewer is None:
            return
        title = dialogs.Named.ask(tr("Keep this look"), tr("Name of the preset"), self._parent)
        if not title:
            return
        try:
            name = self._looks.save(title, viewer.session.screen.solid.transfer)
        except (RecipeError, OSError) as error:
            self._say(str(error), True)
        else:
            viewer.choose_preset(name)
            self._say(tr("Kept as {title}.", title=title), False)
