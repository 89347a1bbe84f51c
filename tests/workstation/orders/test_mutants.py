"""Changes of what is read from reports make a test fail: those of `test_sentences.py` and `test_patients.py`."""

import inspect
import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

import workstation.orders as real
from tests.workstation.charge.mutants import Mutant, mutants
from tests.workstation.charge.test_mutants import calls, some_fail
from tests.workstation.orders import test_patients, test_sentences

FOLDER = Path(real.__file__).parent
# The module, the tests that are run against each change of it, and the names that they use of it.
TRIED: dict[str, tuple[ModuleType, tuple[str, ...]]] = {
    "sentences": (test_sentences, ("facts_in", "sentences_in")),
    "patients": (
        test_patients,
        ("PatientIdentifier", "authority_of", "identifier_of_object", "identifiers_in", "survivor_of"),
    ),
}
# Changes after which a program does the same.
SAME = {
    "sentences: first < end with LtE": "a sentence ends at a full stop, which begins no placeholder",
    "sentences: last > start with GtE": "a placeholder that ends where a sentence begins reaches the end of the text",
    "sentences: if not plain never": "an empty sentence has no phrase in it",
}


def checks_of(tests: ModuleType) -> list[Callable[[], None]]:
    """Every test that wants no fixture and no drawn data, with every set of parameters."""
    found: list[Callable[[], None]] = []
    for thing in vars(tests).values():
        members = [thing] if inspect.isfunction(thing) else vars(thing).values() if inspect.isclass(thing) else ()
        for each in members:
            if not (
                inspect.isfunction(each) and each.__name__.startswith("test_") and each.__module__ == tests.__name__
            ):
                continue
            wanted = set(inspect.signature(each).parameters) - {"self"}
            if hasattr(each, "hypothesis") or wanted & {"tmp_path", "site", "command", "authority"}:
                continue
            found += calls(each, *([thing()] if inspect.isclass(thing) else []))
    return found


def program_of(mutant: Mutant) -> ModuleType:
    spec = spec_from_loader(f"mutant_{mutant.module}", loader=None)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules[module.__name__] = module
    exec(compile(mutant.source, f"{mutant.module}.py", "exec"), module.__dict__)
    return module


def is_killed(
    mutant: Mutant,
    tests: ModuleType,
    names: tuple[str, ...],
    checks: list[Callable[[], None]],
    patch: pytest.MonkeyPatch,
) -> bool:
    try:
        program = program_of(mutant)
    except Exception:  # noqa: BLE001 - a program that does not even start fails every test
        return True
    for name in names:
        patch.setattr(tests, name, getattr(program, name))
    return some_fail(checks)


@pytest.mark.parametrize("module", TRIED)
def test_every_change_of_a_reader_makes_a_test_fail(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tests, names = TRIED[module]
    checks = checks_of(tests)
    for check in checks:
        check()
    made = list(mutants(module, FOLDER))
    survived = [each for each in made if not is_killed(each, tests, names, checks, monkeypatch)]
    print(f"\n{module}: {len(made)} changes, {len(made) - len(survived)} make a test fail")
    left = {each.name for each in survived}
    assert left == {name for name in SAME if name.startswith(f"{module}:")}, "\n".join(sorted(left))
