"""The numbers of a drift report and its page: 1 million × 35 columns twice, against Evidently and NannyML.

Everybody reads the same Parquet files. Ours and Evidently compute PSI and exact K-S of the numbers, Jensen–Shannon and
chi-square of the categories, and write a page. NannyML knows no PSI and takes Jensen–Shannon there; it writes no page.
It lives in an environment of its own, Evidently is one of our dependencies.
"""

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.environment import environment, foreign
from benchmarks.figure import Figure, figures
from benchmarks.process import BenchmarkError, Measured, call, say

NUMBERS, CATEGORIES = 30, 5
# It imports statsmodels, and does not say so.
NANNYML = ("nannyml==0.13.1", "statsmodels")
SMALLER = 10  # the growth is measured from a tenth of the rows
_SIDES = ("reference", "current")


def measure(quick: bool) -> list[Figure]:
    """Both sizes of ours, and the peers at the larger one."""
    rows, repetitions = (50_000, 1) if quick else (1_000_000, 3)
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder) / "small", Path(folder) / "large"
        for data, size in ((small, rows // SMALLER), (large, rows)):
            say(f"{size:,} × {NUMBERS + CATEGORIES} columns, twice")
            call("drift:generate", data, rows=size)
        python = environment(Path(folder) / "nannyml", "nannyml", NANNYML)
        found: dict[str, list[Measured]] = {"small": [], "ours": [], "evidently": [], "nannyml": []}
        for repetition in range(repetitions):
            say(f"{repetition + 1} of {repetitions}")
            found["small"].append(call("drift:ours", small))
            found["ours"].append(call("drift:ours", large))
            if not repetition:  # minutes each
                found["evidently"].append(call("drift:evidently", large))
                found["nannyml"].append(foreign(python, "drift:nannyml", large))
    _same(found)
    return _figures(found, rows, promised=not quick)


def _figures(found: dict[str, list[Measured]], rows: int, *, promised: bool) -> list[Figure]:
    name = f"{rows / 1e6:g} million × {NUMBERS + CATEGORIES} columns"
    wall = {side: [each.spent.wall for each in runs] for side, runs in found.items()}
    cpu = {side: [each.spent.cpu for each in runs] for side, runs in found.items()}
    peak = {side: [each.peak for each in runs] for side, runs in found.items()}
    work = {side: [each["seconds"] for each in runs] for side, runs in found.items()}
    page = {side: [each["page"] / 1000 for each in found[side]] for side in ("ours", "evidently")}
    tenth, fifth, memory, size, linear = (0.1, 0.2, 500.0, 500.0, 1.2) if promised else (None,) * 5
    growth = [[seconds / (rows // part) for seconds in work[side]] for side, part in (("ours", 1), ("small", SMALLER))]
    return [
        figures(f"{name}, the whole process, against Evidently", "s", wall["ours"], wall["evidently"], tenth),
        figures(f"{name}, the whole process, against NannyML", "s", wall["ours"], wall["nannyml"], fifth),
        figures("the same, processor time, against Evidently", "s", cpu["ours"], cpu["evidently"]),
        figures("the same, processor time, against NannyML", "s", cpu["ours"], cpu["nannyml"]),
        figures("the same without imports, against Evidently", "s", work["ours"], work["evidently"]),
        figures("the same without imports, against NannyML", "s", work["ours"], work["nannyml"]),
        figures("peak memory", "MiB", peak["ours"], limit=memory),
        figures("peak memory, against Evidently", "MiB", peak["ours"], peak["evidently"]),
        figures("peak memory, against NannyML", "MiB", peak["ours"], peak["nannyml"]),
        figures("the page", "kB", page["ours"], limit=size),
        figures("the page, against Evidently", "kB", page["ours"], page["evidently"]),
        figures(
            f"a row: {rows:,} (ours) against {rows // SMALLER:,} (peer)", "µs",
            [1e6 * seconds for seconds in growth[0]], [1e6 * seconds for seconds in growth[1]], linear,
        ),
    ]  # fmt: skip


def _same(found: dict[str, list[Measured]]) -> None:
    """The K-S statistics of all three, and our p-values and Evidently's, are the same numbers."""
    ours, evidently, nannyml = (found[side][0] for side in ("ours", "evidently", "nannyml"))
    for name in _numbers():
        p_values, statistics = (ours["p"][name], evidently["p"][name]), (ours["ks"][name], nannyml["ks"][name])
        if abs(p_values[0] - p_values[1]) > 1e-4 * p_values[1] or abs(statistics[0] - statistics[1]) > 1e-9:
            raise BenchmarkError(f"{name}: all must compute the same; p-values {p_values}, K-S {statistics}")


def _numbers() -> list[str]:
    return [f"number_{index}" for index in range(NUMBERS)]


def _categories() -> list[str]:
    return [f"category_{index}" for index in range(CATEGORIES)]


# --- in the measured processes


def generate(rows: int) -> dict[str, Any]:
    """Two Delta tables: the current one a little different in every third column."""
    import pyarrow as pa

    lake = _lake()
    for seed, side in enumerate(_SIDES):
        for start in range(0, rows, 100_000):
            count = min(100_000, rows - start)
            lake.append(side, pa.table(_columns(count, 1000 * seed + start // 100_000, shift=0.002 * seed)))
    return {}


def _columns(rows: int, seed: int, shift: float) -> dict[str, Any]:
    """Normal, skewed and mostly zero; categories from few to many."""
    import numpy as np

    rng = np.random.default_rng(seed)
    shapes = (rng.normal, rng.exponential, lambda size: np.where(rng.random(size) < 0.6, 0, rng.gamma(2, 1, size)))
    numbers = {name: shapes[index % 3](size=rows) + shift * (index % 9 == 0) for index, name in enumerate(_numbers())}
    words = [np.array([f"word {number}" for number in range(3 + 8 * index)]) for index in range(CATEGORIES)]
    return numbers | {name: rng.choice(values, rows) for name, values in zip(_categories(), words, strict=True)}


def _lake() -> Any:  # noqa: ANN401 - NannyML's environment has no ml_assets' dependencies
    from ml_assets.settings import read_settings
    from ml_assets.storage.lake import Lake

    return Lake(str(read_settings().data / "lake"))


def ours() -> dict[str, Any]:
    """The numbers of all rows, and the page."""
    import time

    from ml_assets.monitoring.drift.compare import drift
    from ml_assets.monitoring.drift.page import DriftPage  # noqa: F401 - imported before the clock starts, as by the peers
    from ml_assets.monitoring.drift.samples import open_stored
    from ml_assets.spec.drift import DriftSpec

    lake, started = _lake(), time.perf_counter()
    page = Path(lake.root) / "page.html"
    with open_stored(lake, "reference") as before, open_stored(lake, "current") as after:
        found = drift(before, after, _numbers(), _categories(), DriftSpec(), page)
    seconds = time.perf_counter() - started
    features = {name: found.features[name] for name in _numbers()}
    return {
        "seconds": seconds,
        "page": page.stat().st_size,
        "p": {name: feature.ks_p_value for name, feature in features.items()},
        "ks": {name: feature.ks_statistic for name, feature in features.items()},
    }


def evidently() -> dict[str, Any]:
    """The same methods under its names, and its page."""
    import time
    import warnings

    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from evidently import DataDefinition, Dataset, Report
        from evidently.metrics import ValueDrift

    started = time.perf_counter()
    kinds = DataDefinition(numerical_columns=_numbers(), categorical_columns=_categories())
    before, after = (Dataset.from_pandas(pd.concat(_frames(side)), data_definition=kinds) for side in _SIDES)
    metrics = [ValueDrift(column=name, method=method) for name in _numbers() for method in ("psi", "ks")]
    metrics += [
        ValueDrift(column=name, method=method) for name in _categories() for method in ("jensenshannon", "chisquare")
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        snapshot = Report(metrics).run(after, before)
    page = _data() / "evidently.html"
    snapshot.save_html(str(page))
    seconds = time.perf_counter() - started
    found = [(metric["config"], metric["value"]) for metric in snapshot.dict()["metrics"]]
    p_values = {config["column"]: float(value) for config, value in found if config["method"] == "ks"}
    return {"seconds": seconds, "page": page.stat().st_size, "p": p_values}


def nannyml() -> dict[str, Any]:
    """Its univariate drift in one chunk, with exact K-S."""
    import time
    import warnings

    warnings.simplefilter("ignore")
    import pandas as pd
    from nannyml import UnivariateDriftCalculator

    started = time.perf_counter()
    before, after = (pd.concat(_frames(side), ignore_index=True) for side in _SIDES)
    calculator = UnivariateDriftCalculator(
        column_names=[*_numbers(), *_categories()],
        continuous_methods=["jensen_shannon", "kolmogorov_smirnov"],
        categorical_methods=["jensen_shannon", "chi2"],
        # 0.13.1 looks whether the method is named, and then for its parameters one level higher.
        computation_params={"kolmogorov_smirnov": {}, "calculation_method": "exact"},
        chunk_number=1,
    )
    found = calculator.fit(before).calculate(after).filter(period="analysis").to_df()
    seconds = time.perf_counter() - started
    values = {name: float(found[name, "kolmogorov_smirnov", "value"].iloc[0]) for name in _numbers()}
    return {"seconds": seconds, "ks": values}


def _frames(side: str) -> list[Any]:
    import pandas as pd

    return [pd.read_parquet(path) for path in sorted((_data() / "lake" / side).glob("*.parquet"))]


def _data() -> Path:
    import os

    return Path(os.environ["ML_ASSETS_DATA"])
