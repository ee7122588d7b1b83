import json
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from pydantic import ValidationError

from ml_assets.features.view import View
from ml_assets.spec.label_values import LabelValues
from ml_assets.spec.view import ViewSpec
from ml_assets_tests.conftest import Shop

DAY = timedelta(days=1)


def test_a_view_survives_json(shop: Shop) -> None:
    population = shop.view("SELECT DISTINCT customer FROM orders", "population", lookback=3 * DAY)
    label = shop.view(
        "SELECT customer, max(weight) > $as_of::VARCHAR::DOUBLE AS label FROM population JOIN tickets USING (customer) "
        "GROUP BY customer",
        "labels", horizon=90 * DAY, views=(("population", population),),
    )  # fmt: skip
    for view in (population, label):
        plain = msgspec.to_builtins(view, builtin_types=(timedelta,))
        again = msgspec.convert(json.loads(json.dumps(plain, default=timedelta.total_seconds)), View, strict=False)
        assert again == view
        assert again.kept == view.kept


def test_everything_that_decides_a_result_decides_the_table(shop: Shop) -> None:
    sql = "SELECT DISTINCT customer FROM orders"
    views = [
        shop.view(sql),
        shop.view(sql, lookback=DAY),
        shop.view(sql, horizon=DAY),
        shop.view(f"{sql} WHERE amount > 0"),
        shop.view(sql.replace("orders", "tickets")),
    ]
    assert len({view.kept for view in views}) == len(views)
    assert shop.view(sql, "features/other").recipe == shop.view(sql).recipe


@pytest.mark.parametrize("name", ["Purchases", "2nd", "a-b", "", "a b", "a/b"])
def test_a_name_that_is_no_asset_key_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        ViewSpec(name=name, sql="a.sql")


def test_a_hash_that_is_stored_outlives_the_names_of_classes(shop: Shop) -> None:
    """Another one would compute all that a lake holds anew, and train."""
    view = shop.view("SELECT DISTINCT customer FROM orders", lookback=3 * DAY)
    label = replace(view, outcome=LabelValues(("a", "b", "c")), lookback=None, horizon=90 * DAY)
    assert (view.recipe, label.recipe) == ("a57b31eae551", "b590a7b89bec")
