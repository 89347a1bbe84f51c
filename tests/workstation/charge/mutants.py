"""Changes of the charge rules, one at a time: each a program that a careless edit could have made of ours."""

import ast
import copy
import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

import workstation.charge as real

FOLDER = Path(real.__file__).parent
# In the order in which they import each other; the others (facts, policy, codes, reasons) stay as they are.
CHANGED = ("work", "rules", "lines", "decide")
_PACKAGE = "mutant_charge"

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: in which module, on which line, what it was and what it became; and the changed source."""

    module: str
    line: int
    what: str
    source: str

    @property
    def name(self) -> str:
        """For people, and for the list of those that change nothing."""
        return f"{self.module}: {self.what}"


def mutants(module: str, folder: Path = FOLDER, every: int = 1) -> Iterator[Mutant]:
    """Every mutant of a module, or one in `every` of them. Words for people and type annotations are left alone: no
    decision rests on them."""
    tree, number = ast.parse((folder / f"{module}.py").read_text(encoding="utf-8")), -1
    for path, node in _nodes(tree, ()):
        for change, what in _changes(node):
            number += 1
            if number % every:
                continue
            changed = copy.deepcopy(tree)
            holder: Any = changed
            for step in path[:-1]:
                holder = holder[step] if isinstance(step, int) else getattr(holder, step)
            new = change(copy.deepcopy(node))
            if isinstance(path[-1], int):
                holder[path[-1]] = new
            else:
                setattr(holder, path[-1], new)
            ast.fix_missing_locations(changed)
            yield Mutant(module, getattr(node, "lineno", 0), what, ast.unparse(changed))


def _nodes(node: ast.AST, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], ast.AST]]:
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        if isinstance(value, ast.Subscript) and isinstance(value.value, ast.Name) and value.value.id == "Literal":
            continue  # a list of allowed words, which the type checker reads and no program
        if isinstance(value, ast.AST):
            yield (*path, name), value
            yield from _nodes(value, (*path, name))
        elif isinstance(value, list):
            for index, each in enumerate(value):
                if isinstance(each, ast.AST):
                    yield (*path, name, index), each
                    yield from _nodes(each, (*path, name, index))


Change = Callable[[Any], ast.AST]


def _changes(node: ast.AST) -> Iterator[tuple[Change, str]]:
    text = ast.unparse(node) if isinstance(node, ast.expr | ast.stmt) else ""
    short = " ".join(text.split())[:80]
    match node:
        case ast.Compare(ops=ops):
            for index, op in enumerate(ops):
                other = _COMPARISONS.get(type(op))
                if other is not None:
                    yield _with_operator(index, other), f"{short} with {other.__name__}"
        case ast.BoolOp(op=op):
            other_op: type[ast.boolop] = ast.Or if isinstance(op, ast.And) else ast.And
            yield _with_boolean(other_op), f"{short} with {other_op.__name__}"
        case ast.UnaryOp(op=ast.Not()):
            yield (lambda found: found.operand), f"{short} without not"
        case ast.If() | ast.IfExp():
            test = " ".join(ast.unparse(node.test).split())[:80]
            yield (lambda found: _with_test(found, True)), f"if {test} always"
            yield (lambda found: _with_test(found, False)), f"if {test} never"
        case ast.Expr(value=ast.Yield()):
            yield (lambda found: ast.Pass()), f"{short} left out"
        case ast.Return(value=value) if value is not None and not isinstance(value, ast.Constant):
            yield (lambda found: ast.Return(ast.Constant(None))), f"{short} returns None"
        case ast.Call(func=ast.Name(id="any" | "all" as name)):
            other_name = "all" if name == "any" else "any"
            yield (lambda found: ast.Call(ast.Name(other_name, ast.Load()), found.args, [])), f"{short} as {other_name}"
        case ast.Constant(value=bool(truth)):
            yield (lambda found: ast.Constant(not truth)), f"{truth} as {not truth}, line {node.lineno}"
        case ast.Constant(value=int(number)):
            yield (lambda found: ast.Constant(number + 1)), f"{number} as {number + 1}, line {node.lineno}"
        case ast.Constant(value=str(value)) if value.isupper() or value in _WORDS:
            yield (lambda found: ast.Constant(f"{value}x")), f"{value!r} misspelt, line {node.lineno}"


# Values of facts and settings that rules compare with.
_WORDS = {
    "needle_mapping", "performed", "eligible", "includes_3d", "procedure_includes_3d", "review", "final", "none",
    "hospital", "automatic", "physician", "reformat", "projection", "volumetric", "hold", "deny", "release",
    "queued", "sent", "acknowledged", "by_requirement", "always", "independent", "ordered", "rationale", "urgent",
    "professional", "technical", "global", "facility", "split", "26", "TC",
}  # fmt: skip


def _with_operator(index: int, other: type[ast.cmpop]) -> Change:
    def change(found: ast.Compare) -> ast.AST:
        found.ops[index] = other()
        return found

    return change


def _with_boolean(other: type[ast.boolop]) -> Change:
    def change(found: ast.BoolOp) -> ast.AST:
        found.op = other()
        return found

    return change


def _with_test(found: ast.If | ast.IfExp, value: bool) -> ast.AST:
    found.test = ast.Constant(value)
    return found


def program_of(mutant: Mutant | None) -> ModuleType:
    """The module `decide` of the changed program; of ours for None. Raises whatever the change makes it raise."""
    for name in [name for name in sys.modules if name == _PACKAGE or name.startswith(f"{_PACKAGE}.")]:
        del sys.modules[name]
    package = ModuleType(_PACKAGE)
    package.__path__ = []
    sys.modules[_PACKAGE] = package
    for name in ("facts", "policy", "codes", "reasons"):
        sys.modules[f"{_PACKAGE}.{name}"] = importlib.import_module(f"workstation.charge.{name}")
    for name in CHANGED:
        own = mutant is not None and mutant.module == name
        source = mutant.source if own and mutant else (FOLDER / f"{name}.py").read_text(encoding="utf-8")
        spec = spec_from_loader(f"{_PACKAGE}.{name}", loader=None)
        assert spec is not None
        module = module_from_spec(spec)
        module.__package__ = _PACKAGE
        sys.modules[f"{_PACKAGE}.{name}"] = module
        exec(compile(source, f"{name}.py", "exec"), module.__dict__)
    return sys.modules[f"{_PACKAGE}.decide"]
