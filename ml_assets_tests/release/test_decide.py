"""A check that is not known has neither passed nor failed; a waiver ends."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.decisions.gate import GateAction
from ml_assets.decisions.release import (
    CHECKS,
    LONGEST_WAIVER,
    Check,
    CheckStatus,
    ReleasePolicy,
    Waiver,
    WaiverError,
    apply_waivers,
    decide,
    names_at,
    require_waivable,
)
from ml_assets.release.checks import JUDGES

TODAY = date(2026, 12, 1)
CANDIDATE = names_at("candidate")
checks_of = st.lists(st.sampled_from(CheckStatus), min_size=len(CANDIDATE), max_size=len(CANDIDATE)).map(
    lambda found: tuple(Check(name, status, "because") for name, status in zip(CANDIDATE, found, strict=True))
)


@given(checks_of, st.sets(st.sampled_from(CANDIDATE)))
def test_it_ships_if_nothing_failed_and_all_that_is_required_is_known(
    checks: tuple[Check, ...], require: set[str]
) -> None:
    verdict = decide(ReleasePolicy(require), checks)
    failed = {each.name for each in checks if each.status is CheckStatus.FAILED}
    unknown = {each.name for each in checks if each.status is CheckStatus.NOT_JUDGED}
    assert (verdict.action is GateAction.SHIP) == (not failed and not require & unknown)
    named = failed | require & unknown
    assert all(name in verdict.reason for name in named)


@given(checks_of, st.sets(st.sampled_from(CANDIDATE)))
def test_a_required_check_that_is_missing_is_not_judged(checks: tuple[Check, ...], require: set[str]) -> None:
    known = [each for each in checks if each.status is CheckStatus.PASSED]
    missing = require - {each.name for each in known}
    assert (decide(ReleasePolicy(require), known).action is GateAction.HOLD) == bool(missing)


@pytest.mark.parametrize("status", [CheckStatus.FAILED, CheckStatus.NOT_JUDGED])
def test_a_waiver_holds_until_its_last_day_and_says_who_and_why(status: CheckStatus) -> None:
    waiver = Waiver("alerts", "ada", "the channel moves", TODAY)
    check = Check("alerts", status, "no URL")
    (waived,) = apply_waivers([check], [waiver], TODAY)
    assert waived.status is CheckStatus.WAIVED
    assert waived.reason == f"waived by ada until 2026-12-01: the channel moves ({status.value}: no URL)"
    assert apply_waivers([check], [waiver], TODAY + timedelta(days=1)) == (check,)
    assert decide(ReleasePolicy(["alerts"]), [waived]).action is GateAction.SHIP


def test_the_last_waiver_of_a_check_counts_and_what_passed_needs_none() -> None:
    old, new = (Waiver("alerts", who, "why", TODAY + timedelta(days=9)) for who in ("ada", "bob"))
    (waived,) = apply_waivers([Check("alerts", CheckStatus.FAILED, "no")], [old, new], TODAY)
    assert "by bob" in waived.reason
    passed = Check("alerts", CheckStatus.PASSED, "yes")
    assert apply_waivers([passed], [old], TODAY) == (passed,)


@pytest.mark.parametrize(
    ("check", "days", "error"),
    [
        ("alerts", 91, r"waiver of alerts ends .*: 91 days; at most 90"),
        ("alerts", -1, "that is over"),
        ("accuracy", 9, "cannot be waived: change ship_when"),
        ("canary", 9, "is no check of a candidate"),
        ("speed", 9, "'speed' is no check of a candidate: use one of accuracy"),
    ],
)
def test_a_waiver_that_cannot_be_given_is_refused(check: str, days: int, error: str) -> None:
    with pytest.raises(WaiverError, match=error):
        require_waivable(Waiver(check, "ada", "why", TODAY + timedelta(days=days)), TODAY)
    require_waivable(Waiver("alerts", "ada", "why", TODAY + LONGEST_WAIVER), TODAY)


def test_a_check_is_one_entry_and_one_function_and_says_why_where_there_is_none() -> None:
    assert set(JUDGES) <= set(CANDIDATE)
    assert all(CHECKS[name].unjudged for name in CANDIDATE if name not in JUDGES)
    assert len(CHECKS) == 18
