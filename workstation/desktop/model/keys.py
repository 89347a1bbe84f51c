"""The key of each action: from `keys.toml` beside this file, overridden by a reader's own file. Knows no Qt."""

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from workstation.errors import WorkstationError
from workstation.strict import StrictError, toml_in

# The name of each action on the help page, in its order.
ACTIONS: dict[str, str] = {
    "window": "Window: drag changes width and centre; in 3D, drag moves the transfer function",
    "pan": "Pan",
    "zoom": "Zoom",
    "crosshair": "Crosshair: click goes there in all planes",
    "tilt": "Tilt: drag turns the two other planes about this one",
    "crop": "Crop: drag an edge of the box in a plane",
    "scissors": "Scissors: circle what is to go in 3D; with Shift what is to stay",
    "piece": "Piece: click takes away what hangs together; with Shift all the rest",
    "brush": "Brush: drag in a plane marks the segment; with Shift erases",
    "grow": "Grow: click marks what hangs together and is about as bright",
    "path": "Path of a curved reformat: click its places; double-click shows it",
    "distance": "Distance",
    "angle": "Angle of three places",
    "cobb": "Cobb angle of two lines",
    "ellipse": "Ellipse with statistics",
    "polygon": "Polygon with statistics; double-click closes it",
    "volume": "Volume of what is about as bright as the place clicked",
    "lesion": "Lesion: click into it; axes, volume and values",
    "vessel": "Vessel: click along it, a double-click ends it; centreline, narrowing, widening",
    "trajectory": "Trajectory: click the entry, then the target; depth, angles, distances to segments",
    "arrow": "Arrow with words: from its tip",
    "text": "Words on a picture",
    "new_segment": "New segment",
    "delete": "Delete the selected measure, else the last one, or the last place of the path",
    "copy_measures": "Copy the selected measure as words, or all of them",
    "duplicate": "Copy the selected measure into the plane of the crosshair",
    "clear_path": "Clear the path",
    "slab_thicker": "Thicker slab",
    "slab_thinner": "Thinner slab",
    "slab_mode": "Slab: maximum, minimum, average",
    "curve_form": "Curved reformat: straightened or stretched",
    "style": "3D: rendering, MIP, MinIP, average",
    "preset": "3D: next preset",
    "cut": "3D: cut before the crosshair, and back",
    "table": "3D: remove table and holder, and bring them back",
    "bone": "3D: remove bone, and bring it back",
    "fly_airways": "3D: capture a flight through the airways, as a film",
    "whole": "3D: reset cuts, all that was cut away is back",
    "save_preset": "3D: keep this look as a preset of your own",
    "capture": "Capture the pane under the mouse",
    "capture_rotation": "Capture a rotation of the 3D pane",
    "cine": "Cine: the planes one after another, the 3D pane turns",
    "align": "Comparison: register the other study with this one",
    "blend_more": "Comparison: more of the other study over the planes and in 3D",
    "blend_less": "Comparison: less of it",
    "other_look": "Comparison: next look of the other study in 3D",
    "texts": "Corner texts: all, few, none",
    "layout": "One pane, and all four again",
    "next_layout": "Next layout",
    "apart": "The pane under the mouse in a window of its own",
    "next": "Next plane",
    "previous": "Previous plane",
    "reset": "Back to the first screen",
    "leave_tool": "Leave what was begun: a measure, a selection, the tool",
    "undo": "Undo",
    "redo": "Redo",
    "view_anterior": "3D from anterior",
    "view_posterior": "3D from posterior",
    "view_left": "3D from the left",
    "view_right": "3D from the right",
    "view_head": "3D from the head",
    "view_foot": "3D from the foot",
    "lock": "Sign in or lock",
    "worklist": "Back to the work list",
    "reload": "Reload the study: what came since it was opened",
    "next_series": "Next open series",
    "previous_series": "Previous open series",
    "query": "Query and retrieve",
    "take_in": "Take in a folder",
    "sign": "Sign and deliver",
    "amend": "Amend what is signed",
    "addendum": "Addendum to what is signed",
    "report_pdf": "Signed report as PDF",
    "export": "Export captures",
    "prior": "How the selected lesion was in an earlier study",
    "targets": "Target lesions by RECIST 1.1, and what is said of other lesions",
    "sheet": "Planning sheet of a stent graft or a valve, from named places",
    "send": "Send what waits",
    "panel_look": "Panel: look",
    "panel_captures": "Panel: captures",
    "panel_measures": "Panel: measures",
    "panel_segments": "Panel: segments",
    "panel_report": "Panel: report, ready to write",
    "panel_charge": "Panel: charge",
    "series": "Series of the patient: show, and fold away",
    "panels": "Fold the panels away, and back",
    "commands": "Commands: find any by its name",
    "stop_work": "Stop what is being done",
    "theme": "Light or dark",
    "guide": "Guide",
    "help": "Keys and mouse",
}
BUTTON_ACTIONS = ("window", "pan", "zoom")
MOUSE = (
    ("Left button", "the tool chosen; in 3D it turns the patient"),
    ("Wheel", "planes: scroll; 3D: zoom; curved: turn about the path"),
    ("Ctrl + wheel", "slab thickness"),
    ("Shift + pan in a compared pane", "brings what is compared over this study"),
    ("Double-click", "one pane, and all four again; ends a polygon, a vessel or a path"),
    ("Click in 3D with the distance tool", "an end of a length, on the surface that is seen; a drag still turns"),
    ("Drag a handle, a line or the words of a measure", "moves that point, or all of it"),
    ("Shift + brush", "erases"),
)


class KeysError(WorkstationError):
    """A keys file is invalid; the message names the file and the key."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys and mouse buttons. keys : key by action. buttons : action of `middle` and `right`."""

    keys: dict[str, str]
    buttons: dict[str, str]


def load_keys(own: Path | None = None) -> Keys:
    """Reads the keys, overridden by a reader's own file.

    Raises KeysError for an unknown action or button, or a key used twice.
    """
    base = tomllib.loads((files(__package__) / "keys.toml").read_text(encoding="utf-8"))
    keys, buttons = dict(base["keys"]), dict(base["buttons"])
    if own is not None and own.exists():
        try:
            given = toml_in(own)
        except StrictError as error:
            raise KeysError(f"{own}: {error}. Nothing was taken from it.") from error
        if unknown := sorted(given.keys() - {"keys", "buttons"}):
            raise KeysError(f"{own}: unknown table {unknown[0]!r}; there are [keys] and [buttons].")
        for table, target, allowed in (("keys", keys, ACTIONS), ("buttons", buttons, base["buttons"])):
            if unknown := sorted(given.get(table, {}).keys() - set(allowed)):
                raise KeysError(f"{own}, [{table}]: unknown {unknown[0]!r}; there are {', '.join(sorted(allowed))}.")
            target.update(given.get(table, {}))
    if wrong := [what for what in buttons.values() if what not in BUTTON_ACTIONS]:
        raise KeysError(f"A button cannot do {wrong[0]!r}; it can do {', '.join(BUTTON_ACTIONS)}.")
    taken: dict[str, str] = {}
    for action, key in keys.items():
        if key in taken:
            raise KeysError(f"Key {key} is given to {taken[key]} and to {action}; one of them needs another.")
        taken[key] = action
    return Keys(keys, buttons)
