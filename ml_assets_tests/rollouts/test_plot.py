"""The picture of a rollout is drawn of whatever was measured, and is the same for the same looks."""

import io
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from PIL import Image

from ml_assets.decisions.guardrail import Guardrail, GuardrailEvidence, GuardrailResult, judge_guardrail
from ml_assets.decisions.rates import RateStage
from ml_assets.rollouts.plot import RolloutPoint, figure

START = datetime(2026, 6, 1, 9)  # noqa: DTZ001 - the lake's times are naive UTC


def looks(*counts: tuple[int, int]) -> list[RolloutPoint]:
    """A look every five minutes: the events of both variants, and those of the challenger."""
    return [
        RolloutPoint(START + timedelta(minutes=5 * number), "hold", 0.1, judged(RateStage(events, own, 0.1)))
        for number, (events, own) in enumerate(counts, 1)
    ]


def judged(stage: RateStage) -> tuple[GuardrailResult, ...]:
    rate, times = Guardrail("errors", at_most_worse=0.005), Guardrail("latency", at_most_times=1.2)
    counted = GuardrailEvidence(((stage,),), 0.01), GuardrailEvidence(((stage,),) * 3, 0.05)
    judged = (judge_guardrail(*each, 0.1, 0.0125, 0.05) for each in zip((rate, times), counted, strict=True))
    return (*judged, judge_guardrail(Guardrail("missing", at_most_worse=0.02), None, 0.1, 0.0125, 0.05))


STARTED = [RolloutPoint(START, "start", 0.1)]
BREACHED = [*STARTED, *looks((10, 4), (40, 20)), RolloutPoint(START + timedelta(hours=1), "roll_back", 0.0)]


@pytest.mark.parametrize(
    "points",
    [STARTED, looks((0, 0)), looks((12, 12)), BREACHED, [*STARTED, *looks(*([(200, 22)] * 300))]],
    ids=["nothing counted", "no event", "all of one variant", "rolled back", "many looks"],
)
def test_whatever_was_measured_is_drawn(points: Sequence[RolloutPoint]) -> None:
    content = figure("shop: rollout 7-1 of version 7", points)
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.width == 1000
        assert 400 < picture.height < 800
    assert len(content) < 100_000, "it is an event of Dagster's log"


def test_the_same_looks_give_the_same_file() -> None:
    assert figure("shop", BREACHED) == figure("shop", BREACHED)
