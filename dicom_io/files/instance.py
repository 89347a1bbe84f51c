"""The header of a stored instance, without its pixels; the archive keeps it in its index.

A classic image has one `Frame`; an enhanced multi-frame image and an unfolded mosaic (Siemens, UIH) have many.
"""

from dataclasses import dataclass

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Frame:
    """One image plane.

    position_mm : LPS mm of the centre of the first pixel. orientation : row then column direction cosines.
    spacing_mm : (row spacing, column spacing). Source: PS3.3 C.7.6.2.1.1 and C.7.6.16.2.
    traits : (name, value) pairs that may set this frame apart from another at the same place.
    thickness_mm, between_mm : Slice Thickness and Spacing Between Slices as the image states them. in_stack : its
    number among the slices of its stack, 0 where it has none. They never place a slice; they tell what is missing.
    window : (centre, width) of its first window, in rescaled values. Source: PS3.3 C.7.6.2, C.7.6.16.2.1, .2 and .10.
    """

    position_mm: Triple | None
    orientation: tuple[float, float, float, float, float, float] | None
    spacing_mm: tuple[float, float] | None
    slope: float
    intercept: float
    traits: tuple[tuple[str, str], ...] = ()
    thickness_mm: float | None = None
    between_mm: float | None = None
    in_stack: int = 0
    window: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """A stored SOP instance without its pixels; `pixel_offset` says where in `path` they begin (−1: parse first).

    rows, columns : of the stored pixel matrix, which a mosaic divides among its frames.
    pixel_length : in bytes; −1 for encapsulated pixel data, whose items follow from `pixel_offset` on.
    padding : lowest and highest stored value that mean 'no image here'. rescale_type : what rescaled values measure.
    high_bit : −1 where the header says nothing, which is bits_stored − 1. Source: PS3.5 8.1.1.
    mosaic : tiles along each row of a Siemens mosaic or a UIH grid, 0 for every other image. mosaic_down : tiles along
    each column where there are fewer, else 0.
    refusal : why no volume can be made of it, whatever its geometry; empty where the header shows no such reason.
    """

    path: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    series_uid: str
    study_uid: str
    frame_of_reference: str
    modality: str
    series_description: str
    study_description: str
    patient_id: str
    accession: str
    study_date: str
    body_part: str
    instance_number: int
    image_type: tuple[str, ...]
    rows: int
    columns: int
    samples: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    signed: bool
    padding: tuple[float, float] | None
    rescale_type: str
    lossy: bool
    pixel_keyword: str
    pixel_offset: int
    pixel_length: int
    frames: tuple[Frame, ...]
    high_bit: int = -1
    mosaic: int = 0
    refusal: str = ""
    mosaic_down: int = 0

    @property
    def is_image(self) -> bool:
        return self.rows > 0 and self.columns > 0 and bool(self.pixel_keyword)

    @property
    def plane(self) -> tuple[int, int]:
        """The (rows, columns) of one frame."""
        along = self.mosaic or 1
        return (self.rows // (self.mosaic_down or along), self.columns // along)

    @property
    def stored_frames(self) -> int:
        """The number of frames in the pixel data: one for a mosaic, however many slices it holds."""
        return 1 if self.mosaic else len(self.frames)
