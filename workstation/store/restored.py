"""What a database needs that was restored from a backup, before anybody works with it."""

import time

from sqlalchemy import Engine

from dicom_io.archive.leases import Leases
from workstation.store.preparations import Preparations
from workstation.store.schema import SchemaError, make_ready


def start_anew(engine: Engine) -> str:
    """Nobody works on what was restored, and what was prepared is not there. Returns what is left to do: a database of
    an older program is to be upgraded."""
    try:
        make_ready(engine)
    except SchemaError as error:
        return str(error)
    Leases(engine).clear()
    plans = Preparations(engine)
    made = [row.place for row in plans.list("running", "ready")]
    if made:
        plans.again(made, time.time())
    return ""
