"""Asks how a lesion was in an earlier study: by a record, or measured in what is compared."""

from collections.abc import Callable

from PySide6.QtWidgets import QWidget

from render.mask_steps import StepError
from workstation.desktop import dialogs
from workstation.desktop.background import Works
from workstation.desktop.language import tr
from workstation.desktop.model import measure_edits
from workstation.desktop.model.prior_lesions import measured_beside, recorded_before
from workstation.desktop.model.screen import PriorLesion
from workstation.desktop.model.studies import Studies
from workstation.desktop.open_readings import DeskReader
from workstation.desktop.viewer import Viewer


class PriorCommands:
    """Sets the prior of a lesion."""

    def __init__(
        self, studies: Studies, reader: DeskReader, works: Works, say: Callable[[str, bool], None], parent: QWidget
    ) -> None:
        self._studies, self._reader, self._works, self._say, self._parent = studies, reader, works, say, parent

    def ask(self, number: int) -> None:
        """Looks up the lesions of earlier studies, and asks which one the lesion of that number was."""
        viewer, opened = self._reader.viewer, self._reader.opened
        if viewer is None or opened is None or not 0 <= number < len(viewer.session.screen.measures):
            return
        screen, other, date = viewer.session.screen, viewer.other, viewer.other_identity.study_date
        measure, names = screen.measures[number], viewer.identity.differs_from(viewer.other_identity)
        if measure.kind != "lesion":
            return

        def look() -> tuple[tuple[PriorLesion, ...], str]:
            found, why = list(recorded_before(opened, self._studies.site, self._studies.identity)), ""
            if names:
                why = tr("Another patient? {names} of what is compared differ.", names=", ".join(map(tr, names)))
            elif other is not None and screen.compared is not None and not screen.compared.same_study:
                try:
                    found.insert(0, measured_beside(measure.points_mm[0], screen.compared, other, date))
                except (StepError, ValueError) as error:
                    why = str(error)
            return tuple(found), why

        def done(answer: object) -> None:
            assert isinstance(answer, tuple)
            self._choose(viewer, number, *answer)

        self._works.run(lambda tell: look(), done, tr("Looking for earlier studies"))

    def _choose(self, viewer: Viewer, number: int, found: tuple[PriorLesion, ...], why: str) -> None:
        if not found:
            nothing = tr("No earlier study has a measured lesion; compare with one, and it is measured there.")
            self._say(" ".join(filter(None, (nothing, why))), True)
            return
        names = [*map(said_of_prior, found), tr("No earlier one")]
        chosen = dialogs.Choose.ask(tr("Which one was it earlier?"), names, self._parent, tr("Choose"))
        if chosen is None or viewer is not self._reader.viewer:
            return
        viewer.do(measure_edits.with_prior, number, found[chosen] if chosen < len(found) else None)


def said_of_prior(prior: PriorLesion) -> str:
    """Says an earlier lesion in a line."""
    size = f"{prior.long_axis_mm:.1f} mm"
    if not prior.name:
        return tr("{date}: {size}, at the same place of what is compared", date=prior.date, size=size)
    return tr("{date}: {name}, {size}, by its record", date=prior.date, name=prior.name, size=size)
