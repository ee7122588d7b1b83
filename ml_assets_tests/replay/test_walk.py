"""A replay decides as the loop would have, on what was known then; it is repeatable and registers nothing."""

import json
import math
import multiprocessing
import os
import shutil
import signal
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ml_assets.decisions.cost import costs, spans
from ml_assets.decisions.metric import estimable, watchable
from ml_assets.errors import TrainingError
from ml_assets.features.join import point_in_time
from ml_assets.replay.history import PolicyState, ReplayHistory
from ml_assets.replay.history_index import prepare
from ml_assets.replay.models import ReplayedModels
from ml_assets.replay.plot import figure
from ml_assets.replay.result import Step
from ml_assets.replay.walk import Replay, ReplayStore, replay, replayable_dates, standard_policies
from ml_assets.spec.drift import DriftSpec
from ml_assets.spec.monitor import MonitorSpec, RetrainSpec
from ml_assets.spec.performance import PerformanceSpec
from ml_assets.training.definition import ModelDefinition
from ml_assets_tests.conftest import FIRST, Row, Tiny, habits

# A tiny shop has fewer customers than reports ask for.
MONITOR = MonitorSpec(drift=DriftSpec(min_rows=20), performance=PerformanceSpec(min_rows=20))
SPAWN = multiprocessing.get_context("spawn")
NEVER = RetrainSpec(drift=None, drop=None)
EVERY = RetrainSpec(drift=None, drop=None, every="7d", cooldown=timedelta(0))
# Everything is asked at every date: what a policy does not ask for is not computed.
CURIOUS = RetrainSpec(rows=0.4, drift=0.2, floor=0.6, drop=0.05, estimate=0.1, age="5w", after=1, cooldown="7d")
# Suspects at every date, with its numbers in the sentence, and keeps its champion: only then do labels mature.
WATCHING = RetrainSpec(drift=1e-9, floor=1.0, drop=1e-9, estimate=1e-9, after=99)


def week(number: int) -> date:
    return FIRST + timedelta(weeks=number)


def replayed(shop: Tiny, policies: Mapping[str, RetrainSpec], dates: Sequence[date] = (), **changes: Any) -> Replay:
    folder = shop.folder(**changes)
    chosen = dates or replayable_dates(shop.lake, folder)
    return replay(shop.lake, folder, MONITOR, policies, chosen, store=ReplayStore(shop.root / "replay"))


def timeless(done: Replay) -> str:
    """The JSON of a replay without what was measured by a clock."""
    plain = done.to_json()
    for policy in plain["policies"].values():
        policy["seconds"] = 0
        for step in policy["steps"]:
            if step["training"]:
                step["training"]["seconds"] = 0
    return json.dumps(plain, allow_nan=False)


SERIES = st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=6, max_size=6)


@given(st.dictionaries(st.sampled_from("abcd"), SERIES, min_size=1), st.sampled_from([1, -1]), SERIES)
def test_an_area_is_never_negative_and_more_rivals_never_make_it_smaller(
    values: dict[str, list[float | None]], direction: int, rival: list[float | None]
) -> None:
    found = costs(values, [1.0] * 6, direction)
    more = costs(values | {"rival": rival}, [1.0] * 6, direction)
    assert all(cost.lost >= 0 for cost in found.values())
    assert all(more[name].lost >= found[name].lost - 1e-12 for name in found)
    mirrored = {name: [None if x is None else -x for x in series] for name, series in values.items()}
    assert costs(mirrored, [1.0] * 6, -direction) == found


def test_an_area_is_metric_times_weeks_behind_whoever_was_best_that_day() -> None:
    days = [date(2026, 1, 4), date(2026, 1, 11), date(2026, 1, 25)]
    weeks = spans(days, date(2026, 2, 1))
    assert weeks == [1, 2, 1]
    found = costs({"a": [0.9, 0.7, None], "b": [0.8, 0.8, 0.5]}, weeks, 1)
    assert [found[name].lost for name in "ab"] == pytest.approx([0.2, 0.1])
    assert [found[name].best for name in "ab"] == [1, 2]
    with pytest.raises(ValueError, match="2 values for 3 dates"):
        costs({"a": [0.1, 0.2]}, weeks, 1)


def test_a_store_computes_once_and_never_shows_half_a_file(tmp_path: Path) -> None:
    store, made = ReplayStore(tmp_path), iter(range(3))

    def make() -> dict[str, int]:
        return {"x": next(made)}

    days = (date(2026, 1, 1), date(2026, 1, 1), date(2026, 1, 2))
    assert [store.fact("kind", day, make=make) for day in days] == [{"x": 0}, {"x": 0}, {"x": 1}]
    vector = store.vector("scores", 1, make=lambda: np.array([0.25, 0.5]))
    again = store.vector("scores", 1, make=lambda: np.array([9.0]))
    assert vector.tolist() == again.tolist() == [0.25, 0.5]
    (tmp_path / "_writing").mkdir(exist_ok=True)
    (tmp_path / "_writing" / "1").write_bytes(b"half")
    store.sweep()
    assert sorted(path.name for path in tmp_path.glob("*/*")) == ["facts", "scores"]


def test_the_span_is_what_can_be_trained_and_judged(tiny: Tiny) -> None:
    folder = tiny.folder()
    dates = replayable_dates(tiny.lake, folder)
    # Horizon 2 weeks, 2 test dates: the first training date is known at the first test date, the last test date at T.
    assert (dates[0], dates[-1]) == (week(5), week(12))
    assert replayable_dates(tiny.lake, folder, week(7), week(8) + timedelta(days=1)) == [week(7), week(8)]
    searched = tiny.folder(search={"trials": 1, "C": {"low": 0.1, "high": 1.0}})
    assert replayable_dates(tiny.lake, searched)[0] > dates[0]
    with pytest.raises(TrainingError, match=f"from {week(13)} to the last.*leaves {week(5)} to {week(12)}"):
        replayable_dates(tiny.lake, folder, week(13))


def test_the_standard_policies_are_the_declared_one_taken_apart(tiny: Tiny) -> None:
    found = standard_policies(
        tiny.folder(), MonitorSpec(retrain=RetrainSpec(drift=None, floor=0.7, drop=None, after=3, age="9w"))
    )
    assert list(found) == ["never", "weekly", "drift", "performance", "declared"]
    used = {
        name: {
            field for field in ("rows", "drift", "floor", "drop", "estimate", "age", "every") if getattr(spec, field)
        }
        for name, spec in found.items()
    }
    assert used == {
        "never": set(), "weekly": {"every"}, "drift": {"drift"}, "performance": {"floor"}, "declared": {"floor", "age"},
    }  # fmt: skip
    assert found["drift"].after == found["performance"].after == 3


def test_a_trigger_that_would_silently_never_fire_is_refused() -> None:
    with pytest.raises(ValidationError, match="estimate: pr_auc cannot be estimated: use one of accuracy"):
        RetrainSpec(metric="pr_auc", estimate=0.1)


@pytest.mark.parametrize("metric", sorted(watchable()))
def test_every_metric_that_a_policy_may_watch_is_measured(walked: tuple[Tiny, Replay], metric: str) -> None:
    shop, done = walked
    history = opened(shop, shop.folder(), done.dates)
    model = history.models.candidate(week(5))
    measured = history.measure(model, [week(5), week(6), week(7)], week(9), metric)
    assert measured is not None
    assert measured.low < measured.estimate < measured.high
    assert (metric in model.metrics, metric in done.walks["never"].steps[0].metrics) == (True, True)
    if metric in estimable():
        assert history.estimate(model, week(9), metric) is not None


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory, stocked_shop: Path) -> tuple[Tiny, Replay]:
    """A shop whose history was replayed once; nobody changes what the replay kept."""
    shop = Tiny(Path(shutil.copytree(stocked_shop, tmp_path_factory.mktemp("walked") / "tiny")))
    return shop, replayed(shop, {"never": NEVER, "weekly": EVERY})


def test_never_keeps_the_first_model_and_weekly_trains_at_every_date(walked: tuple[Tiny, Replay]) -> None:
    _, done = walked
    never, weekly = done.walks["never"], done.walks["weekly"]
    assert {step.champion for step in never.steps} == {week(5)}
    assert (len(never.retrainings), never.seconds) == (0, 0)
    assert [step.champion for step in weekly.steps] == list(done.dates) == [step.as_of for step in weekly.steps]
    assert len(weekly.retrainings) == len(done.dates) - 1
    assert weekly.seconds == pytest.approx(sum(s.training.seconds for s in weekly.steps[1:] if s.training))
    assert never.steps[0].metrics == weekly.steps[0].metrics  # all start from the same model


def test_the_realised_metric_is_of_the_champions_answers_and_of_what_then_happened(walked: tuple[Tiny, Replay]) -> None:
    from sklearn.metrics import roc_auc_score

    shop, done = walked
    folder, as_of = shop.folder(), week(9)
    history = opened(shop, folder, done.dates)
    model = history.models.candidate(week(5))
    rows = point_in_time(shop.lake, folder.population, [as_of], folder.features)
    start, end = as_of, as_of + timedelta(weeks=2)
    came = shop.lake.query(
        "SELECT DISTINCT customer FROM o WHERE made_at >= $start AND made_at < $end",
        {"start": start, "end": end},
        o="shop/raw/orders",
    )
    gone = ~np.isin(rows["customer"].to_numpy(), came["customer"].to_numpy())
    step = next(step for step in done.walks["never"].steps if step.as_of == as_of)
    assert step.metrics["roc_auc"] == pytest.approx(roc_auc_score(gone, history.scores(model, as_of)))


def opened(shop: Tiny, folder: ModelDefinition, dates: Sequence[date]) -> ReplayHistory:
    known = prepare(shop.lake, folder, folder.spec.cadence.dates(dates[-1]), workers=1, say=lambda *_: None)
    return ReplayHistory(ReplayedModels(shop.lake, folder, ReplayStore(shop.root / "replay"), known), MONITOR)


def test_what_is_measured_is_what_this_champion_said_where_labels_are_mature(walked: tuple[Tiny, Replay]) -> None:
    shop, done = walked
    history = opened(shop, shop.folder(), done.dates)
    model = history.models.candidate(week(5))
    state = PolicyState(model, attempted=week(5), answered=tuple(week(n) for n in range(5, 12)))
    early, later = (history.evidence(CURIOUS, replace(state, answered=state.answered[:n]), week(5 + n)) for n in (1, 7))
    assert early.measured is None  # the labels of week 5 are known in week 7
    days = [week(n) for n in range(7, 11)]
    assert len(days) == MONITOR.performance.window
    entities, labels, scores = zip(
        *((*history._outcomes(day), history.scores(model, day)) for day in days), strict=True
    )
    from ml_assets.training.bootstrap import intervals

    told = [np.concatenate(part) for part in (labels, scores, entities)]
    found = intervals(*told, metrics=["roc_auc"], resamples=500, seed=0)["roc_auc"]
    assert later.measured is not None
    assert (later.measured.estimate, later.measured.low) == (found.estimate, found.low)
    assert later.new_rows == sum(history.index.members[week(n)] for n in range(4, 11))
    assert later.rows == sum(history.index.members[week(n)] for n in range(4))
    assert (later.trained, later.evaluated) == (week(5), model.metrics["roc_auc"])
    assert later.drifted is not None
    assert later.estimated is not None


def test_what_stands_is_reused_whoever_asks_and_the_registry_is_not_asked(walked: tuple[Tiny, Replay]) -> None:
    shop, done = walked
    versions = {path: path.stat().st_mtime_ns for path in (shop.root / "replay").glob("*/versions/*/*")}
    again = replayed(
        shop, {"never": NEVER, "weekly": EVERY, "monthly": EVERY.model_copy(update={"every": timedelta(28)})}
    )
    assert {path: path.stat().st_mtime_ns for path in (shop.root / "replay").glob("*/versions/*/*")} == versions
    assert again.to_json()["policies"]["weekly"]["steps"] == done.to_json()["policies"]["weekly"]["steps"]
    assert [step.as_of for step in again.walks["monthly"].retrainings] == [week(9)]
    assert not (shop.root / "mlflow").exists()
    assert not (shop.root / "artifacts").exists()


def test_a_lake_that_was_built_anew_gives_the_same_replay(walked: tuple[Tiny, Replay], tmp_path: Path) -> None:
    """The store names rows and not versions of tables: what it holds outlives a lake, and the lake it."""
    shop, done = walked
    other = Tiny(tmp_path)
    other.deliver("orders", habits(range(-10, 14)))
    shutil.copytree(shop.root / "replay", tmp_path / "replay")
    (facts,) = (tmp_path / "replay").glob("*/facts")
    shutil.rmtree(facts)
    assert replayed(other, {"never": NEVER, "weekly": EVERY}).to_json() == done.to_json()


def test_gates_hold_in_a_replay_but_for_latency(walked: tuple[Tiny, Replay]) -> None:
    shop, _ = walked
    slow = {"metric": "latency_p99_ms", "at_most": 1e-9}
    strict = {"metric": "roc_auc", "against": "champion", "at_least_better": 0.9}
    done = replayed(shop, {"weekly": EVERY}, ship_when=[slow, strict])
    walk = done.walks["weekly"]
    assert {step.champion for step in walk.steps} == {week(5)}
    assert walk.refused == len(walk.retrainings) == len(done.dates) - 1
    assert "against the champion" in walk.retrainings[0].training.verdict  # type: ignore[union-attr]
    assert f"{walk.refused} refused" in str(done.rows()[0]["retrained"])


def test_without_a_champion_every_date_tries_again_and_nothing_is_made_up(walked: tuple[Tiny, Replay]) -> None:
    shop, _ = walked
    done = replayed(shop, {"never": NEVER, "weekly": EVERY}, ship_when=[{"metric": "roc_auc", "at_least": 0.9999}])
    for walk in done.walks.values():
        assert [step.action for step in walk.steps] == ["retrain"] * len(done.dates)
        assert all(step.champion is None and step.metrics == {} for step in walk.steps)
        assert (walk.retrainings, walk.mean("roc_auc")) == ([], None)
    assert json.dumps(done.to_json(), allow_nan=False)
    assert figure(done).startswith(b"\x89PNG")


def test_the_answer_is_plain_and_the_picture_the_same_every_time(walked: tuple[Tiny, Replay]) -> None:
    _, done = walked
    plain = json.loads(json.dumps(done.to_json(), allow_nan=False))
    assert set(plain["policies"]) == {"never", "weekly"}
    assert plain["lost_least"] in plain["policies"]
    assert len(plain["policies"]["weekly"]["steps"]) == len(done.dates)
    assert {row["policy"] for row in done.rows()} == {"never", "weekly"}
    assert all(math.isfinite(done.metadata()[f"lost_{name}"]) for name in done.walks)
    assert figure(done) == figure(done)


def _replay_until_killed(root: str, moment: int) -> None:
    def say(done: int, _all: int, what: str) -> None:
        if what.startswith("20") and done == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    shop = Tiny(Path(root))
    folder, store = shop.folder(), ReplayStore(shop.root / "replay")
    replay(
        shop.lake,
        folder,
        MONITOR,
        standard_policies(folder, MONITOR),
        replayable_dates(shop.lake, folder),
        store=store,
        say=say,
    )


@pytest.mark.slow
def test_a_replay_that_is_killed_again_and_again_ends_as_if_it_had_not_been(tiny: Tiny, tmp_path: Path) -> None:
    undisturbed = Tiny(Path(shutil.copytree(tiny.root, tmp_path / "undisturbed")))
    for moment in (3, 13, 29):
        process = SPAWN.Process(target=_replay_until_killed, args=(str(tiny.root), moment))
        process.start()
        process.join(timeout=300)
        assert process.exitcode == -signal.SIGKILL
    policies = standard_policies(tiny.folder(), MONITOR)
    assert timeless(replayed(tiny, policies)) == timeless(replayed(undisturbed, policies))


def _changed(rows: Sequence[Row], after: date, seed: int, share: float) -> list[Row]:
    """The same rows before a date; from there on some are left out and the others are changed."""
    rng = np.random.default_rng(seed)
    kept = [row for row in rows if row["made_at"].date() < after or rng.random() < share]
    return [
        row if row["made_at"].date() < after else {**row, "amount": float(rng.normal(200, 50)), "kind": "z"}
        for row in kept
    ]


def _decision(step: Step) -> tuple[object, ...]:
    gates = step.training and (step.training.shipped, step.training.verdict)
    return (step.as_of, step.action, step.reason, step.triggers, step.champion, gates)


@pytest.mark.slow
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 1000), share=st.floats(0.3, 1.0), cut=st.integers(9, 12))
def test_what_happens_after_an_as_of_date_never_changes_a_decision_up_to_it(seed: int, share: float, cut: int) -> None:
    """The one promise of a replay: the files are others, the rows before the cut are not."""
    rows = habits(range(-10, 16), seed=seed)
    dates, decided = [week(n) for n in range(5, cut + 1)], []
    for future in (rows, _changed(rows, week(cut), seed, share)):
        with tempfile.TemporaryDirectory() as root:
            shop = Tiny(Path(root))
            shop.deliver("orders", future)
            done = replayed(shop, {"curious": CURIOUS, "watching": WATCHING}, dates)
            decided.append([_decision(step) for walk in done.walks.values() for step in walk.steps])
    assert decided[0] == decided[1]
    assert "the measured metric is" in str(decided[0][-1])
