"""The hyperparameter search of a model, as its `defs.yaml` declares it."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from ml_assets.spec.base import Declaration

if TYPE_CHECKING:
    import optuna

Value = str | int | float | bool | None


class Range(Declaration):
    """Numbers from `low` to `high`, both included; whole numbers where both (and `step`) are whole."""

    low: int | float = Field(description="The smallest value")
    high: int | float = Field(description="The largest value")
    log: bool = Field(False, description="Search on a logarithmic scale: for rates and strengths")
    step: int | float | None = Field(None, description="Only every `step`-th value from `low` on")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"low {self.low} is not below high {self.high}: widen the range, or declare one value")
        if self.log and self.low <= 0:
            raise ValueError(f"low {self.low} has no logarithm: start above 0, or leave `log` out")
        if self.step is not None:
            self._require_step(self.step)
        return self

    def _require_step(self, step: float) -> None:
        if self.log:
            raise ValueError(f"step {step} and log exclude each other: leave one out")
        steps = (self.high - self.low) / step if step > 0 else 0
        if steps < 1 or not math.isclose(steps, round(steps), rel_tol=1e-9):
            raise ValueError(
                f"step {step} does not lead from {self.low} to {self.high}: choose a divisor of the distance"
            )

    @property
    def ends(self) -> tuple[Value, ...]:
        """The values that say whether the parameter takes all of them."""
        return self.low, self.high

    def suggest(self, trial: "optuna.Trial", name: str) -> Value:
        """The value that `trial` tries for the parameter `name`."""
        low, high, step = self.low, self.high, self.step
        if isinstance(low, int) and isinstance(high, int) and (step is None or isinstance(step, int)):
            whole: int = trial.suggest_int(name, low, high, step=step or 1, log=self.log)
            return whole
        number: float = trial.suggest_float(name, low, high, step=step, log=self.log)
        return number


class Choices(Declaration):
    """One of a few values."""

    choices: tuple[Value, ...] = Field(min_length=1, description="The values to choose from")

    @property
    def ends(self) -> tuple[Value, ...]:
        """Every choice."""
        return self.choices

    def suggest(self, trial: "optuna.Trial", name: str) -> Value:
        """The value that `trial` tries for the parameter `name`."""
        value: Value = trial.suggest_categorical(name, self.choices)
        return value


def _kind(entry: object) -> str | None:
    if isinstance(entry, Choices) or (isinstance(entry, Mapping) and "choices" in entry):
        return "choices"
    return "range" if isinstance(entry, Range | Mapping) else None


Entry = Annotated[
    Annotated[Range, Tag("range")] | Annotated[Choices, Tag("choices")],
    Discriminator(
        _kind,
        custom_error_type="search_entry",
        custom_error_message="write {low: 1, high: 9} or {choices: [a, b]}; one value goes under `estimator`",
    ),
]


class SearchSpec(Declaration):
    """`search: {trials: 20, learning_rate: {low: 0.01, high: 0.3, log: true}}`: other keys are parameters."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Entry]

    trials: int = Field(20, ge=1, le=10_000, description="How many candidates are tried")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.__pydantic_extra__:
            raise ValueError("search names no parameter: add one, such as max_leaf_nodes: {low: 7, high: 63}")
        return self

    @property
    def space(self) -> dict[str, Range | Choices]:
        """What is searched, by parameter."""
        return dict(self.__pydantic_extra__)
