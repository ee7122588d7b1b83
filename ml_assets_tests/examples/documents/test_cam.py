"""Reconciliations add up, in the model and as printed."""

import re
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.examples.documents.cam import STEPS
from ml_assets.examples.documents.cam import draw as draw_year
from ml_assets.examples.documents.dice import Dice
from ml_assets.examples.documents.draw import draw
from ml_assets.examples.documents.layouts import names
from ml_assets.examples.documents.reconciliation import Expense, Reconciliation, round_half_up
from ml_assets.examples.documents.typeset import Block

SMALL = Reconciliation(
    year=2023,
    expenses=(
        Expense("Cleaning", 90_000, 100_000, controllable=True, variable=True),
        Expense("Taxes", 200_000, 200_000, controllable=False, variable=False),
    ),
    building=10_000,
    premises=1_250,
    occupancy=8_000,
    gross_up=0,
    cap="none",
    cap_rate=500,
    reference=90_000,
    years=3,
    stop=0,
    admin=0,
    estimate=3_000,
)


def test_a_share_of_everything_less_what_was_paid() -> None:
    assert SMALL.gross == SMALL.actual == 300_000
    assert SMALL.share == 125_000
    assert (SMALL.owed, SMALL.paid, SMALL.balance) == (37_500, 36_000, 1_500)


def test_variable_expenses_are_grossed_up_and_others_are_not() -> None:
    year = replace(SMALL, gross_up=9_500)
    assert year.adjusted == (118_750, 200_000)  # 1,000 at 80 % are 1,187.50 at 95 %
    assert replace(year, occupancy=9_500).adjusted == (100_000, 200_000)


def test_a_non_cumulative_cap_grows_from_the_year_before() -> None:
    year = replace(SMALL, cap="non-cumulative")
    assert year.limit == 94_500
    assert (year.excluded, year.recoverable) == (5_500, 294_500)


def test_a_cumulative_cap_compounds_from_the_base_year() -> None:
    year = replace(SMALL, cap="cumulative", reference=80_000)
    assert year.limit == 92_610  # 800 * 1.05 ** 3
    assert year.excluded == 7_390


def test_a_base_year_is_taken_off_and_the_fee_put_on() -> None:
    year = replace(SMALL, stop=250_000, admin=1_000)
    assert year.fee == 30_000
    assert year.pool == 80_000
    assert year.owed == 10_000
    assert year.balance == -26_000
    assert replace(year, stop=400_000).pool == 0


@given(st.integers(0, 10**12), st.integers(1, 10**9))
def test_rounding_is_half_up(numerator: int, denominator: int) -> None:
    found = round_half_up(numerator, denominator)
    assert abs(Fraction(numerator, denominator) - found) <= Fraction(1, 2)
    assert Fraction(numerator, denominator) - found < Fraction(1, 2)


@given(st.integers(0, 2**31))
def test_any_reconciliation_is_consistent(seed: int) -> None:
    year = draw_year(Dice(seed), 2022)
    assert 0 < year.premises <= year.building
    assert year.recoverable + year.excluded == year.gross >= year.actual
    assert year.limit is None or min(year.limit, year.controllable) == year.controllable - year.excluded
    assert year.balance == year.owed - year.paid
    assert abs(year.owed * 1_000_000 - year.pool * year.share) <= 500_000


def _cents(text: str) -> int:
    """`$1,234.56`, `1,234.56` or `(1,234.56)`."""
    cents = int(re.sub(r"[^\d]", "", text))
    return -cents if text.startswith("(") else cents


def _tables(blocks: tuple[Block, ...]) -> list[list[Block]]:
    found: list[list[Block]] = []
    for block in blocks:
        if block.kind == "head":
            found.append([])
        if block.kind in {"head", "row", "total"}:
            found[-1].append(block)
    return found


@pytest.mark.parametrize("layout", names("cam_statement"))
def test_the_printed_tables_add_up(layout: str) -> None:
    for seed in range(40):
        for table in _tables(draw((seed, 2), "cam_statement", layout).blocks):
            if table[0].cells[0] in {"Expense", "Description", "Month"}:
                for column in range(1, len(table[0].cells)):
                    assert sum(_cents(row.cells[column]) for row in table[1:-1]) == _cents(table[-1].cells[column])
            if table[0].cells[0] == "Expense":
                for row in table[1:]:
                    budget, actual, variance = map(_cents, row.cells[1:])
                    assert actual - budget == variance


@pytest.mark.parametrize("layout", names("cam_statement"))
def test_the_printed_calculation_leads_to_the_balance(layout: str) -> None:
    """Only printed figures are used, as a tenant would who checks the statement."""
    for seed in range(40):
        blocks = draw((seed, 3), "cam_statement", layout).blocks
        table = next(table for table in _tables(blocks) if table[0].cells[0] == "Calculation")
        steps = {_step(row.cells[0]): row.cells[1] for row in table[1:]}
        share = Fraction(int(re.sub(r"\D", "", steps["share"])), 1_000_000)
        sums = {step: _cents(text) for step, text in steps.items() if step != "share"}
        recoverable = sums.get("recoverable", sums["gross"])
        assert recoverable == sums["gross"] + sums.get("excluded", 0)
        pool = sums.get("pool", recoverable)
        assert pool == max(0, recoverable + sums.get("fee", 0) + sums.get("stop", 0))
        assert sums["owed"] == int(pool * share + Fraction(1, 2))
        assert sums["owed"] + sums["paid"] == sums.get("due", -sums.get("credit", 0))


def _step(label: str) -> str:
    return next(step for step, labels in STEPS.items() if label in labels)
