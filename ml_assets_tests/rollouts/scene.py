"""A rollout to look at: a real lake and event store, a registry that may be killed, and traffic of known faults."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np

from ml_assets.decisions.assignment import assign_variant, unit_point
from ml_assets.decisions.route import CHALLENGER, CHAMPION, Route
from ml_assets.events.exposures import ERROR, Exposure, ShadowAnswer, VariantFailure
from ml_assets.events.rows import Event, Prediction, Traffic
from ml_assets.events.store import EventStore
from ml_assets.rollouts.ledger import RolloutStep, ledger
from ml_assets.rollouts.offers import offer_version
from ml_assets.rollouts.rollout import Beginning, Measurement, apply_step, begin, measure, take_step
from ml_assets.spec.rollout import GuardrailSpec, RolloutSpec, ShadowSpec
from ml_assets.storage.lake import Lake, Rows
from ml_assets.storage.manifest import Input
from ml_assets.storage.registry import Registry, Version
from ml_assets.training.definition import ModelDefinition
from ml_assets_tests.serving.released import manifest

MODEL = "shop"
START = datetime(2026, 6, 1, 12)  # noqa: DTZ001 - the lake's times are naive UTC
DAY = date(2026, 5, 31)
INPUTS = (Input("x", "number", "habits", 1.0), Input("seldom", "number", "habits", 1.0, missing=0.5))
SPEC = RolloutSpec(
    guardrails=(GuardrailSpec(metric="errors", at_most_worse=0.02),),
    shadow=ShadowSpec(after=timedelta(days=14)),
    quality=(),
)


class KilledError(BaseException):
    """The process ends here."""


def version(number: int) -> Version:
    tags = {"as_of": str(DAY), "declaration": f"d{number}", "release": f"m{number}"}
    return Version(MODEL, number, f"run{number}", tags)


@dataclass
class Fate:
    """The process is killed before the write of a number, to the lake or the registry; None: never."""

    kill_at: int | None = None
    writes: int = 0

    def write(self) -> None:
        if self.kill_at is not None and self.writes >= self.kill_at:
            self.kill_at = None
            raise KilledError
        self.writes += 1


@dataclass(frozen=True)
class MortalLake(Lake):
    """A lake whose writer may be killed."""

    fate: Fate = field(default_factory=Fate)

    def append(self, table: str, rows: Rows, *, records: Mapping[str, int] | None = None) -> int:
        self.fate.write()
        return super().append(table, rows, records=records)


@dataclass
class SmallRegistry:
    """Aliases, one route, and what was announced; who writes may be killed."""

    fate: Fate = field(default_factory=Fate)
    aliases: dict[str, int] = field(default_factory=lambda: {CHAMPION: 6})
    text: Route | None = None
    announced: dict[str, Any] | None = None

    def version(self, _: str, number: int) -> Version:
        return version(number)

    def versions(self, _: str) -> list[Version]:
        return [version(number) for number in (5, 6, 7, 8)]

    def champion(self, _: str) -> Version | None:
        return version(self.aliases[CHAMPION]) if CHAMPION in self.aliases else None

    def promote(self, promoted: Version, variant: str = CHAMPION) -> None:
        self.fate.write()
        self.aliases[variant] = promoted.number

    def demote(self, _: str, variant: str) -> None:
        if variant in self.aliases:
            self.fate.write()
            del self.aliases[variant]

    def route(self, _: str) -> Route | None:
        return self.text

    def set_route(self, route: Route) -> None:
        self.fate.write()
        self.text = route

    def clear_route(self, _: str) -> None:
        self.fate.write()
        self.text = None

    def manifest(self, released: Version) -> bytes:
        return manifest(released.number, inputs=INPUTS).to_json()

    def read(self, _: str, __: str) -> bytes | None:
        return None

    def announce(self, _: str, intent: Mapping[str, Any]) -> None:
        self.fate.write()
        self.announced = json.loads(json.dumps(intent))

    def intent(self, _: str) -> dict[str, Any] | None:
        return self.announced

    def clear_intent(self, _: str) -> None:
        self.fate.write()
        self.announced = None

    @property
    def served(self) -> dict[str, int | float]:
        """What servers make of it: variant → share, by version."""
        route = self.text
        if route is None or route.default.version != self.aliases[CHAMPION]:
            route = Route.of_champion(MODEL, self.aliases[CHAMPION])
        return {f"{variant.name} {variant.version}": variant.share for variant in route.variants}


@dataclass
class Scene:
    """A model with a champion, version 6, and a challenger, version 7.

    Args:
        root: of the lake and the event store.
        folder: the model.
        spec: of its rollouts.
    """

    root: Path
    folder: ModelDefinition
    spec: RolloutSpec = SPEC
    now: datetime = START
    registry: SmallRegistry = field(default_factory=SmallRegistry)
    asked: int = 0

    def __post_init__(self) -> None:
        self.lake = MortalLake(str(self.root / "lake"), fate=self.registry.fate)
        self.store = EventStore(f"sqlite:///{self.root}/events.db", patience=30.0)

    @property
    def known(self) -> Registry:
        """The registry, as the code takes it."""
        return cast("Registry", self.registry)

    def write(self, *rows: Event) -> None:
        writer = self.store.writer()
        writer.write(rows)
        writer.close()

    def answer(self, count: int = 200, errors: int = 0) -> None:
        """The champion answers, before the rollout: 1 ms to 2 ms, one of ten without a feature that is expected."""
        at, lacking = self.micros(self.now - timedelta(hours=3)), ['["seldom","x"]', '["seldom"]', *[None] * 8]
        self.write(*(
            Prediction(f"p{n}", MODEL, "6", CHAMPION, f"c{n % 150}", None, 0.5, "no", "{}", lacking[n % 10],
                       None, at, 1_000 + 1_000 * n // count)
            for n in range(count)
        ))  # fmt: skip
        self.write(Traffic(MODEL, "w1", at, at + 1, count, 0, errors, "[]"))

    def micros(self, moment: datetime) -> int:
        return int(moment.replace(tzinfo=UTC).timestamp() * 1_000_000)

    def offer(self, number: int = 7) -> None:
        offer_version(self.lake, version(number), as_of=DAY, at=self.now, actor="ada", reason="good", gated=False)

    def begin(self, actor: str = "sensor") -> Beginning:
        return begin(self.lake, self.known, self.store, self.folder, self.spec, actor=actor, now=self.now)

    def started(self) -> RolloutStep:
        """The first step of a rollout of version 7."""
        self.answer()
        self.offer()
        step = self.begin().step
        assert step
        return step

    def ask(self, units: int, *, champion: float = 0.01, challenger: float = 0.01, disagree: float = 0.0) -> None:
        """New units ask; each is assigned as servers do it, and some have an error."""
        route, at, rows = self.registry.text, self.micros(self.now), list[Event]()
        assert route
        rng = np.random.default_rng(self.asked)
        for n in range(self.asked, self.asked + units):
            unit, name = f"u{n}", str(route.experiment)
            variant = assign_variant(unit_point(route.salt, unit), route.shares, CHAMPION)
            rows.append(Exposure(MODEL, name, unit, variant, f"q{n}", at))
            if rng.random() < (challenger if variant == CHALLENGER else champion):
                rows.append(VariantFailure(MODEL, name, unit, variant, ERROR, "", at))
            if rng.random() < route.shadow:
                agrees = int(rng.random() >= disagree)
                rows.append(
                    ShadowAnswer(f"q{n}", MODEL, name, unit, CHALLENGER, "7", 0.5, "no", None, agrees, 9, None, at)
                )
        self.asked += units
        self.write(*rows)

    def measure(self) -> Measurement | None:
        return measure(self.lake, self.known, self.store, MODEL, now=self.now)

    def tick(self, actor: str = "sensor", *, after: timedelta = timedelta(minutes=15)) -> RolloutStep | None:
        """What the sensor does: apply, measure, take the step."""
        self.now += after
        stands = apply_step(self.lake, self.known, MODEL, now=self.now)
        measurement = self.measure()
        if measurement is None:
            return stands
        return take_step(self.lake, self.known, MODEL, measurement, actor=actor, now=self.now)

    @property
    def steps(self) -> list[RolloutStep]:
        return ledger(MODEL).history(self.lake)

    @property
    def actions(self) -> list[str]:
        return [step.action for step in self.steps]
