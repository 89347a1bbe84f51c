"""Opening a volume of a series: seen first as its middle image; else why not, or the choice."""

from PySide6.QtCore import QObject, Signal

from dicom_io.errors import VolumeRefused
from render.progress import Progress
from workstation.desktop.background import Works
from workstation.desktop.language import tr
from workstation.desktop.model.desk import ReadingDesk
from workstation.desktop.model.offers import VolumeOffer, bridged_volumes_of
from workstation.desktop.model.reading2d import Images
from workstation.desktop.model.screen import VolumeKey
from workstation.desktop.model.signed import was_read
from workstation.desktop.model.studies import Opened


class SeriesOpening(QObject):
    """Opens one volume at a time, in the background.

    previewed : the Picture of its middle image, seconds before the volume. opened : an Opened. in_2d : Images, where no
    volume can be made of the series, and nobody has read it with its gaps bridged. several : its UID and the
    VolumeOffer of each of its volumes. ended : well or not.
    """

    previewed = Signal(object)
    opened = Signal(object)
    in_2d = Signal(object)
    several = Signal(str, object)
    ended = Signal()

    def __init__(self, desk: ReadingDesk, works: Works, parent: QObject) -> None:
        super().__init__(parent)
        self._desk, self._works = desk, works
        self._opening: VolumeKey | None = None

    def open(self, series_uid: str, which: int | None, before: Opened | None, bridged: bool) -> None:
        """Opens a volume. before : on reload, the study as it was opened; its volume is opened again. bridged : with
        its missing slices interpolated."""
        key = (series_uid, which, bridged)
        if self._opening == key:
            return  # a second double-click
        self._opening = key
        studies = self._desk.studies

        def work(tell: Progress) -> object:
            chosen, filled = studies.again(before) if before is not None else which, bridged
            if not bridged:
                try:
                    offers = studies.volumes(series_uid)
                except VolumeRefused as refused:
                    read = self._read_bridged(series_uid)
                    if not read:
                        return studies.images(series_uid, refused)
                    offers, chosen, filled = read[:1], read[0].which, True
                if chosen is None and len(offers) > 1:
                    return (*offers, *bridged_volumes_of(self._desk.site.archive.series(series_uid)))
            tell(tr("First picture"), 0.0)
            self.previewed.emit(studies.preview(series_uid, chosen, bridged=filled))
            return studies.open(series_uid, chosen, tell, bridged=filled)

        def done(found: object) -> None:
            self._opening = None
            if isinstance(found, Opened):
                self.opened.emit(found)
            elif isinstance(found, Images):
                self.in_2d.emit(found)
            else:
                self.several.emit(series_uid, found)

        self._works.ended.connect(self._not_opening)
        self._works.run(work, done, tr("Opening"))

    def _read_bridged(self, series_uid: str) -> tuple[VolumeOffer, ...]:
        """Returns the volumes of a series that somebody has read with their gaps bridged: they open as they were
        left."""
        site = self._desk.site
        offers = bridged_volumes_of(site.archive.series(series_uid))
        return tuple(offer for offer in offers if was_read((series_uid, offer.which, True), site))

    def _not_opening(self) -> None:
        """Notes that opening has ended, well or not, so the next double-click counts again."""
        self._works.ended.disconnect(self._not_opening)
        self._opening = None
        self.ended.emit()
