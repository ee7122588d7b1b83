"""Requests to a running server at a constant rate, and the outcomes of them, some time later."""

import http.client
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from ml_assets.commands.simulation.counts import DrivenTraffic, VariantTraffic
from ml_assets.commands.simulation.customers import Customers
from ml_assets.decisions.route import CHAMPION
from ml_assets.errors import DataError

CONVERSION = 0.1
"""Of the customers that the default variant answered, so many convert."""

CONVERSION_KIND = "conversion"
_CLIENTS = 16
_OUTCOMES = 500  # of a request
_TIMEOUT = 30.0
_TRIES = 5
"""So often outcomes are reported once the traffic is over."""


@dataclass(frozen=True)
class TrafficPlan:
    """What is sent to a server.

    Args:
        url: of the server, without a path.
        model: that is asked.
        entity: the column that names a customer.
        rate: requests a second.
        seconds: how long.
        effect: by which share other variants than the champion raise conversions.
        delay: seconds after which what became of a customer is known, at the median.
        token: of a server that asks for one.
        seed: of chance.
    """

    url: str
    model: str
    entity: str
    rate: float = 50.0
    seconds: float = 300.0
    effect: float = 0.0
    delay: float = 20.0
    token: str = ""
    seed: int = 0


Progress = Callable[[int, int], None]


def drive(
    plan: TrafficPlan,
    customers: Customers,
    progress: Progress = lambda _done, _all: None,
    stop: threading.Event | None = None,
) -> DrivenTraffic:
    """Send the traffic of a plan; returns when it is over and all outcomes are reported.

    Args:
        plan: what is sent.
        customers: who ask.
        progress: told requests that were sent, and all there are.
        stop: ends it before its time.

    Raises:
        DataError: no server answers there, or it refuses the first request.
    """
    drive = _Drive(plan, customers, stop or threading.Event())
    drive.require_answer()
    with ThreadPoolExecutor(_CLIENTS + 1) as pool:
        reporter = pool.submit(drive.report)
        clients = [pool.submit(drive.send, progress) for _ in range(_CLIENTS)]
        try:
            for client in clients:
                client.result()
        finally:
            drive.over.set()
        reporter.result()
    return drive.counts


@dataclass
class _Drive:
    plan: TrafficPlan
    customers: Customers
    stop: threading.Event
    counts: DrivenTraffic = field(default_factory=DrivenTraffic)
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._random = np.random.default_rng([self.plan.seed, 1])
        self._lock = threading.Lock()
        self._sent = 0
        self._all = max(1, round(self.plan.rate * self.plan.seconds))
        self._started = time.monotonic()
        self._known = set[int]()
        self._waiting: list[tuple[float, dict[str, Any]]] = []

    def require_answer(self) -> None:
        """Refuse what would fail a thousand times: no server, no token, another model."""
        try:
            with closing(_Client(self.plan)) as client:
                status, answer = client.predict(self.customers.names[0])
        except OSError as error:
            remedy = "start `ml-assets up` or `ml-assets serve`, or say where it is with --url"
            raise DataError(f"no server answers at {self.plan.url} ({error}): {remedy}") from error
        if 400 <= status < 500:
            raise DataError(
                f"{self.plan.url} refuses traffic: {answer.get('detail')} {answer.get('remedy', '')}".strip()
            )

    def send(self, progress: Progress) -> None:
        """One client: takes the next request when it is due, until there is none."""
        with closing(_Client(self.plan)) as client:
            while (turn := self._take_turn()) is not None:
                number, place, at = turn
                if self.stop.wait(max(0.0, at - time.monotonic())):
                    return
                self._ask(client, place)
                progress(number + 1, self._all)

    def _ask(self, client: "_Client", place: int) -> None:
        began = time.monotonic()
        try:
            status, answer = client.predict(self.customers.names[place])
        except (OSError, http.client.HTTPException) as error:
            status, answer = 0, {"title": type(error).__name__}
        self._count(place, status, answer, time.monotonic() - began)

    def report(self) -> None:
        """Report outcomes as they become known; those that are left when the traffic is over, at once."""
        with closing(_Client(self.plan)) as client:
            while not self.over.wait(0.5):
                self._post(client, self._take_known(time.monotonic()))
            for _ in range(_TRIES):
                self._post(client, self._take_known(float("inf")))
                if not self._waiting:
                    break
                time.sleep(1)
        self.counts.unreported = len(self._waiting)

    def _take_turn(self) -> tuple[int, int, float] | None:
        """Number of the next request, place of the customer who sends it, and when."""
        with self._lock:
            if self._sent >= self._all or self.stop.is_set():
                return None
            number, self._sent = self._sent, self._sent + 1
            place = int(self._random.choice(len(self.customers), p=self.customers.activity))
        return number, place, self._started + number / self.plan.rate

    def _count(self, place: int, status: int, answer: dict[str, Any], seconds: float) -> None:
        with self._lock:
            self.counts.seconds = time.monotonic() - self._started
            if status != 200:
                error = f"{status} {answer.get('title', '')}".strip()
                self.counts.errors[error] = self.counts.errors.get(error, 0) + 1
                return
            row = answer["predictions"][0]
            counts = self.counts.variants.setdefault(row["variant"], VariantTraffic())
            counts.add(self.customers.names[place], row["model_version"], seconds)
            if place not in self._known:
                self._known.add(place)
                self._foresee(place, row)

    def _foresee(self, place: int, row: dict[str, Any]) -> None:
        """What will be known of a customer whom the server has answered for the first time."""
        lift = 0.0 if row["variant"] == CHAMPION else self.plan.effect
        chances = {"label": self.customers.truth[place], CONVERSION_KIND: CONVERSION * (1 + lift)}
        at = time.monotonic() + self.plan.delay * self._random.lognormal(0, 0.5)
        for kind, chance in chances.items():
            value = int(self._random.random() < chance)
            self._waiting.append((at, {"prediction_id": row["prediction_id"], "kind": kind, "value": value}))

    def _take_known(self, until: float) -> list[dict[str, Any]]:
        with self._lock:
            known = [outcome for at, outcome in self._waiting if at <= until]
            self._waiting = [each for each in self._waiting if each[0] > until]
        return known

    def _post(self, client: "_Client", outcomes: list[dict[str, Any]]) -> None:
        """Report outcomes; what a server does not take stays, and is reported again."""
        for start in range(0, len(outcomes), _OUTCOMES):
            part = outcomes[start : start + _OUTCOMES]
            if client.report(part):
                self.counts.outcomes += len(part)
            else:
                with self._lock:
                    self._waiting += [(0.0, outcome) for outcome in part]


class _Client:
    """A connection that is kept, and opened again where it was lost."""

    def __init__(self, plan: TrafficPlan) -> None:
        self._plan, self._place = plan, urlsplit(plan.url)
        self._connection: http.client.HTTPConnection | None = None

    def predict(self, customer: str) -> tuple[int, dict[str, Any]]:
        """Status and answer of a request."""
        return self._post(f"/models/{self._plan.model}/predict", {"entities": [{self._plan.entity: customer}]})

    def report(self, outcomes: list[dict[str, Any]]) -> bool:
        """Whether the server took outcomes that are known now."""
        now = datetime.now(UTC).isoformat()
        body = {"outcomes": [{**outcome, "observed_at": now, "source": "simulation"} for outcome in outcomes]}
        try:
            status, _ = self._post("/outcomes", body)
        except (OSError, http.client.HTTPException):
            return False
        return status == 200

    def _post(self, path: str, body: object) -> tuple[int, dict[str, Any]]:
        if self._connection is None:
            kind = http.client.HTTPSConnection if self._place.scheme == "https" else http.client.HTTPConnection
            self._connection = kind(self._place.netloc, timeout=_TIMEOUT)
        headers = {"Content-Type": "application/json"}
        if self._plan.token:
            headers["Authorization"] = f"Bearer {self._plan.token}"
        try:
            self._connection.request("POST", path, json.dumps(body), headers)
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        return response.status, json.loads(content)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
