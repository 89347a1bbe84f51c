"""Every sentence of the window that can be in another language."""

import ast
from pathlib import Path
from typing import get_args

from workstation.desktop import (
    captures_panel,
    export_dialog,
    guide,
    menus,
    panels,
    report_panel,
    segments_panel,
    signed_panel,
    study_list,
    study_table,
    target_commands,
    viewer,
)
from workstation.desktop.model import (
    browsing,
    corners,
    exporting,
    keys,
    report_check,
    screen,
    session,
    signed,
    studies,
    summary,
    verdicts,
)
from workstation.preparation.proposals import STEPS

FOLDER = Path(guide.__file__).parent


def sentences() -> list[str]:
    """The literals given to `tr`, and those of the tables whose entries are."""
    found: list[str] = []
    for file in sorted(FOLDER.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "tr"
            if named and isinstance(node, ast.Call):
                found += [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    found += keys.ACTIONS.values()
    found += [text for pair in keys.MOUSE for text in pair]
    found += [*menus._MENUS, *menus._IN_BAR.values(), *screen.LAYOUT_TITLES.values(), *study_table.COLUMNS]
    found += [*(tool.capitalize() for tool in viewer.TOOLS), *get_args(screen.MeasureKind)]
    found += [
        *studies.READINGS,
        *studies.CHARGES,
        "Every reading",
        "Every charge",
        "Every modality",
        *studies.ARRIVALS.values(),
        *(step.text for step in guide.STEPS),
    ]
    found += [text for _, title, hint, _ in report_panel.FIELDS for text in (title, hint) if text]
    found += [*report_panel.ANSWERS, *map(str.capitalize, session.CLINICAL_USES)]
    found += [*panels.STYLE_TITLES, *panels.CROP_TITLES, *study_list._SINCE]
    found += [*segments_panel.STRUCTURES.values(), *segments_panel.CHANGES.values()]
    found += [*report_check.REGION_TITLES.values(), *STEPS]
    found += [*report_check.OBSTACLES, *verdicts.VERDICTS, *summary.PATIENT_TITLES, *summary.STUDY_TITLES]
    found += [*summary.SEXES.values(), summary.REQUIRED, summary.CONCURRENT]
    found += [signed.OTHER_VOLUME, *exporting.FORMAT_TITLES.values(), *export_dialog.WHICH]
    found += [*signed_panel.SAID, *(said for said in captures_panel.ORIGINS.values() if said)]
    found += [*browsing.AGES, *(title for title in browsing.KIND_TITLES.values() if title)]
    found += corners.VIEW_WORDS
    found += [*target_commands._COLUMNS, *target_commands.SEEN_TITLES.values()]
    found += [*target_commands.NON_TARGET_TITLES.values(), *target_commands.NEW_TITLES.values()]
    found += ["target lesions", "name", "ID", "birth date", "sex"]  # by which one patient is told from another
    found += ["ordering", "nobody", "charged", "held", "not billable", "correction"]
    found += ["physician", "resident", "technologist", "coder", "Middle button", "Right button"]
    return list(dict.fromkeys(found))
