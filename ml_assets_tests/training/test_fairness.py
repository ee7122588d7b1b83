"""The fairness report: groups that are no input, of the rows that the candidate was not fitted on."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ml_assets.decisions.fairness import FairnessStatus
from ml_assets.errors import DataError, DeclarationError, TrainingError
from ml_assets.storage.registry import Version
from ml_assets.training.dataset import build
from ml_assets.training.fairness import fairness_outcome, read_fairness, report_fairness
from ml_assets.training.fairness_record import NO_GROUPS, REPORT, FairnessRecord
from ml_assets.training.group_values import group_values
from ml_assets.training.record import record
from ml_assets.training.report import report
from ml_assets.training.train import train
from ml_assets_tests.conftest import AS_OF, FIRST, Tiny, habits

GROUPS = (
    "SELECT customer, customer % 2 = 0 AS even, min(kind) AS kind FROM orders WHERE customer < 300 GROUP BY customer"
)
DECLARED: dict[str, Any] = {"groups": ["even"], "sql": "groups.sql", "metrics": ["calibration"], "at_most": 0.3}


def test_a_group_is_that_of_the_first_test_date_and_no_later_row_changes_it(tiny: Tiny) -> None:
    tiny.write("groups.sql", "SELECT customer, count(*) AS orders FROM orders GROUP BY customer")
    groups = tiny.folder(fairness={"groups": ["orders"]}).groups
    assert groups is not None
    days = [FIRST, FIRST + timedelta(weeks=3)]
    entities = pa.array([0, 1, 999], pa.int64())
    first = np.array([days[0], days[1], days[0]], "datetime64[D]")
    found = group_values(tiny.lake, groups, ["orders"], entities, first)["orders"]
    at = [{row["customer"]: str(row["orders"]) for row in rows} for rows in tiny.at(groups, *days)]
    assert [*found] == [at[0].get(0, "(missing)"), at[1].get(1, "(missing)"), "(missing)"]
    late = [{"customer": 0, "made_at": tiny_time(days[0]), "amount": 1.0, "kind": "a"}]
    tiny.deliver("orders", late)
    assert [*group_values(tiny.lake, groups, ["orders"], entities, first)["orders"]] == [*found]
    with pytest.raises(DataError, match=r"as int64, population\.sql as string: cast one of them"):
        group_values(tiny.lake, groups, ["orders"], entities.cast(pa.string()), first)
    with pytest.raises(DeclarationError, match="has no column 'plan': it has"):
        group_values(tiny.lake, groups, ["plan"], entities, first)


def tiny_time(day: Any) -> Any:
    from datetime import datetime

    return datetime(day.year, day.month, day.day)  # noqa: DTZ001 - the lake's times are naive UTC


class Judged:
    """A version of a shop of four hundred customers, that was evaluated."""

    def __init__(self, shop: Tiny) -> None:
        self.shop, self.registry = shop, shop.registry

    def folder(self, **fairness: Any) -> Any:
        return self.shop.folder(**({"fairness": DECLARED | fairness} if fairness is not None else {}))

    def train(self, **changes: Any) -> Version:
        folder = self.shop.folder(**changes)
        built = build(self.shop.lake, folder, AS_OF)
        return train(self.shop.lake, self.registry, folder, built, tags={}).version


@pytest.mark.slow  # trains over a real MLflow
def test_a_report_judges_groups_that_the_model_does_not_know(tmp_path: Path, empty_registry: Path) -> None:
    shop = Tiny(tmp_path / "many")
    shop.take_registry(empty_registry)
    shop.write("groups.sql", GROUPS)
    shop.deliver("orders", habits(range(-10, 14), customers=400))
    judged, lake, registry = Judged(shop), shop.lake, shop.registry
    version = judged.train()
    # Declaring groups is no reason to train, and what was evaluated stays.
    assert judged.train(fairness=DECLARED) == version
    report(lake, registry, shop.folder(), version)
    folder = judged.folder()
    with pytest.raises(TrainingError, match="no fairness report of shop version 1: materialize shop/fairness_report f"):
        read_fairness(registry, folder, version)
    with pytest.raises(TrainingError, match="shop declares no groups: add fairness: to its Model"):
        report_fairness(lake, registry, shop.folder(), version)
    assert fairness_outcome(registry, shop.folder(), version) == NO_GROUPS

    found = report_fairness(lake, registry, folder, version)
    kept = record(registry, version)
    assert "even" not in kept.columns.all
    assert found.plot.startswith(b"\x89PNG")
    sizes = {each.group.name: each.group for each in found.record.comparison.differences}
    assert {"True", "False", "(missing)"} == set(sizes)  # customers from 300 on have no group
    assert sum(each.entities for each in sizes.values()) == found.record.entities
    assert found.record.rows > found.record.entities
    assert sizes["True"].judged
    outcome = found.outcome
    assert (outcome.status, outcome.limit) == (found.verdict.action.value, 0.3)
    assert outcome.value is not None
    assert len(outcome.evidence) == 64
    assert {row["group"] for row in found.rows()} == {"even True", "even False", "even (missing)"}

    # Measured once.
    written = registry.read(version.run_id, REPORT)
    assert written is not None
    assert FairnessRecord.from_json(written) == found.record
    assert report_fairness(lake, registry, folder, version) == found
    assert read_fairness(registry, folder, version) == found
    assert fairness_outcome(registry, judged.folder(), version) == outcome

    # Other groups and limits are another report, of the same draws.
    with pytest.raises(TrainingError, match="the fairness report is of other groups, limits or decisions of shop vers"):
        read_fairness(registry, judged.folder(at_most=1e-6), version)
    strict = report_fairness(lake, registry, judged.folder(at_most=1e-6), version)
    assert strict.record.comparison == found.record.comparison
    assert strict.verdict.action is not FairnessStatus.PASSED
    other = report_fairness(lake, registry, judged.folder(groups=["kind"]), version)
    assert {each.group.attribute for each in other.record.comparison.differences} == {"kind"}
    assert json.loads(registry.read(version.run_id, REPORT) or b"")["asked"]["declared"].count("kind") == 1
    again = report_fairness(lake, registry, folder, version)
    assert again.evidence == found.evidence  # the same bytes
    with pytest.raises(TrainingError, match="cannot be read"):
        FairnessRecord.from_json(b"{}")
