"""What servers did, as the prediction report and its alerts tell it."""

import json
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.alerts.outbox import evaluate
from ml_assets.events.rows import LATENCY_BOUNDS, Traffic
from ml_assets.monitoring.predictions.report import prediction_report
from ml_assets.monitoring.predictions.traffic import Served, quantile, served_traffic
from ml_assets.spec.alert import AlertRule
from ml_assets_tests.conftest import AS_OF
from ml_assets_tests.monitoring.answered import Answered
from ml_assets_tests.monitoring.predicted import WEEK, weeks
from ml_assets_tests.serving.traffic import NOW, write

COUNTS = st.lists(st.integers(0, 50), min_size=len(LATENCY_BOUNDS) + 1, max_size=len(LATENCY_BOUNDS) + 1).filter(any)


def minute(number: int, latencies: list[float], *, refused: int = 0, errors: int = 0) -> Traffic:
    """A minute of the shop's server, as the server counts it."""
    counts = np.bincount(np.searchsorted(LATENCY_BOUNDS, latencies), minlength=len(LATENCY_BOUNDS) + 1).tolist()
    since = NOW + 60_000_000 * number
    return Traffic("shop", "host-1", since, since + 60_000_000, len(latencies), refused, errors, json.dumps(counts))


@given(COUNTS, st.floats(0.01, 0.99))
def test_a_quantile_lies_in_its_bucket_and_rises(counts: list[int], q: float) -> None:
    found = quantile(counts, q)
    edges = [0.0, *LATENCY_BOUNDS, LATENCY_BOUNDS[-1]]
    bucket = int(np.searchsorted(np.cumsum(counts), q * sum(counts)))
    assert edges[bucket] <= found <= edges[bucket + 1]
    assert quantile(counts, 0.99) >= found >= quantile(counts, 0.01)


@given(COUNTS, st.floats(0.01, 0.99))
def test_the_same_histogram_twice_has_the_same_quantiles(counts: list[int], q: float) -> None:
    assert quantile([2 * count for count in counts], q) == pytest.approx(quantile(counts, q))


def test_histograms_add_up_whatever_the_minutes(answered: Answered) -> None:
    took = np.random.default_rng(0).lognormal(1.5, 1.2, 900)
    parts = np.split(took, 3)
    write(answered.store, *(minute(number, part.tolist(), errors=number) for number, part in enumerate(parts)))
    write(answered.store, minute(9, [5.0])._replace(latency="[1]", requests=99))  # of a release with other bounds
    answered.take(AS_OF)
    found = served_traffic(answered.lake, "shop", AS_OF)
    assert found.requests == 999
    assert found.error_rate == pytest.approx(3 / 999)
    for q, value in ((0.5, found.latency_p50_ms), (0.99, found.latency_p99_ms)):
        exact, edges = float(np.quantile(took, q)), [0.0, *LATENCY_BOUNDS]
        place = int(np.searchsorted(edges, exact))
        assert value is not None
        assert edges[place - 1] <= value <= edges[place]
    assert served_traffic(answered.lake, "shop", AS_OF - WEEK) == Served()


def test_nothing_served_is_nothing_known(answered: Answered) -> None:
    assert served_traffic(answered.lake, "shop", AS_OF) == Served()
    write(answered.store, minute(0, []))
    answered.take(AS_OF)
    assert served_traffic(answered.lake, "shop", AS_OF) == Served()


def test_what_was_lacking_is_a_share_of_the_answers(answered: Answered) -> None:
    first, second = answered.answer(AS_OF, most=2)
    twins = [first._replace(prediction_id=first.prediction_id[:-1] + "x", missing='["orders"]')]
    write(answered.store, *twins, second._replace(prediction_id=second.prediction_id[:-1] + "y", stale='["habits"]'))
    answered.take(AS_OF)
    found = served_traffic(answered.lake, "shop", AS_OF)
    assert (found.served, found.served_missing_share, found.served_stale_share) == (4, 0.25, 0.25)


def test_the_report_is_made_anew_by_traffic_and_its_alerts_fire_and_clear(answered: Answered) -> None:
    of, rules = answered.of, [AlertRule(metric="latency_p99_ms", above=500), AlertRule(metric="error_rate", above=0.01)]
    said = []
    days = weeks(1, 2, 3, 4)  # nobody was scored there
    slow, fast = [3.0] * 90 + [700.0] * 10, [3.0] * 100
    for number, (day, took, errors) in enumerate(zip(days, (fast, slow, [], fast), (0, 7, 0, 0), strict=True)):
        before = prediction_report(of.lake, of.shelf, of.folder, day)
        write(answered.store, minute(number, took, errors=errors))
        answered.take(day)
        found, again = (prediction_report(of.lake, of.shelf, of.folder, day) for _ in range(2))
        assert (found.reused, again.reused) == (not took, True)
        assert (before.requests, found.requests) == (None, len(took) or None)
        at = datetime(2026, 1, 1, number)  # noqa: DTZ001 - the lake's times are naive UTC
        alerts = evaluate(of.lake, "shop", [rule.rule for rule in rules], found.metadata(), day, link="", decided_at=at)
        said.append(sorted((alert.rule, str(alert.kind)) for alert in alerts))
    names = ("error_rate_above", "latency_p99_ms_above")
    assert said == [[], [(name, "fired") for name in names], [], [(name, "recovered") for name in names]]
