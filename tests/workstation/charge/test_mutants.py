"""Every change of the rules makes a test fail: the tests of `test_cases.py` are run against each of them."""

import inspect
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest

from tests.thorough import one_in
from tests.workstation.charge import test_cases as cases
from tests.workstation.charge.mutants import CHANGED, Mutant, mutants, program_of


def checks_of_the_cases() -> list[Callable[[], None]]:
    """Every test of the module with every set of its parameters, as something to call."""
    found: list[Callable[[], None]] = []
    for name, thing in vars(cases).items():
        if inspect.isfunction(thing) and name.startswith("test_"):
            found += calls(thing)
        elif inspect.isclass(thing) and name.startswith("Test"):
            for method_name, method in vars(thing).items():
                if method_name.startswith("test_"):
                    found += calls(method, thing())
    return found


def calls(function: Callable[..., None], *first: Any) -> Iterator[Callable[[], None]]:
    marks = [mark for mark in getattr(function, "pytestmark", []) if mark.name == "parametrize"]
    axes = []
    for mark in marks:
        names = mark.args[0]
        names = [each.strip() for each in names.split(",")] if isinstance(names, str) else list(names)
        values = mark.args[1]
        axes.append([dict(zip(names, value if len(names) > 1 else [value], strict=True)) for value in values])
    for chosen in product(*axes):
        arguments = {key: value for each in chosen for key, value in each.items()}
        yield lambda arguments=arguments: function(*first, **arguments)  # type: ignore[misc]


def use(mutant: Mutant | None, patch: pytest.MonkeyPatch) -> None:
    """Have the tests run against a changed program."""
    program = program_of(mutant)
    for name in ("decide", "decision_to_json"):
        patch.setattr(cases, name, getattr(program, name))


def some_fail(checks: list[Callable[[], None]]) -> bool:
    """Whether some test fails. One that failed is put first: it is likely to fail for the next one too."""
    for index, check in enumerate(checks):
        try:
            check()
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            checks.insert(0, checks.pop(index))
            return True
    return False


def is_killed(mutant: Mutant, checks: list[Callable[[], None]], patch: pytest.MonkeyPatch) -> bool:
    try:
        use(mutant, patch)
    except Exception:  # noqa: BLE001 - a program that does not even start fails every test
        return True
    return some_fail(checks)


def test_the_tests_pass_on_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = checks_of_the_cases()
    assert len(checks) > 200
    use(None, monkeypatch)
    for check in checks:
        check()


# The rules alone take a minute: of them one in twelve is tried each time, and all under `make check-all`.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "every"), [(module, one_in({"rules": 24, "work": 6}.get(module, 1))) for module in CHANGED]
)
def test_every_change_of_the_rules_makes_a_test_fail(module: str, every: int, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = checks_of_the_cases()
    made = list(mutants(module, every=every))
    survived = [mutant for mutant in made if not is_killed(mutant, checks, monkeypatch)]
    print(f"\n{module}: {len(made)} changes, {len(made) - len(survived)} make a test fail")
    assert len(made) > (15 if every == 1 else 3)
    assert not survived, "\n".join(f"line {mutant.line} {mutant.name}" for mutant in survived)
