"""The traffic of servers while the loop worked on an as-of date: volume, latency, errors."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import date
from itertools import accumulate, pairwise
from typing import Any

from ml_assets.events.rows import LATENCY_BOUNDS, Prediction, Traffic
from ml_assets.monitoring.log.take import table
from ml_assets.storage.lake import Lake, fingerprint_of


@dataclass(frozen=True)
class Served:
    """The traffic of an as-of date; a number is None where nothing was served.

    Args:
        requests: all that were answered, whatever the answer.
        refused_rate: of them, those that were the caller's fault (4xx).
        error_rate: of them, those that were not (5xx).
        latency_p50_ms: from the first byte to the answer, interpolated within a bucket of `LATENCY_BOUNDS`.
        latency_p99_ms: the same; what took longer than the last bound counts as that.
        served: answers; a request may ask for several.
        served_missing_share: of the answers, those of which a feature had no value.
        served_stale_share: of the answers, those of which a feature view was past its TTL.
    """

    requests: int | None = None
    refused_rate: float | None = None
    error_rate: float | None = None
    latency_p50_ms: float | None = None
    latency_p99_ms: float | None = None
    served: int | None = None
    served_missing_share: float | None = None
    served_stale_share: float | None = None

    @property
    def fingerprint(self) -> int:
        """Of the numbers."""
        return fingerprint_of(astuple(self))


def served_traffic(lake: Lake, folder: str, as_of: date) -> Served:
    """The traffic of servers while `as_of` was the as-of date that the loop worked on (the column `due`).

    Not the calendar week before `as_of`: an alarm would come a week late, and history has no calendar week.
    """
    return Served(**_traffic(lake, table(folder, Traffic), as_of), **_answers(lake, table(folder, Prediction), as_of))


def quantile(counts: Sequence[int], q: float) -> float:
    """Of a histogram with the bounds `LATENCY_BOUNDS`, in milliseconds, linear within a bucket.

    Args:
        counts: of each bucket, one more than there are bounds; not all are 0.
        q: from 0 to 1.
    """
    rank, edges = q * sum(counts), [0.0, *LATENCY_BOUNDS, LATENCY_BOUNDS[-1]]
    reached = accumulate(counts)
    for total, count, (low, high) in zip(reached, counts, pairwise(edges), strict=True):
        if count and total >= rank:
            return low + (high - low) * (rank - (total - count)) / count
    return edges[-1]


def _traffic(lake: Lake, traffic: str, day: date) -> dict[str, Any]:
    if lake.version(traffic) is None:
        return {}
    sums = "SELECT sum(requests)::BIGINT AS n, sum(refused) AS refused, sum(errors) AS errors FROM t WHERE due = $day"
    (totals,) = lake.query(sums, {"day": day}, t=traffic).to_pylist()
    if not totals["n"]:
        return {}
    counts = _counts(lake, traffic, day)
    quantiles = {"latency_p50_ms": 0.5, "latency_p99_ms": 0.99} if any(counts) else {}
    return {
        "requests": totals["n"],
        "refused_rate": float(totals["refused"] / totals["n"]),
        "error_rate": float(totals["errors"] / totals["n"]),
        **{name: quantile(counts, q) for name, q in quantiles.items()},
    }


def _counts(lake: Lake, traffic: str, day: date) -> list[int]:
    """The sum of the histograms; one with other bounds, of another release, is left out."""
    buckets = len(LATENCY_BOUNDS) + 1
    rows = lake.query(
        "SELECT sum(n)::BIGINT AS n FROM (SELECT unnest(latency) AS n, generate_subscripts(latency, 1) AS bucket "
        "FROM t WHERE due = $day AND len(latency) = $buckets) GROUP BY bucket ORDER BY bucket",
        {"day": day, "buckets": buckets},
        t=traffic,
    )
    return list(rows["n"].to_pylist())


def _answers(lake: Lake, log: str, day: date) -> dict[str, Any]:
    if lake.version(log) is None:
        return {}
    (row,) = lake.query(
        "SELECT count(*) AS served, avg((missing IS NOT NULL)::INT) AS served_missing_share, "
        "avg((stale IS NOT NULL)::INT) AS served_stale_share FROM l WHERE due = $day",
        {"day": day},
        l=log,
    ).to_pylist()
    return dict(row) if row["served"] else {}
