"""A minute of traffic lasts as long as it did, whatever somebody sets the clock to meanwhile."""

import time

import pytest

from ml_assets.serving.traffic import Minutes

SECOND = 1_000_000_000


@pytest.mark.parametrize("step", [-86_400, -1, 0, 86_400])
def test_a_clock_that_is_set_makes_no_row_that_ends_before_it_begins(
    monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    minutes, wall, steady = Minutes(), time.time_ns(), time.monotonic_ns()
    monkeypatch.setattr(time, "time_ns", lambda: wall)
    monkeypatch.setattr(time, "monotonic_ns", lambda: steady)
    minutes.current("churn", "champion").count(200, 0.001)
    monkeypatch.setattr(time, "time_ns", lambda: wall + (step + 59) * SECOND)
    monkeypatch.setattr(time, "monotonic_ns", lambda: steady + 59 * SECOND)
    assert minutes.take_finished(None, force=False) == ()
    monkeypatch.setattr(time, "time_ns", lambda: wall + (step + 61) * SECOND)
    monkeypatch.setattr(time, "monotonic_ns", lambda: steady + 61 * SECOND)
    (row,) = minutes.take_finished(None, force=False)
    assert row.since == wall // 1000
    assert abs(row.until - row.since - 61_000_000) <= 1
    (row, empty) = minutes.take_finished(("churn", "champion"), force=True)
    assert empty.since < empty.until
    assert empty.requests == 0
