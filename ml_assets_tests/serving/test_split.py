"""Units are split among the variants of a route; a challenger that fails costs no answer, and is measured."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ml_assets.decisions.route import CHALLENGER, CHAMPION
from ml_assets.events.exposures import Exposure, VariantFailure
from ml_assets.events.rows import Prediction, Traffic
from ml_assets.storage.manifest import Input
from ml_assets_tests.serving import released
from ml_assets_tests.serving.released import ENTITY, INPUTS, MODEL
from ml_assets_tests.serving.rollouts import (
    FAILS,
    LOOPS,
    STAGE,
    customers,
    fragile,
    publish,
    release,
    route,
    row,
    served_split,
)
from ml_assets_tests.serving.served import INVOKE, ROW, Served

ONE, TWO = customers(CHAMPION, 3), customers(CHALLENGER, 3)


def _answers(served: Served, *rows: dict[str, Any]) -> list[tuple[str, int]]:
    answers = served.predict({"instances": [*rows]})
    return [(answer["variant"], answer["model_version"]) for answer in answers]


def _failures(served: Served) -> set[tuple[str, str, str]]:
    return {(failure.entity, failure.variant, failure.reason) for failure in served.events(VariantFailure)}


def test_each_row_is_answered_by_the_variant_of_its_unit_in_the_order_of_the_request(tmp_path: Path) -> None:
    served = served_split(tmp_path)
    with served.client:
        answers = served.predict({"instances": [row(name) for name in (TWO[0], ONE[0], TWO[1], ONE[1])]})
        expected = [(CHALLENGER, 2), (CHAMPION, 1)] * 2
        assert [(answer["variant"], answer["model_version"]) for answer in answers] == expected
        for answer, (_, version) in zip(answers, expected, strict=True):
            assert answer["score"] == pytest.approx(released.probability(0.5, 1, 2.0 * (version - 1)), abs=1e-6)
        invoked = served.client.post(INVOKE, json={"instances": [row(TWO[0]), row(ONE[0])]}).json()
        assert invoked["predictions"] == [answers[0]["score"], answers[1]["score"]]
        served.predict({"instances": [row(TWO[2])]})
    predictions = {each.prediction_id: each for each in served.events(Prediction)}
    assert [predictions[answer["prediction_id"]].entity for answer in answers] == [TWO[0], ONE[0], TWO[1], ONE[1]]
    exposures = served.events(Exposure)
    assert {each.entity: each.variant for each in exposures} == {
        TWO[0]: CHALLENGER, ONE[0]: CHAMPION, TWO[1]: CHALLENGER, ONE[1]: CHAMPION, TWO[2]: CHALLENGER
    }  # fmt: skip
    assert len(exposures) == 5
    assert {each.experiment for each in exposures} == {STAGE}
    assert all(predictions[each.prediction_id].entity == each.entity for each in exposures)
    assert _failures(served) == set()
    requests = {each.variant: each.requests for each in served.events(Traffic)}
    assert requests == {CHAMPION: 2, CHALLENGER: 1}  # of several variants: the default one's


def test_units_stay_with_their_variant_in_another_process_and_as_its_share_grows(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(40)]
    variants: list[dict[str, str]] = []
    for share in (0.1, 0.5, 0.5, 1.0):
        served = served_split(tmp_path, route(share))
        with served.client:
            variants.append({name: _answers(served, row(name))[0][0] for name in names})
    assert variants[1] == variants[2]
    chosen = [{name for name, variant in some.items() if variant == CHALLENGER} for some in variants]
    assert set() < chosen[0] < chosen[1] < chosen[3] == set(names)


@pytest.mark.parametrize(("n", "limits"), [(FAILS, ()), (LOOPS, (1e4, 1e4, 1e4))])
def test_the_champion_answers_for_a_challenger_that_raises_or_takes_too_long(
    tmp_path: Path, n: float, limits: tuple[float, ...]
) -> None:
    champion = release(tmp_path, 1, released.onnx())  # which does not mind
    publish(tmp_path, route(limits=limits), champion, release(tmp_path, 2, fragile(2.0)))
    served = Served(tmp_path)
    with served.client:
        began = time.monotonic()
        assert _answers(served, row(TWO[0], n=n), row(ONE[0], n=n)) == [(CHALLENGER, 1), (CHAMPION, 1)]
        assert time.monotonic() - began < 0.5
        assert _answers(served, row(TWO[0])) == [(CHALLENGER, 2)]  # it was no fault for ever
    errors = [each for each in served.events(VariantFailure) if each.reason == "error"]
    assert [(each.entity, each.variant, each.experiment) for each in errors] == [(TWO[0], CHALLENGER, STAGE)]
    (prediction,) = [each for each in served.events(Prediction) if each.prediction_id == errors[0].prediction_id]
    assert (prediction.variant, prediction.version) == (CHALLENGER, "1")
    assert {each.entity for each in served.events(Exposure)} == {TWO[0], ONE[0]}


def test_a_champion_that_raises_fails_for_its_own_units_only(tmp_path: Path) -> None:
    served = served_split(tmp_path, challenger=released.onnx(2.0))
    with served.client:
        assert served.predict({"instances": [row(ONE[0], n=FAILS), row(TWO[0], n=FAILS)]})["status"] == 500
        assert _answers(served, row(TWO[1], n=FAILS)) == [(CHALLENGER, 2)]
    assert _failures(served) == {(ONE[0], CHAMPION, "error")}
    assert {each.entity: each.variant for each in served.events(Exposure)} == {ONE[0]: CHAMPION, TWO[1]: CHALLENGER}


def test_missing_values_and_slow_answers_are_failures_once_a_unit(tmp_path: Path) -> None:
    served = served_split(tmp_path, route(limits=(1.0, 1e3, 1e9), tolerance=1e4))
    with served.client:
        for n in (1, None, None):
            _answers(served, row(ONE[0], n=n), row(TWO[0], n=n))
    assert _failures(served) >= {(ONE[0], CHAMPION, "missing"), (TWO[0], CHALLENGER, "missing")}
    assert (ONE[0], CHAMPION, "slow p50") in _failures(served)
    assert not any(variant == CHALLENGER and "slow" in reason for _, variant, reason in _failures(served))
    assert len(served.events(VariantFailure)) == len(_failures(served))
    assert len(served.events(Exposure)) == 2


def test_a_feature_that_many_rows_of_the_training_lacked_is_no_failure_where_it_is_missing(tmp_path: Path) -> None:
    spend, n, plan = INPUTS
    told = (replace(spend, missing=0.0), replace(n, missing=0.4), replace(plan, missing=0.01))
    served = served_split(tmp_path, inputs=told)
    with served.client:
        _answers(served, row(ONE[0], n=None), row(TWO[0], n=None), row(TWO[1], plan=None), row(TWO[2]))
        _answers(served, row(TWO[2], **{"total spend": None}))
    assert _failures(served) == {
        (ONE[0], CHAMPION, "missing"),  # a manifest that does not say what is often missing
        (TWO[1], CHALLENGER, "missing"), (TWO[2], CHALLENGER, "missing"),
    }  # fmt: skip


def test_a_row_without_a_name_is_the_champions_and_not_counted_unless_requests_are_units(tmp_path: Path) -> None:
    served = served_split(tmp_path, route(1.0))
    with served.client:
        assert _answers(served, ROW) == [(CHAMPION, 1)]
        assert served.events(Exposure) == []
    served = served_split(tmp_path, route(1.0, unit="request"))
    with served.client:
        (answer,) = served.predict({"instances": [ROW]})
    assert answer["variant"] == CHALLENGER
    assert [(each.entity, each.prediction_id) for each in served.events(Exposure)] == [(answer["prediction_id"],) * 2]


def test_a_unit_counts_only_where_every_variant_finds_its_features(tmp_path: Path) -> None:
    served = served_split(tmp_path, feature_set=f"{MODEL}@new")
    both, old = [ONE[0], TWO[0]], [ONE[1], TWO[1]]
    url = served.settings.online_url
    released.write(url, dict.fromkeys([*both, *old], (0.5, 1, "pro")))
    released.write(url, dict.fromkeys(both, (0.5, 3, "pro")), name=f"{MODEL}@new")
    with served.client:
        answers = served.predict({"entities": [{ENTITY: name} for name in [*both, *old]]})
        assert [answer["variant"] for answer in answers] == [CHAMPION, CHALLENGER, CHAMPION, CHAMPION]
        assert answers[1]["score"] == pytest.approx(released.probability(0.5, 3, 2.0), abs=1e-6)
        assert served.predict({"entities": [{ENTITY: "nobody"}]})["type"] == "unknown-entity"
    assert {each.entity for each in served.events(Exposure)} == set(both)


def test_an_instance_counts_only_where_it_holds_what_every_variant_reads(tmp_path: Path) -> None:
    """The order of the features may be another one; a feature that no request names is none that can be answered."""
    for inputs, answers in (
        ((INPUTS[1], INPUTS[0], INPUTS[2]), [(CHAMPION, 1), (CHALLENGER, 2)]),
        ((INPUTS[0], Input("orders", "number", "purchases", 1.0), INPUTS[2]), [(CHAMPION, 1), (CHAMPION, 1)]),
    ):
        served = served_split(tmp_path, challenger=released.onnx(2.0, inputs), inputs=inputs)
        with served.client:
            assert _answers(served, row(ONE[0]), row(TWO[0])) == answers
    assert len(served.events(Exposure)) == 2


@pytest.mark.parametrize(("ago", "split"), [(30, True), (90, False)])
def test_when_nobody_has_watched_for_longer_than_clocks_differ_the_champion_answers(
    tmp_path: Path, ago: float, split: bool
) -> None:
    served = served_split(tmp_path, route(1.0, until=time.time() - ago))
    with served.client:
        assert _answers(served, row(TWO[0])) == [(CHALLENGER, 2) if split else (CHAMPION, 1)]
    assert len(served.events(Exposure)) == split


def test_nobody_is_split_while_another_version_stands_in_for_a_variant(tmp_path: Path) -> None:
    """Also where it is the champion that is missing: the arms would be compared with a third version."""
    for releases in (
        (release(tmp_path, 1, released.onnx()), release(tmp_path, 3, released.onnx(2.0))),
        (release(tmp_path, 3, released.onnx()), release(tmp_path, 2, released.onnx(2.0))),
        (release(tmp_path, 1, released.onnx()),),
    ):
        publish(tmp_path, route(1.0), *releases)
        served = Served(tmp_path)
        with served.client:
            assert _answers(served, row(TWO[0])) == [(CHAMPION, releases[0].version)]
    assert served.events(Exposure) == []
