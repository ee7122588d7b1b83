"""A notebook's view of the features: what there is, what was in force for each row, what is served."""

# ruff: noqa: DTZ001 - the lake's times are naive UTC

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.errors import DataError, DeclarationError, MlAssetsError
from ml_assets.features import FeatureStore
from ml_assets.features.online.ledger import OnlineWrite, note
from ml_assets.features.online.schema import Column, Schema
from ml_assets.spec.cadence import Cadence
from ml_assets_tests.conftest import Tiny

FIRST = date(2025, 1, 5)
DAY, WEEK = timedelta(days=1), timedelta(days=7)
MIDNIGHT = datetime(2025, 1, 5)
YAML = """
type: ml_assets.components.Source
attributes: {{name: orders, files: orders/*.parquet, event_time: made_at}}
---
type: ml_assets.components.FeatureView
attributes: {{name: habits, sql: features/habits.sql, ttl: {ttl}, owners: [team:shop], description: How <often>}}
---
type: ml_assets.components.FeatureView
attributes: {{name: words, sql: features/words.sql, lookback: 8d, refresh: 1d, freshness: 9d}}
---
type: ml_assets.components.Model
attributes:
  entity: customer
  cadence: {{every: {every}, start: 2025-01-05}}
  label: {{sql: label.sql, horizon: 14d}}
  features: [habits]
"""
MODEL = YAML[YAML.rindex("---") :].format(every="weekly")
QUERIES = {
    "features/habits.sql": "SELECT customer, count(*) AS n, max(amount) AS most FROM orders GROUP BY customer",
    "features/words.sql": "SELECT customer, max(kind) AS word FROM orders GROUP BY customer",
}


class Project(Tiny):
    """A shop with a `defs.yaml`, and its feature store."""

    def __init__(self, root: Path, *, every: str = "weekly", ttl: str = "14d") -> None:
        super().__init__(root, QUERIES)
        self.write("defs.yaml", YAML.format(every=every, ttl=ttl))
        self.features = FeatureStore(self.lake, f"sqlite:///{root}/online.db", root, workers=1)

    def stock(self, *orders: tuple[int, datetime]) -> None:
        rows = [{"customer": c, "made_at": at, "amount": float(c), "kind": f"k{c}"} for c, at in orders]
        self.deliver("orders", rows)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path)
    made.stock((1, MIDNIGHT - DAY), (2, MIDNIGHT - DAY), (1, MIDNIGHT + DAY))
    with made.features:
        yield made


def frame(*rows: tuple[Any, Any], **more: Any) -> pd.DataFrame:
    return pd.DataFrame({"customer": [c for c, _ in rows], "at": [t for _, t in rows], **more})


def test_what_is_registered_says_what_the_folders_declare(project: Project) -> None:
    habits, words = project.features.list_views()
    assert (habits.folder, habits.view, habits.entity, habits.columns) == ("shop", "habits", "customer", None)
    assert (habits.ttl, habits.owners, habits.sources) == (2 * WEEK, ("team:shop",), ("orders",))
    assert (words.refresh, words.freshness) == (DAY, 9 * DAY)
    assert habits.sql == QUERIES["features/habits.sql"]
    project.features.training_set(frame((1, MIDNIGHT)), ["shop/habits"])
    found = project.features.list_views()
    assert found[0].columns == (("n", "int64"), ("most", "double"))
    assert "How &lt;often&gt;" in found._repr_html_()
    assert "n (int64), most (double)" in found._repr_html_()
    assert list(found.to_pandas()["view"]) == ["habits", "words"]


def test_the_projects_own_folders_are_the_default() -> None:
    assert {view.folder for view in FeatureStore("nowhere", "sqlite:///nowhere").list_views()} == {
        "churn",
        "documents",
        "retail",
    }


def test_each_row_has_what_was_in_force_at_its_moment(project: Project) -> None:
    moment = timedelta(microseconds=1)
    rows = frame(
        (1, MIDNIGHT - moment), (1, MIDNIGHT), (1, MIDNIGHT + WEEK - moment), (1, MIDNIGHT + WEEK), (3, MIDNIGHT),
        note=["before", "at", "just before", "next", "nobody"],
    )  # fmt: skip
    found = project.features.training_set(rows, ["shop/habits:n", "shop/words"])
    assert list(found.columns) == ["customer", "at", "note", "n", "word"]
    assert found["n"].astype("Int64").tolist() == [pd.NA, 1, 1, 2, pd.NA]
    assert found["word"].fillna("").tolist() == ["", "k1", "k1", "k1", ""]
    assert found[["customer", "at", "note"]].equals(rows)


def test_a_value_past_its_ttl_is_null_and_the_row_stays(tmp_path: Path) -> None:
    project = Project(tmp_path, ttl="36h")
    project.stock((1, MIDNIGHT - DAY))
    rows = frame(*((1, MIDNIGHT + timedelta(hours=hours)) for hours in (0, 35, 36, 100)))
    found = project.features.training_set(rows, ["shop/habits"])
    assert found["n"].notna().tolist() == [True, True, False, False]


def test_a_late_row_is_seen_by_the_next_training_set(project: Project) -> None:
    rows = frame((1, MIDNIGHT))
    assert project.features.training_set(rows, ["shop/habits"])["n"].tolist() == [1]
    project.stock((1, MIDNIGHT - 2 * DAY))
    assert project.features.training_set(rows, ["shop/habits"])["n"].tolist() == [2]


moments = st.integers(-10 * 24, 33 * 24).map(lambda hours: MIDNIGHT + timedelta(hours=hours))


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 4), moments), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(1, 5), moments), max_size=30),
    st.sampled_from(["daily", "weekly", "monthly"]),
    st.sampled_from(["5h", "1d", "36h", "7d", "30d"]),
    st.booleans(),
)
def test_a_training_set_is_what_looking_row_by_row_gives(
    orders: list[tuple[int, datetime]], rows: list[tuple[int, datetime]], every: Any, ttl: str, arrow: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder), every=every, ttl=ttl)
        project.append("orders", [{"customer": customer, "made_at": at} for customer, at in orders])
        cadence = Cadence(every=every, start=FIRST)
        index = np.arange(len(rows))[::-1] // 2  # neither unique nor in order
        entities = pd.DataFrame(rows, columns=["customer", "at"]).astype({"customer": "int64", "at": "datetime64[us]"})
        given_rows: Any = pa.Table.from_pandas(entities) if arrow else entities.set_index(index)
        found = project.features.training_set(given_rows, ["shop/habits"])
        seen = _numbers(found["n"].to_pylist() if arrow else found["n"].tolist())
        assert seen == [_in_force(orders, cadence, ttl, *row) for row in rows]
        if not arrow:
            assert list(found.index) == list(index)
            assert found[["customer", "at"]].equals(given_rows)


def _numbers(values: Sequence[Any]) -> list[int | None]:
    return [None if pd.isna(value) else int(value) for value in values]


def _in_force(
    orders: list[tuple[int, datetime]], cadence: Cadence, ttl: str, customer: int, at: datetime
) -> int | None:
    """How many orders were known at the as-of date in force, looked up the slow way."""
    dates = [datetime(day.year, day.month, day.day) for day in cadence.dates(at.date())]
    hours = int(ttl[:-1]) * {"h": 1, "d": 24}[ttl[-1]]
    if not dates or at - dates[-1] >= timedelta(hours=hours):
        return None
    return sum(who == customer and when < dates[-1] for who, when in orders) or None


def test_a_moment_with_a_zone_is_the_same_moment(project: Project) -> None:
    east = timezone(timedelta(hours=9))
    moment = datetime(2025, 1, 12, 8, tzinfo=east)  # in UTC the day before, and so the as-of date before
    for at, n in ((moment, 1), (moment + timedelta(hours=1), 2), (datetime(2025, 1, 12, tzinfo=UTC), 2)):
        assert project.features.training_set(frame((1, at)), ["shop/habits:n"])["n"].tolist() == [n]


def test_a_date_is_its_midnight(project: Project) -> None:
    table = pa.table({"customer": [1, 1], "day": [FIRST, FIRST - DAY]})
    found = project.features.training_set(table, ["shop/habits:n"])
    assert found.column_names == ["customer", "day", "n"]
    assert found["n"].to_pylist() == [1, None]


def test_rows_without_any_date_in_force_have_nulls_of_the_views_types(project: Project) -> None:
    found = project.features.training_set(frame((1, MIDNIGHT - WEEK)), ["shop/habits", "shop/words"])
    assert found[["n", "most", "word"]].isna().all(axis=None)
    empty = project.features.training_set(pa.table({"customer": [1], "at": [MIDNIGHT]}).slice(1), ["shop/habits"])
    assert (len(empty), empty.column_names) == (0, ["customer", "at", "n", "most"])


def test_entities_of_a_category_or_a_smaller_integer_are_the_same_entities(project: Project) -> None:
    for keys in (pa.array([1, 2], pa.int32()), pa.array([1, 2]).dictionary_encode()):
        table = pa.table({"customer": keys, "at": [MIDNIGHT] * 2})
        assert project.features.training_set(table, ["shop/habits:n"])["n"].to_pylist() == [1, 1]


@pytest.mark.parametrize(
    ("rows", "features", "said"),
    [
        (frame((1, MIDNIGHT)), ["shop/habit"], "shop declares no feature view 'habit': did you mean 'habits'"),
        (frame((1, MIDNIGHT)), ["shp/habits"], "there is no model folder 'shp': did you mean 'shop'"),
        (frame((1, MIDNIGHT)), ["shop/habits:mots"], "has no column 'mots': use most"),
        (frame((1, MIDNIGHT)), ["habits"], "feature 'habits': write folder/view or folder/view:column"),
        (frame((1, MIDNIGHT)), [], "no feature is asked for"),
        (frame((1, MIDNIGHT)), ["shop/habits:n", "shop/habits:n"], "is asked for twice"),
        (frame((1, MIDNIGHT)), ["shop/habits", "shop/habits:n"], "two columns 'n'"),
        (frame((1, MIDNIGHT), n=[1]), ["shop/habits"], "two columns 'n'"),
        (frame((1, MIDNIGHT), (2, None)), ["shop/habits"], "'at' is null in row 1"),
        (frame((None, MIDNIGHT), (2, MIDNIGHT)), ["shop/habits"], "'customer' is null in row 0"),
        (frame(("1", MIDNIGHT)), ["shop/habits"], "'customer' is .*string in the entities and int64 in the views"),
        (frame((1, MIDNIGHT)).drop(columns="customer"), ["shop/habits"], "no column 'customer'"),
        (frame((1, MIDNIGHT), other=[MIDNIGHT]), ["shop/habits"], r"2 columns of times \('at', 'other'\).*timestamp="),
        (frame((1, "2025-01-05")), ["shop/habits"], r"0 columns of times \(none\)"),
    ],
)
def test_what_cannot_be_answered_is_refused_by_name(
    project: Project, rows: pd.DataFrame, features: list[str], said: str
) -> None:
    with pytest.raises(MlAssetsError, match=said):
        project.features.training_set(rows, features)


def test_the_timestamp_can_be_named(project: Project) -> None:
    rows = frame((1, MIDNIGHT), other=[MIDNIGHT - WEEK])
    assert project.features.training_set(rows, ["shop/habits"], timestamp="at")["n"].tolist() == [1]
    with pytest.raises(DataError, match="'customer' is int64: it says when a row is asked about"):
        project.features.training_set(rows, ["shop/habits"], timestamp="customer")


def serve(project: Project, number: int = 1, most: float = 1.5) -> None:
    """What the asset does: records, and a row of the ledger."""
    columns = (Column("n", "int64", "habits"), Column("most", "double", "habits"), Column("word", "string", "words"))
    of = Schema(f"shop@{number}", "customer", columns, (("habits", 2 * WEEK), ("words", WEEK)))
    rows = pa.record_batch({"customer": ["1", "2"], "n": [1, None], "most": [most] * 2, "word": ["a", "b"]})
    store = project.features._store
    store.write(of, [rows], FIRST)
    store.finish(of, FIRST)
    row = OnlineWrite(FIRST, of.model, number, store.name, 2, number, MIDNIGHT + number * DAY)
    note(project.lake, "shop", row)


def test_an_entity_has_the_asked_features_in_order_and_says_what_is_stale_or_missing(project: Project) -> None:
    serve(project)
    one, two, nobody = project.features.online([1, "2", 3], ["shop/words", "shop/habits:n"])
    assert nobody is None
    assert one
    assert two
    assert one[:3] == ("1", FIRST, ("a", 1))
    assert one.missing == ()
    assert (two.features, two.missing) == ({"word": "b", "n": None}, ("n",))
    assert one.stale(MIDNIGHT + WEEK - timedelta(microseconds=1)) == ()
    assert one.stale(MIDNIGHT + WEEK) == ("word",)
    assert one.stale(MIDNIGHT + 2 * WEEK) == ("word", "n")
    (alone,), (whole,) = (
        project.features.online([1], names) for names in (["shop/words"], ["shop/habits", "shop/words"])
    )
    assert alone
    assert whole
    assert (alone.features, whole.features) == ({"word": "a"}, {"n": 1, "most": 1.5, "word": "a"})


def test_another_champion_is_read_after_a_reload(project: Project) -> None:
    serve(project)
    features = ["shop/habits:most"]
    project.features.online([1], features)
    serve(project, 2, 2.5)
    assert [answer and answer.features for answer in project.features.online([1], features)] == [{"most": 1.5}]
    project.features.reload()
    assert [answer and answer.features for answer in project.features.online([1], features)] == [{"most": 2.5}]


def test_online_features_that_are_not_there_are_refused_by_name(project: Project) -> None:
    with pytest.raises(DataError, match="shop has no online features yet: materialize shop/online_features"):
        project.features.online([1], ["shop/habits"])
    serve(project)
    with pytest.raises(DataError, match="not served with 'habits:k': there are 'most', 'n'"):
        project.features.online([1], ["shop/habits:k"])
    with pytest.raises(DataError, match="not served with 'others': there are 'habits', 'words'"):
        project.features.online([1], ["shop/others"])
    with pytest.raises(DeclarationError, match="no model folder 'shops'"):
        project.features.online([1], ["shops/habits"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", r"shop/defs\.yaml:2: not valid YAML"),
        ("type: ml_assets.components.Model\nattributes: {entity: a}", r"yaml:2: attributes.cadence: Field required"),
        (YAML.format(every="weekly", ttl="2"), r"defs\.yaml:6: attributes.ttl: .*is no duration"),
        (YAML.format(every="weekly", ttl="14d") + MODEL, "declares 2 components Model"),
        ("type: ml_assets.components.Source\nattributes: {name: a, files: a, event_time: b}", "holds no model folder"),
    ],
)  # fmt: skip
def test_a_folder_that_cannot_be_read_is_refused_by_its_file(project: Project, text: str, said: str) -> None:
    project.write("defs.yaml", text)
    project.features.reload()
    with pytest.raises(DeclarationError, match=said):
        project.features.online([1], ["shop/habits"])


def test_a_broken_folder_is_warned_of_and_stops_no_other(project: Project) -> None:
    broken = project.root / "other" / "defs.yaml"
    broken.parent.mkdir()
    broken.write_text("a: [")
    project.features.reload()
    with pytest.warns(UserWarning, match=r"left out: .*other/defs\.yaml:2: not valid YAML"):
        assert {view.folder for view in project.features.list_views()} == {"shop"}
    with pytest.raises(DeclarationError, match=r"other/defs\.yaml"):
        project.features.online([1], ["other/habits"])


LIGHT = """
import sys
import ml_assets.features
assert not {"pyarrow", "duckdb", "pandas"} & set(sys.modules)
from ml_assets.features import FeatureStore
FeatureStore("lake", "sqlite:///online.db")
assert not {"dagster", "mlflow", "sklearn"} & set(sys.modules), sorted(sys.modules)
"""


def test_a_notebook_pays_for_no_dagster(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", LIGHT], check=True, cwd=tmp_path, timeout=60)


ODD = ["Umsatz (€) / Ø", "max amount", "max.amount", "$m$ 😀", "a[b]<c>d'e", "1st"]


def test_features_have_the_names_that_the_author_wrote(project: Project) -> None:
    chosen = ", ".join(f'max(amount) + {nr} AS "{name}"' for nr, name in enumerate(ODD))
    project.write("features/habits.sql", f"SELECT customer, {chosen} FROM orders GROUP BY customer")
    project.features.reload()
    found = project.features.training_set(frame((1, MIDNIGHT)), [f"shop/habits:{name}" for name in ODD])
    assert list(found.columns) == ["customer", "at", *ODD]
    assert found.loc[0, ODD].tolist() == [1.0 + nr for nr in range(len(ODD))]


def test_whole_numbers_that_pandas_made_floats_are_the_same_entities(project: Project) -> None:
    """An integer column with a gap, cleaned, is a column of floats."""
    found = project.features.training_set(frame((1.0, MIDNIGHT), (2.0, MIDNIGHT)), ["shop/habits:n"])
    assert found["n"].tolist() == [1, 1]
    with pytest.raises(DataError, match=r"'customer' is double and holds 1\.5"):
        project.features.training_set(frame((1.5, MIDNIGHT)), ["shop/habits"])
