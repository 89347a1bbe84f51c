"""The radiologist's desktop. Its model knows no Qt: `screen`, `edits`, `session`, `studies`, `desk` …."""

# Before Qt: PySide's import hook looks into modules that are half loaded, which pydantic's lazy ones do not bear.
from pydantic import StringConstraints as StringConstraints
