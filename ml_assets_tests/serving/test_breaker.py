"""A challenger that only fails is not asked any more, and one that ends processes is not loaded: both are said."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from pathlib import Path

import httpx2
import pytest

from ml_assets.decisions.route import CHALLENGER, CHAMPION
from ml_assets.events.exposures import Exposure, VariantFailure
from ml_assets.events.store import EventStore
from ml_assets.serving.variants.crashes import CrashWatch
from ml_assets.settings import Settings
from ml_assets_tests.serving import released
from ml_assets_tests.serving.process import gone, serving
from ml_assets_tests.serving.released import MODEL
from ml_assets_tests.serving.rollouts import (
    FAILS,
    LOOPS,
    customers,
    fragile,
    publish,
    release,
    route,
    row,
)
from ml_assets_tests.serving.served import PREDICT, Served

TWO = customers(CHALLENGER, 60)
PART = f"model {MODEL} ({CHALLENGER})"
ATTEMPT = """
import os, sys
from pathlib import Path
from ml_assets.serving.variants.crashes import CrashWatch
with CrashWatch(Path(sys.argv[1])).attempt("r"):
    print("tries", flush=True)
    sys.stdin.read()
"""


def _wait(look: Callable[[], object]) -> None:
    until = time.monotonic() + 20
    while not look():
        assert time.monotonic() < until
        time.sleep(0.05)


def _holds(folder: Path, count: int) -> bool:
    return len([*folder.glob("*")]) == count


def _entities(served: Served) -> set[str]:
    return {each.entity for each in served.events(VariantFailure) if each.reason == "error"}


def test_after_twenty_failures_in_a_row_a_challenger_is_not_asked_and_its_units_count_as_failed(tmp_path: Path) -> None:
    champion = release(tmp_path, 1, released.onnx())
    challenger = release(tmp_path, 2, fragile(2.0))
    publish(tmp_path, route(), champion, challenger)
    served = Served(tmp_path)
    with served.client as client:
        for name in TWO[:19]:
            served.predict({"instances": [row(name, n=FAILS)]})
        assert served.predict({"instances": [row(TWO[19])]})[0]["model_version"] == 2  # not in a row
        assert PART not in client.get("/health").json()["degraded"]
        for name in TWO[20:40]:
            served.predict({"instances": [row(name, n=FAILS)]})
        assert served.predict({"instances": [row(TWO[40])]})[0]["model_version"] == 1
        assert "20 times in a row and is not asked any more" in client.get("/health").json()["degraded"][PART]
        assert client.get("/ready").status_code == 200
        publish(tmp_path, route(experiment="7-1/2"), champion, challenger)  # the next stage
        _wait(lambda: served.predict({"instances": [row(TWO[41])]})[0]["model_version"] == 2)
        assert PART not in client.get("/health").json()["degraded"]
    assert _entities(served) - {TWO[41]} == {*TWO[:19], *TWO[20:41]}  # which may have come before the next stage
    assert {each.entity for each in served.events(Exposure)} >= {*TWO[:42]}


def _killed_attempt(folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", ATTEMPT, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"tries\n"
        assert CrashWatch(folder).refusal("r") is None
        os.kill(process.pid, signal.SIGKILL)


def test_a_release_is_refused_once_two_processes_have_died_while_they_tried_it(tmp_path: Path) -> None:
    watch = CrashWatch(tmp_path)
    for deaths in (1, 2):
        _killed_attempt(tmp_path)
        assert watch.deaths("r") == deaths
    assert "2 processes have died" in str(watch.refusal("r"))
    assert watch.refusal("other") is None


def test_an_attempt_that_ends_leaves_no_mark_and_a_proven_release_makes_none(tmp_path: Path) -> None:
    watch, other = CrashWatch(tmp_path), CrashWatch(tmp_path)
    for _ in range(50):
        with watch.attempt("r"):
            with watch.attempt("r"):
                assert [path.name.partition(".")[0] for path in tmp_path.iterdir()] == ["r"]
            assert other.deaths("r") == 0
    with pytest.raises(OSError, match="raised"), other.attempt("r"):
        raise OSError("raised, which is no crash")
    with watch.attempt("r"):
        assert [*tmp_path.iterdir()] == []


def test_a_release_that_ends_workers_is_refused_and_its_units_count_as_failed(tmp_path: Path) -> None:
    """The workers are killed while they try it, as a crash of ONNX Runtime would end them."""
    publish(tmp_path, route(1.0), release(tmp_path, 1, released.onnx()), release(tmp_path, 2, fragile(2.0)))
    marks = tmp_path / "serving" / "trying"
    with serving(tmp_path) as server, ThreadPoolExecutor() as clients:
        for deaths in (1, 2):
            server.wait("an answer", lambda: server.get(f"/models/{MODEL}/ping").status_code == 200)
            (worker,) = server.workers()
            lost = clients.submit(httpx2.post, server.url + PREDICT, json={"instances": [row("c1", n=LOOPS)]})
            server.wait("an attempt", partial(_holds, marks, deaths))
            os.kill(worker, signal.SIGKILL)
            assert isinstance(lost.exception(), httpx2.TransportError)
            server.wait("its end", partial(gone, worker))
        why = server.wait("its refusal", lambda: server.health().get(PART))
        assert why.startswith("version 2 is refused: 2 processes have died while they tried it")
        answered = server.post(PREDICT, {"instances": [row("c2")]}).json()["predictions"][0]
        assert (answered["variant"], answered["model_version"]) == (CHALLENGER, 1)
    with EventStore(Settings(data=tmp_path).event_store_url) as store:
        (failure,) = store.read_since(VariantFailure, 0, 10, model=MODEL).rows
    assert (failure.entity, failure.variant, failure.reason) == ("c2", CHALLENGER, "error")


def test_a_challenger_that_cannot_be_loaded_counts_as_failed(tmp_path: Path) -> None:
    """Not at its first look: the follower may be about to fetch it again."""
    champion, challenger = release(tmp_path, 1, released.onnx()), release(tmp_path, 2, fragile(2.0))
    artifact = tmp_path / "serving" / f"{sha256(fragile(2.0)).hexdigest()}.onnx"
    content = artifact.read_bytes()
    artifact.unlink()
    publish(tmp_path, route(1.0), champion, challenger)
    served = Served(tmp_path)

    def asked() -> tuple[str, int]:
        publish(tmp_path, route(1.0), champion, challenger)  # the follower writes once a second
        time.sleep(0.3)
        (answer,) = served.predict({"instances": [row("c1")]})
        return answer["variant"], answer["model_version"]

    with served.client as client:
        assert asked() == (CHAMPION, 1)
        _wait(lambda: asked() == (CHALLENGER, 1))
        assert "version 2 cannot be loaded" in client.get("/health").json()["degraded"][PART]
        artifact.write_bytes(content)
        _wait(lambda: asked() == (CHALLENGER, 2))
    assert _entities(served) == {"c1"}
