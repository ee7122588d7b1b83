"""The registry on a real SQLite: a version appears whole or not at all."""

import contextlib
import multiprocessing
import shutil
import sqlite3
import tempfile
import time
from dataclasses import replace
from datetime import date
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

from ml_assets.decisions.route import Route, Variant
from ml_assets.errors import RegistryError
from ml_assets.storage.artifacts import ModelPackage
from ml_assets.storage.files import part_of
from ml_assets.storage.registry import Registry, Version
from ml_assets.storage.route_tag import TAG, write_route
from ml_assets.storage.tracking import follow
from ml_assets_tests.processes import tracking

pytestmark = pytest.mark.slow  # MLflow takes seconds to import, and its database seconds to create

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    root = tmp_path_factory.mktemp("mlflow")
    return Registry(f"sqlite:///{root}/mlflow.db", str(root / "artifacts"))


@pytest.fixture(scope="module")
def onnx() -> bytes:
    """The smallest model: it returns what it is given."""
    from onnx import TensorProto, helper

    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "same", [x], [y])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return bytes(made.SerializeToString())


def package(onnx: bytes) -> ModelPackage:
    return ModelPackage(onnx, {"x": "number"}, (), "y", "")


def trained(registry: Registry, onnx: bytes, model: str, recipe: str = "r1", as_of: str = "2025-01-05") -> Version:
    with registry.run(model, as_of, {"as_of": as_of, "recipe": recipe}) as run:
        run.log({"C": 1.0}, {"onnx_parity": 0.0})
        run.trial(0, {"C": 0.5}, 0.7, "validation_roc_auc")
        run.inputs([("shop/raw/orders", "/lake/shop/raw/orders", 3, "training")])
        return run.register(package(onnx), {"training.json": b"{}", "a/b.txt": b"c"})


def runs(registry: Registry, model: str) -> list[str]:
    experiment = registry._client.get_experiment_by_name(model)
    return [] if experiment is None else [
        run.info.run_id for run in registry._client.search_runs([experiment.experiment_id])
    ]  # fmt: skip


def test_a_run_becomes_a_version_that_is_found_promoted_and_read(registry: Registry, onnx: bytes) -> None:
    assert (registry.find("loop", "r1"), registry.champion("loop")) == (None, None)
    version = trained(registry, onnx, "loop")
    assert (version.number, version.as_of) == (1, date(2025, 1, 5))
    assert registry.find("loop", "r1") == version == registry.version("loop", 1)
    assert registry.find("loop", "r2") is None
    assert registry.champion("loop") is None
    assert registry.glance("loop") is None
    registry.promote(version)
    champion = registry.champion("loop")
    assert champion is not None
    assert champion.number == 1
    assert registry.glance("loop") == (champion, registry.metrics(version.run_id)), "MLflow's tables are as they were"
    assert len(registry.onnx(version)) > 0
    assert registry.read(version.run_id, "training.json") == b"{}"
    assert registry.read(version.run_id, "a/b.txt") == b"c"
    assert registry.read(version.run_id, "a/other.txt") is None
    assert registry.metrics(version.run_id) == {"onnx_parity": 0.0}
    assert registry.link(version).endswith(version.run_id)


def test_nothing_is_left_in_the_temporary_folder(
    registry: Registry, onnx: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    version = trained(registry, onnx, "tidy")
    for _ in range(2):
        assert registry.onnx(version) == onnx
        assert registry.read(version.run_id, "a/b.txt") == b"c"
        assert registry.read(version.run_id, "a/none.txt") is None
    registry.publish(version, b"{}")
    assert registry.manifest(registry.version("tidy", 1)) == b"{}"
    assert [*tmp_path.iterdir()] == []


def test_an_experiment_opens_on_its_training_runs(registry: Registry, onnx: bytes) -> None:
    trained(registry, onnx, "kind")
    experiment = registry._client.get_experiment_by_name("kind")
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    registry._client.set_experiment_tag(experiment.experiment_id, "mlflow.experimentKind", "genai_development")
    registry._client.delete_experiment(experiment.experiment_id)
    trained(registry, onnx, "kind", "r2")  # made before MLflow asked for a kind, and deleted in its UI
    experiment = registry._client.get_experiment_by_name("kind")
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


def test_a_tracking_server_keeps_and_gives_all_of_it(
    tmp_path: Path, empty_registry: Path, onnx: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real `mlflow server`: it takes a version only with the id of its model, and hands files over HTTP."""
    shutil.copy(empty_registry, tmp_path / "mlflow.db")
    with tracking(f"sqlite:///{tmp_path}/mlflow.db", tmp_path, artifacts=None) as uri:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
        (tmp_path / "temporary").mkdir()
        remote = Registry(uri)
        version = trained(remote, onnx, "loop")
        remote.promote(remote.publish(version, b"{}"))
        champion = remote.champion("loop")
        assert champion is not None
        assert (champion.number, remote.champions()["loop"]) == (1, champion)
        assert (remote.onnx(champion), remote.manifest(champion)) == (onnx, b"{}")
        assert remote.read(champion.run_id, "a/b.txt") == b"c"
        assert [*(tmp_path / "temporary").iterdir()] == []
        assert (remote.models(), remote.is_new()) == (["loop"], False)
        route = Route("loop", "1-1", (Variant("champion", 1, 0.9), Variant("challenger", 1, 0.1)))
        remote.set_route(route)
        assert (remote.route("loop"), remote.routes()["loop"].route) == (route, route)
        assert remote.routes()["loop"].versions["challenger"].tags == champion.tags
        remote.clear_route("loop")
        assert remote.routes()["loop"].route == Route.of_champion("loop", 1)
        for _ in range(2):
            remote.forget("loop", "2026-11-29 12:00:00", whole=True)
        assert (remote.models(), remote.has_model("loop"), remote.is_new(), remote.champions()) == (
            [],
            False,
            False,
            {},
        )
        assert trained(remote, onnx, "loop").number == 1


def test_a_data_folder_that_was_moved_has_its_files(tmp_path: Path, empty_registry: Path, onnx: bytes) -> None:
    import mlflow

    old, new = tmp_path / "here" / "data", tmp_path / "some where" / "else"
    (old / "mlflow").mkdir(parents=True)
    shutil.copy(empty_registry, old / "mlflow" / "mlflow.db")
    first = Registry(f"sqlite:///{old}/mlflow/mlflow.db", f"{old}/mlflow/artifacts")
    with first.run("shop", "x", {"as_of": "2025-01-05", "recipe": "r1"}) as run:
        run.inputs([("shop/labels", f"{old}/lake/shop/labels", 3, "training")])
        version = run.register(package(onnx), {"a/b.txt": b"c"})
    first.promote(first.publish(version, b"{}"))
    shutil.copytree(old, new)
    shutil.rmtree(tmp_path / "here")
    moved = Registry(f"sqlite:///{new}/mlflow/mlflow.db", f"{new}/mlflow/artifacts")
    champion = moved.champion("shop")
    assert champion is not None
    assert (moved.onnx(champion), moved.manifest(champion)) == (onnx, b"{}")
    assert moved.read(champion.run_id, "a/b.txt") == b"c"
    (item,) = moved._client.get_run(champion.run_id).inputs.dataset_inputs
    assert f"{new}/lake/shop/labels" in item.dataset.source
    mlflow.set_tracking_uri(moved.uri)
    assert mlflow.onnx.load_model("models:/shop@champion").graph.name == "same"
    again = trained(moved, onnx, "shop", "r2")
    assert moved.onnx(again) == onnx


def test_a_database_of_ones_own_is_left_as_it_is(tmp_path: Path, empty_registry: Path) -> None:
    (tmp_path / "mlflow" / "artifacts").mkdir(parents=True)
    database = tmp_path / "mlflow" / "mlflow.db"
    shutil.copy(empty_registry, database)
    places = ["s3://bucket/mlflow/artifacts/a", "/mine/artifacts/b", "/mine/mlflow/artifacts/c/d", None]
    with contextlib.closing(sqlite3.connect(database)) as opened:
        for number, place in enumerate(places, 10):
            opened.execute(
                "INSERT INTO experiments (experiment_id, name, artifact_location) VALUES (?, ?, ?)",
                (number, place or "none", place),
            )
        opened.commit()
        follow(f"sqlite:///{database}")
        kept = opened.execute(
            "SELECT artifact_location FROM experiments WHERE experiment_id > 9 ORDER BY experiment_id"
        )
        assert [place for (place,) in kept] == places


def test_tags_are_on_the_version_and_on_its_run(registry: Registry, onnx: bytes) -> None:
    version = trained(registry, onnx, "tagged")
    registry.tag(version, verdict="failed", reason="too bad")
    assert registry.version("tagged", 1).tags["verdict"] == "failed"
    assert registry._client.get_run(version.run_id).data.tags["reason"] == "too bad"


def test_a_promotion_and_a_rollback_move_one_alias(registry: Registry, onnx: bytes) -> None:
    one, two = (trained(registry, onnx, "moved", recipe) for recipe in ("r1", "r2"))
    for version in (one, two, one):
        registry.promote(version)
        champion = registry.champion("moved")
        assert champion is not None
        assert champion.number == version.number


def test_a_route_is_followed_while_its_champion_is_the_champion(registry: Registry, onnx: bytes) -> None:
    first, second = (trained(registry, onnx, "split", recipe) for recipe in ("r1", "r2"))
    registry.promote(first)
    assert registry.route("split") is None
    assert registry.routes()["split"].route == Route.of_champion("split", 1)
    route = Route(
        "split", "split/2-1", (Variant("champion", 1, 0.9), Variant("challenger", 2, 0.1)), experiment="2-1/0",
        shadow=0.1, limits=(900.0, 2e3, 9e3), tolerance=1.2, until=time.time() + 60,
    )  # fmt: skip
    registry.set_route(route)
    assert registry.route("split") == route
    registered = registry.routes()["split"]
    assert (registered.route, {name: each.number for name, each in registered.versions.items()}) == (
        route, {"champion": 1, "challenger": 2}
    )  # fmt: skip
    assert registered.versions["challenger"].run_id == second.run_id
    registry.set_route(replace(route, variants=(route.default, Variant("challenger", 9, 0.1))))
    assert list(registry.routes()["split"].versions) == ["champion"]  # there is no version 9
    registry.promote(second)  # by hand
    assert registry.routes()["split"].route == Route.of_champion("split", 2)
    registry._client.set_registered_model_tag("split", TAG, "{")
    assert registry.routes()["split"].route == Route.of_champion("split", 2)
    with pytest.raises(RegistryError, match="delete it"):
        registry.route("split")
    registry.clear_route("split")
    registry.clear_route("split")
    assert registry.route("split") is None
    registry.promote(first, "previous")
    for _ in range(2):
        registry.demote("split", "previous")
    with pytest.raises(RegistryError, match="MLflow keeps 5000"):
        write_route(replace(route, salt="x" * 5000))


def test_what_a_killed_run_left_is_removed_by_the_next_of_its_recipe(registry: Registry, onnx: bytes) -> None:
    kept = trained(registry, onnx, "killed", "other recipe")
    tags = {"as_of": "2025-01-05", "recipe": "r1"}
    with contextlib.suppress(KeyboardInterrupt), registry.run("killed", "x", tags) as run:
        run.trial(0, {}, 0.5, "validation_roc_auc")
        raise KeyboardInterrupt
    assert registry.find("killed", "r1") is None
    assert registry._client.get_run(run.run_id).info.status == "FAILED"
    version = trained(registry, onnx, "killed")
    left = runs(registry, "killed")
    assert run.run_id not in left
    assert {kept.run_id, version.run_id} < set(left)
    assert len(left) == 4  # two versions with a trial each


def test_an_artifact_that_was_changed_is_refused(registry: Registry, onnx: bytes) -> None:
    version = trained(registry, onnx, "tampered")
    (file,) = Path(str(registry.artifacts)).glob("tampered/**/model.onnx")
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(RegistryError, match=r"tampered version 1: the artifact's SHA-256 is not the recorded \w{12}…"):
        registry.onnx(version)


def _start(barrier: Barrier, said: Any, uri: str, artifacts: str) -> None:
    registry = Registry(uri, artifacts)
    barrier.wait()
    try:
        said.put(registry.latest("any"))
    except Exception as error:  # noqa: BLE001 - the parent asserts on it
        said.put(repr(error))


@pytest.mark.timeout(600)
def test_processes_that_start_at_once_on_an_empty_database_all_succeed(tmp_path: Path) -> None:
    barrier, said = SPAWN.Barrier(4), SPAWN.Queue()
    uri = f"sqlite:///{tmp_path}/new/mlflow.db"
    running = [SPAWN.Process(target=_start, args=(barrier, said, uri, str(tmp_path))) for _ in range(4)]
    for process in running:
        process.start()
    assert [said.get(timeout=300) for _ in running] == [None] * 4
    for process in running:
        process.join()


def _create(uri: str) -> None:
    Registry(uri).latest("shop")


def test_a_database_whose_creation_was_killed_is_created_anew(tmp_path: Path) -> None:
    database = tmp_path / "mlflow" / "mlflow.db"
    process = SPAWN.Process(target=_create, args=(f"sqlite:///{database}",))
    process.start()
    while not part_of(database).exists():
        time.sleep(0.01)
    time.sleep(0.2)  # in the middle of its forty migrations
    process.kill()
    process.join()
    assert not database.exists()
    assert Registry(f"sqlite:///{database}").latest("shop") is None
