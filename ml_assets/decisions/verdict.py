"""The one form of every decision: an action, the sentence that a person reads, and the numbers that it stands on."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

ActionT = TypeVar("ActionT", bound=StrEnum)
NumbersT = TypeVar("NumbersT")


@dataclass(frozen=True)
class Verdict(Generic[ActionT, NumbersT]):
    """An action and its reason.

    Args:
        action: one of the actions of the decision.
        reason: in one sentence.
        numbers: each condition that was looked at, with its value, its limit and a sentence of its own.
    """

    action: ActionT
    reason: str
    numbers: tuple[NumbersT, ...]
