"""The tools that look for something, beside the window: what they find is an edit of the screen."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol, cast

import numpy as np

from render import StepError, Volume
from render.flight import Lumen, flight, lumen_way
from render.geometry import Matrix, Vector, inverse
from render.mask_steps import MaskStep
from render.progress import Progress
from render.registration import Registration, register
from render.segment import made
from render.segment.grid import voxel_mm3
from workstation.desktop.language import tr
from workstation.desktop.model import edits, segment_edits
from workstation.desktop.model.screen import CUT_AWAY, Screen, marked_labels
from workstation.desktop.model.session import ReadingSession

# Runs a work on a thread, and what it returns through the second on the window's thread; the name says what it is.
RunBeside = Callable[[Callable[[Progress], object], Callable[[object], None], str], object]


class SearchedPanes(Protocol):
    """The part of the viewer that these tools use. other : what is compared. active : label of the chosen segment."""

    session: ReadingSession
    other: Volume | None
    active: int

    def do(self, edit: Callable[..., Screen], *arguments: Any, moving: bool = False) -> None: ...
    def try_to(self, edit: Callable[..., Screen], *arguments: Any) -> None: ...
    def say(self, sentence: str) -> None: ...


class SeekingTools:
    """The tools of one study. left : whether it was closed."""

    def __init__(self, panes: SearchedPanes, run: RunBeside, left: Callable[[], bool]) -> None:
        self._panes, self._run, self._left = panes, run, left
        self._sought: set[str] = set()  # names of what is being looked for

    def beside(self, work: Callable[[Progress], object], done: Callable[[object], None], what: str) -> None:
        """Has slow work done beside the window. What it finds when the study was left meanwhile is dropped: the study
        may be open anew by then, and its session another one."""

        def found(result: object) -> None:
            if not self._left():
                done(result)

        self._run(work, found, what)

    def propose(self, step: MaskStep, name: str) -> None:
        """Tries a step that marks something, beside the window; it counts when it has been carried out. Where it
        declines, the status bar says why, and nothing changes. name : of the segment, where it is a new one.

        When other steps were added or undone meanwhile, it is tried once more after those that there are then.
        """
        volume, screen, marks = self._panes.session.volume, self._panes.session.screen, step.label > CUT_AWAY
        steps, is_new = screen.solid.steps, marks and segment_edits.segment_of(screen, step.label) is None
        if not self._look_for(repr(step)):
            return

        def work(tell: Progress) -> object:
            try:
                tell(name, 0.1)
                mask = made(volume, (*steps, step))
                tell(name, 1.0)  # stops here where the reader has stopped it
                return int(mask.counts[step.label]) * voxel_mm3(volume) / 1000.0
            finally:
                self._sought.discard(repr(step))

        def done(millilitres: object) -> None:
            now = self._panes.session.screen
            known = segment_edits.segment_of(now, step.label) is not None
            if marks and not is_new and not known:
                self._panes.say(tr("{name} was removed meanwhile; nothing was changed.", name=name))
            elif now.solid.steps != steps or (is_new and known):
                taken = is_new and (known or step.label in marked_labels(now.solid.steps))
                self.propose(replace(step, label=segment_edits.free_label(now)) if taken else step, name)
            else:
                self._panes.active = step.label if marks else self._panes.active
                self._panes.try_to(segment_edits.marked, step, name if marks else "")
                if marks and self._panes.session.screen is not now:
                    self._panes.say(f"{name}: {millilitres:.1f} ml")

        self.beside(work, done, tr("Looking for {name}", name=name))

    def _look_for(self, what: str) -> bool:
        """Notes that something is being looked for; says so and returns False where it is already."""
        if what in self._sought:
            self._panes.say(tr("That is being looked for already."))
            return False
        self._sought.add(what)
        return True

    def part_bones(self) -> None:
        """Finds bone and parts it into single bones and fragments, each a segment of its own."""
        volume, screen = self._panes.session.volume, self._panes.session.screen
        before = screen.solid.steps
        try:
            steps = segment_edits.bones_in_parts(screen)
        except StepError:
            self._panes.say(tr("There are too many segments; remove some first."))
            return
        if not self._look_for("parts"):
            return

        def work(tell: Progress) -> object:
            tell(tr("Bones in parts"), 0.1)
            try:
                mask = made(volume, (*before, *steps))
            finally:
                self._sought.discard("parts")
            tell(tr("Bones in parts"), 1.0)
            found = np.flatnonzero(mask.counts)
            first = steps[0].label
            names = {first: tr("Bone, not parted"), first + segment_edits.MOST_PARTS + 1: tr("Metal")}
            return {
                int(label): names.get(int(label), tr("Part {number}", number=int(label) - first))
                for label in found
                if label >= first
            }

        def done(found: object) -> None:
            assert isinstance(found, dict)
            now = self._panes.session.screen
            if (now.solid.steps, now.segments) != (before, screen.segments):
                self.part_bones()  # other steps were added or undone meanwhile
                return
            self._panes.do(segment_edits.parts_marked, steps, found)
            self._panes.say(tr("{count} parts found.", count=len(found)))

        self.beside(work, done, tr("Bones in parts"))

    def fly(self, lumen: Lumen, through_mm: Sequence[Vector] = ()) -> None:
        """Captures a flight through a lumen, as a film: through points in order, or through all of the airways."""
        volume = self._panes.session.volume

        def work(tell: Progress) -> object:
            tell(tr("Fly-through"), 0.1)
            way = lumen_way(volume, lumen, through_mm)
            recipe = flight(way, volume, name=f"Fly-through, {lumen}")
            tell(tr("Fly-through"), 1.0)
            return recipe, way.warnings

        def done(found: object) -> None:
            assert isinstance(found, tuple)
            recipe, warnings = found
            self._panes.do(edits.collected, (recipe,))
            said = tr("Captured: {name}", name=self._panes.session.screen.captures[-1].recipe.name)
            self._panes.say(" ".join([said, *warnings]))

        self.beside(work, done, tr("Fly-through"))

    def align(self) -> None:
        """Registers what is compared with this study; where that is declined, the status bar says why."""
        other, volume, compared = self._panes.other, self._panes.session.volume, self._panes.session.screen.compared
        if other is None or compared is None:
            self._panes.say(tr("Nothing is compared; choose a study under View > Compare with."))
            return

        def work(tell: Progress) -> object:
            tell(tr("Registration"), 0.1)
            found = register(volume, other)
            tell(tr("Registration"), 1.0)
            return found

        def done(found: object) -> None:
            assert isinstance(found, Registration)
            if self._panes.other is not other:
                return  # another study is compared by now
            if found.declined:
                self._panes.say(found.declined)
                return
            rows = tuple(tuple(round(float(v), 6) for v in row) for row in inverse(found.affine).tolist())
            self._panes.do(edits.registered, cast(Matrix, rows))
            said = tr("Registered; edges lie on each other with {quality}.", quality=f"{found.quality:.2f}")
            self._panes.say(" ".join(filter(None, (said, found.warning))))

        self.beside(work, done, tr("Registration"))
