"""Changes of what writes and takes apart messages make a test fail, those of the tests beside this one."""

import re
from collections import Counter
from pathlib import Path

import pytest

import workstation.hl7 as real
from tests.thorough import one_in
from tests.workstation.charge.mutants import mutants
from tests.workstation.hl7 import test_parts
from tests.workstation.orders.test_mutants import checks_of, is_killed
from workstation.hl7 import syntax

FOLDER = Path(real.__file__).parent
NAMES = tuple(name for name, thing in vars(test_parts).items() if getattr(thing, "__module__", "") == syntax.__name__)
# Changes after which a program does the same, without their lines: how many of each there are, and why.
SAME = {
    "syntax: 'HNP' misspelt": (1, "it has one letter more, which is no sequence"),
    "syntax: 'UNICODE UTF-8' misspelt": (1, "every character fits Unicode, so that fitting changes nothing"),
    "syntax: if form.character_set == 'UNICODE UTF-8' never": (1, "the same"),
    "syntax: if (component, escaping) != ('^', '\\\\') always": (1, "each is swapped for itself"),
}


def test_every_change_of_the_syntax_makes_a_test_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    every = one_in(15)
    checks = checks_of(test_parts)
    for check in checks:
        check()
    made = list(mutants("syntax", FOLDER, every))
    survived = [each for each in made if not is_killed(each, (test_parts,), NAMES, checks, monkeypatch)]
    print(f"\nsyntax: {len(made)} changes, {len(made) - len(survived)} make a test fail")
    left = Counter(re.sub(r", line \d+$", "", each.name) for each in survived)
    same = Counter({name: count for name, (count, _) in SAME.items()})
    wanted = left == same if every == 1 else left <= same
    assert wanted, "\n".join(sorted(f"{each.name}, line {each.line}" for each in survived))
