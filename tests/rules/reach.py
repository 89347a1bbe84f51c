"""Which functions of the program lead to which others, read from the source.

A function leads to every function that its text names, called there or handed on: by its own name, by an imported one,
or as an attribute of `self` or of an imported module. Where it calls `something.name(…)`, it leads to every method of
that name in what its room may import, because the text does not say what something is: so it may lead too far. Where
Python's own types have that name too, only to those of classes that its module names. A program that is started is not
followed.
"""

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from socket import socket
from threading import Thread

Names = dict[str, str]
# Methods that making an object, or a `with` around it, calls without their name.
_AT_ONCE = ("__init__", "__post_init__", "__enter__", "__exit__")
# Methods of what Python brings.
_COMMON = {
    name for kind in (str, bytes, list, dict, set, Path, datetime, BytesIO, Thread, socket) for name in dir(kind)
}


def sources(root: Path, packages: Iterable[str]) -> dict[str, str]:
    """The text of every module by its name."""
    found = {}
    for package in packages:
        for file in sorted((root / package).rglob("*.py")):
            parts = file.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file.read_text(encoding="utf-8")
    return found


class Reach:
    """Who leads to whom among all functions of some modules."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._names: dict[str, Names] = {}
        self._bodies: dict[str, tuple[str, list[ast.stmt]]] = {}
        self._methods: dict[str, set[str]] = {}
        self._next: dict[str, set[str]] = {}
        for module, text in texts.items():
            tree = _parsed(text)
            names = self._names[module] = _imported(tree.body)
            for node in tree.body:
                for name in _defined(node):
                    names[name] = f"{module}.{name}"
                    self._bodies[f"{module}.{name}"] = (module, [node])
                if isinstance(node, ast.ClassDef):
                    methods = [part for part in node.body if isinstance(part, ast.FunctionDef)]
                    for method in methods:
                        own = f"{module}.{node.name}.{method.name}"
                        self._bodies[own] = (module, [method])
                        self._methods.setdefault(method.name, set()).add(own)
                    at_once = [part for part in node.body if part not in methods or part.name in _AT_ONCE]
                    self._bodies[f"{module}.{node.name}"] = (module, at_once)

    def __contains__(self, name: str) -> bool:
        return name in self._bodies

    def all(self) -> set[str]:
        """Every function, method, class and name of a module."""
        return set(self._bodies)

    def path(self, start: str, wanted: Callable[[str], bool]) -> list[str]:
        """How `start` leads to the nearest that is wanted: all names on the way; empty if it does not."""
        came_from: dict[str, str] = {start: ""}
        waiting = [start]
        for one in waiting:
            if wanted(one):
                way = [one]
                while came_from[way[0]]:
                    way.insert(0, came_from[way[0]])
                return way
            if one not in self._next:
                self._next[one] = self._named_by(one)
            for name in sorted(self._next[one]):
                if name not in came_from:
                    came_from[name] = one
                    waiting.append(name)
        return []

    def _named_by(self, one: str) -> set[str]:
        module, nodes = self._bodies[one]
        names = self._names[module] | _imported(nodes)
        found: set[str] = set()
        for node in _without_annotations(nodes):
            if isinstance(node, ast.Name) and node.id in names:
                found |= self._known(names[node.id])
            elif isinstance(node, ast.Attribute) and (dotted := _dotted(node, names)):
                found |= self._known(dotted)
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
                found |= self._own(one, node.attr)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                called = node.func.attr
                of_self = isinstance(node.func.value, ast.Name) and node.func.value.id == "self"
                if of_self and self._own(one, called):
                    continue
                methods = {each for each in self._methods.get(called, set()) if _may_lead(module, each)}
                if called in _COMMON:
                    classes = {known for name in names.values() for known in self._known(name)}
                    methods = {method for method in methods if method.rpartition(".")[0] in classes}
                found |= methods
        return found - {one}

    def _own(self, one: str, attribute: str) -> set[str]:
        """The method of the class that the method `one` is of."""
        own = f"{one.rpartition('.')[0]}.{attribute}"
        return {own} & self._bodies.keys()

    def _known(self, name: str, seen: frozenset[str] = frozenset()) -> set[str]:
        """What a name stands for, through modules that hand it on."""
        if name in self._bodies:
            return {name}
        module, _, last = name.rpartition(".")
        handed_on = self._names.get(module, {}).get(last)
        return self._known(handed_on, seen | {name}) if handed_on and handed_on not in seen | {name} else set()


@cache
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


def _may_lead(module: str, method: str) -> bool:
    """Imports run down, so objects of rooms above are not known by their methods. They hand functions down."""
    if module.startswith("dicom_io."):
        return method.startswith("dicom_io.")
    return module.startswith("workstation.desktop.") or not method.startswith("workstation.desktop.")


def _without_annotations(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """All nodes of a text but those that only say what type something has."""
    for node in nodes:
        yield node
        for field, value in ast.iter_fields(node):
            if field not in ("annotation", "returns"):
                children = value if isinstance(value, list) else [value]
                yield from _without_annotations(child for child in children if isinstance(child, ast.AST))


def _imported(nodes: Iterable[ast.stmt]) -> Names:
    found: Names = {}
    for node in (inner for outer in nodes for inner in ast.walk(outer)):
        if isinstance(node, ast.Import):
            for one in node.names:
                found[one.asname or one.name.split(".")[0]] = one.name if one.asname else one.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for one in node.names:
                found[one.asname or one.name] = f"{node.module}.{one.name}"
    return found


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _dotted(node: ast.expr, names: Names) -> str:
    """`module.function` in full, where `module` is imported."""
    if isinstance(node, ast.Name):
        return names.get(node.id, "")
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value, names)
        return f"{before}.{node.attr}" if before else ""
    return ""
