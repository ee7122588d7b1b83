"""Rows that correct others: an independent second opinion in pandas, and nothing of before changes."""

# ruff: noqa: DTZ001 - the lake's times are naive UTC

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml_assets.features.engine import compute
from ml_assets.features.query import check
from ml_assets.features.store import fingerprints, refresh
from ml_assets.features.view import Relation, View
from ml_assets.ingest.ingest import ingest
from ml_assets.ingest.undo_delivery import undo
from ml_assets.spec.source import SourceSpec
from ml_assets.storage.lake import Lake
from ml_assets_tests.conftest import shared

TABLE, START, DAY = "shop/raw/orders", datetime(2026, 1, 1), timedelta(days=1)
SQL = "SELECT customer, count(*) AS n, sum(amount) AS total, max(amount) AS largest FROM orders GROUP BY customer"
QUERY = check(SQL, ["orders"], where="shop/features/view.sql")
DAYS = [date(2026, 1, 1) + 2 * nr * DAY for nr in range(9)]
SCHEMA = pa.schema([
    ("customer", pa.string()), ("line", pa.int64()), ("at", pa.timestamp("us")), ("seen", pa.timestamp("us")),
    ("amount", pa.float64()),
])  # fmt: skip


@dataclass
class Feed:
    """A source that is delivered day by day, and the same rows as pandas has them."""

    root: Path
    known_at: bool
    on_change: str | None
    rows: list[dict[str, Any]] = field(default_factory=list)
    places: int = 0

    def __post_init__(self) -> None:
        self.lake = Lake(str(self.root / "lake"), shared)
        known = "seen" if self.known_at else None
        self.spec = SourceSpec(
            name="orders", files="orders/*.parquet", event_time="at", known_at=known,
            key=["customer", "line"], on_change=self.on_change, tolerance=timedelta(days=400),
        )  # fmt: skip

    def view(self, lookback: timedelta | None, horizon: timedelta | None = None) -> View:
        relation = Relation("orders", TABLE, "at", self.spec.known_at, tuple(self.spec.key))
        return View("shop/features/view", QUERY, "customer", (relation,), (), lookback, horizon)

    def deliver(self, day: int, files: Mapping[str, Sequence[tuple[int, int, int, int]]]) -> None:
        """Rows of (customer and line, event day, known day, amount), a file each, all delivered on a day."""
        (self.root / "orders").mkdir(exist_ok=True)
        now = START + day * DAY + timedelta(hours=12)
        for name in sorted(files):
            rows = [
                {"customer": f"c{k % 2}", "line": k, "at": START + at * DAY, "seen": START + seen * DAY,
                 "amount": amount / 7}
                for k, at, seen, amount in files[name]
            ]  # fmt: skip
            pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), self.root / "orders" / f"{name}.parquet")
            for row in self.rows if self.on_change == "replace" else ():
                if row["file"] == name and row["until"] is None:
                    row["until"] = now
            replaced = self.on_change == "replace" and any(row["file"] == name for row in self.rows)
            for row in rows:
                self.places += 1
                more = {"file": name, "delivered": now, "since": now if replaced else None, "until": None}
                self.rows.append(row | more | {"place": self.places})
        done = ingest(self.lake, TABLE, self.spec, self.root, now=now)
        assert (done.refused, done.held_back, len(done.new_files)) == ((), (), len(files))

    def expected(self, window: tuple[datetime | None, datetime]) -> list[dict[str, Any]]:
        """The view as pandas computes it, row by row and without the engine."""
        start, end = window
        frame = pd.DataFrame(self.rows)
        known = frame["seen"] if self.known_at else frame["at"]
        fresh = frame["delivered"] == frame.groupby(["customer", "line"])["delivered"].transform("min")
        seen = (frame["at"] < end) & (known < end) & (fresh | (frame["delivered"] < end))
        seen &= frame["since"].isna() | (pd.to_datetime(frame["since"]) < end)
        seen &= frame["until"].isna() | (pd.to_datetime(frame["until"]) >= end)
        chosen = frame[seen].assign(known=known[seen]).sort_values(["delivered", "known", "place"], kind="stable")
        last = chosen.groupby(["customer", "line"]).tail(1).sort_values("place")
        last = last if start is None else last[last["at"] >= start]
        rows = []
        for customer, group in last.groupby("customer"):
            total = 0.0
            for amount in group["amount"]:
                total += amount
            rows.append({"customer": customer, "n": len(group), "total": total, "largest": group["amount"].max()})
        return rows


def computed(feed: Feed, view: View) -> dict[date, list[dict[str, Any]]]:
    """The view's rows at each day, by the engine."""
    return {
        day: sorted(rows.drop_columns("as_of").to_pylist(), key=lambda row: str(row["customer"]))
        for day, rows in compute(feed.lake, view, DAYS, workers=1)
    }


_ROW = st.tuples(st.integers(0, 5), st.integers(0, 14), st.integers(0, 14), st.integers(1, 99))
_FILE = st.lists(_ROW, min_size=1, max_size=5)
_DELIVERY = st.dictionaries(st.sampled_from(["a", "b", "c"]), _FILE, min_size=1, max_size=2)


@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    deliveries=st.lists(_DELIVERY, min_size=2, max_size=3),
    gaps=st.lists(st.integers(1, 5), min_size=3, max_size=3),
    known_at=st.booleans(),
    on_change=st.sampled_from([None, "replace"]),
    lookback=st.sampled_from([None, timedelta(days=5)]),
    horizon=st.sampled_from([None, timedelta(days=3)]),
)
def test_the_engine_sees_what_pandas_sees_and_a_correction_changes_nothing_of_before(
    tmp_path_factory: pytest.TempPathFactory,
    deliveries: list[dict[str, list[tuple[int, int, int, int]]]],
    gaps: list[int],
    known_at: bool,
    on_change: str | None,
    lookback: timedelta | None,
    horizon: timedelta | None,
) -> None:
    feed = Feed(tmp_path_factory.mktemp("feed"), known_at, on_change)
    view, day, unique = feed.view(lookback, horizon), 0, 100
    before: dict[date, list[dict[str, Any]]] = {}
    prints: dict[date, int] = {}
    for files, gap in zip(deliveries, gaps, strict=False):
        day += gap
        unique += 1
        marked = {name: [*rows, (90 + nr, 20, 20, unique)] for nr, (name, rows) in enumerate(files.items())}
        feed.deliver(day, marked)  # the last row makes each content another, and lies beyond all windows
        seen = computed(feed, view)
        assert seen == {at: feed.expected(view.window(at)) for at in DAYS}
        now = fingerprints(feed.lake, view, DAYS)
        changed = {at for at in before if seen[at] != before[at]}
        assert changed <= {at for at in prints if prints[at] != now[at]}, "a stale view would be kept"
        old = {row["line"] for row in feed.rows if row["delivered"] < START + day * DAY}
        if old >= {row["line"] for row in feed.rows} - {90, 91}:  # nothing but corrections came
            past = [at for at in before if view.window(at)[1] <= START + day * DAY]
            assert all(now[at] == prints[at] for at in past), "what was computed before is computed anew"
        before, prints = seen, now


@pytest.fixture
def feed(tmp_path: Path) -> Feed:
    return Feed(tmp_path, known_at=False, on_change=None)


def test_a_correction_refreshes_the_dates_after_its_delivery_that_see_its_row_and_no_other(feed: Feed) -> None:
    view = feed.view(timedelta(days=5))
    feed.deliver(1, {"a": [(0, 0, 0, 7), (1, 6, 6, 7)]})
    refresh(feed.lake, view, DAYS)
    feed.deliver(8, {"b": [(1, 6, 6, 14)]})
    assert refresh(feed.lake, view, DAYS).computed == (date(2026, 1, 11),), "windows end after the 9th, hold the 7th"
    feed.deliver(9, {"c": [(1, 2, 2, 14)]})
    assert refresh(feed.lake, view, DAYS).computed == (date(2026, 1, 11),), "its row left the window"
    assert refresh(feed.lake, view, DAYS).computed == ()


def test_what_is_taken_back_refreshes_what_it_touched_and_gives_the_digits_of_before(feed: Feed) -> None:
    view = feed.view(None)
    feed.deliver(1, {"a": [(k, k, k, k + 1) for k in range(6)]})
    before, prints = computed(feed, view), fingerprints(feed.lake, view, DAYS)
    refresh(feed.lake, view, DAYS)
    feed.deliver(7, {"b": [(1, 1, 1, 50), (3, 9, 9, 50)]})
    touched = refresh(feed.lake, view, DAYS).computed
    undo(feed.lake, TABLE, feed.spec, feed.root, "b.parquet")
    assert refresh(feed.lake, view, DAYS).computed == touched == tuple(day for day in DAYS if day > date(2026, 1, 8))
    assert (computed(feed, view), fingerprints(feed.lake, view, DAYS)) == (before, prints)


def test_rows_without_their_key_are_quarantined_by_name(feed: Feed) -> None:
    (feed.root / "orders").mkdir()
    rows = [{"customer": "a", "line": None, "at": START, "seen": START, "amount": 1.0}]
    pq.write_table(pa.Table.from_pylist([*rows, rows[0] | {"line": 1}], schema=SCHEMA), feed.root / "orders/a.parquet")
    found = ingest(feed.lake, TABLE, feed.spec, feed.root)
    assert (found.accepted, found.quarantined) == (1, 1)
    assert [reason.reason for reason in found.reasons] == ["line is null, and part of the key"]


def test_a_source_without_a_key_and_replaced_files_is_bound_as_it_always_was() -> None:
    plain = Relation("orders", TABLE, "at")
    view = View("shop/features/view", QUERY, "customer", (plain,))
    assert repr(plain) == f"Relation(name='orders', table='{TABLE}', event_time='at', known_at=None)"
    keyed = View("shop/features/view", QUERY, "customer", (Relation("orders", TABLE, "at", None, ("line",)),))
    assert view.recipe != keyed.recipe
    assert msgspec.json.decode(msgspec.json.encode(keyed), type=View).recipe == keyed.recipe
