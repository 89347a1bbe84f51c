"""Changes of what is read from messages and reports make a test fail, those of the tests beside this one."""

import inspect
import re
import sys
from collections import Counter
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

import workstation.orders as real
from tests.thorough import one_in
from tests.workstation.charge.mutants import Mutant, mutants
from tests.workstation.charge.test_mutants import calls, some_fail
from tests.workstation.orders import (
    test_patients,
    test_reader_tables,
    test_report_messages,
    test_report_on_file,
    test_rtf,
    test_sentences,
    test_statements,
)
from workstation.orders import on_file, statements

FOLDER = Path(real.__file__).parent
_MESSAGES = (test_statements, test_report_messages, test_reader_tables)
# The module, the tests that are run against each change of it, the modules that use it, and the names that they use.
TRIED: dict[str, tuple[tuple[ModuleType, ...], tuple[ModuleType, ...], tuple[str, ...]]] = {
    "sentences": ((test_sentences,), (test_sentences,), ("facts_in", "marked_parts", "sentences_in")),
    "patients": (
        (test_patients,),
        (test_patients,),
        ("PatientIdentifier", "authority_of", "identifier_of_object", "identifiers_in", "survivor_of"),
    ),
    "statements": (_MESSAGES, _MESSAGES, ("statements_of",)),
    "report_messages": (_MESSAGES, (statements,), ("accession_in", "document_in", "reports_in")),
    "rtf": ((test_rtf,), (test_rtf,), ("RtfError", "is_rtf", "is_complete", "rtf_text")),
    "report_on_file": ((test_report_on_file,), (test_report_on_file, on_file), ("ReportOnFile",)),
}
# Changes after which a program does the same, without their lines: how many of each there are, and why.
SAME = {
    "sentences: first < end with LtE": (1, "a sentence ends at a full stop, which begins no placeholder"),
    "sentences: last > start with GtE": (1, "a placeholder that ends where a sentence begins reaches the text's end"),
    "statements: if pid always": (2, "without PID there is no patient, and the message is refused before"),
    "statements: if ipc never": (1, "an order without an IPC of its own has the message's"),
    "statements: 3 as 4": (1, "the same, of IPC-3"),
    "report_messages: True as False": (3, "both are as long; zip says so where they are not"),
    "report_messages: 'PRS' misspelt": (1, "it has one letter more, which is no status"),
    "report_messages: 'ORC' misspelt": (2, "nobody asks for the name of a segment that is not there"),
    "rtf: 0 as 1": (1, "a document begins with a brace, which sets it"),
    "rtf: 1 as 2": (1, "the font before any is named has a number that no font has"),
    "rtf: if token['text'] is not None always": (1, "a token that is nothing else is text"),
    "rtf: if page == 65001 never": (1, "Python knows the code page by its number too"),
    "rtf: 65001 as 65002": (1, "the same"),
    "report_on_file: if len(of) == 1 never": (1, "one patient joined to no other is that one"),
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
    users: tuple[ModuleType, ...],
    names: tuple[str, ...],
    checks: list[Callable[[], None]],
    patch: pytest.MonkeyPatch,
) -> bool:
    try:
        program = program_of(mutant)
    except Exception:  # noqa: BLE001 - a program that does not even start fails every test
        return True
    for user in users:
        for name in names:
            if hasattr(user, name):
                patch.setattr(user, name, getattr(program, name))
    return some_fail(checks)


# Of the long ones some are tried each time, and all under `make check-all`.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "every"),
    [
        ("sentences", 1),
        ("patients", one_in(6)),
        ("report_on_file", 1),
        ("rtf", one_in(6)),
        ("statements", one_in(30)),
        ("report_messages", one_in(30)),
    ],
)
def test_every_change_of_a_reader_makes_a_test_fail(module: str, every: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tests, users, names = TRIED[module]
    checks = [check for each in tests for check in checks_of(each)]
    for check in checks:
        check()
    made = list(mutants(module, FOLDER, every))
    survived = [each for each in made if not is_killed(each, users, names, checks, monkeypatch)]
    print(f"\n{module}: {len(made)} changes, {len(made) - len(survived)} make a test fail")
    left = Counter(re.sub(r", line \d+$", "", each.name) for each in survived)
    same = Counter({name: count for name, (count, _) in SAME.items() if name.startswith(f"{module}:")})
    wanted = left == same if every == 1 else left <= same
    assert wanted, "\n".join(sorted(f"{each.name}, line {each.line}" for each in survived))
