"""Every sentence that is made in English and shown by a screen: read from the source, with something filled in."""

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import get_args

from workstation.administration import preflight, site_check
from workstation.administration.site_check import What
from workstation.site import open_to_others
from workstation.transports.deliver import TRANSPORTS
from workstation.transports.folder import reach_folder

ROOT = Path(__file__).parents[2]
# Rooms whose errors reach no screen of the desktop or console: an administrator reads them at the command line.
ELSEWHERE = (
    "workstation/administration/preflight.py",  # at the start of a process
    "workstation/backup/",
    "workstation/certificates.py",
    "workstation/charge/cms.py",  # CMS files and policies are read by an administrator
    "workstation/charge/cms_imports.py",
    "workstation/charge/codes.py",
    "workstation/charge/policy.py",
    "workstation/charging.py",
    "workstation/cli/",
    "workstation/config.py",
    "workstation/destinations.py",
    "workstation/export/bone_files.py",
    "workstation/export/mask_files.py",
    "workstation/export/trajectory_files.py",
    "workstation/farm.py",
    "workstation/hl7/",
    "workstation/listening.py",
    "workstation/models.py",
    "workstation/preparing.py",
    "workstation/reading.py",
    "workstation/serve/",
    "workstation/store/dump.py",
    "workstation/store/schema.py",
    "workstation/transports/",
    "workstation/web/serving.py",
    "render/recipe.py",  # recipes that were written by hand
)
# What is caught where it is raised, or is a programmer's.
NOT_SAID = frozenset(
    "ValueError TypeError KeyError AttributeError OSError ConnectionError TimeoutError FileExistsError RuntimeError "
    "AssertionError HTTPException BadCommand Broken Ended Rejection _BadRequest PortInUse UidError "
    "jwt.PyJWKClientError".split()
)
# Reasons whose sentence is put together before: the acceptance cases give each of them.
IN_PARTS = ("TWO_D_ONLY", "NONCONTIGUOUS_REVIEW")


def filled(node: ast.AST) -> list[str]:
    """What a string of the source says, with ‹1›, ‹2› … where something is filled in; each way where it has several."""
    count = 0

    def said(node: ast.AST) -> list[str]:
        nonlocal count
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return [node.value]
        if isinstance(node, ast.IfExp):
            return said(node.body) + said(node.orelse)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return [one + other for one in said(node.left) for other in said(node.right)]
        if isinstance(node, ast.JoinedStr):
            found = [""]
            for part in node.values:
                found = [before + each for before in found for each in said(part)]
            return found
        if isinstance(node, ast.FormattedValue) and isinstance(node.value, ast.IfExp):
            return said(node.value)
        count += 1
        return [f"‹{count}›"]

    return said(node)


def _sentences(node: ast.AST) -> list[str]:
    """The sentences of a string, empty where nothing but places is in it."""
    is_text = isinstance(node, ast.JoinedStr | ast.IfExp | ast.BinOp) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return [each for each in filled(node) if " " in each.strip() and re.search("[a-z]{3}", each)] if is_text else []


def _last_name(called: ast.expr) -> str:
    return called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""


def shown_errors() -> Iterator[tuple[str, str]]:
    """Every sentence of an error that the desktop or the console may show, with where it is raised."""
    for package in ("workstation", "dicom_io", "render"):
        for file in sorted((ROOT / package).rglob("*.py")):
            name = file.relative_to(ROOT).as_posix()
            if name.startswith(ELSEWHERE):
                continue
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                    if ast.unparse(node.exc.func) in NOT_SAID:
                        continue
                    said = [each for argument in node.exc.args for each in _sentences(argument)]
                elif isinstance(node, ast.Call) and _last_name(node.func) == "RefusedImages":
                    said = [each for argument in node.args[2:] for each in _sentences(argument)]
                elif isinstance(node, ast.Call):
                    said = [e for key in node.keywords if key.arg == "declined" for e in _sentences(key.value)]
                else:
                    continue
                yield from ((each, f"{name}:{node.lineno}") for each in said)


def shown_reasons() -> Iterator[tuple[str, str]]:
    """Every sentence of a reason of a charge, with where it is given."""
    for name in ("charge/rules.py", "billing/gather_facts.py", "billing/human_decisions.py"):
        for node in ast.walk(ast.parse((ROOT / "workstation" / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _last_name(node.func) in ("hold", "deny", "make"):
                if isinstance(node.args[0], ast.Constant) and node.args[0].value in IN_PARTS:
                    continue
                yield from ((each, f"{name}:{node.lineno}") for each in _sentences(node.args[1]))


def shown_findings() -> Iterator[tuple[str, str]]:
    """Every sentence that the check of a site may say, and what there is to do, with where it is said."""
    for what in (site_check, preflight.check_settings, preflight._tls, open_to_others):
        for node in _strings(ast.parse(dedent(inspect.getsource(what)))):
            for each in _sentences(node):
                # Commands and settings are the same in every language; what was looked at has a catalogue of its own.
                words = re.sub("`[^`]*`|‹[0-9]+›", "", each)
                if re.search("[a-z]{3} |[a-z]{3}[.]?$", words) and each not in get_args(What):
                    yield each, getattr(what, "__name__", "")


def answers_of_destinations() -> list[str]:
    """What a destination says that was reached, as far as it is ours."""
    reached = [vars(made)["reach"] for made in TRANSPORTS.values() if inspect.isclass(made)]
    return [each for reach in [*reached, reach_folder] for each in returned(reach)]


def _strings(node: ast.AST) -> Iterator[ast.AST]:
    """The strings of a text, but those of docstrings, of errors and of keys."""
    inner = ast.iter_child_nodes(node)
    if isinstance(node, ast.Dict | ast.DictComp):
        inner = iter(node.values if isinstance(node, ast.Dict) else [node.value])
    for each in inner:
        if isinstance(each, ast.Raise) or (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant)):
            continue
        if isinstance(each, ast.JoinedStr) or (isinstance(each, ast.Constant) and isinstance(each.value, str)):
            yield each
        else:
            yield from _strings(each)


def returned(function: Callable[..., str]) -> list[str]:
    """Every sentence that a function returns."""
    tree = ast.parse(dedent(inspect.getsource(function)))
    return [
        each
        for node in ast.walk(tree)
        if isinstance(node, ast.Return) and node.value
        for each in _sentences(node.value)
    ]
