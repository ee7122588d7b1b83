"""A performance report as it stands in the lake, and what people and policies ask it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from ml_assets.decisions.interval import Interval
from ml_assets.decisions.metric import report_metrics, table_metrics
from ml_assets.decisions.route import CHAMPION
from ml_assets.monitoring.performance.groups import Kind, MetricRow
from ml_assets.storage.lake import Lake
from ml_assets.storage.tables import ModelTables, as_of_key

_BIN = pa.struct([("mean", pa.float64()), ("rate", pa.float64()), ("rows", pa.float64())])
_KINDS = {
    "first": pa.date32(), "last": pa.date32(), "pooled": pa.bool_(), "model_version": pa.int64(), "rows": pa.int64(),
    "bins": pa.list_(_BIN),
    **dict.fromkeys(("kind", "slice", "slice_value", "metric", "reason", "variant"), pa.string()),
}  # fmt: skip
_SCHEMA = pa.schema([
    ("as_of", pa.date32()),
    *((field.name, _KINDS.get(field.name, pa.float64())) for field in fields(MetricRow)),
])  # fmt: skip
PAST = timedelta(days=366)
"""How far back a report looks for predictions, and its plot for earlier reports."""


@dataclass(frozen=True)
class PerformanceReport:
    """The quality of predictions as far as it is known at an as-of date.

    Args:
        as_of: `T`.
        rows: every number, measured and estimated.
        history: one row for each scored date and kind, of the last report up to `T` that had it, for the plot.
        notes: what a person is to know: what was left out, and why.
        champion: the version whose numbers `headline` gives; None = there is none.
        reused: it stood already.
        table_version: of `<folder>/performance_report`.
    """

    as_of: date
    rows: tuple[MetricRow, ...] = ()
    history: tuple[MetricRow, ...] = ()
    notes: tuple[str, ...] = ()
    champion: int | None = None
    reused: bool = False
    table_version: int | None = None

    def headline(self, metric: str) -> Interval | None:
        """The champion's metric over the pooled window, measured on labels.

        None where no label of its own predictions is mature (a new champion starts without), where the metric cannot
        be had, or where it has no interval.
        """
        return _interval(self.row(metric, "measured"))

    def estimated_metric(self, metric: str) -> Interval | None:
        """The champion's metric at the last as-of date that it scored, as its scores let expect it. No measurement."""
        return _interval(self.row(metric, "estimated"))

    def evaluated_metric(self, metric: str) -> float | None:
        """The metric in the champion's evaluation."""
        rows = (self.row(metric, "measured"), self.row(metric, "estimated"))
        return next((row.evaluated for row in rows if row is not None), None)

    def served_metric(self, metric: str) -> Interval | None:
        """The metric of answers that the champion's version served; no part of `headline`.

        Under the name that most of them have: during an experiment that of its control. Who is assigned to a name is
        chance, so the metric is the same under each.
        """
        own = (row for row in self.rows if row.metric == metric and row.variant is not None)
        mine = [row for row in own if row.model_version == self.champion]
        return _interval(max(mine, key=lambda row: (row.rows, row.variant == CHAMPION), default=None))

    def row(self, metric: str, kind: Kind) -> MetricRow | None:
        """The champion's row of all slices: measured over the pooled window, or estimated at its last date."""
        rows = [
            row
            for row in self.rows
            if (row.metric, row.kind, row.model_version) == (metric, kind, self.champion)
            and row.slice is None
            and row.variant is None
            and row.pooled == (kind == "measured")
        ]
        return max(rows, key=lambda row: row.last, default=None)

    @property
    def status(self) -> str:
        """In one sentence: what was measured, and what is an estimate only."""
        measured, estimated = self.row("base_rate", "measured"), self.row("base_rate", "estimated")
        if measured is not None:
            return f"measured on predictions of {measured.first} to {measured.last}, by version {self.champion}"
        if estimated is not None:
            return f"estimated only, from scores of {estimated.last}: no label of version {self.champion} is mature yet"
        return "; ".join(self.notes) or "the champion has not predicted yet"

    def metadata(self) -> dict[str, Any]:
        """The champion's numbers, flat, as Dagster plots them; what is not known is left out."""
        numbers: dict[str, Any] = {"status": self.status, "notes": "; ".join(self.notes)}
        for metric in table_metrics():
            numbers |= self._numbers(metric)
        for name in ("base_rate", "mean_score"):
            row = self.row(name, "measured")
            if row is not None:
                first, last = str(row.first), str(row.last)
                numbers |= {name: row.value, "rows": row.rows, "first_scored": first, "last_scored": last}
        return {name: value for name, value in numbers.items() if value not in {None, ""}}

    def _numbers(self, metric: str) -> dict[str, float | None]:
        measured, estimated = self.row(metric, "measured"), self.row(metric, "estimated")
        numbers: dict[str, float | None] = {f"{metric}_evaluated": self.evaluated_metric(metric)}
        if measured is not None:
            values = (measured.value, measured.low, measured.high, measured.drop)
            numbers |= {f"{metric}_{name}": value for name, value in zip(_MEASURED, values, strict=True)}
        if (online := self.served_metric(metric)) is not None:
            numbers[f"{metric}_served"] = online.estimate
        if estimated is not None:
            numbers |= {f"{metric}_estimated": estimated.value, f"{metric}_estimated_drop": estimated.drop}
        return numbers

    def table(self) -> list[dict[str, Any]]:
        """One row for each group of predictions, for a Markdown table: what is an estimate says so in `kind`."""
        groups: dict[tuple[Any, ...], list[MetricRow]] = {}
        for row in self.rows:
            key = (
                row.kind, row.first, row.last, row.pooled, row.model_version, row.slice, row.slice_value, row.variant,
            )  # fmt: skip
            groups.setdefault(key, []).append(row)
        return [_line(rows) for rows in groups.values()]

    def plot(self, metric: str = "roc_auc", title: str = "") -> bytes:
        """A PNG: the metric over scored dates with its interval, the evaluation, estimates dashed; and calibration."""
        from ml_assets.monitoring.plots import performance  # matplotlib

        return performance(self, metric, title)


_MEASURED = ("measured", "low", "high", "drop")


def _interval(row: MetricRow | None) -> Interval | None:
    if row is None or row.value is None or row.low is None or row.high is None:
        return None
    return Interval(row.value, row.low, row.high)


def _line(rows: Sequence[MetricRow]) -> dict[str, Any]:
    one, by_metric = rows[0], {row.metric: row for row in rows}
    reasons = {row.reason for row in rows if row.value is None and row.reason}
    drop = by_metric["roc_auc"].drop
    return {
        "kind": one.kind,
        "predictions of": str(one.last) if one.first == one.last else f"{one.first} to {one.last}",
        "by": "batch" if one.variant is None else f"served: {one.variant}",
        "version": one.model_version,
        "slice": "" if one.slice is None else f"{one.slice} = {one.slice_value}",
        "rows": one.rows,
        **{name: _shown(by_metric.get(name)) for name in (*table_metrics(), "base_rate")},
        "roc_auc drop": "" if drop is None else f"{drop:+.4f}",
        "reason": "; ".join(sorted(reasons)),
    }


def _shown(row: MetricRow | None) -> str:
    if row is None or row.value is None:
        return ""
    return f"{row.value:.4f}" + ("" if row.low is None else f" ({row.low:.4f} to {row.high:.4f})")


def to_table(as_of: date, rows: Sequence[MetricRow], notes: Sequence[str]) -> pa.Table:
    """A report as rows of its table. A note is a row without a metric, so that rows and notes are one transaction."""
    plain = [asdict(row) | {"as_of": as_of, "bins": _bins(row)} for row in rows]
    plain += [{"as_of": as_of, "reason": note} for note in notes]
    return pa.Table.from_pylist(plain, schema=_SCHEMA)


def _bins(row: MetricRow) -> list[dict[str, float]] | None:
    return None if row.bins is None else [dict(zip(("mean", "rate", "rows"), each, strict=True)) for each in row.bins]


def read(lake: Lake, name: str, as_of: date, *, champion: int | None = None, reused: bool = True) -> PerformanceReport:
    """The report of a folder at an as-of date, as it stands; empty, with a note, where there is none.

    Args:
        lake: where it is.
        name: of the folder.
        as_of: `T`.
        champion: the version whose numbers are wanted; None = the one that made the latest predictions.
        reused: what the report says of itself.
    """
    table = ModelTables(name).performance_report
    if lake.record(table, as_of_key(as_of)) is None:
        return PerformanceReport(as_of, notes=(f"there is no performance report of {name} for {as_of} yet",))
    stored = lake.query("SELECT * EXCLUDE (as_of) FROM r WHERE as_of = $day", {"day": as_of}, r=table).to_pylist()
    rows = tuple(sorted((_row(each) for each in stored if each["metric"] is not None), key=_order))
    notes = tuple(sorted(each["reason"] for each in stored if each["metric"] is None))
    latest = max(rows, key=lambda row: (row.last, row.model_version), default=None)
    version = champion if champion is not None or latest is None else latest.model_version
    return PerformanceReport(as_of, rows, _history(lake, table, as_of), notes, version, reused, lake.version(table))


def _history(lake: Lake, table: str, as_of: date) -> tuple[MetricRow, ...]:
    """A date is in several reports; the last one counts, for labels of late rows may have changed it."""
    stored = lake.query(
        "SELECT * EXCLUDE (as_of) FROM r WHERE as_of BETWEEN $first AND $day AND metric IS NOT NULL AND NOT pooled "
        "AND variant IS NULL "
        "QUALIFY row_number() OVER (PARTITION BY kind, last, model_version, metric ORDER BY r.as_of DESC) = 1",
        {"first": as_of - PAST, "day": as_of},
        r=table,
    ).to_pylist()
    return tuple(sorted((_row(each) for each in stored), key=_order))


def _row(kept: dict[str, Any]) -> MetricRow:
    bins = kept["bins"]
    plain = None if bins is None else tuple((each["mean"], each["rate"], each["rows"]) for each in bins)
    return MetricRow(**(kept | {"bins": plain}))


def _order(row: MetricRow) -> tuple[Any, ...]:
    """The pooled numbers first, then slices, then dates, then estimates; what was served last."""
    groups = (
        row.variant or "",
        row.kind == "estimated",
        not row.pooled,
        row.model_version,
        row.slice or "",
        row.slice_value or "",
    )
    return (*groups, row.last, report_metrics().index(row.metric))
