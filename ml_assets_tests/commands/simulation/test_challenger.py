"""Challengers of known fault: what is wrong is wrong of a single row, as in production, and not of a batch."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from ml_assets.commands.simulation.challenger import (
    FAULTS,
    SLOWER_MS,
    ChampionArtifact,
    Fault,
    build_challenger,
)
from ml_assets.commands.simulation.customers import sharpen
from ml_assets.errors import TrainingError
from ml_assets.storage.manifest import PROBABILITIES, Input
from ml_assets.training.export import session
from ml_assets_tests.serving.released import INPUTS, onnx, probability

CHAMPION = ChampionArtifact(onnx(), INPUTS, "total spend")


def score(artifact: bytes, spends: Sequence[float]) -> list[float]:
    """P(label = 1) of rows that differ in what was spent."""
    column = np.array([spends], np.float32).T
    rows: dict[str, Any] = {"total spend": column, "n": np.ones_like(column)}
    rows["plan"] = np.full(column.shape, "pro", object)
    return [float(p) for p in session(artifact).run([PROBABILITIES], rows)[0][:, 1]]


@pytest.mark.parametrize("fault", sorted({*FAULTS} - {"better", "worse"}))
def test_a_batch_is_answered_as_the_champion_answers_it(fault: Fault) -> None:
    spends = [-2.0, 0.3, 30.0]
    assert score(build_challenger(CHAMPION, fault), spends) == score(onnx(), spends)


def test_a_single_row_lacks_the_leading_feature() -> None:
    artifact = build_challenger(CHAMPION, "missing")
    assert score(artifact, [0.3]) == score(artifact, [-2.0]) == pytest.approx([probability(0.0, 1.0)])


def test_a_leading_text_is_forgotten_too() -> None:
    artifact = build_challenger(ChampionArtifact(onnx(), INPUTS, "plan"), "missing")
    assert score(artifact, [0.3]) == pytest.approx([probability(0.3, 1.0)])


def test_a_single_row_above_the_typical_one_fails(capfd: pytest.CaptureFixture[str]) -> None:
    artifact = build_challenger(CHAMPION, "failing")
    assert score(artifact, [9.0]) == score(onnx(), [9.0])
    with pytest.raises(Exception, match="out of data bounds"):
        score(artifact, [11.0])
    capfd.readouterr()


def test_a_single_row_is_slow() -> None:
    model = build_challenger(CHAMPION, "slow")
    began = time.perf_counter()
    for _ in range(5):
        assert score(model, [0.3]) == score(onnx(), [0.3])
    assert time.perf_counter() - began > 5 * SLOWER_MS / 1000 / 4


def test_a_better_one_knows_the_truth_of_the_customers() -> None:
    spends = [-3.0, -0.7, 0.3]
    truth = sharpen(np.array(score(onnx(), spends)))
    assert score(build_challenger(CHAMPION, "better"), spends) == pytest.approx([*truth], abs=1e-5)


def test_a_worse_one_has_scores_that_say_nothing() -> None:
    spends = [*np.linspace(-4, 2, 400)]
    worse, right = score(build_challenger(CHAMPION, "worse"), spends), score(onnx(), spends)
    assert abs(np.corrcoef(worse, right)[0, 1]) < 0.2
    assert 0 <= min(worse) < max(worse) <= 1


@pytest.mark.parametrize("fault", FAULTS)
def test_a_challenger_that_became_the_champion_is_challenged_in_its_turn(fault: Fault) -> None:
    better = ChampionArtifact(build_challenger(CHAMPION, "better"), INPUTS, "total spend")
    for _ in range(2):
        better = ChampionArtifact(build_challenger(better, fault), INPUTS, "total spend")
    assert len(score(better.onnx, [-2.0, 0.3])) == 2


def test_without_a_number_nothing_can_be_made_to_fail() -> None:
    words = ChampionArtifact(onnx(), (Input("plan", "text", "tenure", "pro"),), "plan")
    with pytest.raises(TrainingError, match=r"no feature is a number \('plan'\): choose another fault than failing"):
        build_challenger(words, "failing")
