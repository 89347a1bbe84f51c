"""Menus and the tool bar: every command with its key.

To add a command: of the panes in `_COMMANDS`, of the window in `WINDOW_COMMANDS`; its title and key in `model/keys.py`
and `model/keys.toml`.
"""

from collections.abc import Callable, Mapping
from functools import partial

from PySide6.QtCore import QObject, QSize, Qt
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMainWindow, QMenu, QToolBar, QToolButton

from render import View
from workstation.desktop.icons import ICONS, icon
from workstation.desktop.language import tr
from workstation.desktop.model import edits
from workstation.desktop.model.keys import ACTIONS, Keys
from workstation.desktop.model.screen import LAYOUT_TITLES, Layout
from workstation.desktop.plain import plain_title
from workstation.desktop.viewer import TOOL_GROUPS, TOOLS, Viewer

_MENUS = ("&Study", "&Tools", "&Edit", "&View", "&3D", "&Help")
# Commands of the viewer: name, menu, function.
_COMMANDS: tuple[tuple[str, str, Callable[[Viewer], object]], ...] = (
    ("leave_tool", "&Edit", Viewer.leave_tool),
    ("undo", "&Edit", Viewer.undo),
    ("redo", "&Edit", Viewer.redo),
    ("delete", "&Edit", Viewer.delete_last),
    ("copy_measures", "&Edit", Viewer.copy_measures),
    ("duplicate", "&Edit", Viewer.duplicate_measure),
    ("prior", "&Edit", Viewer.ask_prior),
    ("targets", "&Edit", lambda v: v.targets_wanted.emit()),
    ("new_segment", "&Edit", Viewer.new_segment),
    ("clear_path", "&Edit", lambda v: v.do(edits.path_cleared)),
    ("reset", "&Edit", Viewer.reset),
    ("layout", "&View", Viewer.one_or_four),
    ("next_layout", "&View", lambda v: v.do(edits.next_layout)),
    ("next", "&View", lambda v: v.scroll_by(1)),
    ("previous", "&View", lambda v: v.scroll_by(-1)),
    ("slab_thicker", "&View", lambda v: v.thicken(5.0)),
    ("slab_thinner", "&View", lambda v: v.thicken(-5.0)),
    ("slab_mode", "&View", Viewer.next_mode),
    ("curve_form", "&View", Viewer.next_form),
    ("cine", "&View", Viewer.toggle_cine),
    ("align", "&View", lambda v: v.finding.align()),
    ("blend_more", "&View", lambda v: v.blend_more(0.1)),
    ("blend_less", "&View", lambda v: v.blend_more(-0.1)),
    ("other_look", "&View", Viewer.next_other_look),
    ("texts", "&View", Viewer.next_text_level),
    ("apart", "&View", lambda v: v.undock_pane(v.under)),
    ("style", "&3D", Viewer.next_style),
    ("preset", "&3D", Viewer.next_preset),
    ("cut", "&3D", lambda v: v.do(edits.cut)),
    ("table", "&3D", Viewer.toggle_table),
    ("bone", "&3D", Viewer.toggle_bone),
    ("fly_airways", "&3D", lambda v: v.finding.fly("airways")),
    ("whole", "&3D", lambda v: v.do(edits.made_whole)),
)
PANELS = ("panel_look", "panel_captures", "panel_measures", "panel_segments", "panel_report", "panel_charge")
# Commands of the window: name and menu, in the order of the menus.
WINDOW_COMMANDS: tuple[tuple[str, str], ...] = (
    ("worklist", "&Study"),
    ("reload", "&Study"),
    ("next_series", "&Study"),
    ("previous_series", "&Study"),
    ("query", "&Study"),
    ("take_in", "&Study"),
    ("sign", "&Study"),
    ("amend", "&Study"),
    ("addendum", "&Study"),
    ("report_pdf", "&Study"),
    ("export", "&Study"),
    ("sheet", "&Study"),
    ("send", "&Study"),
    *((name, "&View") for name in PANELS),
    ("save_preset", "&3D"),
    ("stop_work", "&Study"),
    ("lock", "&Study"),
    ("panels", "&View"),
    ("series", "&View"),
    ("theme", "&View"),
    ("commands", "&Help"),
    ("guide", "&Help"),
    ("help", "&Help"),
)
_FIRST_TOOLS = tuple(group[0] for group in TOOL_GROUPS[1:])
_SIDES = ("anterior", "posterior", "left", "right", "head", "foot")
_IN_BAR = {
    "undo": "Undo",
    "redo": "Redo",
    "layout": "One or four",
    "next_layout": "Layout",
    "table": "Remove table",
    "bone": "Remove bone",
    "whole": "Reset cuts",
    "cine": "Cine",
    "capture": "Capture",
    "capture_rotation": "Rotation",
    "worklist": "Work list",
    "series": "All series",
    "panels": "Panels",
    "lock": "Sign in",
}


class Menus(QObject):
    """The menus. actions : by name, those of `keys.ACTIONS`. protocols, comparisons : menus that a study fills.

    with_viewer : runs a command of the panes where a study is open. commands : those of the window, by name.
    """

    def __init__(
        self,
        window: QMainWindow,
        keys: Keys,
        with_viewer: Callable[[Callable[[Viewer], object]], None],
        commands: Mapping[str, Callable[[], object]],
    ) -> None:
        super().__init__(window)
        self._window, self._keys, self._with_viewer = window, keys, with_viewer
        self.actions: dict[str, QAction] = {}
        self._bar_px = 0  # with all words
        self._menus: dict[str, QMenu] = {name: window.menuBar().addMenu(tr(name)) for name in _MENUS}
        self.tools, self.bar = QToolBar(tr("Tools")), QToolBar(tr("Commands"))
        for bar in (self.tools, self.bar):
            bar.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            bar.setIconSize(QSize(18, 18))
        self.tools.setObjectName("tools")
        self.bar.setObjectName("commands")
        window.addToolBar(Qt.ToolBarArea.LeftToolBarArea, self.tools)
        window.addToolBar(self.bar)
        self._add_tools()
        for name, menu, command in _COMMANDS:
            self._add(name, menu, partial(with_viewer, command))
        for name in ("capture", "capture_rotation"):
            self._add(name, "&Study", commands[name])
        for side in _SIDES:
            self._add(f"view_{side}", "&3D", partial(with_viewer, partial(_see_from, View.parse(side))))
        for name, menu in WINDOW_COMMANDS:
            self._add(name, menu, commands[name])
        self.protocols = self._menus["&Study"].addMenu(tr("Protocol"))
        self.comparisons = self._menus["&View"].addMenu(tr("Compare with"))
        self.layouts = layouts = self._menus["&View"].addMenu(tr("Layout"))
        for layout, title in LAYOUT_TITLES.items():
            shown = partial(with_viewer, partial(_lay_out, layout))
            layouts.addAction(tr(title)).triggered.connect(lambda _=False, act=shown: act())
        self.for_a_study(False)

    def _add_tools(self) -> None:
        group = QActionGroup(self)
        for tool in TOOLS:
            action = self._add(tool, "&Tools", partial(self._with_viewer, partial(_choose, tool)))
            action.setText(tr(tool.capitalize()))
            action.setCheckable(True)
            group.addAction(action)
            if tool in _FIRST_TOOLS:
                self.tools.addSeparator()
            self.tools.addAction(action)

    def fit(self, width: int) -> None:
        """Leaves the words of the commands out where the window is too narrow for them. All tools are as wide as the
        widest."""
        if not self._bar_px:
            self._bar_px = self.bar.sizeHint().width()
            tools = [self.tools.widgetForAction(action) for action in self.tools.actions()]
            buttons = [tool for tool in tools if isinstance(tool, QToolButton)]
            for button in buttons:
                button.setMinimumWidth(max(each.sizeHint().width() for each in buttons))
        style = Qt.ToolButtonStyle.ToolButtonTextBesideIcon
        self.bar.setToolButtonStyle(style if self._bar_px <= width else Qt.ToolButtonStyle.ToolButtonIconOnly)

    def paint_icons(self, colour: str, chosen: str) -> None:
        """Paints the icons in the colours of a theme, #rrggbb."""
        for name, action in self.actions.items():
            if name in ICONS:
                action.setIcon(icon(name, colour, chosen))

    def _add(self, name: str, menu: str, act: Callable[[], object]) -> QAction:
        title, key = tr(ACTIONS[name]), self._keys.keys[name]
        action = QAction(title, self._window)
        action.setShortcut(QKeySequence(key))
        action.setToolTip(f"{title}  ({key})")
        # Letters are text in an input field, so as shortcuts they count in the panes only.
        action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        action.triggered.connect(lambda _=False: act())
        self._window.addAction(action)
        self._menus[menu].addAction(action)
        if name in _IN_BAR:
            action.setIconText(tr(_IN_BAR[name]))
            self.bar.addAction(action)
        self.actions[name] = action
        return action

    def commands(self) -> list[tuple[str, QAction]]:
        """Returns every command with its name; those of a menu within a menu after its title."""
        found = [(tr(ACTIONS[name]), action) for name, action in self.actions.items()]
        for menu in (self.protocols, self.comparisons, self.layouts):
            found += [(f"{menu.title()} › {action.text().replace('&&', '&')}", action) for action in menu.actions()]
        return found

    def for_a_study(self, there_is_one: bool) -> None:
        """Enables or disables the menus that need an open study."""
        if not there_is_one:
            self.protocols.clear()
            self.comparisons.clear()
        self.tools.setVisible(there_is_one)
        self.protocols.setEnabled(there_is_one)
        self.comparisons.setEnabled(there_is_one)

    def offer(self, menu: QMenu, title: str, act: Callable[[], object]) -> None:
        """Adds to a menu what only this study has."""
        menu.addAction(plain_title(title)).triggered.connect(lambda _=False: act())

    def cover(self, covered: bool) -> None:
        """Disables everything but signing in while the window is locked."""
        self.bar.setEnabled(not covered)
        self.tools.setEnabled(not covered)
        self._window.menuBar().setEnabled(not covered)
        for name, action in self.actions.items():
            action.setEnabled(not covered or name == "lock")  # keys reach actions whose menus are disabled


def _choose(tool: str, viewer: Viewer) -> None:
    viewer.choose_tool(tool)


def _see_from(view: View, viewer: Viewer) -> None:
    viewer.do(edits.seen_from, view)


def _lay_out(layout: Layout, viewer: Viewer) -> None:
    viewer.lay_out(layout)
