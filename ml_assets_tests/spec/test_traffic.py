"""Declarations of rollouts and experiments: defaults that work, and refusals that say what is right."""

import re
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from ml_assets.decisions.guardrail import Guardrail
from ml_assets.decisions.quality import QualityGuardrail
from ml_assets.decisions.rollout import RolloutAction, RolloutPolicy
from ml_assets.settings import PROJECT
from ml_assets.spec.experiment import ExperimentSpec, PrimaryMetricSpec
from ml_assets.spec.rollout import RolloutSpec

PRIMARY = {"metric": "revenue"}


def test_a_rollout_without_a_word_has_the_stages_and_limits_of_the_documentation() -> None:
    spec = RolloutSpec()
    assert spec.policy == RolloutPolicy(
        guardrails=(
            Guardrail("errors", at_most_worse=0.005), Guardrail("latency", at_most_times=1.2),
            Guardrail("missing", at_most_worse=0.02), Guardrail("disagreement", at_most_times=2),
        ),
        quality=(QualityGuardrail("log_loss", 0.01),),
    )  # fmt: skip
    assert (spec.tolerance, spec.policy.then, spec.lease) == (1.2, RolloutAction.HOLD, timedelta(hours=1))
    assert spec.shadow_after(timedelta(days=28)) == timedelta(days=28)
    assert RolloutSpec(shadow={"after": "2d"}).shadow_after(timedelta(days=28)) == timedelta(days=2)
    assert RolloutSpec(guardrails=()).tolerance == 1.0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"stages": [0.5, 0.1, 1]}, "shares above 0 that ascend"),
        ({"stages": [0.1, 0.5]}, "the last is 1"),
        ({"lease": "10m"}, "lease: 0:10:00 is shorter than 3 measurements"),
        ({"guardrails": [{"metric": "speed", "at_most_times": 2}]}, "'speed' is not measured while a model serves"),
        ({"guardrails": [{"metric": "errors", "at_most_times": 2}]}, "errors: give at_most_worse"),
        ({"guardrails": [{"metric": "latency"}]}, "latency: give at_most_times"),
        ({"guardrails": [{"metric": "errors", "at_most_worse": 0.1}] * 2}, "errors comes twice"),
        ({"shadow": {"share": 0}}, "disagreement is measured in shadow"),
        ({"stage": [1]}, "did you mean 'stages'"),
    ],
)
def test_what_a_rollout_cannot_do_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RolloutSpec(**fields)


def test_an_experiment_needs_a_name_and_what_decides() -> None:
    spec = ExperimentSpec(name="price", primary=PRIMARY)
    assert (spec.policy.sample, spec.policy.direction, spec.full_salt("churn")) == (1000, 1, "churn/price")
    assert [arm.version for arm in spec.variants.values()] == ["champion", "previous"]
    assert ExperimentSpec(name="price", primary=PRIMARY | {"better": "lower"}, salt="x").policy.direction == -1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"variants": {"a": {"version": "champion", "share": 0.5}}}, "compares two or more"),
        (
            {"variants": {"a": {"version": "champion", "share": 0.5}, "b": {"version": 7, "share": 0.4}}},
            "add up to 0.9, not to 1",
        ),
        ({"variants": {"a": {"version": 6, "share": 0.5}, "b": {"version": 7, "share": 0.5}}}, "is the control"),
        ({"duration": "3d"}, "minimum: 7 days, 0:00:00 is longer"),
        (
            {"secondary": [{"metric": "revenue", "window": "14d"}]},
            r"secondary\[0\].window: no unit's 14 days, 1:00:00 \(with secondary\[0\].delay\) pass within the duration",
        ),
        (
            {"secondary": [PRIMARY | {"cap": 9}]},
            r"secondary\[0\]: revenue within 7 d is primary already: give it another window",
        ),
        ({"secondary": [{"metric": "revenue", "cuped": True}]}, "cuped"),
        ({"name": "Price Test"}, "string_pattern_mismatch|should match pattern"),
    ],
)
def test_what_an_experiment_cannot_do_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ExperimentSpec(**{"name": "price", "primary": PRIMARY} | fields)


def test_the_page_about_experiments_names_every_field() -> None:
    page = (PROJECT / "docs" / "experiments.md").read_text(encoding="utf-8")
    fields = [*ExperimentSpec.model_fields, *(f"primary.{name}" for name in PrimaryMetricSpec.model_fields)]
    shown = re.findall(r"^\| `([a-z_.]+)` \|", page, re.MULTILINE)
    assert {*fields} - {*shown} == {"name", "primary", "primary.metric"}  # of the first block
