"""Other variants answer rows in shadow, once a unit, after the answer was sent; what is lost by it is counted."""

import time
from pathlib import Path

import pytest

from ml_assets.decisions.assignment import unit_point
from ml_assets.decisions.route import CHALLENGER, CHAMPION
from ml_assets.events.exposures import Exposure, ShadowAnswer, VariantFailure
from ml_assets.events.rows import Prediction
from ml_assets.serving.variants import shadows
from ml_assets_tests.serving import released
from ml_assets_tests.serving.released import ENTITY, MODEL
from ml_assets_tests.serving.rollouts import (
    FAILS,
    LOOPS,
    SALT,
    STAGE,
    customers,
    fragile,
    publish,
    release,
    route,
    row,
    served_split,
)
from ml_assets_tests.serving.served import ROW, Served

ONE, TWO = customers(CHAMPION, 6), customers(CHALLENGER, 6)


def _shadows(served: Served, count: int) -> list[ShadowAnswer]:
    """The shadow answers, once there are so many."""
    until = time.monotonic() + 20
    while len(rows := served.events(ShadowAnswer)) < count and time.monotonic() < until:
        time.sleep(0.02)
    assert len(rows) == count
    return rows


def test_each_variant_answers_in_shadow_what_the_other_has_answered(tmp_path: Path) -> None:
    served = served_split(tmp_path, route(shadow=1.0))
    with served.client:
        served.predict({"instances": [row(ONE[0], n=-0.1), row(TWO[0], n=0.2), ROW]})
        answers = {each.entity: each for each in _shadows(served, 2)}
        served.predict({"instances": [row(ONE[0], n=3), row(TWO[0], n=3)]})  # once a unit
        served.predict({"instances": [row(ONE[1])]})
        _shadows(served, 3)
    predictions = {
        each.entity: each for each in served.events(Prediction) if each.entity in answers and each.score < 0.95
    }
    assert {name: (each.variant, each.version, each.experiment) for name, each in answers.items()} == {
        ONE[0]: (CHALLENGER, "2", STAGE), TWO[0]: (CHAMPION, "1", STAGE)
    }  # fmt: skip
    assert answers[ONE[0]].score == pytest.approx(released.probability(0.5, -0.1, 2.0), abs=1e-6)
    assert answers[ONE[0]].prediction_id == predictions[ONE[0]].prediction_id
    assert (answers[ONE[0]].decision, predictions[ONE[0]].decision, answers[ONE[0]].agrees) == ("high", "medium", 0)
    assert (answers[TWO[0]].decision, answers[TWO[0]].agrees) == ("high", 1)
    assert all(each.latency > 0 and each.error is None for each in answers.values())


def test_with_a_share_of_nothing_units_are_shadowed_and_not_exposed(tmp_path: Path) -> None:
    """Before the first stage, and while the previous champion goes on after a promotion."""
    served = served_split(tmp_path, route(0.0, shadow=0.5), feature_set=f"{MODEL}@new")
    names = [f"c{number}" for number in range(20)]
    drawn = {name for name in names if unit_point(f"{SALT}|shadow", name) < 0.5}
    url = served.settings.online_url
    released.write(url, dict.fromkeys(names, (0.5, 1, "pro")))
    released.write(url, dict.fromkeys(names[5:], (0.5, 1, "pro")), name=f"{MODEL}@new")
    with served.client:
        for name in names:
            (answer,) = served.predict({"entities": [{ENTITY: name}]})
            assert (answer["variant"], answer["model_version"]) == (CHAMPION, 1)
        answers = _shadows(served, len(drawn - set(names[:5])))
    assert {each.entity for each in answers} == drawn - set(names[:5])
    assert {each.variant for each in answers} == {CHALLENGER}
    assert served.events(Exposure) + served.events(VariantFailure) == []


def test_a_shadow_that_raises_or_takes_too_long_is_recorded_and_holds_up_nobody(tmp_path: Path) -> None:
    champion = release(tmp_path, 1, released.onnx())
    publish(tmp_path, route(0.0, shadow=1.0, limits=(1e3, 1e3, 1e3)), champion, release(tmp_path, 2, fragile(2.0)))
    served = Served(tmp_path)
    with served.client:
        for name, n in (("a", FAILS), ("b", LOOPS), ("c", 1)):
            began = time.monotonic()
            served.predict({"instances": [row(name, n=n)]})
            assert time.monotonic() - began < 0.5
        answers = {each.entity: each for each in _shadows(served, 3)}
    assert (answers["a"].score, answers["a"].agrees) == (None, 0)
    assert "Gather" in str(answers["a"].error)
    assert answers["b"].error == "no answer within 50 ms"
    assert answers["c"].error is None


def test_shadows_that_nobody_has_time_for_are_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadows, "_WAITING", 0)
    served = served_split(tmp_path, route(0.0, shadow=1.0))
    with served.client:
        assert served.predict({"instances": [row("a"), row("b")]})[0]["variant"] == CHAMPION
        assert f'ml_assets_shadows_dropped_total{{model="{MODEL}"}} 2.0' in served.client.get("/metrics").text
    assert served.events(ShadowAnswer) == []
