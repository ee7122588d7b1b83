"""Turns: of the rollouts and experiments of a model one runs at a time, for both would say who answers whom.

A turn is claimed by a record of its number, so of two that begin at once one is refused, with the name of the other. It
is given back when what held it is closed; who is killed in between holds it still, and goes on when called again.
"""

from dataclasses import dataclass
from datetime import datetime

from ml_assets.errors import MlAssetsError
from ml_assets.storage.lake import Lake
from ml_assets.storage.ledger import Ledger
from ml_assets.storage.tables import ModelTables

_FREE = ""


class TurnTakenError(MlAssetsError):
    """Another rollout or experiment of the model is running."""


@dataclass(frozen=True)
class Turn:
    """A row of the ledger of turns.

    Args:
        number: counts from 0.
        holder: `rollout 7-1`, `experiment price`; empty: nobody from now on.
        at: since when, naive UTC.
    """

    number: int
    holder: str
    at: datetime


def ledger(model: str) -> Ledger[Turn]:
    """A model's turns."""
    return Ledger(ModelTables(model).turns, Turn, ("number",))


def turn_holder(lake: Lake, model: str) -> str | None:
    """Whose turn it is, such as `experiment price`; None: nobody's."""
    last = ledger(model).last(lake)
    return last.holder or None if last else None


def take_turn(lake: Lake, model: str, holder: str, at: datetime) -> None:
    """Begin, unless another one runs; who has the turn already may call again.

    Args:
        lake: where the ledger is.
        model: the model's name.
        holder: `rollout 7-1`, `experiment price`.
        at: now, naive UTC.

    Raises:
        TurnTakenError: another one runs; the message names it.
    """
    last = ledger(model).last(lake)
    if last is None or last.holder == _FREE:
        last = _claim(lake, model, Turn(last.number + 1 if last else 0, holder, at))
    if last.holder != holder:
        raise TurnTakenError(
            f"{model}: {holder} cannot begin while {last.holder} runs (since {last.at:%Y-%m-%d %H:%M} UTC): "
            f"{_remedy(model, last.holder)}"
        )


def end_turn(lake: Lake, model: str, holder: str, at: datetime) -> None:
    """Give a turn back; of who does not have it nothing changes.

    Args:
        lake: where the ledger is.
        model: the model's name.
        holder: who had it.
        at: now, naive UTC.
    """
    last = ledger(model).last(lake)
    if last is not None and last.holder == holder:
        _claim(lake, model, Turn(last.number + 1, _FREE, at))


def _claim(lake: Lake, model: str, turn: Turn) -> Turn:
    """The turn of that number: this one, or that of who was quicker."""
    ledger(model).append(lake, turn, records={f"turn={turn.number}": 1})
    return ledger(model).last(lake, "number = $number", number=turn.number) or turn


def _remedy(model: str, holder: str) -> str:
    kind, _, name = holder.partition(" ")
    if kind == "experiment":
        return f"wait for it, or end it with `ml-assets experiment stop {model} {name} --reason …`"
    return f"wait for it, or end it with `ml-assets rollout {model} roll-back --reason …`"
