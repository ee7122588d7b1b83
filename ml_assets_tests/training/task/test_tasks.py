"""What depends on the kind of label is asked of one object: nothing else looks whether there are classes."""

import re
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ml_assets
from ml_assets.decisions.metric import realisable
from ml_assets.spec.names import REVIEW
from ml_assets.training.task.task import Task
from ml_assets.training.task.tasks import Multiclass, task_of

CLASSES = ("a", "b", "c")
TASKS = [task_of(()), task_of(CLASSES)]
ROOMS = ("training", "replay", "monitoring/performance", "monitoring/predictions")


def sample(classes: int, rows: int = 300) -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
    rng = np.random.default_rng(0)
    p, other = (rng.dirichlet(np.full(max(classes, 2), 0.5), rows) for _ in range(2))
    y = np.array([rng.choice(p.shape[1], p=row) for row in p])
    return y, p, other


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_what_it_measures_is_what_policies_can_be_compared_by(task: Task) -> None:
    y, p, other = sample(len(task.classes))
    measured = task.measure(y, p, 0.5)
    assert {*realisable(task.name)} <= measured.keys()
    found = task.compare(y, p, other, np.arange(len(y)), resamples=50, seed=0)
    theirs = task.measure(y, other, 0.5)
    for name, interval in found.items():
        assert interval.estimate == pytest.approx(measured[name] - theirs[name])
    (one,) = task.compare(y, p, other, np.arange(len(y)), metrics=["log_loss"], resamples=50, seed=0).items()
    assert one == ("log_loss", found["log_loss"])


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_the_outcome_is_the_same_in_sql(task: Task) -> None:
    y, p, _ = sample(len(task.classes), 40)
    names = task.classes or (0, 1)
    rows = [(names[a], names[b]) for a, b in zip(y, p.argmax(axis=1), strict=True)]
    kind = "VARCHAR" if task.classes else "INTEGER"
    values = ", ".join(f"('{label}', '{named}')" for label, named in rows)
    table = f"(SELECT l::{kind} AS label, n AS named FROM (VALUES {values}) t(l, n))"
    query = f"SELECT {task.outcome_sql('label', 'named')} FROM {table}"
    with duckdb.connect() as connection:
        assert [row[0] for row in connection.execute(query).fetchall()] == task.outcome(y, p).tolist()


@given(st.floats(0, 1), st.booleans())
def test_an_answer_is_named_where_it_is_sure_and_known(review_below: float, familiar: bool) -> None:
    _, p, _ = sample(3, 20)
    columns = Multiclass(CLASSES).answer_columns(p, review_below, np.full(20, familiar))
    for score, named, decision in zip(*(columns[name].to_pylist() for name in columns), strict=True):
        assert decision == (named if score >= review_below and familiar else REVIEW)


def test_nothing_else_asks_whether_there_are_classes() -> None:
    asked = []
    for room in ROOMS:
        for path in (Path(ml_assets.__file__).parent / room).rglob("*.py"):
            lines = path.read_text().splitlines()
            asked += [
                f"{path.name}: {line.strip()}"
                for line in lines
                if re.search(r"\b(if|not|bool\() ?(\w+\.)*classes\b", line)
            ]
    assert sorted({line.partition(":")[0] for line in asked}) == ["frame.py", "tasks.py"]
