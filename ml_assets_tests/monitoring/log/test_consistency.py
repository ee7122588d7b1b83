"""What the server saw is what the offline store says, or the check names what is not."""

import json

from ml_assets.events.rows import prediction_id
from ml_assets.monitoring.log.consistency import Consistency, FeatureMismatch, consistency
from ml_assets_tests.conftest import AS_OF, habits
from ml_assets_tests.monitoring.answered import Answered
from ml_assets_tests.monitoring.predicted import WEEK, weeks
from ml_assets_tests.serving.traffic import write


def compared(answered: Answered) -> Consistency:
    answered.take(AS_OF)
    return consistency(answered.lake, answered.of.shelf, answered.of.folder)


def test_nothing_served_is_nothing_compared(answered: Answered) -> None:
    assert consistency(answered.lake, answered.of.shelf, answered.of.folder) == Consistency()
    first = answered.answer(AS_OF, most=1)[0]
    with_request = first._replace(prediction_id=prediction_id("shop", 1), as_of=None, features='{"orders": -1}')
    write(answered.store, with_request)
    found = compared(answered)
    assert (found.vectors, found.agreed, found.share, found.days) == (1, 1, 1.0, (AS_OF,))


def test_the_last_dates_agree_row_by_row(answered: Answered) -> None:
    counts = [len(answered.answer(day)) for day in weeks(-2, -1, 0)]
    found = compared(answered)
    assert (found.vectors, found.agreed) == (sum(counts[1:]), sum(counts[1:]))
    assert found.days == tuple(weeks(-1, 0))


def test_what_differs_is_named_with_both_values(answered: Answered) -> None:
    rows = answered.answer(AS_OF, most=10)
    seen = json.loads(rows[0].features)
    bad = [
        rows[0]._replace(features=json.dumps(seen | {"orders": seen["orders"] + 1})),
        rows[1]._replace(features=json.dumps(json.loads(rows[1].features) | {"kind": None})),
        rows[2]._replace(entity="9999"),
        rows[3]._replace(features="{}"),
    ]
    write(answered.store, *(row._replace(prediction_id=prediction_id("shop", n)) for n, row in enumerate(bad)))
    found = compared(answered)
    assert (found.vectors, found.agreed, len(found.examples)) == (14, 10, 4)
    differing: dict[tuple[str | None, str], FeatureMismatch] = {
        (each.entity, each.feature): each for each in found.examples
    }
    orders = differing[rows[0].entity, "orders"]
    assert (float(orders.served or 0), float(orders.offline or 0)) == (seen["orders"] + 1, seen["orders"])
    assert differing[rows[1].entity, "kind"].served is None
    assert differing["9999", "orders"].offline == "not in the population"
    assert isinstance(orders, FeatureMismatch)


def test_numbers_are_the_same_to_the_precision_of_a_float32(answered: Answered) -> None:
    rows = answered.answer(AS_OF, most=2)
    for number, (row, error) in enumerate(zip(rows, (1e-9, 1e-5), strict=True)):
        seen = json.loads(row.features)
        features = json.dumps(seen | {"orders": seen["orders"] * (1 + error)})
        write(answered.store, row._replace(prediction_id=prediction_id("shop", number), features=features))
    found = compared(answered)
    assert (found.vectors, found.agreed) == (4, 3)


def test_rows_that_come_late_show_what_was_served_without_them(answered: Answered) -> None:
    answered.answer(AS_OF)
    assert compared(answered).share == 1.0
    late = [row for row in habits(range(13, 14), seed=5) if row["made_at"].date() < AS_OF]
    answered.of.shop.deliver("orders", late)
    found = compared(answered)
    assert found.share is not None
    assert found.share < 1.0
    assert {each.feature for each in found.examples} >= {"orders"}
    assert AS_OF - WEEK not in found.days
