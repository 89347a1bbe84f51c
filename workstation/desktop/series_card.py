"""What the series browser says of a series and a study, and the card that it paints of a series."""

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPoint, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPalette, QPixmap
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from workstation.desktop.language import tr
from workstation.desktop.model.browsing import KIND_TITLES, BrowsedSeries, BrowsedStudy
from workstation.desktop.model.identity import day

# Of an item: its BrowsedSeries, the words about its state, and whether it is shown, open or compared.
SERIES_ROLE, STATE_ROLE, MARKED_ROLE = (Qt.ItemDataRole.UserRole + n for n in range(3))
LEAST_WIDTH = 190
_PICTURE_PX, _GAP_PX, _MARK_PX = 64, 6, 3
_DIM = 0.62  # of a text that is not in the first line
_DOUBT, _MARK = QColor(232, 120, 100), QColor("#4aa3df")


def lines_of(series: BrowsedSeries) -> tuple[str, ...]:
    """Returns what the browser says of a series, its title first; a line without words is left out."""
    who = series.identity
    count = tr("1 image") if series.instances == 1 else tr("{count} images", count=series.instances)
    kind = who.modality if series.has_images else series.class_title
    what = (kind, who.body_part.capitalize(), series.thickness)
    much = (count if series.has_images else "", series.mebibytes)
    lines = (series.title, *(" · ".join(part for part in parts if part) for parts in (what, much)))
    return tuple(line for line in lines if line)


def study_title(study: BrowsedStudy) -> str:
    """Returns the heading of a study: its date, how much earlier it is, and what it was."""
    age = tr("this study") if study.is_open else tr(study.age, count=study.count) if study.age else ""
    when = " ".join(part for part in (day(study.date), f"({age})" if age else "") if part)
    return "  ".join(part for part in (when or tr("Without a date"), study.title) if part)


def remarks_on(series: BrowsedSeries) -> tuple[str, ...]:
    """Returns what the reader has to know of a series: that it was made here, or may be another patient's."""
    doubt = tr("another {names}?", names=", ".join(tr(name) for name in series.doubt)) if series.doubt else ""
    return (tr(KIND_TITLES[series.kind]) if KIND_TITLES[series.kind] else "", doubt)


class SeriesCard(QStyledItemDelegate):
    """Paints a series: its picture, and beside it what it says of itself. A study is a heading."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:  # noqa: N802
        line = QFontMetrics(option.font).height()
        if not isinstance(index.data(SERIES_ROLE), BrowsedSeries):
            return QSize(LEAST_WIDTH, line + 10)
        return QSize(LEAST_WIDTH, max(_PICTURE_PX, 4 * line) + 2 * _GAP_PX)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        series = index.data(SERIES_ROLE)
        painter.save()
        palette, metrics, rect = option.palette, QFontMetrics(option.font), option.rect
        text = palette.color(QPalette.ColorRole.Text)
        dim = QColor(text)
        dim.setAlphaF(_DIM)
        if not isinstance(series, BrowsedSeries):
            painter.setPen(dim)
            said = metrics.elidedText(str(index.data()), Qt.TextElideMode.ElideRight, rect.width() - 8)
            painter.drawText(rect.adjusted(4, 4, -4, 0), Qt.AlignmentFlag.AlignVCenter, said)
            painter.restore()
            return
        if option.state & QStyle.StateFlag.State_Selected:
            back = QColor(_MARK)
            back.setAlphaF(0.28)
            painter.fillRect(rect, back)
        if option.state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(_MARK)
            painter.drawRect(rect.adjusted(0, 0, -1, -1))
        if index.data(MARKED_ROLE):
            painter.fillRect(QRect(rect.left(), rect.top() + 2, _MARK_PX, rect.height() - 4), _MARK)
        frame = QRect(rect.left() + _GAP_PX + _MARK_PX, rect.top() + _GAP_PX, _PICTURE_PX, _PICTURE_PX)
        self._paint_picture(painter, frame, index.data(Qt.ItemDataRole.DecorationRole), series)
        left, width = frame.right() + 8, rect.right() - frame.right() - 12
        lines = lines_of(series)
        mark = index.data(STATE_ROLE) or ""
        colours = [text, *(dim for _ in lines[1:]), _DOUBT if series.doubt else _MARK]
        top = rect.top() + _GAP_PX + metrics.ascent()
        for number, (line, colour) in enumerate(zip((*lines, mark), colours, strict=True)):
            font = option.font
            font.setBold(number == 0)
            painter.setFont(font)
            painter.setPen(colour)
            said = QFontMetrics(font).elidedText(line, Qt.TextElideMode.ElideRight, width)
            painter.drawText(left, top + number * metrics.height(), said)
        painter.restore()

    def _paint_picture(self, painter: QPainter, frame: QRect, picture: object, series: BrowsedSeries) -> None:
        painter.fillRect(frame, QColor(0, 0, 0))
        if isinstance(picture, QPixmap):
            size = picture.size().scaled(frame.size(), Qt.AspectRatioMode.KeepAspectRatio)
            place = QRect(QPoint(0, 0), size)
            place.moveCenter(frame.center())
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawPixmap(place, picture)
        else:
            painter.setPen(QColor(150, 150, 150))
            painter.drawText(frame, Qt.AlignmentFlag.AlignCenter, series.identity.modality)
