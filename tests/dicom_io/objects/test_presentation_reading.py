"""What presentation states draw, read back in pixels."""

import math

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_io.objects.presentation_reading import drawings_of


def graphic(kind: str, *values: float, units: str = "PIXEL") -> Dataset:
    ds = Dataset()
    ds.GraphicAnnotationUnits, ds.GraphicType, ds.GraphicData = units, kind, list(values)
    return ds


def state(*graphics: Dataset, frames: int | list[int] | None = None) -> Dataset:
    image, annotation, ds = Dataset(), Dataset(), Dataset()
    image.ReferencedSOPInstanceUID = "1.2.3"
    if frames is not None:
        image.ReferencedFrameNumber = frames
    annotation.ReferencedImageSequence, annotation.GraphicObjectSequence = Sequence([image]), Sequence(graphics)
    ds.GraphicAnnotationSequence = Sequence([annotation])
    return ds


def test_lines_lie_at_the_centres_of_pixels() -> None:
    found = drawings_of(state(graphic("POLYLINE", 0.5, 0.5, 10.5, 4.5)))
    assert found[("1.2.3", 0)][0].lines == (((0.0, 0.0), (10.0, 4.0)),)


def test_round_graphics_become_lines() -> None:
    ellipse, circle = drawings_of(
        state(graphic("ELLIPSE", 0.5, 5.5, 20.5, 5.5, 10.5, 0.5, 10.5, 10.5), graphic("CIRCLE", 5.5, 5.5, 8.5, 5.5))
    )[("1.2.3", 0)]
    xs, ys = zip(*ellipse.lines[0], strict=True)
    assert [round(each) for each in (min(xs), max(xs), min(ys), max(ys))] == [0, 20, 0, 10]
    assert all(math.isclose(math.dist((5.0, 5.0), at), 3.0) for at in circle.lines[0])


def test_frames_are_named_and_displayed_areas_left_out() -> None:
    found = drawings_of(state(graphic("POINT", 3.5, 3.5), graphic("POINT", 0.1, 0.1, units="DISPLAY"), frames=[2, 5]))
    assert {place: len(drawn) for place, drawn in found.items()} == {("1.2.3", 1): 1, ("1.2.3", 4): 1}
    assert drawings_of(state(graphic("POINT", 3.5, 3.5), frames=3)).keys() == {("1.2.3", 2)}
    assert drawings_of(Dataset()) == {}
