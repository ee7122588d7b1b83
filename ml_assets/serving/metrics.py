"""Metrics for Prometheus, summed over the workers of a server."""

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from ml_assets.events.rows import LATENCY_BOUNDS

_SCORES = [step / 20 for step in range(1, 20)]


class Metrics:
    """The numbers of one worker."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        variant = ["model", "version", "variant"]
        seconds = [bound / 1000 for bound in LATENCY_BOUNDS]
        self._requests = Counter(
            "ml_assets_requests", "Requests that were answered", ["route", "model", "variant", "status"],
            registry=registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "ml_assets_request_seconds", "From the first byte to the answer, in seconds", ["route", "model", "variant"],
            buckets=seconds, registry=registry,
        )  # fmt: skip
        self._scores = Histogram(
            "ml_assets_score", "P(label = 1) of answers", variant, buckets=_SCORES, registry=registry
        )
        self._decisions = Counter(
            "ml_assets_decisions", "Answers by decision", [*variant, "decision"], registry=registry
        )
        self._missing = Counter(
            "ml_assets_missing_features", "Features without a value", [*variant, "feature"], registry=registry
        )
        self._stale = Counter("ml_assets_stale_views", "Views past their TTL", [*variant, "view"], registry=registry)
        self._dropped = Counter(
            "ml_assets_shadows_dropped", "Rows that no shadow answered, because too many waited", ["model"],
            registry=registry,
        )  # fmt: skip
        self._degraded = Gauge(
            "ml_assets_degraded", "1 while a part does not work", ["part"], multiprocess_mode="livemax",
            registry=registry,
        )  # fmt: skip
        # `labels` takes longer than counting; there are few combinations.
        self._child = cache(lambda metric, *labels: getattr(self, metric).labels(*labels))
        self._of_request = cache(
            lambda route, model, variant, status: (
                self._requests.labels(route, model, variant, status).inc,
                self._seconds.labels(route, model, variant).observe,
            )
        )  # fmt: skip
        self._of_row = cache(
            lambda model, version, variant, decision: (
                self._scores.labels(model, version, variant).observe,
                self._decisions.labels(model, version, variant, decision).inc,
            )
        )

    def observe_request(self, route: str, model: str, variant: str, status: int, seconds: float) -> None:
        """Count a request that was answered.

        Args:
            route: its template.
            model: its name; empty where there is none.
            variant: that its rows were assigned to; of rows of several the default one, empty where there is no model.
            status: of the answer.
            seconds: from the first byte to the answer.
        """
        increment, observe = self._of_request(route, model, variant, status)
        increment()
        observe(seconds)

    def observe_answer(self, model: str, version: str, variant: str, score: float, decision: str) -> None:
        """Count an answer.

        Args:
            model: its name.
            version: that answered.
            variant: under whose name.
            score: of the row.
            decision: that follows from it.
        """
        observe, increment = self._of_row(model, version, variant, decision)
        observe(score)
        increment()

    def count_missing(
        self, model: str, version: str, variant: str, missing: Iterable[str], stale: Iterable[str]
    ) -> None:
        """Count what one row lacked.

        Args:
            model: its name.
            version: that answered.
            variant: under whose name.
            missing: features without a value.
            stale: feature views past their TTL.
        """
        for feature in missing:
            self._child("_missing", model, version, variant, feature).inc()
        for view in stale:
            self._child("_stale", model, version, variant, view).inc()

    def count_dropped_shadows(self, model: str, rows: int) -> None:
        """Count rows that were to be answered in shadow, and are not."""
        self._child("_dropped", model).inc(rows)

    def set_degraded(self, part: str, *, now: bool) -> None:
        """Say whether a part does not work."""
        self._child("_degraded", part).set(float(now))

    def text(self) -> bytes:
        """The numbers of all workers, in Prometheus' text format."""
        if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        collector: Any = MultiProcessCollector
        collector(registry)
        return generate_latest(registry)


def forget_dead() -> None:
    """Leave out what workers that have died said of their state: nobody else would ever take it back."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    for file in Path(folder).glob("gauge_live*_*.db") if folder else ():
        try:
            os.kill(int(file.stem.rpartition("_")[2]), 0)
        except ProcessLookupError:
            file.unlink(missing_ok=True)  # as prometheus_client's `mark_process_dead` does
