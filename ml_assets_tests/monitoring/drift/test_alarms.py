"""The promises of the drift report on simulated weeks, small: `python -m benchmarks alarms` measures them at size."""

from typing import Any

import numpy as np
import pytest

from benchmarks import alarms
from ml_assets.monitoring.drift import distances


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarms, "CUSTOMERS", 1500)
    monkeypatch.setattr(alarms, "REFERENCE", 4)


def test_a_population_that_does_not_change_gives_no_alarm() -> None:
    found = alarms.stationary(15, 0.01)
    assert found["alarms"] == (0, 15)
    assert found["retrainings"] == (0, 15)


def test_the_tests_alone_keep_the_declared_level() -> None:
    alarmed, of = alarms.stationary(60, 0.05, tests_alone=True)["alarms"]
    assert alarmed <= 8  # the 99.5 % quantile of 60 reports at 5 %
    assert of == 60


def test_half_a_standard_deviation_is_answered_within_three_dates() -> None:
    found: dict[str, Any] = alarms.shifted(len(alarms.NUMBERS))
    assert found["missed"] == (0, len(alarms.NUMBERS))


def test_the_default_limit_sees_half_a_standard_deviation_of_a_normal_feature() -> None:
    """A normal feature is the hardest: of a given spread it has the least Fisher information."""
    rng = np.random.default_rng(2)
    reference = np.sort(rng.normal(size=20_000))
    edges = distances.bin_edges(reference, 10)
    counts = distances.count_bins(reference, edges)
    found = [
        distances.psi(counts, distances.count_bins(np.sort(rng.normal(0.5, size=3000)), edges)) for _ in range(500)
    ]
    assert np.mean(np.array(found) >= 0.2) >= 0.95
    assert np.mean(np.array(found) >= 0.25) < 0.5
