import json
from dataclasses import replace
from datetime import date
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from ml_assets.commands.outcome import champion, drift, lines, source
from ml_assets.commands.summary import Summary, _rows
from ml_assets.commands.titled_table import print_table
from ml_assets.settings import Settings

SETTINGS = Settings()
ADDRESS = "http://127.0.0.1:5000/#/experiments/1/runs/" + "0123456789abcdef" * 4
SUMMARY = Summary(
    model="shop", as_of=date(2026, 11, 29), behind="", trained=True, reason="there is no model yet", candidate=2,
    champion={"version": 1, "run_id": "r", "since": "2026-11-22", "decision": "promoted", "reason": "all gates passed"},
    not_champion="roc_auc is 0.6, at least 0.7", metrics={"roc_auc": 0.6}, best_possible=None,
    gates=[{"name": "roc_auc", "passed": False, "reason": "roc_auc is 0.6, at least 0.7"}], rows={}, predictions=3,
    predictions_table="shop/predictions", watched=True, page=None, drift={}, verdict=None, table_versions={},
    mlflow=ADDRESS, seconds=1.0,
)  # fmt: skip


def test_json_holds_no_number_that_is_none_and_no_representation_of_python() -> None:
    said = replace(
        SUMMARY, metrics={"roc_auc": float("nan"), "brier": 0.1}, rows={"orders": {"last": date(2026, 1, 4)}}
    )
    answer = json.loads(json.dumps(said.to_json(), allow_nan=False))
    assert answer["metrics"] == {"roc_auc": None, "brier": 0.1}
    assert answer["rows"] == {"orders": {"last": "2026-01-04"}}
    assert answer["as_of"] == "2026-11-29"


def test_rows_of_this_run_stand_beside_those_of_all_time_with_reasons_and_files_that_were_left() -> None:
    said = {
        "dagster/row_count": 1200, "rows_in_quarantine": 7, "new_files": 2, "accepted": 200, "quarantined": 3,
        "quarantine_reasons": [{"reason": "amount -3 is below 0", "rows": 3}],
        "left_where_they_are": [{"file": f"shop/orders/[{nr}].csv", "reason": "delimiter ;"} for nr in range(5)],
        "warnings": ["column amount is text in 1 of 1,000 rows"],
    }  # fmt: skip
    row = _rows(said)
    assert [*source("orders", row)] == [
        "orders: 2 new files, 200 rows accepted, 3 quarantined; of all time 1,200 rows, 7 quarantined",
        "  quarantined, 3 rows: amount -3 is below 0",
        r"  left where it is: shop/orders/[0].csv: delimiter ;",
        r"  left where it is: shop/orders/[1].csv: delimiter ;",
        r"  left where it is: shop/orders/[2].csv: delimiter ;",
        "  … and 2 more: ml-assets run --json names them",
        "  warning: column amount is text in 1 of 1,000 rows",
    ]
    assert [*source("orders", _rows({}))] == ["orders: 0 rows, 0 quarantined; no new files"]


def test_the_champion_is_named_with_its_reason_and_the_candidate_with_why_it_is_not_it() -> None:
    assert [*champion(SUMMARY)] == [
        "version 1 answers since 2026-11-22: promoted, all gates passed",
        "version 2 does not: roc_auc is 0.6, at least 0.7",
    ]
    assert next(champion(replace(SUMMARY, champion=None))) == "none yet, so nobody answers"
    assert len([*champion(replace(SUMMARY, not_champion=""))]) == 1


def _feature(drifted: bool | None, reason: str = "psi 0.01") -> dict[str, Any]:
    return {"reason": reason} | ({} if drifted is None else {"drifted": drifted})


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([_feature(False)] * 3 + [_feature(None, "too few values")] * 8, "none of 3 judged, 8 too small to judge"),
        ([_feature(None, "no as-of date before")] * 2, "none of 0 judged, 2 not judged (no as-of date before)"),
        ([_feature(False)] * 4, "none of 4 judged"),
        ([], "nobody to compare"),
    ],
)  # fmt: skip
def test_features_without_a_verdict_are_not_counted_as_stable(rows: list[dict[str, Any]], said: str) -> None:
    assert [*drift(replace(SUMMARY, drift={str(nr): row for nr, row in enumerate(rows)}))] == [said]


def test_what_drifted_is_named_and_a_model_without_a_monitor_is_watched_by_nobody() -> None:
    drifted = replace(SUMMARY, drift={"age": _feature(True, "psi 0.4"), "sum": _feature(False)})
    assert [*drift(drifted)] == ["age (psi 0.4)", "1 of 2 judged"]
    assert [*drift(replace(SUMMARY, watched=False))] == ["nobody watches: declare a Monitor in defs.yaml"]


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_an_address_is_never_broken_in_two(columns: int) -> None:
    written = StringIO()
    print_table("shop", lines(SUMMARY, SETTINGS), Console(file=written, width=columns))
    assert any(ADDRESS in line for line in written.getvalue().splitlines()), written.getvalue()
    assert any(
        "http://127.0.0.1:3000/locations/ml_assets/asset-groups/shop" in line
        for line in written.getvalue().splitlines()
    )


def test_how_a_label_was_read_a_leak_and_an_empty_population_are_said() -> None:
    leak = "suspected leak: refund alone ranks with roc_auc 0.9990: does it know the label?"
    shown = dict(lines(replace(SUMMARY, label="no → 0, yes → 1", suspected_leak=leak, predictions=0), SETTINGS))
    assert shown["label"] == "no → 0, yes → 1"
    assert leak in shown["gates"]
    assert shown["predictions"] == f"nobody is scored: population.sql returned no row as of {SUMMARY.as_of}"
    assert "label" not in dict(lines(SUMMARY, SETTINGS))
