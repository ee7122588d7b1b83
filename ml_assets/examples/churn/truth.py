"""`simulation.json`: what the files of a folder hold."""

import json
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ml_assets.errors import DataError
from ml_assets.examples.churn.files import describe
from ml_assets.examples.churn.parameters import Simulation

_NAME = "simulation.json"
_DATES = {"end", "since", "drift_from"}


@dataclass(frozen=True)
class SimulationManifest:
    """The simulation up to its present end, and `written`, the end of its monthly files."""

    simulation: Simulation
    written: date


def save(folder: Path, manifest: SimulationManifest) -> None:
    """Replace the manifest of a folder in one step."""
    # `until` fixes the start, which `months` and a later end would move.
    extended = manifest.simulation.until(manifest.simulation.end)
    values = {key: value.isoformat() if isinstance(value, date) else value for key, value in asdict(extended).items()}
    describe(folder / _NAME, {"simulation": values, "written": manifest.written.isoformat()})


def find(folder: Path) -> SimulationManifest | None:
    """The manifest of a folder; None where there is none yet.

    Raises:
        DataError: the file cannot be understood.
    """
    path = folder / _NAME
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return SimulationManifest(Simulation(**_dated(content["simulation"])), date.fromisoformat(content["written"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is no manifest ({error!r}): remove the folder and write it again") from error


def load(folder: Path) -> SimulationManifest:
    """The manifest of a folder.

    Raises:
        DataError: there is none, or it cannot be understood.
    """
    record = find(folder)
    if record is None:
        raise DataError(f"{folder} holds no {_NAME}: write a simulation first")
    return record


def _dated(named: dict[str, Any]) -> dict[str, Any]:
    return {key: date.fromisoformat(value) if key in _DATES and value else value for key, value in named.items()}
