"""A training is repeatable, found again, and leaves nothing behind when it is killed."""

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml_assets.errors import TrainingError
from ml_assets.features.view import View
from ml_assets.storage.registry import Registry
from ml_assets.training.dataset import ROW, build, read
from ml_assets.training.frame import FeatureColumns, Frame, frame
from ml_assets.training.record import TrainingRecord, record
from ml_assets.training.report import report
from ml_assets.training.train import Trained, _fit, _search, candidate, recipe, train
from ml_assets_tests.conftest import AS_OF, Tiny, habits

SPAWN = multiprocessing.get_context("spawn")


def trained(shop: Tiny, **changes: Any) -> Trained:
    folder = shop.folder(**changes)
    return train(shop.lake, shop.registry, folder, build(shop.lake, folder, AS_OF), tags={})


def test_what_ships_when_is_no_part_of_the_recipe_and_what_is_fitted_is(tmp_path: Path) -> None:
    shop = Tiny(tmp_path)
    same = [
        shop.folder(),
        shop.folder(ship_when=[{"metric": "roc_auc", "at_least": 0.7}]),
        shop.folder(owners=["a@b.c"]),
    ]
    assert len({recipe(folder, 1) for folder in same}) == 1
    other = [
        shop.folder(seed=1),
        shop.folder(estimator={"type": "sklearn.linear_model.LogisticRegression", "C": 2.0}),
        shop.folder(window={"train": 5, "test": 2}),
        shop.folder(label={"sql": "label.sql", "horizon": "7d"}),
    ]
    assert len({recipe(folder, 1) for folder in [shop.folder(), *other]} | {recipe(shop.folder(), 2)}) == 6


@pytest.mark.slow
def test_a_training_is_found_again_recorded_and_traceable(tiny: Tiny, empty_registry: Path) -> None:
    tiny.take_registry(empty_registry)
    first, again = trained(tiny), trained(tiny)
    assert (first.trained, first.reason) == (True, "there is no model yet")
    assert (again.trained, again.version) == (False, first.version)
    assert "version 1" in again.reason
    other = trained(tiny, seed=1)
    assert (other.trained, other.version.number) == (True, 2)

    stored, folder = record(tiny.registry, first.version), tiny.folder()
    assert candidate(tiny.lake, tiny.registry, folder, AS_OF) == first.version
    assert TrainingRecord.from_json(stored.to_json()) == stored
    assert stored.columns.all == ["orders", "mean_amount", "days_since", "kind"]
    views = [item.view for item in folder.features]
    assert [*stored.features] == views
    assert all(isinstance(view, View) for view in stored.features)
    assert stored.tables == {table: tiny.lake.version(table) for table in stored.tables}
    client = tiny.registry._client
    inputs = client.get_run(first.version.run_id).inputs.dataset_inputs
    assert {item.dataset.name for item in inputs} == {*stored.tables}


def test_a_model_that_was_not_trained_is_asked_for(tiny: Tiny) -> None:
    with pytest.raises(TrainingError, match="materialize shop/model first"):
        candidate(tiny.lake, Registry("unused"), tiny.folder(), AS_OF)


@pytest.mark.slow
def test_the_same_files_give_the_same_metrics_to_the_last_digit(tmp_path: Path, empty_registry: Path) -> None:
    found = []
    for name in ("one", "two"):
        shop = Tiny(tmp_path / name)
        shop.take_registry(empty_registry)
        shop.deliver("orders", habits(range(-10, 14)))
        changes = {
            "estimator": {"type": "sklearn.ensemble.HistGradientBoostingClassifier", "max_iter": 10},
            "search": {"trials": 2, "learning_rate": {"low": 0.05, "high": 0.3, "log": True}},
            "window": {"train": 6, "test": 1},
        }
        version = trained(shop, **changes).version
        done = report(shop.lake, shop.registry, shop.folder(**changes), version)
        kept = record(shop.registry, version)
        found.append((done.metrics, done.evaluation, kept.parameters, version.tags["recipe"], version.tags["sha256"]))
    assert found[0] == found[1]


def _train_until_killed(root: str, step: str) -> None:
    shop = Tiny(Path(root))
    folder = shop.folder()

    def say(doing: str) -> None:
        if doing.startswith(step):
            os.kill(os.getpid(), signal.SIGKILL)

    train(shop.lake, shop.registry, folder, build(shop.lake, folder, AS_OF), tags={}, say=say)


@pytest.mark.slow
def test_a_killed_training_leaves_no_trace_after_the_next(tiny: Tiny, empty_registry: Path) -> None:
    tiny.take_registry(empty_registry)
    for step in ("fit for the evaluation", "refit"):
        process = SPAWN.Process(target=_train_until_killed, args=(str(tiny.root), step))
        process.start()
        process.join(timeout=300)
        assert process.exitcode == -signal.SIGKILL
    done = trained(tiny)
    assert (done.trained, done.version.number) == (True, 1)
    client = tiny.registry._client
    experiment = client.get_experiment_by_name("shop")
    assert [run.info.run_id for run in client.search_runs([experiment.experiment_id])] == [done.version.run_id]


def test_a_parameter_value_that_scikit_learn_refuses_is_named_with_the_estimator(tmp_path: Path) -> None:
    boosting = {"type": "sklearn.ensemble.HistGradientBoostingClassifier", "learning_rate": -1}
    folder, n = Tiny(tmp_path).folder(estimator=boosting), 10
    days = np.full(n, np.datetime64(AS_OF))
    rows = Frame(pd.DataFrame({"orders": np.arange(n, dtype=np.float32)}), np.arange(n) % 2, np.arange(n), days)
    with pytest.raises(TrainingError, match=r"HistGradientBoostingClassifier cannot be fitted .*'learning_rate'.*-1"):
        _fit(folder, FeatureColumns(("orders",), ()), folder.spec.estimator.parameters, rows)


def test_a_search_without_dates_to_validate_on_says_so(tiny: Tiny) -> None:
    folder = tiny.folder(search={"trials": 1, "C": {"low": 0.1, "high": 1.0}}, window={"train": 1, "test": 1})
    built = build(tiny.lake, folder, AS_OF)
    columns = FeatureColumns(("orders",), ())
    data = frame(read(tiny.lake, built.table, AS_OF), columns, "customer", ROW)
    nothing: Any = None
    with pytest.raises(TrainingError, match="1 training dates are too few to search"):
        _search(folder, data, built.split, columns, nothing, lambda _: None)
