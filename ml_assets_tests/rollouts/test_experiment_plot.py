"""The picture of an experiment is drawn of whatever was measured, and is the same for the same reports."""

import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from PIL import Image

from ml_assets.decisions.experiment import ExperimentAction, VariantEffect
from ml_assets.decisions.interval import Interval
from ml_assets.rollouts.experiment_plot import figure
from ml_assets.rollouts.experiment_report import ExperimentReport, VariantCounts

START = datetime(2026, 6, 1, 9)  # noqa: DTZ001 - the lake's times are naive UTC
VARIANTS = (VariantCounts("a", 6, 0.5, 900, 800, 0.2), VariantCounts("b", 7, 0.5, 900, 810, 0.3))
EFFECT = VariantEffect("b", Interval(0.1, 0.05, 0.15), better=True, worse=False, reason="b is better")
EMPTY = ExperimentReport(START, ExperimentAction.CONTINUE, "no value has come yet", VARIANTS, (), (), (), {})
DAYS = {"b": (Interval(0.1, 0.05, 0.15), Interval(0.0, -0.02, 0.02))}
FULL = replace(EMPTY, effects=(EFFECT,), by_day=DAYS)
MANY = [replace(FULL, at=START + timedelta(hours=number)) for number in range(336)]


@pytest.mark.parametrize("reports", [[EMPTY], [FULL], [EMPTY, FULL], MANY], ids=["empty", "one", "two", "two weeks"])
def test_whatever_was_measured_is_drawn(reports: Sequence[ExperimentReport]) -> None:
    content = figure("churn: experiment price, continue", "$ of a purchase", reports)
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.size == (1000, 360)
    assert len(content) < 100_000, "it is an event of Dagster's log"
    assert content == figure("churn: experiment price, continue", "$ of a purchase", reports)
