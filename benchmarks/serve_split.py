"""What a split costs: `ml-assets serve` with 10 % for a challenger, and with shadows, beside the same without one.

The challenger is the champion's forest again, so what is measured is the split: assignment, exposures, the challenger's
own way. All servers run at once and are loaded in turns of seconds, so what else the machine does meets each of them;
a turn is compared with that of the plain server in the same round. Processor time a request is what counts. One
process may be faster than its twin, so all are started several times.
"""

import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.figure import Figure, figures
from benchmarks.process import BenchmarkError, call, say
from benchmarks.serve_forest import MODEL, Forest, prepared, unsettled
from benchmarks.serve_load import NEW, Load, load, post
from benchmarks.serve_process import Server, started
from benchmarks.serve_sides import SQLITE, Side, ours
from ml_assets.decisions.assignment import unit_point

if TYPE_CHECKING:
    from ml_assets.storage.manifest import Manifest
    from ml_assets.storage.registry import Registry, Version

_MOST = 1.05
"""Times as much processor time a request with a split of 10 % as without, where units come back."""

_PATIENCE = 30  # seconds until a model answers
_SHARE = 0.1
_AGAIN = f"{MODEL}_again"
_PLAIN, _TWO, _SPLIT, _SHADOWED = (
    "without a split", "two models without a split, one of ten requests to the second",
    "with 10 % for a challenger", "the same, and 10 % of units in shadow",
)  # fmt: skip
_NEW_PLAIN, _NEW_SPLIT = "without a split, each unit once", "with 10 % for a challenger, each unit once"


@dataclass(frozen=True)
class _Turn:
    """What is asked of a server.

    Args:
        side: the server.
        paths: of the requests.
        bodies: of the requests.
    """

    side: Side
    paths: Sequence[str]
    bodies: Sequence[str]

    @property
    def data(self) -> str:
        """The data folder, of which each server has its own."""
        return self.side.variables["ML_ASSETS_DATA"]


def measure(quick: bool) -> list[Figure]:
    """Every turn in each round, after each of several starts."""
    starts, rounds, seconds = (1, 3, 2) if quick else (4, 6, 3)
    with tempfile.TemporaryDirectory() as name, unsettled():
        forest = prepared(Path(name))
        turns = _turns(forest)
        loads: dict[str, list[Load]] = {turn: [] for turn in turns}
        for number in range(starts):
            say(f"{number + 1} of {starts} starts")
            _load_in_turns(turns, forest, loads, rounds, seconds)
    return [
        *_figures(loads, _SPLIT, _PLAIN, None if quick else _MOST),
        *_figures(loads, _SHADOWED, _PLAIN),
        *_figures(loads, _TWO, _PLAIN),
        *_figures(loads, _NEW_SPLIT, _NEW_PLAIN),
    ]


def _turns(forest: Forest) -> dict[str, _Turn]:
    """By name; what stands in one pair is asked the same."""
    call("serve_split:add_model", forest.data)
    plain, salt = ours(forest, entities=True), _salt(forest)
    split, shadowed = _with_challenger(forest, salt, 0.0), _with_challenger(forest, salt, 0.1)
    again = _assigned(forest, salt)
    one, named = [plain.path] * len(plain.bodies), [{"instances": [row | {"account_id": NEW}]} for row in forest.rows]
    other = [plain.path.replace(MODEL, _AGAIN) if each else plain.path for each in again]
    new = [json.dumps(body) for body in named]
    return {
        _PLAIN: _Turn(plain, one, plain.bodies),
        _TWO: _Turn(plain, other, plain.bodies),
        _SPLIT: _Turn(split, one, plain.bodies),
        _SHADOWED: _Turn(shadowed, one, plain.bodies),
        _NEW_PLAIN: _Turn(plain, one, new),
        _NEW_SPLIT: _Turn(split, one, new),
    }


def _salt(forest: Forest) -> str:
    """One by which a tenth of the few units that ask are the challenger's."""
    salts = (f"benchmark {number}" for number in range(1_000))
    return next(salt for salt in salts if sum(_assigned(forest, salt)) == round(_SHARE * len(forest.entities)))


def _assigned(forest: Forest, salt: str) -> list[bool]:
    """Which units are the challenger's."""
    return [unit_point(salt, entity) < _SHARE for entity in forest.entities]


def _load_in_turns(
    turns: dict[str, _Turn], forest: Forest, loads: dict[str, list[Load]], rounds: int, seconds: int
) -> None:
    """Start all servers and load one after the other; every second round goes the other way round.

    Args:
        turns: by name.
        forest: that is served.
        loads: of each turn; a load is added for each round.
        rounds: in which each turn comes once.
        seconds: of a turn.
    """
    with ExitStack() as running:
        sides = {turn.data: turn.side for turn in turns.values()}
        servers = {data: running.enter_context(_serving(side, forest)) for data, side in sides.items()}
        for turn in turns.values():  # in which a challenger that is quick proves it
            _await_models(servers[turn.data], turn)
            load(servers[turn.data], turn.paths, turn.bodies, 2)
        for number in range(rounds):
            for name, turn in [*turns.items()][:: -1 if number % 2 else 1]:
                loads[name].append(load(servers[turn.data], turn.paths, turn.bodies, seconds))
            say(", ".join(f"{name}: {some[-1].cpu:.0f} µs" for name, some in loads.items()))


def _await_models(server: Server, turn: _Turn) -> None:
    """Wait until every model of a turn answers: a server is ready as soon as one of them does."""
    until = time.monotonic() + _PATIENCE
    for path, body in dict(zip(turn.paths, turn.bodies, strict=True)).items():
        while (answer := post(server.port, path, body))[0] != HTTPStatus.OK:
            if time.monotonic() > until:
                raise BenchmarkError(f"{path} does not answer: {answer[1].decode()}")
            time.sleep(0.1)


@contextmanager
def _serving(side: Side, forest: Forest) -> Iterator[Server]:
    """A server with an empty event store, which answers right."""
    events = Path(side.variables["ML_ASSETS_EVENT_STORE"].removeprefix(SQLITE))
    for path in events.parent.glob(f"{events.name}*"):
        path.unlink()
    with started(side.command, side.variables) as server:
        side.await_ready(server)
        side.require_scores(server, forest.scores)
        yield server


def _figures(loads: dict[str, list[Load]], name: str, beside: str, limit: float | None = None) -> list[Figure]:
    """The limit is on the median of the ratios of turns that were beside each other."""
    ours, peer = loads[name], loads[beside]
    ratios = sorted(one.cpu / other.cpu for one, other in zip(ours, peer, strict=True))
    low, high = _interval(ratios)
    return [
        figures(f"{name}: processor time a request", "µs", [each.cpu for each in ours], [each.cpu for each in peer]),
        figures(f"… times as much, turn by turn; 95 % interval {low:.3f} to {high:.3f}", "", ratios, limit=limit),
        figures(f"{name}: p99", "ms", [each.p99 for each in ours], [each.p99 for each in peer]),
    ]


def _interval(ordered: Sequence[float]) -> tuple[float, float]:
    """The interval of the median, by the binomial distribution of how many values lie below it."""
    from scipy.stats import binom

    place = max(0, int(binom.ppf(0.025, len(ordered), 0.5)) - 1)
    return ordered[place], ordered[-1 - place]


def _with_challenger(forest: Forest, salt: str, shadow: float) -> Side:
    """The same server over a copy of the data, whose route has a challenger."""
    data = forest.data.with_name(f"data-{shadow:g}")
    shutil.copytree(forest.data, data)
    call("serve_split:add_challenger", data, salt=salt, shadow=shadow)
    side = ours(forest, entities=True)
    paths = {"ML_ASSETS_DATA": str(data), "ML_ASSETS_EVENT_STORE": f"{SQLITE}{data / 'events.db'}"}
    return replace(side, variables=side.variables | paths)


# --- in a process of its own


def add_model() -> dict[str, Any]:
    """Release the champion's file as another model."""
    registry, champion, manifest = _champion()
    version = _register_again(registry, champion, manifest, _AGAIN)
    registry.promote(version)
    return {"version": version.number}


def add_challenger(salt: str, shadow: float) -> dict[str, Any]:
    """Release the champion's file again as another version, and let it answer a tenth of the units.

    Args:
        salt: by which units are assigned.
        shadow: the share of the units that the others answer in shadow.
    """
    from ml_assets.decisions.route import CHALLENGER, CHAMPION, Route, Variant

    registry, champion, manifest = _champion()
    version = _register_again(registry, champion, manifest, MODEL)
    variants = (Variant(CHAMPION, champion.number, 1 - _SHARE), Variant(CHALLENGER, version.number, _SHARE))
    limits = (1e6, 1e6, 1e6)  # microseconds; measured, and never reached
    registry.set_route(Route(MODEL, salt, variants, experiment="1-1/1", shadow=shadow, limits=limits))
    return {"version": version.number}


def _champion() -> "tuple[Registry, Version, Manifest]":
    from ml_assets.settings import read_settings
    from ml_assets.storage.manifest import Manifest
    from ml_assets.storage.registry import Registry

    settings = read_settings()
    registry = Registry(settings.tracking_uri, str(settings.artifacts))
    champion = registry.champion(MODEL)
    assert champion, "the loop has released a version"
    return registry, champion, Manifest.from_json(registry.manifest(champion))


def _register_again(registry: "Registry", champion: "Version", manifest: "Manifest", model: str) -> "Version":
    from msgspec import UNSET

    from ml_assets.storage.artifacts import ModelPackage
    from ml_assets.storage.manifest import MISSING, PROBABILITIES

    kinds = {column.name: column.kind for column in manifest.inputs}
    with registry.run(model, "the same again", {"as_of": manifest.as_of, "recipe": "the same again"}) as run:
        version = run.register(ModelPackage(registry.onnx(champion), kinds, (), PROBABILITIES, MISSING), {})
    again = replace(manifest, model=model, version=version.number, reasons=None, record=UNSET)  # files of its run
    return registry.publish(version, again.to_json())
