"""Several processes step one rollout: each step is taken once, and all of them apply what stands."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Self

import msgspec
import pytest
from filelock import FileLock

from ml_assets.decisions.route import CHAMPION, Route
from ml_assets.errors import TrainingError
from ml_assets.rollouts.ledger import Action
from ml_assets.rollouts.rollout import roll_back_by_hand
from ml_assets.spec.rollout import RolloutSpec
from ml_assets.storage.registry import Version
from ml_assets_tests.conftest import Tiny
from ml_assets_tests.processes import race
from ml_assets_tests.rollouts.scene import MODEL, SPEC, Scene, SmallRegistry
from ml_assets_tests.rollouts.test_killed import QUICK

Seen = tuple[dict[str, int | float], list[tuple[str, int, Action]]]


class SharedRegistry(SmallRegistry):
    """A registry in a file, as one server of MLflow is there for all."""

    path: Path

    @classmethod
    def at(cls, root: str) -> Self:
        registry = cls()
        registry.path = Path(root) / "registry.json"
        return registry

    @contextmanager
    def _open(self) -> Iterator[None]:
        with FileLock(f"{self.path}.lock"):
            if self.path.exists():
                aliases, text = msgspec.json.decode(self.path.read_bytes(), type=tuple[dict[str, int], Route | None])
                self.aliases, self.text = aliases, text
            yield
            self.path.write_bytes(msgspec.json.encode((self.aliases, self.text)))

    def champion(self, model: str) -> Version | None:
        with self._open():
            return super().champion(model)

    def promote(self, promoted: Version, variant: str = CHAMPION) -> None:
        with self._open():
            super().promote(promoted, variant)

    def demote(self, model: str, variant: str) -> None:
        with self._open():
            super().demote(model, variant)

    def route(self, model: str) -> Route | None:
        with self._open():
            return super().route(model)

    def set_route(self, route: Route) -> None:
        with self._open():
            super().set_route(route)

    def clear_route(self, model: str) -> None:
        with self._open():
            super().clear_route(model)


def _scene(root: str, actor: str, spec: RolloutSpec) -> Scene:
    folder = Tiny(Path(root) / actor).folder()
    return Scene(Path(root), folder, spec, registry=SharedRegistry.at(root))


def _watch(root: str, actor: str, ticks: int) -> Seen:
    scene = _scene(root, actor, QUICK)
    scene.begin(actor)
    for _ in range(ticks):
        scene.tick(actor, after=timedelta(minutes=3))
        if scene.registry.text is not None and scene.registry.text.shares.get("challenger"):
            scene.asked = 1_000_000 + len(scene.steps) * 1_000 + hash(actor) % 7 * 100
            scene.ask(60)
    scene.tick(actor)
    steps = [(step.rollout, step.step, step.action) for step in scene.steps]
    scene.store.close()
    return scene.registry.served, steps


def _start(root: str, actor: str) -> str:
    scene = _scene(root, actor, SPEC)
    step = scene.begin(actor).step
    scene.store.close()
    assert step
    return step.actor


@pytest.fixture
def root(tmp_path: Path) -> str:
    scene = Scene(tmp_path, Tiny(tmp_path).folder())
    scene.answer()
    scene.offer()
    scene.store.close()
    return str(tmp_path)


@pytest.mark.slow
def test_of_processes_that_begin_at_once_one_begins(root: str) -> None:
    actors = race(_start, [(root, f"actor {number}") for number in range(3)])
    assert len(set(actors)) == 1


@pytest.mark.slow
def test_processes_that_watch_at_once_take_each_step_once(root: str) -> None:
    ends = race(_watch, [(root, f"actor {number}", 8) for number in range(3)])
    steps = max((steps for _, steps in ends), key=len)
    assert len({(rollout, step) for rollout, step, _ in steps}) == len(steps)
    assert [step for _, step, _ in steps] == [*range(len(steps))]
    assert [action for *_, action in steps if action != "hold"] == ["start", "advance", "promote"]
    assert {str(served) for served, _ in ends} == {"{'champion 7': 1.0, 'previous 6': 0.0}"}


def test_a_person_is_heard_although_a_process_takes_the_next_step_first(scene: Scene) -> None:
    scene.started()
    scene.tick()
    late = roll_back_by_hand(scene.lake, scene.known, MODEL, reason="no", actor="ada", now=scene.now)
    assert (late.actor, late.step) == ("ada", 2)
    with pytest.raises(TrainingError, match="no rollout is running"):
        roll_back_by_hand(scene.lake, scene.known, MODEL, reason="no", actor="bob", now=scene.now)
