"""The training set: population x features x mature labels, built once for the same rows."""

# ruff: noqa: DTZ001 - the lake's times are naive UTC

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ml_assets.errors import DataError, DeclarationError, MlAssetsError, TrainingError
from ml_assets.features import engine, store
from ml_assets.features.store import refresh
from ml_assets.storage.tables import as_of_key
from ml_assets.training import dataset
from ml_assets.training.dataset import ROW, build, find, read, refresh_labels, views
from ml_assets.training.frame import columns
from ml_assets.training.reach import known_until
from ml_assets_tests.conftest import AS_OF, FIRST, MODEL, QUERIES, Tiny

HORIZON = timedelta(days=14)
WITHOUT_POPULATION = (
    "SELECT DISTINCT customer, 0 AS label FROM orders UNION SELECT DISTINCT customer, 1 AS label FROM orders"
)


def test_the_same_rows_are_built_once(tiny: Tiny) -> None:
    first = build(tiny.lake, tiny.folder(), AS_OF)
    again = build(tiny.lake, tiny.folder(), AS_OF)
    assert (again.version, again.fingerprint, again.tables) == (first.version, first.fingerprint, first.tables)
    assert all(done.computed == () for done in again.refreshed.values())
    assert first.metadata()["computed_dates"] == 3 * len(first.split.refit)


def test_a_set_is_found_as_it_was_built_whatever_came_since(prepared: Tiny) -> None:
    folder, day = prepared.folder(), AS_OF - timedelta(days=40)
    with pytest.raises(TrainingError, match=rf"no training set of shop as of {FIRST}: materialize shop/training_set f"):
        find(prepared.lake, folder, FIRST)
    built = build(prepared.lake, folder, AS_OF)
    prepared.deliver("orders", [{"customer": 1, "made_at": datetime(*day.timetuple()[:3]), "amount": 1.0, "kind": "a"}])
    for view in views(folder):
        refresh(prepared.lake, view, built.split.refit)
    assert replace(built, refreshed={}) == find(prepared.lake, folder, AS_OF)
    wider = prepared.folder(window={"train": folder.spec.window.train - 1, "test": folder.spec.window.test})
    with pytest.raises(TrainingError, match="is of another window or horizon: materialize shop/training_set first"):
        find(prepared.lake, wider, AS_OF)


def test_a_set_that_an_older_release_kept_is_recorded_by_the_next_build(prepared: Tiny) -> None:
    folder = prepared.folder()
    built = build(prepared.lake, folder, AS_OF)
    old = replace(built, table="shop/old")
    rows, key = read(prepared.lake, built.table, AS_OF), f"version of {as_of_key(AS_OF)}"
    records = {as_of_key(AS_OF): built.fingerprint, key: 1}
    prepared.lake.replace(old.table, rows, column=ROW, values=built.split.refit, records=records)
    shutil.rmtree(Path(prepared.lake.root, built.table))
    Path(prepared.lake.root, old.table).rename(Path(prepared.lake.root, built.table))
    with pytest.raises(TrainingError, match="there is no training set"):
        find(prepared.lake, folder, AS_OF)
    again = build(prepared.lake, folder, AS_OF)
    assert (again.version, again.fingerprint, again.tables) == (2, built.fingerprint, built.tables)
    assert read(prepared.lake, again.table, AS_OF).equals(rows)


def test_the_rows_are_the_population_of_every_date_of_the_window(prepared: Tiny) -> None:
    folder = prepared.folder()
    built = build(prepared.lake, folder, AS_OF)
    rows = read(prepared.lake, built.table, AS_OF, built.version)
    assert rows.column_names == [ROW, "customer", "orders", "mean_amount", "days_since", "kind", "label"]
    for day, members in zip(built.split.refit, prepared.at(folder.population, *built.split.refit), strict=True):
        chosen = rows.filter(pc.equal(rows[ROW], day))
        assert chosen["customer"].to_pylist() == [row["customer"] for row in members]


def test_another_query_leaves_no_column_and_no_type_behind(prepared: Tiny) -> None:
    prepared.write(
        "features/habits.sql", "SELECT customer, count(*) AS n, max(kind) AS old FROM orders GROUP BY customer"
    )
    build(prepared.lake, prepared.folder(), AS_OF)
    prepared.write("features/habits.sql", "SELECT customer, count(*) / 2.0 AS n FROM orders GROUP BY customer")
    rows = read(prepared.lake, build(prepared.lake, prepared.folder(), AS_OF).table, AS_OF)
    assert rows.column_names == [ROW, "customer", "n", "label"]
    assert 0.5 in rows["n"].to_pylist()


def test_a_column_of_a_later_file_is_a_feature_only_where_it_has_values(prepared: Tiny) -> None:
    """`SELECT *` sees each column of the source; its rows are still those that were known."""
    last = "QUALIFY row_number() OVER (PARTITION BY customer ORDER BY made_at DESC) = 1"
    prepared.write("features/habits.sql", f"SELECT * EXCLUDE (made_at) FROM orders {last}")
    folder, other = prepared.folder(), {ROW, "customer", "label"}
    known = build(prepared.lake, folder, AS_OF)
    before = read(prepared.lake, known.table, AS_OF)
    late = {"customer": 1, "made_at": datetime(AS_OF.year, AS_OF.month, AS_OF.day, 12), "amount": 1.0, "kind": "a"}
    prepared.deliver("orders", [late], coupon=pa.array([7]))
    assert build(prepared.lake, folder, AS_OF).version == known.version

    far = AS_OF + timedelta(weeks=3)
    prepared.deliver("orders", [late | {"made_at": datetime(far.year, far.month, far.day)}])
    rows = read(prepared.lake, build(prepared.lake, folder, far).table, far)
    assert rows["coupon"].drop_null().unique().to_pylist() == [7]
    assert {*columns(rows, other).all} == {*columns(before, other).all, "coupon"}
    assert columns(read(prepared.lake, known.table, AS_OF), other) == columns(before, other)


def test_labels_say_what_is_mature(tiny: Tiny) -> None:
    found = refresh_labels(tiny.lake, tiny.folder(), AS_OF)
    assert found.dates[-1] + HORIZON <= AS_OF
    assert found.rows == len(read(tiny.lake, build(tiny.lake, tiny.folder(), AS_OF).table, AS_OF))
    assert found.rate is not None
    assert 0 < found.rate < 1
    assert found.labelled == found.rows


def test_a_late_row_makes_another_training_set_and_a_row_after_it_does_not(prepared: Tiny) -> None:
    first = build(prepared.lake, prepared.folder(), AS_OF)
    later = datetime(AS_OF.year, AS_OF.month, AS_OF.day)
    prepared.deliver("orders", [{"customer": 1, "made_at": later, "amount": 1.0, "kind": "a"}])
    assert build(prepared.lake, prepared.folder(), AS_OF).version == first.version
    prepared.deliver("orders", [{"customer": 1, "made_at": later - timedelta(days=40), "amount": 1.0, "kind": "a"}])
    again = build(prepared.lake, prepared.folder(), AS_OF)
    assert again.fingerprint != first.fingerprint
    assert 0 < len(again.refreshed["shop/features/habits"].computed) < len(first.split.refit)


def test_a_feed_that_stopped_gives_no_mature_labels_beyond_it(prepared: Tiny) -> None:
    folder, late = prepared.folder(), AS_OF + timedelta(weeks=20)
    until = known_until(prepared.lake, folder, late)
    assert AS_OF - timedelta(days=7) <= until <= AS_OF + timedelta(days=7)
    built = build(prepared.lake, folder, late)
    assert max(built.split.refit) + HORIZON <= until
    assert known_until(prepared.lake, folder, FIRST) == FIRST


def test_labels_that_do_not_cover_the_population_are_refused(prepared: Tiny) -> None:
    prepared.write("label.sql", QUERIES["label.sql"].replace("LEFT JOIN", "JOIN"))
    with pytest.raises(DataError, match=r"labels cover \d+: label.sql must return one row for each member"):
        build(prepared.lake, prepared.folder(), AS_OF)


QUIET = "CASE WHEN count(made_at) = 0 THEN 1 ELSE 0 END"


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("0", r"shop/label\.sql: all [\d,]+ labels are 0: a classifier needs 0 and 1"),
        (
            "count(made_at)",
            r"shop/label\.sql at .*different numbers \(0, 1, 2(, …)?\): .*regression.* not supported",
        ),
        (
            f"nullif({QUIET}, 1)",
            "label is null in .* null is not allowed for two classes: return 0 or 1 for every member",
        ),
        ("avg(amount)", "different numbers .*regression"),
        ("coalesce(sum(amount), 0)", "regression"),
        ("NULL", "null is not allowed for two classes"),
        ("1 + " + QUIET, r"label holds 2 different numbers \(1, 2\): .*label: \{positive: 2\} in defs\.yaml"),
        ("CASE WHEN count(made_at) = 0 THEN 'gone' ELSE 'here' END", "'gone', 'here'.*which value counts as 1 is not"),
        (
            "'customer ' || population.customer::VARCHAR",
            r"label holds \d+ different values \('customer .*: two classes",
        ),
        ("max(made_at)", "label is timestamp"),
    ],
)
def test_labels_that_are_not_two_classes_are_refused_in_a_sentence(prepared: Tiny, label: str, said: str) -> None:
    prepared.write("label.sql", QUERIES["label.sql"].replace(QUIET, label))
    with pytest.raises(MlAssetsError, match=said) as refused:
        build(prepared.lake, prepared.folder(), AS_OF)
    assert len(str(refused.value)) < 350


@pytest.mark.parametrize(
    ("label", "positive", "reading"),
    [
        ("count(made_at) = 0", None, "false → 0, true → 1"),
        ("CASE WHEN count(made_at) = 0 THEN '1' ELSE '0' END", None, "0 → 0, 1 → 1"),
        ("CASE WHEN count(made_at) = 0 THEN 'Yes' ELSE 'no' END", None, "no → 0, Yes → 1"),
        ("CASE WHEN count(made_at) = 0 THEN 'gone' ELSE 'here' END", "gone", "here → 0, gone → 1"),
        ("1 + " + QUIET, 2, "1 → 0, 2 → 1"),
        (f"({QUIET})::DOUBLE", None, ""),
        (f"({QUIET})::DECIMAL(38, 0)", None, ""),
    ],
)
def test_two_values_are_read_as_0_and_1_and_it_is_said_how(
    prepared: Tiny, label: str, positive: str | int | None, reading: str
) -> None:
    expected = build(prepared.lake, prepared.folder(), AS_OF)
    prepared.write("label.sql", QUERIES["label.sql"].replace(QUIET, label))
    folder = prepared.folder(label=MODEL["label"] | {"positive": positive})
    assert refresh_labels(prepared.lake, folder, AS_OF).reading == reading
    built = build(prepared.lake, folder, AS_OF)
    rows = [read(prepared.lake, each.table, AS_OF) for each in (expected, built)]
    assert rows[0].equals(rows[1])


def test_three_values_of_which_each_date_has_two_are_refused(prepared: Tiny) -> None:
    other = "CASE WHEN $as_of < TIMESTAMP '2025-02-20' THEN 'here' ELSE 'there' END"
    prepared.write(
        "label.sql", QUERIES["label.sql"].replace(QUIET, f"CASE WHEN count(made_at) = 0 THEN 'gone' ELSE {other} END")
    )
    with pytest.raises(TrainingError, match="label holds 'gone', 'here', 'there'"):
        build(prepared.lake, prepared.folder(label=MODEL["label"] | {"positive": "gone"}), AS_OF)


def test_a_label_by_another_name_is_refused(prepared: Tiny) -> None:
    prepared.write("label.sql", QUERIES["label.sql"].replace("AS label", "AS churned"))
    with pytest.raises(DeclarationError, match=r"shop/label\.sql returns no column 'label'"):
        build(prepared.lake, prepared.folder(), AS_OF)


def test_the_population_is_brought_up_to_date_though_the_label_does_not_read_it(prepared: Tiny) -> None:
    """A population of a few dates only would silently be a training set of a few dates."""
    prepared.write("population.sql", "SELECT DISTINCT customer FROM orders WHERE made_at >= $as_of - INTERVAL 28 DAY")
    prepared.write(
        "label.sql",
        "SELECT customer, (customer % 2)::INTEGER AS label FROM (SELECT unnest(range(0, 80)) AS customer)",
    )
    folder = prepared.folder()
    refresh(prepared.lake, folder.population, [AS_OF - timedelta(weeks=4)])  # as a prediction leaves it
    built = build(prepared.lake, folder, AS_OF)
    assert set(read(prepared.lake, built.table, AS_OF)[ROW].unique().to_pylist()) == set(built.split.refit)


def test_a_label_that_reads_sources_only_gets_the_whole_population(prepared: Tiny) -> None:
    prepared.write("population.sql", "SELECT DISTINCT customer FROM orders WHERE customer < 3")
    prepared.write(
        "label.sql", "SELECT customer, (count(*) > 2 + customer)::INTEGER AS label FROM orders GROUP BY customer"
    )
    prepared.deliver("orders", [
        {"customer": customer, "made_at": datetime(day.year, day.month, day.day, 12), "amount": 1.0, "kind": "a"}
        for day in (FIRST + timedelta(days=i) for i in range(0, 98, 7)) for customer in range(3)
    ])  # fmt: skip
    folder = prepared.folder()
    built = build(prepared.lake, folder, AS_OF)
    assert len(read(prepared.lake, built.table, AS_OF)) == 3 * len(built.split.refit)
    assert folder.population.kept in built.tables


def test_too_little_history_and_an_empty_source_are_errors(tiny: Tiny) -> None:
    with pytest.raises(TrainingError, match="no training date"):
        build(tiny.lake, tiny.folder(), FIRST + timedelta(weeks=2))
    empty = Tiny(tiny.root / "empty")
    with pytest.raises(DataError, match="source shop/orders has no rows yet"):
        build(empty.lake, empty.folder(), date(2025, 4, 6))


LATE = {
    "customer": 1,
    "made_at": datetime(AS_OF.year, AS_OF.month, AS_OF.day) - timedelta(days=30),
    "amount": 5.0,
    "kind": "a",
}


@pytest.fixture(scope="module")
def built_anew(stocked_shop: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, pa.Table]:
    """Fingerprint and rows of a build from nothing over all rows, the late ones included."""
    shop = Tiny(Path(shutil.copytree(stocked_shop, tmp_path_factory.mktemp("anew") / "shop")))
    shop.delivered = 1
    shop.deliver("orders", [LATE] * 3)
    built = build(shop.lake, shop.folder(), AS_OF)
    return built.fingerprint, read(shop.lake, built.table, AS_OF)


@pytest.mark.parametrize("step", range(14))
def test_rows_that_come_in_while_a_set_is_built_are_never_kept_as_what_was_there_before(
    tiny: Tiny, step: int, monkeypatch: pytest.MonkeyPatch, built_anew: tuple[int, pa.Table]
) -> None:
    """Late rows arrive right before one of the reads of a build; the next one gives what a build from nothing gives."""
    folder, turns = tiny.folder(), count()

    def disturbed(read: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            if next(turns) == step:
                tiny.deliver("orders", [LATE] * 3)
            return read(*given, **named)

        return call

    with monkeypatch.context() as patched:
        for name in ("_window", "fingerprints", "refresh", "_rows", "stored_fingerprints"):
            patched.setattr(dataset, name, disturbed(getattr(dataset, name)))
        patched.setattr(store, "versions_of", disturbed(engine.versions_of))
        patched.setattr(engine, "compute", disturbed(engine.compute))
        built = build(tiny.lake, folder, AS_OF)
    assert tiny.delivered == 2
    kept, again = read(tiny.lake, built.table, AS_OF, built.version), build(tiny.lake, folder, AS_OF)
    rows = read(tiny.lake, again.table, AS_OF, again.version)
    assert kept.equals(rows) == (built.fingerprint == again.fingerprint)
    fingerprint, anew = built_anew
    assert fingerprint == again.fingerprint
    assert anew.equals(rows)


def test_a_date_without_a_population_is_left_out_and_ends_nothing(prepared: Tiny) -> None:
    whole = build(prepared.lake, prepared.folder(), AS_OF)
    empty = whole.split.train[-1]
    prepared.write("population.sql", f"SELECT DISTINCT customer FROM orders WHERE $as_of <> TIMESTAMP '{empty}'")
    built = build(prepared.lake, prepared.folder(), AS_OF)
    days = set(read(prepared.lake, built.table, AS_OF)[ROW].unique().to_pylist())
    assert days == set(whole.split.refit) - {empty}


def test_no_population_at_any_date_is_refused_by_file(prepared: Tiny) -> None:
    prepared.write("population.sql", "SELECT DISTINCT customer FROM orders WHERE customer < 0")
    with pytest.raises(TrainingError, match=r"the population is empty at every training date: check population\.sql"):
        build(prepared.lake, prepared.folder(), AS_OF)
