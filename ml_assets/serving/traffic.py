"""Traffic of one process: requests are counted by variant, and each minute becomes a row of the event store."""

import time
import uuid
from bisect import bisect_left
from collections import deque

import msgspec

from ml_assets.decisions.route import CHAMPION
from ml_assets.events.rows import LATENCY_BOUNDS, Traffic
from ml_assets.serving.services import Services

_MINUTE = 60_000_000  # microseconds
_UNTOLD = 10_000  # minutes that wait for an event store that is away: a week's


class TrafficCounter:
    """Counts requests, for Prometheus and for the graph.

    Args:
        services: of the process.
    """

    def __init__(self, services: Services) -> None:
        self._routes = services.models.routes
        self._observe = services.metrics.observe_request
        self._recorder = services.recorder
        self.minutes = Minutes()

    def count(self, route: str, name: str, status: int, seconds: float) -> None:
        """Count a request that was answered.

        Args:
            route: its template, such as `/models/{model}/ping`.
            name: of the model; empty where there is none, or none of that name.
            status: of the answer.
            seconds: from the first byte to the answer.
        """
        self._observe(route, name, status, seconds)
        if loaded := self._routes.get(name):
            self.minutes.of(name, loaded.default.variant).count(status, seconds)

    async def write(self, *, force: bool) -> None:
        """Write the minutes that are over; `force`: all of them, as a probe whether writing works again."""
        rows = self.minutes.over(next(iter(self._routes), None), force=force)
        if rows and await self._recorder.probe(rows):
            self.minutes.forget(len(rows))


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
        """The row of the event store.

        Args:
            model: its name.
            worker: a name that no other process has.
            now: of the clock that says how long the minute lasted, microseconds.
            variant: that answered.
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
