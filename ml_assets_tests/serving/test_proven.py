"""A challenger that was quick often enough answers in the event loop, and is watched there."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ml_assets.decisions.route import CHALLENGER
from ml_assets.events.exposures import Exposure, VariantFailure
from ml_assets.events.rows import Prediction
from ml_assets.serving.variants import trials, watchdog
from ml_assets.serving.variants.crashes import CrashWatch
from ml_assets.serving.variants.watchdog import Watchdog
from ml_assets_tests.serving import released
from ml_assets_tests.serving.released import ENTITY
from ml_assets_tests.serving.rollouts import FAILS, LOOPS, customers, fragile, publish, release, route, row
from ml_assets_tests.serving.served import Served

TWO = customers(CHALLENGER, 60)
ENDS = """
import sys
from pathlib import Path
from ml_assets.serving.variants.crashes import CrashWatch
CrashWatch(Path(sys.argv[1])).end_process("r")
"""


class Run:
    """Options of a run, as ONNX Runtime has them."""

    terminate = False


@pytest.fixture
def proven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Served:
    monkeypatch.setattr(trials, "_PROVEN", 2)
    champion, challenger = release(tmp_path, 1, released.onnx()), release(tmp_path, 2, fragile(2.0))
    publish(tmp_path, route(limits=(1e4, 1e4, 1e4)), champion, challenger)
    served = Served(tmp_path)
    released.write(served.settings.online_url, dict.fromkeys(TWO, (0.5, 1, "pro")))
    return served


def _is_proven(served: Served) -> bool:
    services = served.worker.services
    split = services.models.routes[served.model].split
    return split is not None and services.trials.is_proven(split, CHALLENGER)


def _answer(served: Served, **values: Any) -> tuple[str, int]:
    (answer,) = served.predict({"instances": [row(TWO[0], **values)]})
    return answer["variant"], answer["model_version"]


def _prove(served: Served) -> None:
    for _ in range(2):
        assert not _is_proven(served)
        assert _answer(served) == (CHALLENGER, 2)
    assert _is_proven(served)


def test_a_proven_challenger_answers_by_instance_and_by_entity_as_before(proven: Served) -> None:
    with proven.client:
        _prove(proven)
        answers = proven.predict({"instances": [row(TWO[1])]}) + proven.predict({"entities": [{ENTITY: TWO[2]}]})
        for answer in answers:
            assert answer["score"] == pytest.approx(released.probability(0.5, 1, 2.0), abs=1e-6)
            assert (answer["variant"], answer["model_version"]) == (CHALLENGER, 2)
        assert proven.predict({"entities": [{ENTITY: "nobody"}]})["type"] == "unknown-entity"
    assert {each.entity: each.variant for each in proven.events(Exposure)} == dict.fromkeys(TWO[:3], CHALLENGER)
    assert [each.prediction_id for each in proven.events(Prediction)][2:] == [each["prediction_id"] for each in answers]
    assert [each for each in proven.events(VariantFailure) if "slow" not in each.reason] == []  # machines are busy


@pytest.mark.parametrize("n", [FAILS, LOOPS])
def test_a_proven_challenger_that_raises_or_takes_too_long_goes_back_to_its_thread(proven: Served, n: float) -> None:
    with proven.client:
        _prove(proven)
        began = time.monotonic()
        assert _answer(proven, n=n) == (CHALLENGER, 1)
        assert time.monotonic() - began < 0.5
        _prove(proven)
    errors = [each for each in proven.events(VariantFailure) if each.reason == "error"]
    assert [(each.entity, each.variant) for each in errors] == [(TWO[0], CHALLENGER)]


def _nobody(release: str) -> None:
    pytest.fail(f"{release} is given up")


def _work_until(true: Callable[[], object]) -> None:
    until = time.monotonic() + 20
    while not true():
        assert time.monotonic() < until
        sum(range(1000))  # work counts


@pytest.mark.parametrize("clock", ["of the thread", "none, as on macOS"])
def test_the_watchdog_ends_what_is_late_and_nothing_else_also_after_it_has_slept(
    monkeypatch: pytest.MonkeyPatch, clock: str
) -> None:
    if clock != "of the thread":
        monkeypatch.delattr(time, "pthread_getcpuclockid")
    monkeypatch.setattr(watchdog, "_IDLE", 0.01)
    dog = Watchdog(_nobody)
    for _ in range(2):
        late, early = Run(), Run()
        with dog.watch(late, 0.02, "r"):
            _work_until(partial(getattr, late, "terminate"))
        with dog.watch(early, 60, "r"):
            time.sleep(0.05)
        time.sleep(0.2)  # it sleeps now
        assert not early.terminate
    dog.close()


def test_runs_that_are_quick_are_not_taken_for_one_that_is_late() -> None:
    dog, runs = Watchdog(_nobody), list[Run]()
    until = time.monotonic() + 0.2
    while time.monotonic() < until:
        runs.append(Run())
        with dog.watch(runs[-1], 0.05, "r"):
            sum(range(1000))
    dog.close()
    assert not any(run.terminate for run in runs)


def test_a_release_that_does_not_end_though_it_is_told_to_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "_HOPELESS", 0.01)
    monkeypatch.setattr(watchdog, "LATEST", 0.02)
    given_up = list[str]()
    dog = Watchdog(given_up.append)
    with dog.watch(Run(), 0.02, "r7"):
        _work_until(lambda: given_up)
    dog.close()
    assert {*given_up} == {"r7"}


def test_a_process_that_ends_for_a_release_leaves_its_mark_and_nothing_else(tmp_path: Path) -> None:
    told = subprocess.run([sys.executable, "-c", ENDS, str(tmp_path)], capture_output=True, text=True, check=False)
    assert told.returncode == -signal.SIGKILL
    assert "release r does not end" in told.stderr
    watch = CrashWatch(tmp_path)
    assert (watch.deaths("r"), watch.deaths("other")) == (1, 0)
