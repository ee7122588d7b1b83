"""Traffic of one process: requests are counted by variant, and each minute becomes a row of the event store."""

import time
import uuid
from bisect import bisect_left
from collections import deque

import msgspec

from ml_assets.events.rows import LATENCY_BOUNDS, Traffic
from ml_assets.serving.services import Services

_MINUTE = 60_000_000  # microseconds
_MOST_UNWRITTEN = 10_000  # minutes that wait for an event store that is away: a week's


class TrafficCounter:
    """Counts requests, for Prometheus and for the graph."""

    def __init__(self, services: Services) -> None:
        self._routes = services.models.routes
        self._observe = services.metrics.observe_request
        self._recorder = services.recorder
        self.minutes = Minutes()

    def count(self, route: str, name: str, status: int, seconds: float, variant: str | None = None) -> None:
        """Count a request that was answered.

        Args:
            route: its template, such as `/models/{model}/ping`.
            name: of the model; empty where there is none, or none of that name.
            status: of the answer.
            seconds: from the first byte to the answer.
            variant: that was asked; None: the default one, as where a request was refused before one was chosen.
        """
        loaded = self._routes.get(name)
        label = variant or (loaded.default.variant if loaded else "")
        self._observe(route, name, label, status, seconds)
        if loaded:
            self.minutes.current(name, label).count(status, seconds)

    async def write(self, *, force: bool) -> None:
        """Write the minutes that are over; `force`: all of them, and at least one, as a probe of the event store."""
        probe = next(((name, route.default.variant) for name, route in self._routes.items()), None)
        rows = self.minutes.take_finished(probe, force=force)
        if rows and await self._recorder.probe(rows):
            self.minutes.forget(len(rows))


class Minute:
    """The requests of a variant of a model in about a minute, for `Traffic`.

    It is as long as a monotonic clock says, so a row never ends before it begins.

    Args:
        since: microseconds since 1970, UTC.
        begun: the same moment by the monotonic clock, microseconds.
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

    def row(self, model: str, variant: str, worker: str, now: int) -> Traffic:
        """The row of the event store.

        Args:
            model: its name.
            variant: that answered.
            worker: a name that no other process has.
            now: of the clock that says how long the minute lasted, microseconds.
        """
        until = self.since + max(now - self.begun, 1)
        latency = msgspec.json.encode(self._latency).decode()
        return Traffic(
            model, worker, self.since, until, sum(self._latency), self._refused, self._errors, latency, variant
        )


def _elapsed() -> int:
    """Microseconds of a clock that goes forward only."""
    return time.monotonic_ns() // 1000


class Minutes:
    """The minutes of a worker that the event store does not have yet, by model and variant."""

    def __init__(self) -> None:
        self._worker = uuid.uuid4().hex  # a name that no other process has
        self._counted: dict[tuple[str, str], Minute] = {}
        self._unwritten: deque[Traffic] = deque(maxlen=_MOST_UNWRITTEN)

    def current(self, model: str, variant: str) -> Minute:
        """The minute of a variant that is counted now."""
        minute = self._counted.get((model, variant))
        if minute is None:
            minute = self._counted[model, variant] = Minute(time.time_ns() // 1000, _elapsed())
        return minute

    def take_finished(self, probe: tuple[str, str] | None, *, force: bool) -> tuple[Traffic, ...]:
        """The minutes that are over and not written; `force`: all, an empty one of `probe` where none is counted."""
        now = _elapsed()
        if force and not self._counted and probe is not None:
            self.current(*probe)
        for key in [key for key, minute in self._counted.items() if force or now - minute.begun >= _MINUTE]:
            self._unwritten.append(self._counted.pop(key).row(*key, self._worker, now))
        return tuple(self._unwritten)

    def forget(self, count: int) -> None:
        """Drop the first ones: they are written, and meanwhile others were added."""
        for _ in range(count):
            self._unwritten.popleft()
