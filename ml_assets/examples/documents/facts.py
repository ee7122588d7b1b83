"""The facts of one document: made when a phrase first asks for them, and remembered once they are written."""

from collections.abc import Callable
from datetime import date, timedelta
from functools import cached_property

from ml_assets.errors import DeclarationError
from ml_assets.examples.documents import people, wording
from ml_assets.examples.documents.cam import cap_sentence, draw, gross_up_sentence
from ml_assets.examples.documents.dice import Dice
from ml_assets.examples.documents.reconciliation import Reconciliation
from ml_assets.examples.documents.truth import Amount, Dated, Party

_EPOCH = date(2004, 1, 1)
_FRESH = {"box", "blank"}  # another one each time
_OWNERS = {"landlord", "sublandlord", "seller", "manager", "lender", "licensor", "association"}
_PEOPLE = {"employee", "guarantor", "witness", "tenant2", "buyer_person", "assignor_person", "spouse", "occupant"}
_ROLES = {"tenant2": "tenant", "buyer_person": "buyer"}
_BUSINESSES = {
    "tenant", "subtenant", "buyer", "company", "client", "vendor", "insurer", "insured", "employer", "licensee",
    "assignee", "assignor", "broker", "contractor", "borrower", "recipient", "discloser", "escrow",
}  # fmt: skip

# Dollars: lowest, highest, and the step between two.
_AMOUNTS = {
    "fee": (150, 2_500, 25),
    "small": (15, 95, 5),
    "petrent": (20, 85, 5),
    "charge": (40, 350, 5),
    "price": (180_000, 9_500_000, 2_500),
    "loan": (250_000, 12_000_000, 10_000),
    "allowance": (12_000, 640_000, 500),
    "salary": (48_000, 260_000, 1_000),
    "premium": (1_800, 42_000, 1),
    "limit": (1_000_000, 5_000_000, 1_000_000),
    "aggregate": (2_000_000, 10_000_000, 1_000_000),
    "invoice": (350, 28_000, 1),
    "earnest": (5_000, 250_000, 2_500),
    "sales": (900_000, 8_000_000, 50_000),
    "commission": (4_000, 190_000, 250),
    "budget": (38_000, 2_400_000, 100),
}
_NAMED = {
    "use": "general office|retail sale of apparel|medical and dental offices|light assembly and storage|a restaurant|"
    "a fitness studio|warehousing and distribution|a day spa|professional services|a coffee shop",
    "trade": "janitorial|landscaping|elevator|roofing|security|HVAC|plumbing|electrical|snow removal|painting",
    "pet": "one cat|one dog under 40 pounds|two cats|a beagle named Cooper|one caged bird|a ten-gallon aquarium",
    "car": "Toyota Camry|Honda Civic|Ford F-150|Subaru Outback|Tesla Model 3|Chevrolet Malibu",
    "floor": "first|second|third|fourth|fifth|sixth|ninth|twelfth",
    "coin": "Bitcoin|Ether|USD Coin|Litecoin",
    "weekday": "Monday|Tuesday|Wednesday|Thursday|Friday",
    "months": "twelve (12)|eighteen (18)|twenty-four (24)|thirty-six (36)|six (6)",
    "days": "five (5)|seven (7)|ten (10)|fifteen (15)|thirty (30)|forty-five (45)|sixty (60)|ninety (90)",
    "percent": "two percent (2%)|three percent (3%)|three and a half percent (3.5%)|four percent (4%)|5%",
}
NAMED = {name: options.split("|") for name, options in _NAMED.items()}


class Facts:
    """What the slots of a bank stand for; `say` writes one, and it is then part of the truth.

    Args:
        dice: of the document.
        home: tenants are people, not companies.
    """

    def __init__(self, dice: Dice, *, home: bool = False) -> None:
        self.parties: dict[Party, None] = {}
        self.dates: dict[Dated, None] = {}
        self.amounts: dict[Amount, None] = {}
        self._dice, self._home = dice, home
        self._form = dice.weighted_choice((("long", 0.6), ("us", 0.12), ("padded", 0.1), ("short", 0.08), ("iso", 0.1)))
        self._names: dict[str, tuple[str, str]] = {}
        self._cents: dict[str, int] = {}
        self._said: dict[str, str] = {}

    def say(self, slot: str) -> str:
        """The words for a slot: the same ones each time, apart from `#low-high`, which is always another number.

        Raises:
            DeclarationError: no slot has that name.
        """
        if slot[0] == "#":
            low, high = map(int, slot[1:].split("-"))
            return f"{self._dice.between(low, high):,}"
        words = None if slot in _FRESH else self._said.get(slot)
        if words is None:
            words = self._said[slot] = self._words(slot)
        return words

    def amount(self, cents: int, meaning: str) -> int:
        """Note an amount that is written by other means."""
        self.amounts[Amount(cents, meaning)] = None
        return cents

    def day(self, when: date, meaning: str) -> str:
        """Write a date in the form of this document."""
        self.dates[Dated(when, meaning)] = None
        return wording.day(when, self._form)

    def name(self, role: str) -> tuple[str, str]:
        """Who has a role: the name, and what that is (`a Texas corporation`)."""
        if role not in self._names:
            self._names[role] = self._invented(role)
        return self._names[role]

    def cents(self, name: str) -> int:
        """An amount by its name, in cents."""
        if name not in self._cents:
            self._cents[name] = self._priced(name)
        return self._cents[name]

    @cached_property
    def rate(self) -> int:
        """The yearly increase of the rent in hundredths of a percent."""
        return self._dice.pick((200, 250, 275, 300, 300, 350, 400))

    @cached_property
    def years(self) -> int:
        """The years of the term."""
        return 1 if self._home else self._dice.pick((2, 3, 3, 5, 5, 7, 10))

    @cached_property
    def cam(self) -> Reconciliation:
        """The reconciliation of the year before this document."""
        return draw(self._dice, self.days["effective"].year - 1)

    @cached_property
    def days(self) -> dict[str, date]:
        """The dates of a lease and of what follows it, by meaning."""
        signed = _EPOCH + timedelta(days=self._dice.between(0, 7_600))
        earlier = signed - timedelta(days=self._dice.between(200, 2_200))
        starts = _next_month(signed, self._dice.between(1, 4))
        began = _next_month(earlier, self._dice.between(1, 4))
        ended = _plus_years(began, max(self.years, (signed - began).days // 365 + 1))
        return {
            "effective": signed,
            "signed": signed + timedelta(days=self._dice.between(0, 9)),
            "commencement": starts,
            "expiration": _plus_years(starts, self.years) - timedelta(days=1),
            "lease_date": earlier,
            "lease_commencement": began,
            "lease_expiration": ended - timedelta(days=1),
            "new_expiration": _plus_years(ended, self.years) - timedelta(days=1),
            "amended": earlier + (signed - earlier) // 2,
            "due": signed + timedelta(days=self._dice.between(10, 45)),
            "notice": signed - timedelta(days=self._dice.between(3, 40)),
            "closing": signed + timedelta(days=self._dice.between(30, 120)),
            "other": signed - timedelta(days=self._dice.between(30, 400)),
            "later": signed + timedelta(days=self._dice.between(150, 700)),
            "period_start": date(signed.year - 1, 1, 1),
            "period_end": date(signed.year - 1, 12, 31),
        }

    def _words(self, slot: str) -> str:
        base, _, form = slot.partition(":")
        if base in _OWNERS or base in _PEOPLE or base in _BUSINESSES:
            return self._party(base, form)
        if base in self.days:
            self.dates[Dated(self.days[base], base)] = None
            return wording.day(self.days[base], form or self._form)
        if base in _AMOUNTS or base in _DERIVED:
            cents = self.amount(self.cents(base), base)
            return wording.dollars(cents) if form == "words" else wording.money(cents)
        if base in NAMED:
            return self._dice.pick(NAMED[base])
        return self._other(base)

    def _other(self, base: str) -> str:
        if base not in _OTHERS:
            raise DeclarationError(f"{{{base}}} is no slot: use a role, a date, an amount or one of {sorted(_OTHERS)}")
        return _OTHERS[base](self, self._dice)

    def _party(self, role: str, form: str) -> str:
        name, what = self.name(role)
        self.parties[Party(name, _ROLES.get(role, role))] = None
        return f"{name}, {what}" if form == "full" else name

    def _invented(self, role: str) -> tuple[str, str]:
        if role in _PEOPLE or (self._home and role in {"tenant", "occupant"}):
            return people.person(self._dice), "an individual"
        if role in _OWNERS:
            alone = self._home and self._dice.chance(0.4)
            return (people.person(self._dice), "an individual") if alone else people.owner(self._dice)
        return people.business(self._dice)

    def _priced(self, name: str) -> int:
        if name in _DERIVED:
            return _DERIVED[name](self)
        low, high, step = _AMOUNTS[name]
        whole = low + step * self._dice.between(0, (high - low) // step)
        cents = self._dice.between(1, 99) if step == 1 else 0
        return whole * 100 + cents

    def monthly(self) -> int:
        """The monthly rent in cents."""
        dollars = self._dice.between(170, 860) * 5 if self._home else self._dice.between(180, 4_200) * 10
        return dollars * 100 + (self._dice.between(1, 99) if self._dice.chance(0.3) else 0)

    def between(self, low: int, high: int) -> int:
        """A random whole number, for what is derived."""
        return self._dice.between(low, high)


def grown(cents: int, rate: int) -> int:
    """`cents` after an increase by `rate` hundredths of a percent, rounded half up."""
    return (cents * (10_000 + rate) * 2 + 10_000) // 20_000


def _next_month(when: date, months: int) -> date:
    """The first day of the month, `months` later."""
    index = when.year * 12 + when.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


def _plus_years(when: date, years: int) -> date:
    return when.replace(year=when.year + years)  # always the first of a month, so 29 February cannot occur


_DERIVED: dict[str, Callable[[Facts], int]] = {
    "rent": Facts.monthly,
    "annual": lambda facts: facts.cents("rent") * 12,
    "deposit": lambda facts: facts.cents("rent") * facts.between(1, 2),
    "new_rent": lambda facts: grown(facts.cents("rent"), facts.rate),
    "new_annual": lambda facts: facts.cents("new_rent") * 12,
    "late": lambda facts: facts.between(5, 30) * 500,
    "prorated": lambda facts: facts.cents("rent") * facts.between(8, 28) // 30,
    "balance": lambda facts: facts.cents("price") - facts.cents("earnest"),
    "cam_gross": lambda facts: facts.cam.gross,
    "cam_budget": lambda facts: facts.cam.budget,
    "cam_pool": lambda facts: facts.cam.pool,
    "cam_owed": lambda facts: facts.cam.owed,
    "cam_paid": lambda facts: facts.cam.paid,
    "cam_estimate": lambda facts: facts.cam.estimate,
    "cam_stop": lambda facts: facts.cam.stop,
    "cam_balance": lambda facts: abs(facts.cam.balance),
    "cam_next": lambda facts: facts.cam.owed // 12,
}
_OTHERS: dict[str, Callable[[Facts, Dice], str]] = {
    "address": lambda _, dice: people.street(dice),
    "notice_address": lambda _, dice: people.street(dice),
    "center": lambda _, dice: people.center(dice),
    "suite": lambda _, dice: str(dice.between(100, 2_400)),
    "unit": lambda _, dice: f"{dice.between(1, 40)}{dice.pick('ABCD')}",
    "state": lambda _, dice: dice.pick(people.STATES),
    "city": lambda facts, dice: dice.pick(people.CITIES[facts.say("state")]),
    "county": lambda _, dice: dice.pick(people.COUNTIES),
    "zip": lambda _, dice: f"{dice.between(10_000, 98_999)}",
    "person": lambda _, dice: people.person(dice),
    "officer": lambda _, dice: dice.pick(("President", "Manager", "Managing Member", "Vice President", "CEO")),
    "area": lambda _, dice: f"{dice.between(90, 2_400) * 10:,}",
    "added_area": lambda _, dice: f"{dice.between(40, 900) * 10:,}",
    "building_area": lambda _, dice: f"{dice.between(3_000, 40_000) * 10:,}",
    "term": lambda facts, _: wording.number_in_words(facts.years),
    "rate": lambda facts, _: f"{facts.rate / 100:g}%",
    "share": lambda _, dice: f"{dice.between(80, 4_200) / 100:.2f}%",
    "nth": lambda _, dice: wording.ordinal(dice.between(1, 6)),
    "number": lambda _, dice: f"{dice.between(1_000, 99_999)}",
    "lease_year": lambda facts, _: str(facts.days["lease_date"].year),
    "year": lambda facts, _: str(facts.days["effective"].year),
    "last_year": lambda facts, _: str(facts.days["effective"].year - 1),
    "cam_year": lambda facts, _: str(facts.cam.year),
    "cam_share": lambda facts, _: f"{facts.cam.share // 10_000}.{facts.cam.share % 10_000:04d}%",
    "cam_building": lambda facts, _: f"{facts.cam.building:,}",
    "cam_premises": lambda facts, _: f"{facts.cam.premises:,}",
    "cam_cap": lambda facts, _: cap_sentence(facts.cam),
    "cam_gross_up": lambda facts, _: gross_up_sentence(facts.cam),
    "cam_admin": lambda facts, _: f"{facts.cam.admin / 100:g}%",
    "cam_outcome": lambda facts, _: "a balance due" if facts.cam.balance >= 0 else "a credit",
    "box": lambda _, dice: dice.pick(("[ ]", "[X]")),
    "blank": lambda _, dice: "_" * dice.between(12, 30),
}
