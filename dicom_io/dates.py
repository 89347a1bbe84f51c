"""Dates and times as DICOM writes them: DA, TM and DT. Source: PS3.5 6.2."""

from datetime import date, datetime

_DA, _TM, _DT = "%Y%m%d", "%H%M%S", "%Y%m%d%H%M%S%z"


def day_of(text: str) -> date | None:
    """Reads a DA; None for text that is no date."""
    try:
        return datetime.strptime(text, _DA).date()
    except ValueError:
        return None


def da(day: date) -> str:
    """Writes a date, or the day of a time, as DA."""
    return day.strftime(_DA)


def tm(at: datetime) -> str:
    """Writes the time of day as TM, in whole seconds."""
    return at.strftime(_TM)


def dt(at: datetime) -> str:
    """Writes a time with its offset as DT, in whole seconds."""
    return at.strftime(_DT)


def time_of(text: str) -> datetime:
    """Reads a DT with offset, as `dt` writes it. Raises ValueError."""
    return datetime.strptime(text, _DT)
