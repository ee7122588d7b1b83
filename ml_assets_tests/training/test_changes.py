import json
from datetime import datetime, time
from typing import Any

import pytest

from ml_assets.training.changes import changes, from_tag, parts
from ml_assets.training.dataset import build
from ml_assets_tests.conftest import AS_OF, FIRST, QUERIES, Tiny

LIBRARIES = {"numpy": "2.4.6"}


def _parts(shop: Tiny, libraries: dict[str, str] | None = None, **changed: Any) -> Any:
    folder = shop.folder(**changed)
    found = parts(folder, build(shop.lake, folder, AS_OF), libraries or LIBRARIES)
    assert len(json.dumps(found)) < 5000, "the tags of a registry are short"
    return from_tag(json.dumps(found))


def test_nothing_is_named_where_nothing_changed(prepared: Tiny) -> None:
    assert changes(_parts(prepared), _parts(prepared)) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"estimator": {"type": "sklearn.linear_model.LogisticRegression", "C": 0.5}},
            ["estimator.C is 0.5 (before: left out)"],
        ),
        ({"seed": 7}, ["seed is 7 (before: 0)"]),
        ({"slices": ["kind"]}, ["slices is ['kind'] (before: left out)"]),
    ],
)
def test_a_field_is_named_with_both_values(prepared: Tiny, changed: dict[str, Any], said: list[str]) -> None:
    assert changes(_parts(prepared), _parts(prepared, **changed)) == said


def test_a_query_rows_and_libraries_are_told_apart(prepared: Tiny) -> None:
    before = _parts(prepared)
    assert changes(before, _parts(prepared, {"numpy": "2.5.0"})) == ["numpy is 2.5.0 (before: 2.4.6)"]
    prepared.deliver(
        "orders", [{"customer": 1, "made_at": datetime.combine(FIRST, time()), "amount": 9.0, "kind": "a"}]
    )
    assert changes(before, _parts(prepared)) == ["rows of the same dates, which came or were corrected since"]
    prepared.write("features/habits.sql", QUERIES["features/habits.sql"].replace("avg(amount)", "max(amount)"))
    assert changes(before, _parts(prepared)) == ["the query of features/habits"]


def test_a_version_of_before_has_no_parts() -> None:
    assert from_tag(None) is None
    assert from_tag('{"declared": {"a"') is None
