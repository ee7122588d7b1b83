"""Units of variants are counted once, where they came first, whatever the clocks of servers say."""

from ml_assets.events.counts import TrafficCounts, count_traffic
from ml_assets.events.exposures import ERROR, MISSING, Exposure, ShadowAnswer, VariantFailure
from ml_assets.events.rows import Event
from ml_assets.events.store import EventStore

ONE, TWO = "7-1/0", "7-1/3"


def exposure(stage: str, unit: str, variant: str, at: int = 1) -> Exposure:
    return Exposure("churn", stage, unit, variant, f"p{unit}", at)


def failure(stage: str, unit: str, variant: str, reason: str = ERROR) -> VariantFailure:
    return VariantFailure("churn", stage, unit, variant, reason, "", 1)


def shadow(stage: str, unit: str, *, agrees: bool) -> ShadowAnswer:
    return ShadowAnswer("p", "churn", stage, unit, "challenger", "7", 0.5, "low", None, int(agrees), 9, None, 1)


def write(store: EventStore, *rows: Event) -> None:
    writer = store.writer()
    writer.write(rows)
    writer.close()


def test_nothing_recorded_is_nothing_counted(store: EventStore) -> None:
    assert count_traffic(store, "churn", [ONE, TWO]) == (TrafficCounts(ONE), TrafficCounts(TWO))


def test_a_unit_counts_at_its_first_exposure_in_the_order_of_commits(store: EventStore) -> None:
    write(store, exposure(ONE, "a", "champion", at=9), exposure(ONE, "b", "challenger"), exposure(ONE, "c", "champion"))
    write(
        store, exposure(TWO, "a", "challenger", at=5), exposure(TWO, "b", "challenger"), exposure(TWO, "d", "champion")
    )
    write(store, exposure("7-10/0", "e", "champion"), Exposure("other", ONE, "f", "champion", "p", 1))
    first, second = count_traffic(store, "churn", [ONE, TWO])
    assert first.first == {"champion": 2, "challenger": 1}
    assert second.first == {"champion": 1}
    assert second.exposed == {"challenger": 2, "champion": 1}
    assert (first.last, second.last) == (9, 5)
    (alone,) = count_traffic(store, "churn", [TWO])  # a stage that began anew leaves the one before it out
    assert alone.first == {"challenger": 2, "champion": 1}


def test_a_unit_that_two_variants_answered_in_a_stage_is_seen(store: EventStore) -> None:
    write(store, exposure(ONE, "a", "champion"), exposure(ONE, "a", "challenger"), exposure(ONE, "b", "champion"))
    write(store, exposure(TWO, "b", "challenger"))
    assert [stage.repeated for stage in count_traffic(store, "churn", [ONE, TWO])] == [1, 0]


def test_a_failure_counts_once_for_each_reason(store: EventStore) -> None:
    write(store, failure(ONE, "a", "champion"), failure(ONE, "a", "champion", MISSING), failure(ONE, "b", "challenger"))
    write(store, failure(TWO, "a", "challenger"), failure(TWO, "c", "challenger"))
    first, second = count_traffic(store, "churn", [ONE, TWO])
    assert first.failures == {ERROR: {"champion": 1, "challenger": 1}, MISSING: {"champion": 1}}
    assert second.failures == {ERROR: {"challenger": 1}}


def test_a_shadowed_unit_counts_once(store: EventStore) -> None:
    write(store, shadow(ONE, "a", agrees=True), shadow(ONE, "b", agrees=False))
    write(store, shadow(TWO, "a", agrees=False), shadow(TWO, "c", agrees=True))
    stages = count_traffic(store, "churn", [ONE, TWO])
    assert [(stage.shadowed, stage.disagreeing) for stage in stages] == [(2, 1), (1, 0)]
