"""The pictures of a case, as they are archived: whoever judges a charge sees what it is for."""

import re

from starlette.responses import Response, StreamingResponse

from dicom_io.errors import DicomIOError
from workstation.results.contents import ResultPicture
from workstation.results.images import MEDIA, PREVIEW_PX, encoded, frame_pixels, framed
from workstation.results.seen import SeenResults
from workstation.site import Site
from workstation.store.cases import Record, Ruling
from workstation.web.call import Call, NotThere

_SEEN = SeenResults()
_NAME = re.compile(r"([1-9][0-9]{0,3})\.jpg")


def pictures_of_case(site: Site, ruling: Ruling) -> tuple[tuple[ResultPicture, ...], int]:
    """Returns the pictures of the record that counts, and how many the archive does not have."""
    record: Record = next(each for each in site.casebook.records_of(ruling.session) if each.sr_uid == ruling.sr_uid)
    try:
        return _SEEN.pictures(site.archive.root / record.path, site)
    except OSError:  # its file is gone
        return (), 0


def picture_of(call: Call, ruling: Ruling) -> Response:
    """One frame, or all of them, of the picture that the address names. Raises NotThere."""
    found, _ = pictures_of_case(call.site, ruling)
    wanted = next((each for each in found if each.key == call.path("picture")), None)
    name = call.path("name")
    number = _NAME.fullmatch(name)
    if wanted is None or not all(_SEEN.same(frame.file) for frame in wanted.frames):
        raise NotThere(call.tr("This case has no such picture."))
    if name == "frames":
        return StreamingResponse(framed(wanted.frames), media_type="application/octet-stream")
    if number is None or int(number[1]) > len(wanted.frames):
        raise NotThere(call.tr("This case has no such picture."))
    most = PREVIEW_PX if "small" in call.request.query_params else 0
    try:
        content = encoded(frame_pixels(wanted.frames[int(number[1]) - 1]), "jpg", most)
    except DicomIOError:
        raise NotThere(call.tr("This picture cannot be read.")) from None
    return Response(content, media_type=MEDIA["jpg"])
