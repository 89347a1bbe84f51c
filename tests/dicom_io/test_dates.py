"""DA, TM and DT: what is written is read again, and what is no date is none."""

from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.valuerep import DA, DT

from dicom_io.dates import da, day_of, dt, time_of, tm

_years = {"min_value": date(1900, 1, 1), "max_value": date(2199, 12, 31)}
_offsets = st.integers(-720, 840).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.dates(**_years))
def test_a_date(day: date) -> None:
    assert day_of(da(day)) == day == DA(da(day))


@given(st.datetimes(datetime(1900, 1, 1), datetime(2199, 12, 31), timezones=_offsets))
def test_a_time(at: datetime) -> None:
    whole = at.replace(microsecond=0)
    assert time_of(dt(at)) == whole
    assert DT(dt(at)) == whole
    assert dt(at).startswith(da(at) + tm(at))


@pytest.mark.parametrize("text", ["", "2026", "20261301", "20260230", "2026-03-02", "20260302 ", "x"])
def test_what_is_no_date(text: str) -> None:
    assert day_of(text) is None
