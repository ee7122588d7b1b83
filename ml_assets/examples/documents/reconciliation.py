"""A year-end reconciliation of common area maintenance (CAM): exact to the cent, as it is printed.

What landlords and tenants agree on in commercial leases: the tenant pays its pro-rata share of what the property cost,
less what it has paid by estimate. A cap limits the growth of the controllable expenses: over the year before
(non-cumulative), or over a base year, compounded (cumulative). Expenses that vary with occupancy are grossed up to
what they were at, say, 95 %. With a base year or an expense stop only the excess over it is shared.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Cap = Literal["none", "cumulative", "non-cumulative"]

WHOLE = 10_000  # rates are in hundredths of a percent
SHARE = 1_000_000  # the pro-rata share is printed as a percentage with four decimals


@dataclass(frozen=True)
class Expense:
    """A line of the statement, in cents.

    Args:
        name: what was paid.
        budget: what was expected.
        actual: what it was, before any gross-up.
        controllable: subject to the cap; taxes, insurance and utilities are not.
        variable: changes with occupancy, so that it is grossed up.
    """

    name: str
    budget: int
    actual: int
    controllable: bool
    variable: bool


@dataclass(frozen=True)
class Reconciliation:
    """One year of one tenant. Money in cents, areas in square feet, rates in hundredths of a percent.

    Args:
        year: the calendar year.
        expenses: in the order of the statement.
        building: leasable area of the property.
        premises: area of the tenant.
        occupancy: of the property.
        gross_up: to which occupancy variable expenses are grossed up; 0 for none.
        cap: how controllable expenses are limited.
        cap_rate: their growth in a year.
        reference: the controllable expenses that the cap starts from: of the year before, or of the base year.
        years: since the base year of a cumulative cap.
        stop: base year expenses or expense stop of the property; 0 for none.
        admin: administrative fee on the recoverable expenses.
        estimate: what the tenant paid each month.
    """

    year: int
    expenses: tuple[Expense, ...]
    building: int
    premises: int
    occupancy: int
    gross_up: int
    cap: Cap
    cap_rate: int
    reference: int
    years: int
    stop: int
    admin: int
    estimate: int

    @cached_property
    def adjusted(self) -> tuple[int, ...]:
        """Each expense after its gross-up."""
        return tuple(self._grossed(expense) for expense in self.expenses)

    @property
    def budget(self) -> int:
        """The sum of the budget."""
        return sum(expense.budget for expense in self.expenses)

    @property
    def actual(self) -> int:
        """The sum of the expenses before any gross-up."""
        return sum(expense.actual for expense in self.expenses)

    @property
    def gross(self) -> int:
        """The sum of the expenses after the gross-up."""
        return sum(self.adjusted)

    @property
    def controllable(self) -> int:
        """The part of `gross` that the cap limits."""
        return sum(cents for cents, expense in zip(self.adjusted, self.expenses, strict=True) if expense.controllable)

    @property
    def limit(self) -> int | None:
        """The most that controllable expenses may be; None without a cap. Compounded year by year, each rounded."""
        if self.cap == "none":
            return None
        limit = self.reference
        for _ in range(self.years if self.cap == "cumulative" else 1):
            limit = round_half_up(limit * (WHOLE + self.cap_rate), WHOLE)
        return limit

    @property
    def excluded(self) -> int:
        """What the cap takes out."""
        return max(0, self.controllable - self.limit) if self.limit is not None else 0

    @property
    def recoverable(self) -> int:
        """What is left of `gross`."""
        return self.gross - self.excluded

    @property
    def fee(self) -> int:
        """The administrative fee."""
        return round_half_up(self.recoverable * self.admin, WHOLE)

    @property
    def pool(self) -> int:
        """What all tenants share: recoverable expenses and the fee, less the base; never below 0."""
        return max(0, self.recoverable + self.fee - self.stop)

    @property
    def share(self) -> int:
        """The pro-rata share in millionths, as printed: a percentage with four decimals."""
        return round_half_up(self.premises * SHARE, self.building)

    @property
    def owed(self) -> int:
        """The tenant's share of the pool."""
        return round_half_up(self.pool * self.share, SHARE)

    @property
    def paid(self) -> int:
        """Twelve estimated payments."""
        return self.estimate * 12

    @property
    def balance(self) -> int:
        """What is due from the tenant; below 0, a credit."""
        return self.owed - self.paid

    def _grossed(self, expense: Expense) -> int:
        if not (expense.variable and self.gross_up > self.occupancy):
            return expense.actual
        return round_half_up(expense.actual * self.gross_up, self.occupancy)


def round_half_up(numerator: int, denominator: int) -> int:
    """The quotient of two whole numbers from 0 on, rounded half up."""
    return (2 * numerator + denominator) // (2 * denominator)
