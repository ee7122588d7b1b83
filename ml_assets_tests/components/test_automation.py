"""What starts by itself: at the date that is due, once, and nothing downstream of a blocking check that failed."""

import warnings
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from ml_assets.components.base import Result
from ml_assets.components.conditions import when_refresh_due, when_stale, when_upstream_new
from ml_assets.components.old_runs import purge

FIRST = date(2026, 1, 4)
DUE, LATER = FIRST + timedelta(weeks=2), FIRST + timedelta(weeks=3)
WEEKS = dg.TimeWindowPartitionsDefinition(
    start=str(FIRST), end=str(FIRST + timedelta(weeks=8)), cron_schedule="0 0 * * 0", fmt="%Y-%m-%d"
)


class State:
    """What the lake would say: which date is due, and where the rows are not what the sources say."""

    def __init__(self) -> None:
        self.due: list[date] = [DUE]
        self.stale: list[date] = []
        self.lacking: list[date] = []
        self.passed, self.fails = True, False


class Graph:
    """Two sources, a view of each, predictions, a report; ticks of the automation sensor."""

    def __init__(self, state: State, instance: dg.DagsterInstance, *, purged: bool) -> None:
        self.state, self.instance, self.cursor, self.purged = state, instance, None, purged
        self.assets: list[Any] = [*self._raw("a"), *self._raw("b"), *self._views(), *self._rest()]

    def _raw(self, name: str) -> Iterator[Any]:
        check = dg.AssetCheckSpec("fit", asset=f"raw_{name}", blocking=True)

        @dg.asset(name=f"raw_{name}", check_specs=[check])
        def raw() -> Result:
            passed = self.state.passed or name != "a"
            return dg.MaterializeResult(check_results=[dg.AssetCheckResult(check_name="fit", passed=passed)])

        yield raw

    def _views(self) -> Iterator[Any]:
        for name in ("a", "b"):
            condition = when_stale(lambda: self.state.due, lambda: self.state.stale)

            @dg.asset(name=f"view_{name}", deps=[f"raw_{name}"], partitions_def=WEEKS, automation_condition=condition)
            def view() -> None:
                if self.state.fails:
                    raise ValueError("the query fails")

            yield view

    def _rest(self) -> Iterator[Any]:
        @dg.asset(partitions_def=WEEKS)
        def champion() -> None: ...

        condition = when_upstream_new(lambda: self.state.due, whether_or_not=dg.AssetKey("champion"))

        @dg.asset(deps=["view_a", "view_b", champion], partitions_def=WEEKS, automation_condition=condition)
        def predictions() -> None: ...

        @dg.asset(
            deps=[predictions], partitions_def=WEEKS, automation_condition=when_upstream_new(lambda: self.state.due)
        )
        def report() -> None: ...

        renewed = when_upstream_new(lambda: self.state.due, whether_or_not=dg.AssetKey("champion"))
        renewed |= when_refresh_due(lambda: self.state.lacking)

        @dg.asset(deps=["view_a", champion], partitions_def=WEEKS, automation_condition=renewed)
        def online() -> None:
            if self.state.fails:
                raise ValueError("the store is away")

        yield from (champion, predictions, report, online)

    def tick(self, now: datetime | None = None) -> set[tuple[str, str | None]]:
        """What one look of the sensor asks for."""
        if self.purged:
            purge(self.instance, datetime.now(UTC) + timedelta(days=1))
        found = dg.evaluate_automation_conditions(self.assets, self.instance, cursor=self.cursor, evaluation_time=now)
        self.cursor = found.cursor  # type: ignore[assignment]
        return {
            (key.to_user_string(), part)
            for key in (asset.key for asset in self.assets)
            for part in found.get_requested_partitions(key)
        }

    def run(self, names: set[str], day: date | None = None) -> None:
        selection = [asset for asset in self.assets if asset.key.to_user_string() in names]
        dg.materialize(
            self.assets, selection=selection, instance=self.instance, partition_key=str(day) if day else None,
            raise_on_error=False,
        )  # fmt: skip

    def settle(self) -> list[set[tuple[str, str | None]]]:
        """Tick and run what is asked for until nothing is."""
        asked = []
        while found := self.tick():
            asked.append(found)
            assert len(asked) < 6, asked
            for day in sorted({part for _, part in found if part}):
                self.run({name for name, part in found if part == day}, date.fromisoformat(day))
        return asked


forgetful = pytest.mark.parametrize("graph", [False, True], indirect=True, ids=["kept", "purged"])
ALL = {"view_a", "view_b", "predictions", "report", "online"}


@pytest.fixture
def state() -> State:
    return State()


@pytest.fixture
def graph(state: State, request: pytest.FixtureRequest) -> Iterator[Graph]:
    """With all old runs; in tests that are `forgetful`, also with what is left of them before each look."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with dg.DagsterInstance.ephemeral() as instance:
            yield Graph(state, instance, purged=getattr(request, "param", False))


def at(day: date, *names: str) -> set[tuple[str, str | None]]:
    return {(name, str(day)) for name in names}


def test_nothing_begins_before_the_sources_are_there(graph: Graph) -> None:
    assert graph.settle() == []


def test_what_is_due_is_computed_once_in_one_run(graph: Graph) -> None:
    graph.tick()
    graph.run({"raw_a", "raw_b"})
    assert graph.settle() == [at(DUE, *ALL)]
    assert graph.settle() == []


@forgetful
def test_the_next_date_follows_when_it_is_due(graph: Graph, state: State) -> None:
    graph.run({"raw_a", "raw_b"})
    graph.settle()
    state.due = [LATER]
    assert graph.settle() == [at(LATER, *ALL)]


@forgetful
def test_new_rows_that_touch_nothing_start_nothing(graph: Graph, state: State) -> None:
    graph.run({"raw_a", "raw_b"})
    graph.settle()
    graph.run({"raw_a"})
    assert graph.settle() == []
    graph.run({"raw_a"})
    state.stale = [DUE]
    asked = graph.tick()
    state.stale = []
    assert asked >= at(DUE, "view_a", "predictions", "report", "online")


@forgetful
def test_an_older_date_is_left_alone(graph: Graph, state: State) -> None:
    graph.run({"raw_a", "raw_b"})
    graph.settle()
    state.due = [LATER]
    graph.settle()
    graph.run({"view_a", "view_b"}, DUE)  # a backfill by hand
    assert graph.settle() == []


@forgetful
def test_a_blocking_check_stops_what_is_downstream_and_nothing_else(graph: Graph, state: State) -> None:
    state.passed = False
    graph.tick()
    graph.run({"raw_a", "raw_b"})
    assert graph.settle() == [at(DUE, "view_b")]
    state.passed = True
    graph.run({"raw_a"})
    assert graph.settle() == [at(DUE, "view_a", "predictions", "report", "online")]


def test_what_failed_is_not_repeated_before_new_rows_arrive(graph: Graph, state: State) -> None:
    state.fails = True
    graph.run({"raw_a", "raw_b"})
    assert graph.settle() == [at(DUE, *ALL)]
    assert graph.settle() == []
    state.fails = False
    graph.run({"raw_a", "raw_b"})
    assert graph.settle() == [at(DUE, *ALL)]


@forgetful
def test_a_new_champion_predicts_again(graph: Graph) -> None:
    graph.run({"raw_a", "raw_b"})
    graph.settle()
    graph.run({"champion"}, DUE)
    assert graph.settle() == [at(DUE, "predictions", "report", "online")]


def test_what_the_online_store_lacks_is_written_and_nothing_follows_from_it(graph: Graph, state: State) -> None:
    graph.run({"raw_a", "raw_b"})
    graph.settle()
    state.lacking = [DUE]
    assert graph.tick() == at(DUE, "online")
    graph.run({"online"}, DUE)
    state.lacking = []
    assert graph.settle() == []
    state.lacking = [DUE]
    assert graph.tick() == at(DUE, "online"), "the next refresh"


def test_a_write_that_failed_is_tried_again_a_day_later(graph: Graph, state: State) -> None:
    graph.run({"raw_a", "raw_b"})
    graph.settle()
    state.lacking, state.fails, now = [DUE], True, datetime.now(UTC)
    assert graph.tick(now) == at(DUE, "online")
    graph.run({"online"}, DUE)
    assert graph.tick(now + timedelta(seconds=15)) == set()
    assert graph.tick(now + timedelta(days=1)) == at(DUE, "online")
