"""The pages of a link: what a referring physician sees of a signed session. Nobody signs in; the token opens it.

Every answer is private, tells search engines and other sites nothing, and is the same for a link that never was, has
expired or was revoked.
"""

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime

from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse

from dicom_io.errors import DicomIOError
from dicom_io.person_names import spoken
from workstation.results import downloads
from workstation.results.contents import ResultsError, SessionResults
from workstation.results.images import MEDIA, PREVIEW_PX, ImageForm, encoded, frame_pixels, framed
from workstation.results.links import contact_of, is_opened, link_of, note_fetched, note_opened, opened_mark, opens
from workstation.results.seen import SeenResults
from workstation.results.surfaces import SHOWN, ShownModel, model_soon, parts_as_json
from workstation.site import Site
from workstation.store.result_links import ResultLink
from workstation.web.call import Call, get, post

_COOKIE = "results"
_HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
}
# A picture is asked for again with its digest, so that a link that was revoked shows nothing any more.
_PICTURE_CACHE, _PAGE_CACHE = "private, no-cache", "no-store"
# After so much of a download the link is looked at again.
_LOOKED_AT_BYTES = 8 << 20
_NAME = re.compile(r"([1-9][0-9]{0,3})\.(png|jpg)")


_SEEN = SeenResults()


def _answer(response: Response, cache: str = _PAGE_CACHE, etag: str = "") -> Response:
    response.headers.update({**_HEADERS, "Cache-Control": cache})
    if etag:
        response.headers["ETag"] = f'"{etag}"'
    return response


def _closed(call: Call) -> Response:
    """The answer for a link that opens nothing, whatever the reason."""
    return _answer(call.page("results/closed.html", 410, contact=contact_of(call.site)))


def _withheld(call: Call, why: str) -> Response:
    return _answer(call.page("results/withheld.html", 409, why=why, contact=contact_of(call.site)))


def _not_there() -> Response:
    return _answer(Response("Not found", status_code=404, media_type="text/plain"))


def _opened(call: Call) -> ResultLink | None:
    """The link of the address, where it holds and its word was typed in this browser."""
    token = call.path("token")
    link = link_of(token, call.site)
    mark = call.request.cookies.get(_COOKIE, "")
    return link if link is not None and is_opened(link, token, mark, call.site) else None


def show(call: Call) -> Response:
    """The page, or the question for the word."""
    token = call.path("token")
    link = link_of(token, call.site)
    if link is None:
        return _closed(call)
    if _opened(call) is None:
        return _word(call, token)
    try:
        results = _SEEN.results(link.session, call.site)
    except ResultsError as error:
        return _withheld(call, call.tr(str(error)))
    model, model_failed = _model(results, call.site)
    note_opened(link, results.files(), call.address, call.site)
    signed_by, signed_at = results.signed
    stills = [picture for picture in results.pictures if picture.kind != "turn" or picture.chosen]
    return _answer(
        call.page(
            "results/page.html",
            token=token,
            link=link,
            results=results,
            study=results.study,
            model=model,
            model_failed=model_failed,
            chosen=[picture for picture in stills if picture.chosen and picture.kind != "turn"],
            others=[picture for picture in stills if not picture.chosen],
            turning=[picture for picture in results.pictures if picture.kind == "turn"],
            signed_by=signed_by,
            signed_at=_moment(signed_at),
            replaced=[(spoken(v.told.signed_by), _moment(v.told.signed_at)) for v in results.versions[-2::-1]],
            amended_since=len(results.versions) > link.reports,
            expires_at=_moment(datetime.fromtimestamp(link.expires_s).astimezone()),
            contact=contact_of(call.site),
        )
    )


def type_word(call: Call) -> Response:
    """Looks at the word that was typed, and shows the page where it is right."""
    token, console = call.path("token"), call.console
    link = link_of(token, call.site)
    if link is None:
        return _closed(call)
    word = call.form.get("word", "")[:1000]
    right = False
    if console.secrets_limiter.allows(call.address):
        with console.checking:
            right = opens(link, word, call.site)
    if not right:
        return _word(call, token, 403)
    response = _answer(call.go(f"/r/{token}"))
    mark = opened_mark(link, token, call.site)
    secure = console.settings.secure
    response.set_cookie(_COOKIE, mark, path=f"/r/{token}", secure=secure, httponly=True, samesite="lax")
    return response


def _word(call: Call, token: str, status: int = 200) -> Response:
    page = call.page("results/word.html", status, token=token, wrong=status != 200, contact=contact_of(call.site))
    answer = _answer(page)
    # A form without any referrer would come from nowhere; the address goes to no other site all the same.
    answer.headers["Referrer-Policy"] = "same-origin"
    return answer


def picture(call: Call) -> Response:
    """A frame as PNG, or compressed as JPEG; `?small` for previews."""
    found = _found(call)
    if isinstance(found, Response):
        return found
    results = found[1]
    named, wanted = _NAME.fullmatch(call.path("name")), results.picture(call.path("key"))
    if named is None or wanted is None or int(named[1]) > len(wanted.frames):
        return _not_there()
    frame, form = wanted.frames[int(named[1]) - 1], _form(named[2])
    small = form == "jpg" and "small" in call.request.query_params
    etag = f"{frame.etag}-{form}{'-small' if small else ''}-{len(results.marks)}"
    if _has(call, etag):
        return _answer(Response(status_code=304), _PICTURE_CACHE, etag)
    if not _SEEN.same(frame.file):
        return _not_there()
    try:
        content = encoded(frame_pixels(frame, results.marks), form, PREVIEW_PX if small else 0)
    except DicomIOError:
        return _not_there()
    return _answer(Response(content, media_type=MEDIA[form]), _PICTURE_CACHE, etag)


def frames(call: Call) -> Response:
    """All frames of a rotation or stack in one answer, as `framed`."""
    found = _found(call)
    if isinstance(found, Response):
        return found
    results, wanted = found[1], found[1].picture(call.path("key"))
    if wanted is None:
        return _not_there()
    digests = hashlib.sha256("".join(frame.etag for frame in wanted.frames).encode()).hexdigest()
    etag = f"{digests[:32]}-frames-{len(results.marks)}"
    if _has(call, etag):
        return _answer(Response(status_code=304), _PICTURE_CACHE, etag)
    if not all(_SEEN.same(frame.file) for frame in wanted.frames):
        return _not_there()
    return _answer(
        StreamingResponse(framed(wanted.frames, results.marks), media_type="application/octet-stream"),
        _PICTURE_CACHE,
        etag,
    )


def _has(call: Call, etag: str) -> bool:
    return call.request.headers.get("if-none-match") == f'"{etag}"'


def surface(call: Call) -> Response:
    """The surfaces for the viewer."""
    return _of_model(call, "glb")


def parts(call: Call) -> Response:
    """Names, colours and sizes of the parts of the surfaces."""
    return _of_model(call, "json")


def _of_model(call: Call, kind: str) -> Response:
    found = _found(call)
    if isinstance(found, Response):
        return found
    model, _ = _model(found[1], call.site)
    if model is None:
        return _not_there()
    etag = f"{model.glb.stem[:32]}-{kind}"
    if _has(call, etag):
        return _answer(Response(status_code=304), _PICTURE_CACHE, etag)
    if kind == "json":
        return _answer(JSONResponse(parts_as_json(model)), _PICTURE_CACHE, etag)
    return _answer(FileResponse(model.glb, media_type="model/gltf-binary"), _PICTURE_CACHE, etag)


def download(call: Call) -> Response:
    """What may be taken along; each is noted as an export."""
    found = _found(call)
    if isinstance(found, Response):
        return found
    link, results = found
    name = call.path("name")
    try:
        response = _made(name, results, call)
    except (ResultsError, DicomIOError) as error:
        return _withheld(call, call.tr(str(error)))
    if response is None:
        return _not_there()
    note_fetched(link, results.files(), name, call.address, call.site)
    response.headers["Content-Disposition"] = f'attachment; filename="{_FILES[name]}"'
    return _answer(response)


# What can be fetched, and how the file is called: by nothing that names a patient.
_FILES = {
    "report.pdf": "report.pdf",
    "pictures.zip": "pictures.zip",
    "dicom.zip": "dicom.zip",
    "surface.glb": "surface.glb",
    "surface.stl": "surface.stl",
}


class LinkClosed(Exception):  # noqa: N818 - reads as a sentence where it is raised
    """A link was revoked, or expired, while something was fetched by it: the connection breaks off."""


def _while_open(chunks: Iterator[bytes], call: Call) -> Iterator[bytes]:
    """Yields what is fetched by a link, as long as the link holds. Raises LinkClosed."""
    sent = 0
    for chunk in chunks:
        if sent > _LOOKED_AT_BYTES:
            sent = 0
            if link_of(call.path("token"), call.site) is None:
                raise LinkClosed
        sent += len(chunk)
        yield chunk


def _made(name: str, results: SessionResults, call: Call) -> Response | None:
    site = call.site
    if name == "report.pdf":
        return Response(downloads.report_pdf(results, site), media_type="application/pdf")
    if name == "pictures.zip":
        return StreamingResponse(_while_open(downloads.pictures_zip(results), call), media_type="application/zip")
    if name == "dicom.zip":
        return StreamingResponse(_while_open(downloads.dicom_zip(results), call), media_type="application/zip")
    model = _model(results, site)[0] if name in _FILES else None
    if model is None:
        return None
    if name == "surface.stl":
        return FileResponse(model.stl, media_type="model/stl")
    return FileResponse(model.glb, media_type="model/gltf-binary")


def _found(call: Call) -> tuple[ResultLink, SessionResults] | Response:
    """The link and its session, or the answer for a link that opens nothing."""
    link = _opened(call)
    if link is None:
        return _closed(call)
    try:
        return link, _SEEN.results(link.session, call.site)
    except ResultsError as error:
        return _withheld(call, call.tr(str(error)))


def _model(results: SessionResults, site: Site) -> tuple[ShownModel | None, str]:
    """The surfaces of a session, or why they cannot be shown."""
    try:
        return model_soon(results.surfaces, site.root / SHOWN), ""
    except ResultsError as error:
        return None, str(error)


def _form(word: str) -> ImageForm:
    return "png" if word == "png" else "jpg"


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at is not None else ""


def robots(call: Call) -> Response:
    """Search engines stay out, whatever they found a link in."""
    return Response("User-agent: *\nDisallow: /\n", media_type="text/plain")


ROUTES = (
    get("/robots.txt", robots),
    get("/r/{token}", show),
    post("/r/{token}", type_word),
    get("/r/{token}/picture/{key}/frames", frames),
    get("/r/{token}/picture/{key}/{name}", picture),
    get("/r/{token}/model.glb", surface),
    get("/r/{token}/model.json", parts),
    get("/r/{token}/download/{name}", download),
)
