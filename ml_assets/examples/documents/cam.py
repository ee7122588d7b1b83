"""Invented reconciliations, and the words of their lines."""

from dataclasses import replace

from ml_assets.examples.documents.dice import Dice
from ml_assets.examples.documents.reconciliation import Cap, Expense, Reconciliation

# Name, dollars a square foot of the building and year (in cents), controllable, varies with occupancy.
_EXPENSES = (
    ("Janitorial and cleaning|Janitorial services|Day porter and cleaning", 140, True, True),
    ("Landscaping|Grounds maintenance|Landscape and irrigation", 45, True, False),
    ("Parking lot sweeping|Sweeping and striping|Lot and garage upkeep", 22, True, False),
    ("Snow removal|Snow and ice control|Snow plowing", 18, False, False),
    ("Security services|Security patrol|Guard and alarm service", 60, True, False),
    ("Repairs and maintenance|General repairs|Building repairs", 85, True, False),
    ("HVAC maintenance|Heating and cooling service|HVAC contract", 48, True, False),
    ("Elevator maintenance|Elevator contract|Vertical transport", 26, True, False),
    ("Electricity - common areas|Common area electric|House power", 75, False, True),
    ("Water and sewer|Water/sewer|Water and drainage", 32, False, True),
    ("Trash removal|Waste hauling|Refuse collection", 28, True, True),
    ("Property insurance|Insurance|Insurance premiums", 55, False, False),
    ("Real estate taxes|Property taxes|Ad valorem taxes", 320, False, False),
    ("Management fee|Property management|Management services", 90, True, False),
    ("Fire and life safety|Fire alarm monitoring|Life safety systems", 14, True, False),
    ("Pest control|Exterminating|Pest management", 6, True, False),
    ("Lighting repairs|Site lighting|Lamps and ballasts", 12, True, False),
    ("Window washing|Window cleaning|Glass cleaning", 9, True, True),
    ("Roof repairs|Roof maintenance|Roof inspection and repair", 20, True, False),
    ("On-site payroll|Maintenance payroll|Wages and benefits", 110, True, False),
)

_STEPS = {
    "gross": "Total operating expenses|Total CAM costs|Expenses of the property|Total property costs",
    "excluded": "Less: amount over cap|Less controllable expenses above cap|Reduction under cap|Disallowed by ceiling",
    "recoverable": "Recoverable expenses|Total after cap|Allowed expenses|Costs after ceiling",
    "fee": "Administrative fee|Plus administration charge|Overhead fee|Management overhead",
    "stop": "Less: base year amount|Less expense stop|Base year expenses|Less: base amount",
    "pool": "Expenses subject to sharing|Net CAM pool|Excess over base|Net costs to allocate",
    "share": "Tenant's pro rata share|Your proportionate share|Tenant's percentage|Allocation factor",
    "owed": "Tenant's share of expenses|Your share of CAM|Tenant's portion|Allocated to your unit",
    "paid": "Less: estimated payments received|Less amounts paid by you|Estimates paid|Less: monthly deposits",
    "due": "Balance due from Tenant|AMOUNT DUE|Additional amount owed|Please remit",
    "credit": "Credit to Tenant|CREDIT|Overpayment to be refunded|Refund owed to you",
}
STEPS = {step: labels.split("|") for step, labels in _STEPS.items()}


def draw(dice: Dice, year: int) -> Reconciliation:
    """A reconciliation of `year` that is plausible in each of its numbers."""
    building = dice.between(1_800, 32_000) * 10
    rows = [row for row in range(len(_EXPENSES)) if dice.chance(0.62)] or [0, 12]
    expenses = tuple(_expense(dice, row, building) for row in rows)
    controllable = sum(expense.actual for expense in expenses if expense.controllable)
    cap: Cap = dice.weighted_choice((("none", 0.4), ("non-cumulative", 0.3), ("cumulative", 0.3)))
    years = dice.between(2, 5) if cap == "cumulative" else 1
    total = sum(expense.actual for expense in expenses)
    based = dice.chance(0.3)
    statement = Reconciliation(
        year=year,
        expenses=expenses,
        building=building,
        premises=max(100, building * dice.between(20, 3_000) // 100_000 * 10),
        occupancy=dice.between(70, 100) * 100,
        gross_up=dice.pick((0, 0, 9_500, 9_000, 10_000)),
        cap=cap,
        cap_rate=dice.pick((300, 400, 500, 500, 600)),
        reference=controllable * 100 // dice.between(100, 106 + 6 * years),
        years=years,
        stop=total * dice.between(70, 95) // 100 if based else 0,
        admin=dice.pick((0, 0, 300, 500, 1_000, 1_500)),
        estimate=0,
    )
    return _estimated(dice, statement)


def _estimated(dice: Dice, statement: Reconciliation) -> Reconciliation:
    """The tenant has paid somewhat less or more than what it owes."""
    return replace(statement, estimate=statement.owed * dice.between(78, 118) // 120_000 * 100)


def _expense(dice: Dice, row: int, building: int) -> Expense:
    names, cents, controllable, variable = _EXPENSES[row]
    actual = building * cents * dice.between(60, 150) // 100 + dice.between(0, 99)
    budget = actual * dice.between(85, 115) // 100_000 * 1_000
    return Expense(names, max(budget, 1_000), actual, controllable, variable)


def cap_sentence(statement: Reconciliation) -> str:
    """What the lease says about the growth of controllable expenses."""
    rate = f"{statement.cap_rate / 100:g}%"
    if statement.cap == "cumulative":
        return (
            f"Controllable expenses may not grow by more than {rate} a year over the base year, on a cumulative and "
            f"compounding basis ({statement.years} years)."
        )
    if statement.cap == "non-cumulative":
        return f"Controllable expenses may not exceed those of the prior year by more than {rate} (non-cumulative)."
    return "No cap on controllable expenses applies under the lease."


def gross_up_sentence(statement: Reconciliation) -> str:
    """Whether and how variable expenses were grossed up."""
    occupied = f"{statement.occupancy / 100:g}%"
    if statement.gross_up > statement.occupancy:
        return (
            f"The property was {occupied} occupied; expenses that vary with occupancy were grossed up to "
            f"{statement.gross_up / 100:g}%."
        )
    return f"Average occupancy of the property was {occupied}; no gross-up was made."
