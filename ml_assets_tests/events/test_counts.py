"""Units of variants are counted once, where they came first, whatever the clocks of servers say."""

import numpy as np

from ml_assets.events.counts import TrafficCounts, TrafficTally, count_traffic, tally_traffic
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


def test_counts_that_go_on_from_earlier_ones_are_those_of_all_rows(store: EventStore) -> None:
    """Units return, in later stages and under the other variant; between two tallies some rows come, or none."""
    rng, names, tally = np.random.default_rng(1), [ONE], TrafficTally()
    for turn in range(24):
        rows = list[Event]()
        for _ in range(rng.integers(0, 40)):
            stage, unit, variant = rng.choice(names), f"u{rng.integers(60)}", rng.choice(["champion", "challenger"])
            rows.append(exposure(stage, unit, variant, at=int(rng.integers(1_000))))
            if rng.random() < 0.3:
                rows.append(failure(stage, unit, variant, rng.choice([ERROR, MISSING])))
            if rng.random() < 0.3:
                rows.append(shadow(stage, unit, agrees=bool(rng.random() < 0.5)))
        write(store, *rows, Exposure("other", ONE, f"u{turn}", "champion", "p", 1))
        if turn == 12:
            names = [ONE, TWO]
        tally = tally_traffic(store, "churn", names, tally)
        assert tally == tally_traffic(store, "churn", names)
    assert tally.counts[0].repeated > 10


def test_a_store_that_was_put_back_is_counted_anew(store: EventStore) -> None:
    write(store, exposure(ONE, "a", "champion"))
    ahead = TrafficTally((TrafficCounts(ONE, {"champion": 9}),), {"exposures": 9})
    assert tally_traffic(store, "churn", [ONE], ahead).counts[0].first == {"champion": 1}


def test_the_units_that_are_counted_still_are_spared_by_the_retention(store: EventStore) -> None:
    write(store, exposure(ONE, "a", "champion"), exposure(TWO, "b", "champion"), failure(ONE, "a", "champion"))
    for kind in (Exposure, VariantFailure):
        store.mark_exported(kind, "churn", store.last(kind))
    assert store.retain("churn", 10, spared=[ONE]) == 1
    (first, second) = count_traffic(store, "churn", [ONE, TWO])
    assert (first.first, first.failures, second.first) == ({"champion": 1}, {ERROR: {"champion": 1}}, {})
    assert store.retain("churn", 10) == 2


def test_a_shadowed_unit_counts_once(store: EventStore) -> None:
    write(store, shadow(ONE, "a", agrees=True), shadow(ONE, "b", agrees=False))
    write(store, shadow(TWO, "a", agrees=False), shadow(TWO, "c", agrees=True))
    stages = count_traffic(store, "churn", [ONE, TWO])
    assert [(stage.shadowed, stage.disagreeing) for stage in stages] == [(2, 1), (1, 0)]
