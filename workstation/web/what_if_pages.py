"""What a decision would be if a fact were another one. Nothing is written by it."""

import json
from collections.abc import Iterator
from typing import Any

from starlette.responses import Response

from workstation.coder.what_if import what_if
from workstation.coder.work_list import WorkError
from workstation.web.call import Call, get, post
from workstation.web.case_pages import case_of
from workstation.web.coder_pages import CODERS

_FIELD = "fact."
# What nobody changes in a thought: it only says which case it is.
_NOT_OFFERED = ("sr.sop_instance_uid", "study_instance_uid", "accession", "previous_charges")


def leaves(facts: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yields path and value of every fact: lists of objects one by one, other lists as a whole."""
    if isinstance(facts, dict):
        for key, value in facts.items():
            yield from leaves(value, f"{path}.{key}" if path else key)
    elif isinstance(facts, list) and any(isinstance(each, dict) for each in facts):
        for number, each in enumerate(facts):
            yield from leaves(each, f"{path}[{number}]")
    else:
        yield path, facts


def text_of(value: Any) -> str:
    """A fact as it stands in a form, and as `what_if` reads it again."""
    if isinstance(value, list):
        return ",".join(value)
    return value if isinstance(value, str) else json.dumps(value)


def _show(call: Call) -> Response:
    return _page(call, None)


def _try(call: Call) -> Response:
    case = case_of(call)
    was = dict(_offered(case.ruling.facts))
    changes = [
        f"{path}={text.strip()}"
        for name, text in call.form.items()
        if name.startswith(_FIELD) and (path := name.removeprefix(_FIELD)) in was and text.strip() != was[path]
    ]
    try:
        found = what_if(call.site, case.row.session, changes)
    except WorkError as error:
        return _page(call, None, call.tr(str(error)), 422)
    return _page(call, found)


def _offered(facts: str) -> Iterator[tuple[str, str]]:
    for path, value in leaves(json.loads(facts)):
        if not path.startswith(_NOT_OFFERED):
            yield path, text_of(value)


def _page(call: Call, found: dict[str, Any] | None, why: str = "", status: int = 200) -> Response:
    case = case_of(call)
    offered = dict(_offered(case.ruling.facts))
    typed = {path: call.form.get(f"{_FIELD}{path}", text) for path, text in offered.items()}
    groups: dict[str, list[str]] = {}
    for path in offered:
        groups.setdefault(path.partition(".")[0].partition("[")[0], []).append(path)
    return call.page(
        "coder/what_if.html",
        status,
        row=case.row,
        offered=offered,
        typed=typed,
        groups=groups,
        found=found,
        why=why,
    )


ROUTES = (
    get("/cases/{key}/what-if", _show, CODERS),
    post("/cases/{key}/what-if", _try, CODERS),
)
