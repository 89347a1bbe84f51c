"""The radiologist's desktop. Its model knows no Qt: `screen`, `edits`, `session`, `studies`, `desk` …."""

# Imported before Qt: PySide's import hook inspects half-loaded modules, which breaks pydantic's lazy ones.
from pydantic import StringConstraints as StringConstraints
