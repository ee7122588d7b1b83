"""Simulated traffic over HTTP: who comes back, what becomes of whom, what a server that refuses is answered."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from ml_assets.commands.simulation.customers import Customers
from ml_assets.commands.simulation.driver import CONVERSION, TrafficPlan, drive
from ml_assets.decisions.assignment import assign_variant, unit_point
from ml_assets.errors import DataError
from ml_assets_tests.processes import free_port


class Site(ThreadingHTTPServer):
    """A server with a champion and a challenger, half of the customers each, which notes outcomes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.outcomes: list[dict[str, Any]] = []
        self.refusal: tuple[int, dict[str, str]] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet
    server: Site

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, answer = self.server.refusal or (200, self._answer(body))
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _answer(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.path == "/outcomes":
            self.server.outcomes += body["outcomes"]
            return {"accepted": len(body["outcomes"])}
        customer = body["entities"][0]["customer"]
        self.server.asked.append(customer)
        variant = assign_variant(unit_point("salt", customer), {"challenger": 0.5}, "champion")
        version = 7 if variant == "challenger" else 6
        return {
            "predictions": [{"prediction_id": f"{variant}/{customer}", "variant": variant, "model_version": version}]
        }

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


CUSTOMERS = Customers.draw([f"c{n}" for n in range(400)], np.full(400, 0.3), np.random.default_rng(0))


def plan(url: str, **more: Any) -> TrafficPlan:
    return TrafficPlan(url, "shop", "customer", **{"rate": 1000, "seconds": 1.0, "delay": 0.1} | more)


def test_customers_come_back_some_far_more_often_than_others(site: Site) -> None:
    counts = drive(plan(site.url), CUSTOMERS)
    assert counts.requests == 1000 == len(site.asked) - 1
    assert not counts.errors
    often = sorted((site.asked.count(name) for name in {*site.asked}), reverse=True)
    assert sum(often[: len(often) // 10]) > 0.25 * 1000
    assert 250 < len(counts.variants["champion"].customers | counts.variants["challenger"].customers) <= 400


def test_what_becomes_of_a_customer_is_said_once_and_the_effect_is_the_one_that_was_asked_for(site: Site) -> None:
    counts = drive(plan(site.url, effect=4.0), CUSTOMERS)
    said = {(row["prediction_id"], row["kind"]): row["value"] for row in site.outcomes}
    customers = len(set().union(*(each.customers for each in counts.variants.values())))
    assert len(site.outcomes) == len(said) == counts.outcomes == 2 * customers
    assert counts.unreported == 0

    def rate(variant: str, kind: str) -> float:
        values = [value for (id_, of), value in said.items() if of == kind and id_.startswith(variant)]
        return float(np.mean(values))

    assert rate("champion", "conversion") == pytest.approx(CONVERSION, abs=0.08)
    assert rate("challenger", "conversion") == pytest.approx(5 * CONVERSION, abs=0.14)
    assert rate("champion", "label") == pytest.approx(CUSTOMERS.truth[0], abs=0.1)


def test_the_counts_say_who_answered_whom_and_how_long_it_took(site: Site) -> None:
    counts = drive(plan(site.url), CUSTOMERS)
    first, champion, challenger = counts.lines()
    assert first.startswith("1,000 requests of ")
    assert "answered by version 6 " in champion
    assert "answered by version 7 " in challenger


def test_errors_are_counted_by_their_kind(site: Site) -> None:
    site.refusal = (503, {"title": "event-store"})
    counts = drive(plan(site.url, seconds=0.05), CUSTOMERS)
    assert counts.errors == {"503 event-store": 50}
    assert counts.lines()[-1] == "  50 requests got 503 event-store"


def test_a_server_that_refuses_the_first_request_is_not_driven(site: Site) -> None:
    site.refusal = (404, {"detail": "there is no model 'shop'"})
    with pytest.raises(DataError, match="refuses traffic: there is no model 'shop'"):
        drive(plan(site.url), CUSTOMERS)
    assert site.asked == []


def test_where_nobody_listens_the_error_says_what_to_start() -> None:
    with pytest.raises(DataError, match="start `ml-assets up` or `ml-assets serve`, or say where it is with --url"):
        drive(plan(f"http://127.0.0.1:{free_port()}"), CUSTOMERS)
