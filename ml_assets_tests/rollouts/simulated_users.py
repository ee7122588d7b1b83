"""Customers of a shop in an A/B test of known effect, written as a server writes them and taken into the lake."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from ml_assets.decisions.assignment import assign_variant, unit_point
from ml_assets.events.exposures import Exposure
from ml_assets.events.rows import Event, Outcome, Prediction, outcome, prediction_id
from ml_assets.events.store import EventStore
from ml_assets.events.unit_outcomes import unit_outcome_id
from ml_assets.monitoring.log.take import take
from ml_assets.rollouts.experiment_ledger import ExperimentStep
from ml_assets.spec.experiment import ExperimentSpec
from ml_assets.storage.lake import Lake
from ml_assets_tests.serving.traffic import write

START = datetime(2026, 6, 1)  # noqa: DTZ001 - naive UTC, as in the lake
VERSIONS = '{"a": 6, "b": 7}'


def microseconds(moment: datetime) -> int:
    """Since 1970."""
    return (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)  # noqa: DTZ001


def spec(**changes: object) -> ExperimentSpec:
    """A test of version 7 against the champion, by purchases within a day."""
    primary = {"metric": "purchase", "window": "1d"}
    variants = {"a": {"version": "champion", "share": 0.5}, "b": {"version": 7, "share": 0.5}}
    declared = {"name": "price", "primary": primary, "variants": variants, **changes}
    return ExperimentSpec.model_validate(declared)


def first_step(declared: ExperimentSpec) -> ExperimentStep:
    """An experiment that began at `START`."""
    return ExperimentStep(
        "price", 0, START, "asset", "start", "", None, START, VERSIONS, declared.full_salt("churn"),
        declared.model_dump_json(), "null",
    )  # fmt: skip


@dataclass
class Users:
    """Customers who each come once in the first week, and may buy within the day.

    Args:
        count: how many.
        rates: variant → the probability of a purchase.
        seed: of chance.
    """

    count: int = 4_000
    rates: tuple[tuple[str, float], ...] = (("a", 0.2), ("b", 0.2))
    seed: int = 7

    def events(self) -> list[Event]:
        """Exposures, answers and purchases, in the order of time."""
        random, rates, events = np.random.default_rng(self.seed), dict(self.rates), list[Event]()
        minutes = np.sort(random.uniform(0, 7 * 1440, self.count))
        for number, (minute, chance) in enumerate(zip(minutes, random.uniform(size=self.count), strict=True)):
            unit, at = f"customer-{number}", START + timedelta(minutes=float(minute))
            variant = assign_variant(unit_point("churn/price", unit), {"b": 0.5}, "a")
            events += self._visit(unit, variant, at, buys=chance < rates[variant])
        return events

    def _visit(self, unit: str, variant: str, at: datetime, *, buys: bool) -> list[Event]:
        now = microseconds(at)
        answer = Prediction(
            prediction_id("churn", now * 1000), "churn", "6" if variant == "a" else "7", variant, unit, None,
            0.5, None, "{}", None, None, now, 900,
        )  # fmt: skip
        exposure = Exposure("churn", "price", unit, variant, answer.prediction_id, now)
        return [answer, exposure, *([purchase(answer.prediction_id, now)] if buys else [])]


def purchase(answer: str, now: int, value: float = 1.0, hours: float = 3.0) -> Outcome:
    """A purchase some hours after an answer, `now` in microseconds."""
    later = now + round(hours * 3_600_000_000)
    return outcome(answer, "purchase", value, observed_at=later, received_at=later)


def of_unit(unit: str, moment: datetime, value: float = 1.0) -> Outcome:
    """A purchase that is told of a unit of the experiment, not of an answer."""
    at = microseconds(moment)
    return outcome(unit_outcome_id("churn", "price", unit), "purchase", value, observed_at=at, received_at=at)


def fill(folder: Path, events: list[Event]) -> Lake:
    """A lake that holds the events."""
    folder.mkdir(exist_ok=True)
    lake = Lake(str(folder / "lake"))
    with EventStore(f"sqlite:///{folder}/events.db") as store:
        write(store, *events)
        take(lake, store, "churn", None)
    return lake
