"""Puts recipes, measurements and acts into plain words, for readers who ask how a picture was made."""

from collections.abc import Iterator

from dicom_io import codes
from dicom_io.evidence import Act, Measurement, Quantity
from dicom_io.objects.placing import technique
from dicom_io.objects.presentation_state import UNITS_IN_WORDS
from render.geometry import Vector
from render.mask_steps import (
    Automatic,
    Bone,
    Boolean,
    Brush,
    Fragments,
    Given,
    Grown,
    KeptParts,
    Lesion,
    MaskStep,
    Outlines,
    Piece,
    Scissors,
    Shaped,
    Strokes,
    Values,
)
from render.recipe import (
    CurvedReformat,
    Projection,
    Recipe,
    Reformat,
    TransferFunction,
    VolumeRendering,
    Window,
    seen_in_words,
)

_MODES = {"mip": "the greatest", "minip": "the least", "average": "the mean"}
_NUMBERS = {
    "cobb_angle": "Cobb angle",
    "deviation": "standard deviation",
    "least": "minimum",
    "greatest": "maximum",
    "longest_diameter": "longest diameter",
    "long_axis": "longest in the scan plane",
    "short_axis": "perpendicular to it",
    "solid_volume": "solid part",
    "solid_axis": "solid part, in the scan plane",
    "prior_long_axis": "earlier, longest in the scan plane",
    "long_axis_change": "change of it",
    "target_sum": "sum of diameters",
    "prior_target_sum": "earlier sum",
    "prior_target_change": "change since",
    "baseline_target_sum": "sum at baseline",
    "baseline_target_change": "change since baseline",
    "nadir_target_sum": "least sum",
    "nadir_target_change": "change since the least sum",
    "least_diameter": "narrowest",
    "coronal_angle": "to the left as seen from the front",
    "sagittal_angle": "to the front as seen from the side",
    "clearance": "away from it at least",
    "clearance_depth": "at a depth of",
    "through": "through it over",
    "greatest_diameter": "widest",
    "reference_diameter": "healthy",
    "nascet": "stenosis (NASCET)",
    "ecst": "stenosis (ECST)",
    "area_stenosis": "stenosis by area",
}
_ACTS = {
    "opened": "opened the case",
    "protocol_run": "had the pictures drawn",
    "region_design": "chose the region",
    "structure_selection": "chose the structures",
    "image_selection": "chose pictures",
    "image_rejection": "rejected a picture",
    "view_adjustment": "adjusted a view",
    "mask_editing": "edited a mask",
    "monitoring": "watched over the work",
    "approval": "approved the work",
    "recorded": "kept the record",
    "attested": "attested",
    "attested_and_signed": "attested and signed",
    "reported": "signed a report",
}


def act(done: Act) -> str:
    """Returns who did what when, on one line."""
    detail = f" ({done.detail})" if done.detail else ""
    return f"{done.at:%Y-%m-%d %H:%M:%S %z} {done.person_id} ({done.role}) {_ACTS.get(done.kind, done.kind)}{detail}"


def measurement(made: Measurement) -> str:
    """Returns what was measured where, on one line."""
    finding = f", {made.finding}" if made.finding else ""
    where = f"; at {', '.join(place(at) for at in made.points_mm)}" if made.points_mm else ""
    if made.kind == "length" and len(made.points_mm) > 2:
        ends = f"from {place(made.points_mm[0])} to {place(made.points_mm[-1])}"
        where = f"; {ends}, through {len(made.points_mm) - 2} places between"
    if made.kind == "area":
        where = f"; within an outline of {len(made.points_mm)} places on a curved surface"
    seen = f", seen from {made.view}" if made.view else ""
    if made.kind == "vessel" and made.steps:
        where = f"; along a line laid by hand, {len(made.points_mm)} points{where.replace('; at', ' at')}"
    return f"{made.name}{finding}: {', '.join(quantity(q) for q in made.quantities)}{where}{seen}"


def quantity(found: Quantity) -> str:
    """Returns a number with its name and unit."""
    name = _NUMBERS.get(found.name) or found.name.replace("_", " ")
    value = f"{found.value:.2f}" if found.name == "tortuosity" else f"{found.value:.1f}"
    return f"{name} {value} {UNITS_IN_WORDS.get(found.unit, found.unit)}".strip()


def place(at: Vector) -> str:
    """Returns a point in the patient: mm to the left, the back and the head of the scanner's origin."""
    return f"({at[0]:.1f}, {at[1]:.1f}, {at[2]:.1f}) mm"


def recipe(drawn: Recipe) -> tuple[str, ...]:
    """Returns what was drawn and how, in sentences."""
    return tuple(_sentences(drawn))


def _sentences(drawn: Recipe) -> Iterator[str]:
    kind = codes.DERIVATIONS[technique(drawn)].meaning
    yield f"{kind}, {seen_in_words(drawn)}, {drawn.columns} x {drawn.rows} pixels."
    if isinstance(drawn, VolumeRendering):
        yield from _rendering(drawn)
    else:
        yield f"Shown with {_window(drawn.window)}."
    if isinstance(drawn, VolumeRendering | Projection):
        yield from _solid(drawn)
    elif isinstance(drawn, Reformat):
        apart = f" {drawn.spacing_mm:g} mm apart" if drawn.spacing_mm and drawn.count > 1 else ""
        yield f"{drawn.count} plane{'s' if drawn.count > 1 else ''}{apart}, {_through(drawn)}."
        if drawn.fusion is not None:
            shift = ", ".join(f"{row[3]:.1f}" for row in drawn.fusion.transform[:3])
            yield (
                f"Fused with a second volume, shown with {_window(drawn.fusion.window)} in colour, covering "
                f"{drawn.fusion.blend:.0%} at most; moved by ({shift}) mm and turned as the recipe says."
            )
    else:
        yield from _curved(drawn)


def _rendering(drawn: VolumeRendering) -> Iterator[str]:
    if drawn.projection == "perspective":
        inside = f" from inside the patient, at {place(drawn.eye_mm)}" if drawn.eye_mm else ""
        yield f"In perspective{inside}, {drawn.field_of_view_deg:g} degrees from top to bottom: it has no scale."
    if drawn.flight:
        first, last = drawn.flight[0].eye_mm, drawn.flight[-1].eye_mm
        yield f"A flight of {len(drawn.flight)} pictures through the patient, from {place(first)} to {place(last)}."
    yield _transfer(drawn.transfer)
    if drawn.fusion is not None:
        yield f"Fused with a second volume on the same rays. {_transfer(drawn.fusion.transfer)}"
    if drawn.light is not None:
        yield f"Lit from {drawn.light.words}."
    darker = {
        "the far end is darker": drawn.depth_cue,
        "hollows are darker": drawn.ambient_occlusion,
        "shadows fall": drawn.shadows,
    }
    effects = [f"{words} ({part:g})" for words, part in darker.items() if part]
    if effects:
        yield f"{', '.join(effects)[:1].upper()}{', '.join(effects)[1:]}."


def _transfer(transfer: TransferFunction) -> str:
    seen = [point for point in transfer.points if point.opacity > 0]
    unit = {"range": "of the volume's range", "lumen": "of the way from tissue to dye"}.get(
        transfer.unit, transfer.unit
    )
    if not seen:
        return f"Transfer function {transfer.name!r}: nothing is visible."
    first = next((p.value for p, n in zip(transfer.points, transfer.points[1:], strict=False) if n.opacity > 0), None)
    least = seen[0].value if first is None else first
    strongest = max(seen, key=lambda point: point.opacity)
    return (
        f"Transfer function {transfer.name!r}: visible from {least:g} {unit}, most opaque at {strongest.value:g} "
        f"{unit} ({strongest.opacity:g} for each {transfer.opacity_unit_mm:g} mm), by {len(transfer.points)} points."
    )


def _solid(drawn: VolumeRendering | Projection) -> Iterator[str]:
    if drawn.rotation is not None:
        turn = "round the patient" if drawn.rotation.axis == "head-foot" else "over the top"
        yield f"A rotation of {drawn.rotation.frames} pictures over {drawn.rotation.arc_deg:g} degrees, {turn}."
    if isinstance(drawn, Projection):
        slab = f"a slab of {drawn.slab_mm:g} mm" if drawn.slab_mm else "the whole volume"
        yield f"Each pixel shows {_MODES[drawn.mode]} value along its line of sight through {slab}."
    if drawn.field_of_view_mm:
        yield f"The picture is {drawn.field_of_view_mm:g} mm high in the patient."
    if drawn.centre_mm:
        yield f"Its middle is at {place(drawn.centre_mm)}."
    if drawn.body_above is not None:
        yield f"Table and holders are left out: what is denser than {drawn.body_above:g} and not part of the patient."
    if drawn.crop is not None:
        yield f"Cropped to the box from {place(drawn.crop.lower_mm)} to {place(drawn.crop.upper_mm)}."
    for clip in drawn.clips:
        yield f"Cut off by a plane through {place(clip.point_mm)}, on the side of {place(clip.normal)[:-3]}."
    for number, step in enumerate(drawn.segments, start=1):
        yield f"Mask, step {number}: {_step(step)}."
    for rule in drawn.masking:
        what = {
            "exclude": "is not drawn",
            "include": "alone is drawn",
            "tint": "has a colour of its own",
            "fade": f"is seen through: {rule.opacity or 0.0:g} of its opacity is left",
        }[rule.action]
        yield f"Label {rule.label} of the mask {what}."
    for move in drawn.moves if isinstance(drawn, VolumeRendering) else ():
        turned = [row[:3] for row in move.transform[:3]] != [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)]
        way = ", ".join(f"{row[3]:.1f}" for row in move.transform[:3])
        yield f"Label {move.label} of the mask is drawn {'turned and ' if turned else ''}shifted by {way} mm."


def _step(step: MaskStep) -> str:
    if isinstance(step, Fragments):
        heads = f", {len(step.heads_mm)} heads told from their sockets" if step.heads_mm else ""
        return (
            f"label {step.of} divided where a contact is narrower than {step.neck:g} of the thickness{heads}, the "
            f"parts of at least {step.least_ml:g} ml becoming label {step.label} and on, the largest first"
        )
    if isinstance(step, KeptParts | Shaped | Boolean):
        return f"{_change(step)} becomes label {step.label}"
    outside = "everything but " if step.outside else ""
    return f"{outside}{_marked(step)} becomes label {step.label}"


_SHAPES = {"grow": "grown", "shrink": "shrunk", "open": "opened", "close": "closed", "smooth": "smoothed"}
_COMBINED = {
    "union": "together with",
    "intersection": "where it is also in",
    "difference": "without",
    "either": "or, but not both,",
}


def _change(step: KeptParts | Shaped | Boolean) -> str:
    if isinstance(step, KeptParts):
        count = f"the {step.largest} largest parts" if step.largest else "the parts"
        return f"of label {step.of} {count} of at least {step.least_ml:g} ml"
    if isinstance(step, Shaped):
        if step.operation == "fill":
            return f"label {step.of} with its holes filled"
        return f"label {step.of} {_SHAPES[step.operation]} by {step.radius_mm:g} mm"
    others = "; ".join(_step(each) for each in step.steps)
    return f"label {step.of} {_COMBINED[step.operation]} a mask of its own ({others})"


def _marked(step: MaskStep) -> str:
    if isinstance(step, Scissors):
        return (
            f"what lies within an outline of {len(step.outline_mm)} corners drawn by hand, seen from {step.view.words}"
        )
    if isinstance(step, Piece):
        near = f", within {step.within_mm:g} mm" if step.within_mm else ""
        return f"the piece at {place(step.seed_mm)} of values from {step.low:g} to {step.high:g}{near}"
    if isinstance(step, Values):
        return f"all values from {step.low:g} to {step.high:g}"
    if isinstance(step, Grown):
        seeds = ", ".join(place(seed) for seed in step.seeds_mm) or "every sure voxel"
        neck = f", without what hangs on by less than {step.neck_mm:g} mm" if step.neck_mm else ""
        return f"what hangs together with {seeds} among values from {step.low:g} to {step.high:g}{neck}"
    if isinstance(step, Brush):
        return f"what a {step.form} of {step.radius_mm:g} mm covers along a stroke of {len(step.stroke_mm)} places"
    if isinstance(step, Outlines):
        return f"the solid through {len(step.outlines_mm)} outlines drawn by hand, seen from {step.view.words}"
    if isinstance(step, Strokes):
        return f"what belongs to {len(step.inside_mm)} strokes rather than to {len(step.outside_mm)} others"
    if isinstance(step, Automatic):
        return f"what the tool for {step.structure} finds"
    if isinstance(step, Lesion):
        return f"the lesion about {place(step.seed_mm)}"
    if isinstance(step, Given):
        which = f"label {step.take}" if step.take else "what is marked"
        return f"{which} in a mask made elsewhere, by {step.made_by} (sha256 {step.digest[:16]}…),"
    assert isinstance(step, Bone)
    return f"bone: pieces denser than {step.cortex:g}, and what is denser than {step.marrow:g} beside and in them"


def _curved(drawn: CurvedReformat) -> Iterator[str]:
    turns = f", {drawn.count} pictures over half a turn about it" if drawn.count > 1 else ""
    yield (
        f"Along a path of {len(drawn.path_mm)} places from {place(drawn.path_mm[0])} to {place(drawn.path_mm[-1])}, "
        f"{drawn.form}{turns}, {_through(drawn)}."
    )


def _through(drawn: Reformat | CurvedReformat) -> str:
    pixel = f", {drawn.pixel_mm:g} mm a pixel" if drawn.pixel_mm else ""
    thick = (
        f"{_MODES[drawn.mode]} value through {drawn.thickness_mm:g} mm" if drawn.thickness_mm else "without thickness"
    )
    return f"{thick}, {drawn.interpolation} interpolation{pixel}"


def _window(window: Window) -> str:
    if window.of_lumen:
        return f"a window of {window.width:g} of the way from tissue to dye about {window.centre:g} of it"
    if window.relative:
        return f"a window of {window.width:g} of the volume's range about {window.centre:g} of it"
    return f"window centre {window.centre:g}, width {window.width:g}"
