"""Tables that add up: schedules of rent, reconciliations, invoices, budgets, rent rolls."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from ml_assets.errors import DeclarationError
from ml_assets.examples.documents import cam, people
from ml_assets.examples.documents.dice import Dice
from ml_assets.examples.documents.facts import Facts, grown
from ml_assets.examples.documents.reconciliation import Expense
from ml_assets.examples.documents.typeset import Block
from ml_assets.examples.documents.wording import MONTHS, money, plain

Cells = tuple[str, ...]
_WORK = [
    "Replace filter",
    "Service call",
    "Labor",
    "Materials",
    "Travel",
    "Inspection",
    "Emergency visit",
    "Disposal fee",
    "Permit",
    "Consulting hours",
    "Paint",
    "Electrical parts",
    "Lock change",
    "Carpet cleaning",
    "Freight",
    "Design review",
]
_LINES = [
    "Assessments",
    "Reserve contribution",
    "Insurance",
    "Landscaping",
    "Pool service",
    "Utilities",
    "Legal and audit",
    "Repairs",
    "Management",
    "Office supplies",
    "Payroll",
    "Contingency",
]


def table_blocks(code: str, dice: Dice, facts: Facts) -> list[Block]:
    """What a line `% name argument` of a bank stands for.

    Raises:
        DeclarationError: no table has that name.
    """
    name, _, argument = code.partition(" ")
    if name not in _TABLES:
        raise DeclarationError(f"% {code}: no table {name}, choose one of {', '.join(sorted(_TABLES))}")
    return _TABLES[name](int(argument or 0), dice, facts)


def _rent(_wording: int, _dice: Dice, facts: Facts) -> list[Block]:
    """The rent of each year of the term."""
    begins, rent = facts.days["commencement"], facts.cents("rent")
    rows: list[Cells] = []
    for _ in range(facts.years):
        ends = begins.replace(year=begins.year + 1) - timedelta(days=1)
        period = f"{facts.day(begins, 'rent period')} - {facts.day(ends, 'rent period')}"
        rows.append((period, _dollars(facts, rent, "monthly rent"), _dollars(facts, rent * 12, "annual rent")))
        begins, rent = ends + timedelta(days=1), grown(rent, facts.rate)
    return _table(("Period", "Monthly", "Annual"), rows)


def _steps(_wording: int, _dice: Dice, facts: Facts) -> list[Block]:
    """The rent by months of the term, without dates."""
    rent, rows = facts.cents("new_rent"), []
    for year in range(max(2, facts.years)):
        rows.append((f"Months {12 * year + 1} - {12 * year + 12}", _dollars(facts, rent, "monthly rent")))
        rent = grown(rent, facts.rate)
    return _table(("Months of the extended term", "Monthly installment"), rows)


def _budgeted(names: int, _dice: Dice, facts: Facts) -> list[Block]:
    """Expenses: budget, actual, variance."""
    rows = []
    for name, expense in _named(facts, names):
        figures = (expense.budget, expense.actual, expense.actual - expense.budget)
        rows.append((name, *(_plain(facts, cents, name) for cents in figures)))
    sums = (facts.cam.budget, facts.cam.actual, facts.cam.actual - facts.cam.budget)
    total = ("Total", *(_dollars(facts, cents, "total") for cents in sums))
    return _table(("Expense", "Budget", "Actual", "Variance"), rows, total)


def _grossed(names: int, _dice: Dice, facts: Facts) -> list[Block]:
    """Expenses: actual, and after the gross-up."""
    rows = []
    for (name, expense), cents in zip(_named(facts, names), facts.cam.adjusted, strict=True):
        rows.append((name, _plain(facts, expense.actual, name), _plain(facts, cents, name)))
    total = ("Total", _dollars(facts, facts.cam.actual, "total"), _dollars(facts, facts.cam.gross, "total"))
    return _table(("Description", "Actual", "As adjusted"), rows, total)


def _calculation(words: int, _dice: Dice, facts: Facts) -> list[Block]:
    """From the expenses to the balance, one step a row; steps that change nothing are left out."""
    year = facts.cam
    steps = [("gross", year.gross)]
    if year.excluded:
        steps += [("excluded", -year.excluded), ("recoverable", year.recoverable)]
    steps += [("fee", year.fee)] if year.admin else []
    steps += [("stop", -year.stop)] if year.stop else []
    steps += [("pool", year.pool)] if year.stop or year.admin else []
    rows: list[Cells] = [(cam.STEPS[step][words], _dollars(facts, cents, step)) for step, cents in steps]
    rows.append((cam.STEPS["share"][words], facts.say("cam_share")))
    rows.append((cam.STEPS["owed"][words], _dollars(facts, year.owed, "owed")))
    rows.append((cam.STEPS["paid"][words], _dollars(facts, -year.paid, "paid")))
    ending = "due" if year.balance >= 0 else "credit"
    total = (cam.STEPS[ending][words], _dollars(facts, abs(year.balance), ending))
    return _table(("Calculation", "Amount"), rows, total)


def _payments(_words: int, _dice: Dice, facts: Facts) -> list[Block]:
    """The twelve estimated payments."""
    year = facts.cam
    rows = [(f"{month} {year.year}", _plain(facts, year.estimate, "estimate")) for month in MONTHS]
    return _table(("Month", "Paid"), rows, ("Total paid", _dollars(facts, year.paid, "paid")))


def _invoice(_words: int, dice: Dice, facts: Facts) -> list[Block]:
    """Services with quantity, price and amount."""
    rows, sum_ = [], 0
    for _ in range(dice.between(2, 7)):
        count, price = dice.between(1, 24), dice.between(500, 45_000)
        sum_ += count * price
        figures = (_plain(facts, price, "price"), _plain(facts, count * price, "amount"))
        rows.append((dice.pick(_WORK), str(count), *figures))
    return _table(("Service", "Qty", "Rate", "Amount"), rows, ("Total", "", "", _dollars(facts, sum_, "total")))


def _budget(_words: int, dice: Dice, facts: Facts) -> list[Block]:
    """A plan for a year beside the year before."""
    rows, now, before = [], 0, 0
    for line in _LINES[: dice.between(5, len(_LINES))]:
        old = dice.between(400, 90_000) * 100
        new = grown(old, dice.between(0, 900))
        now, before = now + new, before + old
        rows.append((line, _plain(facts, old, line), _plain(facts, new, line)))
    total = ("Total", _dollars(facts, before, "total"), _dollars(facts, now, "total"))
    return _table(("Account", "This year", "Proposed"), rows, total)


def _roll(_words: int, dice: Dice, facts: Facts) -> list[Block]:
    """Who rents what."""
    rows, total = [], 0
    for _ in range(dice.between(4, 14)):
        rent = dice.between(180, 2_500) * 500
        total += rent
        area = f"{dice.between(60, 900) * 10:,}"
        rows.append((people.business(dice)[0], area, _plain(facts, rent, "rent")))
    return _table(("Occupant", "Sq. ft.", "Rent"), rows, ("Total", "", _dollars(facts, total, "total")))


def _named(facts: Facts, words: int) -> list[tuple[str, Expense]]:
    return [(expense.name.split("|")[words], expense) for expense in facts.cam.expenses]


def _table(head: Cells, rows: Sequence[Cells], total: Cells | None = None) -> list[Block]:
    blocks = [Block("head", "", head), *(Block("row", "", row) for row in rows)]
    return [*blocks, Block("total", "", total)] if total else blocks


def _dollars(facts: Facts, cents: int, meaning: str) -> str:
    return money(_noted(facts, cents, meaning))


def _plain(facts: Facts, cents: int, meaning: str) -> str:
    return plain(_noted(facts, cents, meaning))


def _noted(facts: Facts, cents: int, meaning: str) -> int:
    """The truth has the amount without its sign: parentheses and `less` are a matter of form."""
    facts.amount(abs(cents), meaning)
    return cents


_TABLES: dict[str, Callable[[int, Dice, Facts], list[Block]]] = {
    "rent": _rent,
    "steps": _steps,
    "budgeted": _budgeted,
    "grossed": _grossed,
    "calculation": _calculation,
    "payments": _payments,
    "invoice": _invoice,
    "budget": _budget,
    "roll": _roll,
}
