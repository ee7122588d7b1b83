"""What Prometheus is told, summed over the workers of a server, and the minutes that the graph is told of."""

import os
import time
import uuid
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from ml_assets.decisions.route import CHAMPION
from ml_assets.events.rows import LATENCY_BOUNDS, Traffic

_MINUTE = 60_000_000  # microseconds
_UNTOLD = 10_000  # minutes that wait for an event store that is away: a week's
_SCORES = [step / 20 for step in range(1, 20)]


class Metrics:
    """The numbers of one worker."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self._requests = Counter(
            "ml_assets_requests", "Requests that were answered", ["route", "model", "status"], registry=registry
        )
        self._seconds = Histogram(
            "ml_assets_request_seconds", "From the first byte to the answer, in seconds", ["route", "model"],
            buckets=[bound / 1000 for bound in LATENCY_BOUNDS], registry=registry,
        )  # fmt: skip
        self._scores = Histogram(
            "ml_assets_score", "P(label = 1) of answers", ["model", "version", "variant"],
            buckets=_SCORES, registry=registry,
        )  # fmt: skip
        self._decisions = Counter(
            "ml_assets_decisions", "Answers by decision", ["model", "version", "variant", "decision"], registry=registry
        )
        self._missing = Counter(
            "ml_assets_missing_features", "Features without a value", ["model", "version", "variant", "feature"],
            registry=registry,
        )  # fmt: skip
        self._stale = Counter(
            "ml_assets_stale_views", "Views past their TTL", ["model", "version", "variant", "view"], registry=registry
        )
        self._degraded = Gauge(
            "ml_assets_degraded", "1 while a part does not work", ["part"], multiprocess_mode="livemax",
            registry=registry,
        )  # fmt: skip
        # `labels` takes longer than counting; there are few combinations.
        self._child = cache(lambda metric, *labels: getattr(self, metric).labels(*labels))
        self._of_request = cache(
            lambda route, model, status: (
                self._requests.labels(route, model, status).inc, self._seconds.labels(route, model).observe
            )
        )  # fmt: skip
        self._of_row = cache(
            lambda model, version, variant, decision: (
                self._scores.labels(model, version, variant).observe,
                self._decisions.labels(model, version, variant, decision).inc,
            )
        )

    def answered(self, route: str, model: str, status: int, seconds: float) -> None:
        """One request and its answer."""
        increment, observe = self._of_request(route, model, status)
        increment()
        observe(seconds)

    def predicted(self, model: str, version: str, variant: str, score: float, decision: str) -> None:
        """One row."""
        observe, increment = self._of_row(model, version, variant, decision)
        observe(score)
        increment()

    def lacked(self, model: str, version: str, variant: str, missing: Iterable[str], stale: Iterable[str]) -> None:
        """What one row lacked."""
        for feature in missing:
            self._child("_missing", model, version, variant, feature).inc()
        for view in stale:
            self._child("_stale", model, version, variant, view).inc()

    def degraded(self, part: str, *, now: bool) -> None:
        """Whether a part does not work."""
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


class Minute:
    """The requests of a variant of a model since `since`, for `Traffic`.

    How long it lasts a clock says that nobody sets: a row never ends before it begins.

    Args:
        since: microseconds since 1970, UTC.
        begun: microseconds of that other clock.
    """

    def __init__(self, since: int, begun: int) -> None:
        self.since, self.begun = since, begun
        self._refused = self._errors = 0
        self._latency = [0] * (len(LATENCY_BOUNDS) + 1)

    def count(self, status: int, seconds: float) -> None:
        """One request."""
        self._latency[bisect_left(LATENCY_BOUNDS, 1000 * seconds)] += 1
        if status >= 500:
            self._errors += 1
        elif status >= 400:
            self._refused += 1

    def row(self, model: str, worker: str, now: int, variant: str = CHAMPION) -> Traffic:
        """What is written down, at a moment of the clock that says how long it lasted."""
        until = self.since + max(now - self.begun, 1)
        latency = msgspec.json.encode(self._latency).decode()
        return Traffic(
            model, worker, self.since, until, sum(self._latency), self._refused, self._errors, latency, variant
        )


def _elapsed() -> int:
    """Microseconds of a clock that goes forward only."""
    return time.monotonic_ns() // 1000


class Minutes:
    """What a worker has counted of each model, and the event store does not have yet."""

    def __init__(self) -> None:
        self._worker = uuid.uuid4().hex  # a name that no other process has
        self._counted: dict[tuple[str, str], Minute] = {}
        self._untold: deque[Traffic] = deque(maxlen=_UNTOLD)

    def of(self, model: str, variant: str = CHAMPION) -> Minute:
        """The minute of a variant that is counted now."""
        minute = self._counted.get((model, variant))
        if minute is None:
            minute = self._counted[model, variant] = Minute(time.time_ns() // 1000, _elapsed())
        return minute

    def over(self, model: str | None, *, force: bool) -> tuple[Traffic, ...]:
        """The minutes that are over, or all of them; of `model` at least an empty one where none is counted."""
        now = _elapsed()
        if force and not self._counted and model is not None:
            self.of(model)
        for key in [key for key, minute in self._counted.items() if force or now - minute.begun >= _MINUTE]:
            self._untold.append(self._counted.pop(key).row(key[0], self._worker, now, key[1]))
        return tuple(self._untold)

    def forget(self, told: int) -> None:
        """Leave out the first ones: they were written down, and meanwhile others were added."""
        for _ in range(told):
            self._untold.popleft()
