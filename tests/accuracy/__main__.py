"""`python -m tests.accuracy` prints how right the tools are and writes docs/accuracy.md, a section from each module.

Real series are read where WORKSTATION_TEST_DATA names their folder; a row of a series that is not there says so.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.accuracy import bones, curved, lesions, masks, planning, registration, vessels

PAGE = Path(__file__).parents[2] / "docs" / "accuracy.md"
_HEAD = """# How right the tools are

`python -m tests.accuracy` prints this page and writes it: phantoms of known truth, and public real series with
reference masks. Failures stand here too. How the tools are used: [clinical_tools.md](clinical_tools.md).
"""


@dataclass(frozen=True)
class Section:
    """A heading, a sentence on what is measured, and rows of a table; the first row is its header."""

    title: str
    words: str
    rows: Callable[[], list[list[str]]]


SECTIONS = (
    Section("Automatic masks", masks.WORDS, masks.rows),
    Section("Bone and contrast", masks.BONE_WORDS, masks.bone_rows),
    Section("Bones in parts: phantoms", bones.PARTS_WORDS, bones.part_rows),
    Section("A femur and its socket: phantoms", bones.SOCKET_WORDS, bones.socket_rows),
    Section("A femur: phantoms", bones.FEMUR_WORDS, bones.femur_rows),
    Section("Heads of femora: a real series", bones.HIPS_WORDS, bones.hip_rows),
    Section("Lesions: phantoms", lesions.PHANTOM_WORDS, lesions.phantom_rows),
    Section("Lesions: nodules", lesions.NODULE_WORDS, lesions.nodule_rows),
    Section("Lesions: real series", lesions.REAL_WORDS, lesions.real_rows),
    Section("Target lesions: their sum", lesions.SUM_WORDS, lesions.sum_rows),
    Section("Lesions: clicks that have to be declined", lesions.DECLINED_WORDS, lesions.declined_rows),
    Section("Lengths on curved pictures", curved.WORDS, curved.rows),
    Section("Areas on curved pictures", curved.AREA_WORDS, curved.area_rows),
    Section("Angles on curved pictures", curved.ANGLE_WORDS, curved.angle_rows),
)


def page() -> str:
    parts = [_HEAD]
    for section in SECTIONS:
        head, *rows = section.rows()
        lines = [head, ["---"] * len(head), *rows]
        print(f"{section.title}: {len(rows)} rows", file=sys.stderr, flush=True)
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        parts.append(f"## {section.title}\n\n{section.words}\n\n{table}\n")
    return "\n".join([*parts, vessels.section(), planning.section(), registration.section()])


if __name__ == "__main__":
    text = page()
    print(text)
    PAGE.write_text(text, encoding="utf-8")
