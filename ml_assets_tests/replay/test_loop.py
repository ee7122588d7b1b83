"""A replay decides on the evidence that the loop itself would have collected."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from ml_assets.monitoring.drift.report import drift_report
from ml_assets.monitoring.performance.report import performance_report
from ml_assets.monitoring.verdict import ReportSummary, decide
from ml_assets.replay.history import PolicyState
from ml_assets.training.dataset import build
from ml_assets.training.report import report
from ml_assets.training.score import predict
from ml_assets.training.train import train
from ml_assets_tests.conftest import Tiny
from ml_assets_tests.replay.test_walk import CURIOUS, MONITOR, opened, week


@pytest.mark.slow  # trains over a real MLflow
def test_the_evidence_of_a_replay_is_that_of_the_loop(tiny: Tiny, empty_registry: Path) -> None:
    tiny.take_registry(empty_registry)
    lake, registry, folder, answered, as_of = tiny.lake, tiny.registry, tiny.folder(), range(5, 10), week(9)
    version = train(lake, registry, folder, build(lake, folder, week(5)), tags={}).version
    report(lake, registry, folder, version)
    registry.promote(version)
    for number in answered:
        predict(lake, registry, folder, week(number))
    drift = drift_report(lake, registry, folder, MONITOR.drift, as_of, pages=tiny.root / "pages")
    performance = performance_report(lake, registry, folder, MONITOR.performance, as_of)
    metric = CURIOUS.metric
    summary = ReportSummary(
        {name: feature.drifted for name, feature in drift.features.items()},
        performance.evaluated_metric(metric), performance.headline(metric), performance.estimated_metric(metric),
    )  # fmt: skip
    now = datetime(2026, 1, 1)  # noqa: DTZ001 - the lake's times are naive UTC
    loop = decide(lake, registry, folder, CURIOUS.policy, summary, as_of, direction=1, decided_at=now).evidence
    assert None not in {loop.drifted, loop.evaluated, loop.measured, loop.estimated}
    history = opened(tiny, folder, [as_of])
    state = PolicyState(
        history.models.candidate(week(5)), attempted=week(5), answered=tuple(week(number) for number in answered)
    )
    replayed = history.evidence(CURIOUS, state, as_of)
    assert replace(replayed, measured=None) == replace(loop, measured=None)
    # The bootstrap draws entities: the loop numbers them as they appear, a replay by their value.
    assert replayed.measured is not None
    assert loop.measured is not None
    assert replayed.measured.estimate == loop.measured.estimate
    assert replayed.measured.low == pytest.approx(loop.measured.low, abs=0.02)
    assert replayed.measured.high == pytest.approx(loop.measured.high, abs=0.02)
