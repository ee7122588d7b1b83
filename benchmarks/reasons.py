"""What a row costs: of an artifact with one tensor of numbers, and of its reasons, exact and sampled.

The rows are drawn: 27 numbers, of which some are missing, and two categories. Processor time; the two shapes of an
artifact take turns in one process.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.figure import Figure, figures
from benchmarks.process import call, say

if TYPE_CHECKING:
    from ml_assets.training.frame import FeatureColumns

_NUMBERS = 27
_SMALL, _LARGE = (40, 8), (80, 28)
_LIMITS = {_SMALL: 25.0, _LARGE: 160.0}
"""Trees and leaves → µs that the reasons of a row may take."""


def measure(quick: bool) -> list[Figure]:
    """Everything in one process, on one machine."""
    with tempfile.TemporaryDirectory() as data:
        say("reasons and the tensor of numbers")
        found = call("reasons:times", Path(data), rounds=1 if quick else 7, train=1_000 if quick else 12_000)
    lines = [
        figures("one row, one tensor of numbers, against one for each", "µs", found["joined"], found["apart"], 0.4),
        figures("the same: rows whose probability is another", "rows", [found["changed"]], limit=0),
    ]
    for (trees, leaves), limit in _LIMITS.items():
        ours, name = found[f"{trees}x{leaves}"], f"{trees} trees × {leaves} leaves"
        lines += [
            figures(f"reasons of a row, {name}", "µs", ours["row"], limit=None if quick else limit),
            figures(f"tables, {name}", "MB", [ours["megabytes"]], limit=32),
            figures(f"build of the tables, {name}", "s", [ours["build"]], limit=10),
            figures(f"base and reasons against the answer, {name}", "largest difference", [ours["gap"]], limit=1e-5),
        ]
    return [*lines, figures("sampled reasons of a row, 80 trees × 28 leaves", "µs", found["sampled"])]


# --- in a process of its own


def times(rounds: int, train: int) -> dict[str, Any]:
    """Every number; each time is the best of many, once a round."""
    import numpy as np

    from ml_assets.reasons.graph import TreeModel, read_graph
    from ml_assets.reasons.leaf_tables import build_tables
    from ml_assets.reasons.sampled import SampledOrders, log_odds, probabilities_of
    from ml_assets.training.explanations import feature_rows, row_predictor

    columns, X, y = _drawn(train)  # noqa: N806 - scikit-learn's name
    players = {name: name for name in columns.all}
    rows, background = feature_rows(X.iloc[-400:]), feature_rows(X.iloc[:500])
    found: dict[str, Any] = {}
    for size in (_SMALL, _LARGE):
        onnx = _fitted(columns, X, y, *size)
        model = read_graph(onnx)
        assert isinstance(model, TreeModel)
        began = time.process_time()
        tables = build_tables(model, columns.all, background, players)
        built = time.process_time() - began
        assert tables is not None
        parts = [tables.contributions(row) for row in rows]
        scores = np.array([each.base + each.parts.sum(axis=0) for each in parts])
        predict = row_predictor(onnx, columns)
        gap = np.abs(probabilities_of(scores) - probabilities_of(log_odds(predict(rows)))).max()
        found[f"{size[0]}x{size[1]}"] = {
            "row": [_best(partial(tables.contributions, row)) for row in rows[:rounds]],
            "megabytes": tables.bytes / 2**20, "build": built, "gap": float(gap),
        }  # fmt: skip
    sampled = SampledOrders(columns.all, players, background, predict)
    found["sampled"] = [_best(partial(sampled.contributions, row, "one"), 3) for row in rows[:rounds]]
    return found | _shapes(columns, X, y, rounds)


def _shapes(columns: "FeatureColumns", X: Any, y: Any, rounds: int) -> dict[str, Any]:  # noqa: ANN401, N803 - of pandas
    """The same trees with one tensor of numbers, and with an input for each as artifacts of before."""
    import numpy as np

    from ml_assets.storage.manifest import PROBABILITIES
    from ml_assets.training import export

    joined = _fitted(columns, X, y, *_LARGE)
    join, export._join_numbers = export._join_numbers, lambda *_: None  # noqa: SLF001 - the shape of before
    try:
        apart = _fitted(columns, X, y, *_LARGE)
    finally:
        export._join_numbers = join  # noqa: SLF001
    sessions = {name: export.session(onnx) for name, onnx in (("joined", joined), ("apart", apart))}
    one = {name: export.feed(session, X.iloc[[0]]) for name, session in sessions.items()}
    taken: dict[str, Any] = {name: [] for name in sessions}
    for _ in range(rounds):
        for name, session in sessions.items():
            taken[name].append(_best(partial(session.run, [PROBABILITIES], one[name])))
    p, q = (export.probabilities(session, X.iloc[-2000:]) for session in sessions.values())
    return taken | {"changed": int(np.any(p != q, axis=1).sum())}


def _drawn(count: int) -> "tuple[FeatureColumns, Any, Any]":
    import numpy as np
    import pandas as pd

    from ml_assets.training.frame import FeatureColumns

    rng, names = np.random.default_rng(0), [f"n{number}" for number in range(_NUMBERS)]
    X = pd.DataFrame(rng.normal(size=(count, _NUMBERS)).astype(np.float32), columns=names)  # noqa: N806
    X = X.mask(pd.DataFrame(rng.random(X.shape) < 0.05, columns=names))  # noqa: N806
    X["plan"] = pd.Series(rng.choice(list("abc"), count), dtype="str")
    X["country"] = pd.Series(rng.choice(list("stuvwxyz"), count), dtype="str")
    weights = rng.normal(size=_NUMBERS) * (rng.random(_NUMBERS) < 0.5)
    y = X[names].fillna(0).to_numpy() @ weights + (X["plan"] == "a") + rng.normal(size=count) * 2 > 0
    return FeatureColumns(tuple(names), ("plan", "country")), X, np.asarray(y).astype(int)


def _fitted(columns: "FeatureColumns", X: Any, y: Any, trees: int, leaves: int) -> bytes:  # noqa: ANN401, N803 - of pandas
    from ml_assets.training.estimator import build
    from ml_assets.training.export import to_onnx

    parameters = {"max_iter": trees, "max_leaf_nodes": leaves, "early_stopping": False}
    path = "sklearn.ensemble.HistGradientBoostingClassifier"
    return to_onnx(build(path, parameters, columns, 0).fit(X, y), columns)


def _best(work: Callable[[], object], turns: int = 500) -> float:
    """µs of processor time: the median of five times many turns, the first of which is not counted."""
    spent = []
    for _ in range(6):
        began = time.process_time()
        for _ in range(turns):
            work()
        spent.append((time.process_time() - began) / turns * 1e6)
    return statistics.median(spent[1:])
