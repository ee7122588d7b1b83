"""What is declared of fairness is refused where it cannot be measured, and decides nothing of a fit."""

from datetime import timedelta
from typing import Any

import pytest

from ml_assets.errors import DeclarationError
from ml_assets.settings import PROJECT
from ml_assets.spec.fairness import FairnessSpec
from ml_assets.spec.model import ModelSpec
from ml_assets_tests.conftest import MODEL, Tiny

GROUPS = "SELECT customer, min(kind) AS age_band FROM orders GROUP BY customer"


@pytest.fixture
def declared(tiny: Tiny) -> Tiny:
    tiny.write("groups.sql", GROUPS)
    return tiny


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, "groups"),
        ({"groups": []}, "at least 1 item"),
        ({"groups": ["a", "a"]}, "a comes twice: keep it once"),
        (
            {"groups": ["a"], "metrics": ["roc_auc"]},
            "metrics name 'roc_auc', which is not measured: use",
        ),
        ({"groups": ["a"], "at_most": 0}, "greater than 0"),
        ({"groups": ["a"], "metric": ["tpr"]}, "unknown field 'metric': did you mean 'metrics'"),
    ],
)
def test_a_declaration_that_cannot_be_measured_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FairnessSpec.model_validate(wrong)


def test_a_metric_is_one_of_the_kind_of_label() -> None:
    with pytest.raises(
        ValueError, match=r"fairness\.metrics: accuracy is not of this label, use selection_rate or tpr"
    ):
        ModelSpec(**MODEL | {"fairness": {"groups": ["a"], "metrics": ["accuracy"]}})
    several = MODEL | {"label": {"sql": "label.sql", "horizon": "14d", "classes": ["a", "b", "c"]}}
    with pytest.raises(ValueError, match=r"fairness\.metrics: tpr is not of this label, use accuracy or review_share"):
        ModelSpec(**several | {"fairness": {"groups": ["a"], "metrics": ["tpr"]}})
    assert ModelSpec(**several | {"fairness": {"groups": ["a"]}}).fairness is not None


def test_what_it_trains_on_and_is_judged_on_is_as_without_it() -> None:
    plain, declared = ModelSpec(**MODEL), ModelSpec(**MODEL | {"fairness": {"groups": ["age_band"], "at_most": 0.2}})
    assert (declared.trains_on, declared.judged_on) == (plain.trains_on, plain.judged_on)


def test_groups_are_columns_of_their_query_and_no_view_of_the_training_set(declared: Tiny) -> None:
    folder = declared.folder(fairness={"groups": ["age_band"]})
    assert folder.groups is not None
    assert folder.groups.table == "shop/fairness_report/groups"
    assert (folder.columns, folder.features) == (declared.folder().columns, declared.folder().features)
    for wrong, message in {
        "age": r"fairness.groups: 'age' is no column of groups.sql: did you mean 'age_band'\?",
        "customer": "fairness.groups: 'customer' is no column of groups.sql: it has 'age_band'",
    }.items():
        with pytest.raises(DeclarationError, match=message):
            declared.folder(fairness={"groups": [wrong]})
    with pytest.raises(
        DeclarationError, match=r"there is no other\.sql beside it: write the query of fairness_report/"
    ):
        declared.folder(fairness={"groups": ["age_band"], "sql": "other.sql"})
    declared.write("groups.sql", "SELECT kind AS age_band FROM orders")
    with pytest.raises(DeclarationError, match=r"groups\.sql returns no column 'customer'"):
        declared.folder(fairness={"groups": ["age_band"]})


def test_a_query_of_groups_sees_no_future(declared: Tiny) -> None:
    """It is a view like any other: what is known before the date, and nothing of the clock."""
    declared.write("groups.sql", GROUPS.replace("min(kind)", "current_date"))
    with pytest.raises(DeclarationError, match="current_date"):
        declared.folder(fairness={"groups": ["age_band"]})
    declared.write("groups.sql", GROUPS)
    groups = declared.folder(fairness={"groups": ["age_band"]}).groups
    assert groups is not None
    assert (groups.lookback, groups.horizon) == (None, None)
    assert groups.window(MODEL["cadence"]["start"])[1].date() == MODEL["cadence"]["start"] + timedelta()


def test_the_page_shows_every_field_with_its_default() -> None:
    import yaml

    page = (PROJECT / "docs" / "fairness.md").read_text(encoding="utf-8")
    shown = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])["fairness"]
    assert [*shown] == [*FairnessSpec.model_fields]
    assert FairnessSpec.model_validate(shown) == FairnessSpec(groups=tuple(shown["groups"]))
