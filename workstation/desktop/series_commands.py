"""What is done with the series of a patient: opened from the browser, dropped on a pane, compared, shown in 2D."""

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Qt

from dicom_io.errors import DicomIOError, VolumeRefused
from dicom_io.volumes import SeriesImage
from render import Volume
from render.progress import Progress
from workstation.desktop import dialogs
from workstation.desktop.language import tr
from workstation.desktop.menus import Menus
from workstation.desktop.model import edits
from workstation.desktop.model.browsing import BrowsedSeries
from workstation.desktop.model.identity import SeriesIdentity
from workstation.desktop.model.keyed import keep_key_images
from workstation.desktop.model.offers import VolumeOffer, comparable_volumes_of
from workstation.desktop.model.prepared import compared_with_prior
from workstation.desktop.model.reading2d import Images
from workstation.desktop.model.screen import Compared
from workstation.desktop.model.studies import Opened, Row
from workstation.desktop.open_readings import with_bridged_gaps
from workstation.desktop.pane import Pane
from workstation.desktop.screen_lock import ScreenLock
from workstation.desktop.series_browser import SeriesBrowser
from workstation.desktop.signed_commands import StudyWindow
from workstation.desktop.stack_viewer import StackViewer, said_of_offer
from workstation.desktop.study_dock import StudyDock
from workstation.desktop.study_list import StudyList
from workstation.preparation.proposals import PreparedPrior

_WIDE_PX, _BROWSER_PX = 1600, 250  # from this width of the window on, the browser has room beside the panes


class SeriesWindow(StudyWindow):
    """A window with the series of a patient beside what is open of them. dock : the panels."""

    browser: SeriesBrowser
    dock: StudyDock
    worklist: StudyList
    stack_viewer: StackViewer | None = None
    screen_lock: ScreenLock
    _browser_sized: bool = False  # restored, or given its width

    def _wants_browser(self) -> bool:
        """Whether the series are listed beside the panes: as the reader left it; at first where the window is wide and
        there is another series to choose."""
        left = str(self.settings.value("browser") or "")
        if left in ("shown", "hidden"):
            return left == "shown"
        return self.width() >= _WIDE_PX and self.opened is not None and len(self.opened.others) > 1

    def _place_browser(self) -> None:
        """Shows the browser, unless the panels are folded away: with the study, so that no pane moves later."""
        if self.opened is not None and not self.screen_lock.covered and self.dock.isVisible():
            self.browser.setVisible(self._wants_browser())
            self._size_browser()

    def _size_browser(self) -> None:
        """Gives the browser its width once; later it has what the reader gave it."""
        if not self._browser_sized and self.browser.isVisible():
            self._browser_sized = True
            self.resizeDocks([self.browser], [_BROWSER_PX], Qt.Orientation.Horizontal)

    def show_browser(self) -> None:
        """Shows the series, of the study or of what is chosen in the work list, ready for the keyboard; folds them away
        where that is so already."""
        if self.screen_lock.covered:
            return
        Pane.wait_for_mouse()
        folding = self.browser.isVisible() and self.browser.isAncestorOf(self.focusWidget() or self)
        if self.opened is not None:
            self.settings.setValue("browser", "hidden" if folding else "shown")
        elif not folding:
            chosen = self.worklist.chosen_series()
            if not chosen:
                self.say(tr("Choose a series in the work list first."))
                return
            self.browser.follow(chosen)
        self.browser.setVisible(not folding)
        self._size_browser()
        if not folding:
            self.browser.tree.setFocus(Qt.FocusReason.ShortcutFocusReason)
        elif self.viewer is not None:
            self.viewer.panes[self.viewer.under].setFocus(Qt.FocusReason.ShortcutFocusReason)
        else:
            self.worklist.table.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _follow_list(self, series_uid: str) -> None:
        """Lists the patient of what is chosen in the work list, where the series are shown beside it."""
        if self.opened is None and self.browser.isVisible():
            self.browser.follow(series_uid)

    def _ask_which(self, series_uid: str, offers: tuple[VolumeOffer, ...]) -> None:
        """Asks which volume of a series is opened, or whether all its images are shown in 2D."""
        if self.screen_lock.covered:
            return  # what would be asked is a patient's
        names = [*map(said_of_offer, offers), tr("All images, in 2D")]
        chosen = dialogs.Choose.ask(tr("Which volume?"), names, self)
        if chosen is not None and chosen < len(offers):
            self.open_series(series_uid, offers[chosen].which, bridged=offers[chosen].bridged)
        elif chosen is not None:
            why = VolumeRefused(tr("This series holds {count} volumes.", count=len(offers)))
            self.works.run(lambda tell: self.desk.studies.images(series_uid, why), self._show_images, tr("Opening"))

    # ------------------------------------------------------------------------------------------------ the browser

    def open_browsed(self, series: BrowsedSeries) -> None:
        """Opens a series of the browser, or shows it where it is open; what is no volume is shown in 2D."""
        if not series.has_images:
            self.say(tr("{title} holds no images.", title=series.title), bad=True)
        elif series.kind == "ours":
            why = tr("This was made here. It is looked at, and no volume is made of it.")
            self.works.run(
                lambda tell: self.desk.studies.images(series.series_uid, VolumeRefused(why)),
                self._show_images,
                tr("Opening"),
            )
        else:
            bridged = self.reader.readings.of((series.series_uid, None, True)) is not None
            self.open_series(series.series_uid, bridged=bridged)

    def compare_browsed(self, series: BrowsedSeries) -> None:
        """Shows a series of the browser beside the open one, or says why not."""
        why_not = self._why_not_beside(series)
        if why_not or series.row is None:
            self.say(why_not, bad=True)
        else:
            self.compare(series.row)

    def _why_not_beside(self, series: BrowsedSeries | None) -> str:
        """Returns why a series cannot be compared with the open one; nothing where it can."""
        if series is None:
            return tr("That series is not one of this patient.")
        if not series.has_images:
            return tr("{title} holds no images.", title=series.title)
        if series.kind == "ours":
            return tr("{title} was made here; it is no volume to compare with.", title=series.title)
        return "" if self.opened is not None else tr("No study is open to compare with; Return opens this one.")

    def _say_of_drop(self, series_uid: str) -> None:
        """Says what dropping a series here would do."""
        series = self.browser.series(series_uid)
        why_not = self._why_not_beside(series)
        if series is not None and self.opened is None:
            self.say(tr("Let go to open {title}.", title=series.title))
        elif why_not or series is None:
            self.say(why_not, bad=True)
        else:
            self.say(tr("Let go to see {title} beside this study; Esc leaves it.", title=series.title))

    def drop_series(self, series_uid: str) -> None:
        """Does what a series that was dropped on the panes is for: it is compared; opened where nothing is open."""
        series = self.browser.series(series_uid)
        if series is not None and self.opened is None:
            self.open_browsed(series)
        elif series is not None:
            self.compare_browsed(series)
        else:
            self.say(self._why_not_beside(None), bad=True)

    def _show_images(self, found: object) -> None:
        """Shows images in 2D."""
        assert isinstance(found, Images)
        if self.screen_lock.covered:
            return  # what would be shown is a patient's
        self.say(found.why, bad=True)
        self.stack_viewer = StackViewer(found, self, self._key_images)
        self.stack_viewer.wanted.connect(self._take_offer)
        self.stack_viewer.show()

    def _key_images(self, chosen: Sequence[SeriesImage]) -> tuple[bool, str]:
        """Stores key images of a series in 2D. Returns whether they are stored, and what became of it in words."""
        if self.person is None:
            return False, tr("Sign in to store key images.")
        try:
            keep_key_images(chosen, self.person, self.desk.site)
        except (ValueError, OSError, DicomIOError) as error:
            return False, tr(str(error))
        return True, tr("Key images stored: {count}.", count=len(chosen))

    def _take_offer(self, series_uid: str, offer: VolumeOffer) -> None:
        """Opens a volume that is offered beside images in 2D."""
        self.open_series(series_uid, offer.which, bridged=offer.bridged)

    def _mark_series(self) -> None:
        """Has the browser mark what is shown, open and compared."""
        if self.reading is None:
            return
        compared = self.reading.viewer.session.screen.compared
        opened = frozenset(each.opened.series.uid for each in self.reader.readings)
        self.browser.mark(self.reading.opened.series.uid, opened, compared.series_uid if compared is not None else "")

    # ------------------------------------------------------------------------------------------------ comparing

    def compare(self, row: Row) -> None:
        """Shows a series beside the open one; asks for the volume where it has several."""
        if self.opened is None:
            return
        opened = self.opened
        itself = row.series_uid == opened.series.uid

        def work(tell: Progress) -> object:
            offers = comparable_volumes_of(self.desk.site.archive.series(row.series_uid))
            if len(offers) > 1:
                return offers
            if itself:
                raise ValueError(tr("this series has one volume only"))
            return self.desk.studies.compared(opened, row.series_uid, offers[0].which, bridged=offers[0].bridged)

        def done(found: object) -> None:
            assert isinstance(found, tuple)
            if isinstance(found[0], Compared):
                self._compared(opened, found)
                return
            chosen = dialogs.Choose.ask(tr("Which volume?"), [*map(said_of_offer, found)], self)
            if chosen is not None:
                offer = found[chosen]
                again = partial(self.desk.studies.compared, opened, row.series_uid, offer.which, bridged=offer.bridged)
                self.works.run(lambda tell: again(), partial(self._compared, opened), tr("Comparing"))

        self.works.run(work, done, tr("Comparing"))

    def compare_prior(self, prior: PreparedPrior) -> None:
        """Shows a prior beside the open study, as it was registered beforehand."""
        opened, studies = self.opened, self.desk.studies
        if opened is None:
            return

        def done(found: object) -> None:
            self._compared(opened, found)
            said = tr("Registered; edges lie on each other with {quality}.", quality=f"{prior.quality:.2f}")
            self.say(" ".join(filter(None, (said, prior.warning))))

        self.works.run(lambda tell: compared_with_prior(prior, studies.volume), done, tr("Comparing"))

    def _offer_comparisons(self, menus: Menus) -> None:
        """Fills the menu with what the study on the screen can be compared with."""
        if self.opened is None:
            return
        menus.offer(menus.comparisons, tr("Nothing"), self.compare_no_more)
        for row in self.opened.others:
            title = f"{row.day}  {row.modality} {row.description}"
            if row.series_uid == self.opened.series.uid:
                title = tr("Another volume of this series")
            menus.offer(menus.comparisons, title, partial(self.compare, row))

    def _compared(self, opened: Opened, found: object) -> None:
        assert isinstance(found, tuple)
        compared, volume = found
        if self.viewer is not None and self.opened is opened:
            self.viewer.other = volume
            self.viewer.do(edits.compared_with, compared)
            identity = self._identity_of(compared)
            self.say(tr("Beside this study: {title}.", title=identity.title))
            self.viewer.compare_with(volume, identity)

    def _identity_of(self, compared: Compared) -> SeriesIdentity:
        """Returns whose the compared volume is; its panes say where its gaps were bridged."""
        found = self.desk.studies.identity(compared.series_uid)
        return with_bridged_gaps(found) if compared.bridged else found

    def _bring(self, compared: Compared) -> None:
        """Loads the volume that a recovered session was compared with."""
        opened = self.opened

        def done(volume: object) -> None:
            assert isinstance(volume, Volume)
            if self.viewer is not None and self.opened is opened:
                self.viewer.compare_with(volume, self._identity_of(compared))

        self.works.run(lambda tell: self.desk.studies.volume(compared.key), done, tr("Comparing"))

    def compare_no_more(self) -> None:
        if self.viewer is not None:
            self.viewer.do(edits.compared_no_more)
            self.viewer.compare_with(None)
