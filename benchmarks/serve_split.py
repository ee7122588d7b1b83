"""What a split costs: `ml-assets serve` without one, with 10 % for a challenger, and with shadows beside it.

The challenger is the champion's forest again, so what is measured is the split: assignment, exposures, the challenger's
own way. Its units come back, as customers do. Sides run in turns; processor time a request is what counts.
"""

import shutil
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure, figures
from benchmarks.process import call, say
from benchmarks.serve_forest import MODEL, Forest, prepared, unsettled
from benchmarks.serve_load import Load, load
from benchmarks.serve_process import started
from benchmarks.serve_sides import SQLITE, Side, ours

_MOST = 1.05
"""Times as much processor time a request with a split of 10 % as without."""

_PLAIN, _SPLIT, _SHADOWED = "without a split", "with 10 % for a challenger", "the same, and 10 % of units in shadow"


def measure(quick: bool) -> list[Figure]:
    """Every side in turns."""
    rounds, warm, seconds = (1, 1, 2) if quick else (7, 3, 10)
    with tempfile.TemporaryDirectory() as name, unsettled():
        forest = prepared(Path(name))
        sides = {_PLAIN: ours(forest, entities=True)}
        sides |= {_SPLIT: _with_challenger(forest, 0.0), _SHADOWED: _with_challenger(forest, 0.1)}
        loads: dict[str, list[Load]] = {side: [] for side in sides}
        for number in range(rounds):
            for side, server in sides.items():
                loads[side].append(_load(server, forest, warm, seconds))
                say(f"{number + 1} of {rounds}, {side}: {loads[side][-1].cpu:.0f} µs a request")
    return [*_figures(loads, _SPLIT, None if quick else _MOST), *_figures(loads, _SHADOWED, None)]


def _figures(loads: dict[str, list[Load]], side: str, limit: float | None) -> list[Figure]:
    """The limit is on medians: single runs of a machine with other work differ by more than a split costs."""
    cpu = {name: [each.cpu for each in some] for name, some in loads.items()}
    medians = statistics.median(cpu[side]) / statistics.median(cpu[_PLAIN])
    return [
        figures(f"{side}: processor time a request", "µs", cpu[side], cpu[_PLAIN]),
        figures(f"{side}: times as much as without, medians", "", [medians], limit=limit),
        figures(f"{side}: p99", "ms", [each.p99 for each in loads[side]], [each.p99 for each in loads[_PLAIN]]),
    ]


def _load(side: Side, forest: Forest, warm: int, seconds: int) -> Load:
    events = Path(side.variables["ML_ASSETS_EVENT_STORE"].removeprefix(SQLITE))
    for path in events.parent.glob(f"{events.name}*"):
        path.unlink()
    with started(side.command, side.variables) as server:
        side.await_ready(server)
        side.require_scores(server, forest.scores)
        load(server, side.path, side.bodies, warm)  # in which a challenger that is quick proves it
        return load(server, side.path, side.bodies, seconds)


def _with_challenger(forest: Forest, shadow: float) -> Side:
    """The same server over a copy of the data, whose route has a challenger."""
    data = forest.data.with_name(f"data-{shadow:g}")
    shutil.copytree(forest.data, data)
    call("serve_split:add_challenger", data, shadow=shadow)
    side = ours(forest, entities=True)
    return replace(
        side,
        variables=side.variables
        | {"ML_ASSETS_DATA": str(data), "ML_ASSETS_EVENT_STORE": f"{SQLITE}{data / 'events.db'}"},
    )


# --- in a process of its own


def add_challenger(shadow: float) -> dict[str, Any]:
    """Release the champion's file again as another version, and let it answer a tenth of the units."""
    from ml_assets.decisions.route import CHALLENGER, CHAMPION, Route, Variant
    from ml_assets.settings import read_settings
    from ml_assets.storage.artifacts import ModelPackage
    from ml_assets.storage.manifest import MISSING, PROBABILITIES, Manifest
    from ml_assets.storage.registry import Registry

    registry = Registry(read_settings().tracking_uri)
    champion = registry.champion(MODEL)
    assert champion, "the loop has released a version"
    manifest = Manifest.from_json(registry.manifest(champion))
    kinds = {column.name: column.kind for column in manifest.inputs}
    with registry.run(MODEL, "the same again", {"as_of": manifest.as_of, "recipe": "the same again"}) as run:
        version = run.register(ModelPackage(registry.onnx(champion), kinds, (), PROBABILITIES, MISSING), {})
    registry.publish(version, replace(manifest, version=version.number).to_json())
    variants = (Variant(CHAMPION, champion.number, 0.9), Variant(CHALLENGER, version.number, 0.1))
    limits = (1e6, 1e6, 1e6)  # microseconds; measured, and never reached
    registry.set_route(Route(MODEL, "benchmark", variants, experiment="1-1/1", shadow=shadow, limits=limits))
    return {"version": version.number}
