"""`reset` and `remove`: all of a model goes and nothing of another one, also when the command is killed in between."""

import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from ml_assets.commands import dagster_history
from ml_assets.commands import forget as forgotten
from ml_assets.commands.forget import ForgetError, forget, pending_command, require_whole
from ml_assets.commands.leftovers import orphans, remedies
from ml_assets.commands.model_places import ForgetRequest, ModelPlace, _owners, discard, parts
from ml_assets.errors import DataError
from ml_assets.events.store import EventStore
from ml_assets.features.online.schema import Column, Schema
from ml_assets.features.online.store import open_store
from ml_assets.serving.models.follower import Follower
from ml_assets.serving.models.releases import Releases
from ml_assets.settings import Settings
from ml_assets.storage.artifacts import ModelPackage
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry
from ml_assets.training.release import history as champions
from ml_assets_tests.conftest import shared
from ml_assets_tests.serving import released
from ml_assets_tests.serving.traffic import named, prediction, truth, write

pytestmark = pytest.mark.slow  # MLflow takes seconds to import

AS_OF = date(2026, 11, 15)
# MLflow tells every later user in a process, by this variable, where the one before worked.
_STORES = ("MLFLOW_TRACKING_URI", "ML_ASSETS_ONLINE_STORE", "ML_ASSETS_EVENT_STORE")


@dataclass
class World:
    """A data folder with two models of which there is something everywhere."""

    root: Path
    settings: Settings
    instance: dg.DagsterInstance

    @property
    def defs(self) -> Path:
        return self.root / "defs"

    @property
    def lake(self) -> Lake:
        return Lake(str(self.settings.lake), shared)

    @property
    def registry(self) -> Registry:
        return Registry(self.settings.tracking_uri, str(self.settings.data / "mlflow" / "artifacts"))

    @property
    def follower(self) -> Follower:
        return Follower(self.registry, Releases.at(self.settings.data))

    def stock(self, model: str) -> None:
        for folder in (self.defs / model, self.settings.incoming / model / "orders"):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "a.csv").write_text("a\n1\n")
        for name in ("reports", "replay", "search"):
            (self.settings.data / name / model).mkdir(parents=True)
            (self.settings.data / name / model / "x").write_text("x")
        for table in ("raw/orders", "raw/orders_files", "raw/tickets", "features/habits/1", "predictions"):
            self.lake.append(f"{model}/{table}", pa.table({"a": [1]}))
        self.train(model)
        self._answer(model)
        self.instance.report_runless_asset_event(dg.AssetMaterialization([model, "raw", "orders"]))

    def train(self, model: str) -> None:
        with self.registry.run(model, "x", {"as_of": str(AS_OF), "recipe": "r"}) as run:
            kinds = {each.name: each.kind for each in released.INPUTS}
            version = run.register(ModelPackage(released.onnx(), kinds, (), "probabilities", ""), {})
        made = released.manifest(version.number, model=model)
        self.registry.promote(self.registry.publish(version, made.to_json()))
        self.follower.look()

    def _answer(self, model: str) -> None:
        schema = Schema(f"{model}@1", "customer", (Column("n", "int64", "v"),), (("v", timedelta(days=1)),))
        with closing(open_store(self.settings.online_url)) as store:
            store.write(schema, [pa.record_batch({"customer": ["a"], "n": [1]})], AS_OF)
            store.finish(schema, AS_OF)
        with EventStore(self.settings.event_store_url) as events:
            identity = named(model, model)
            write(events, prediction(model=model, identity=identity), truth(identity))

    def parts(self, request: ForgetRequest) -> list[ModelPlace]:
        return parts(request, self.settings, self.defs, self.instance)

    def delete(self, request: ForgetRequest) -> None:
        note = self.settings.data / "forgetting" / f"{request.model}.json"
        forgotten.delete(self.parts(request), note, request.command)

    def state(self, model: str) -> dict[str, Any]:
        """Everything that is of a model."""
        data = self.settings.data
        files = [path for path in [*data.rglob("*"), *self.defs.rglob("*")] if model in path.parts and path.is_file()]
        with closing(open_store(self.settings.online_url)) as store:
            online = store.sets(model), store.read(f"{model}@1", ["a"]) != [None]
        with EventStore(self.settings.event_store_url) as events:
            served = events.count(model)
        registry, known = self.registry, dagster_history.find_history(self.instance, model)
        return {
            "files": sorted(str(path.relative_to(self.root)) for path in files if "mlruns" not in path.parts),
            "online": online, "served": served, "assets": len(known.assets), "champion": registry.champion(model),
            "versions": [version.number for version in registry.versions(model)], "known": registry.has_model(model),
            "server": (model in self.follower.look().models, Releases.at(data).files(model)),
        }  # fmt: skip


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory, empty_registry: Path) -> Path:
    root = tmp_path_factory.mktemp("stocked-world")
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        for name in _STORES:
            patch.delenv(name, raising=False)
        data = root / "data"
        (data / "mlflow").mkdir(parents=True)
        shutil.copy(empty_registry, data / "mlflow" / "mlflow.db")
        made = World(root, _settings(data), instance)
        for model in ("shop", "shop_2"):
            made.stock(model)
    return root


def _settings(data: Path) -> Settings:
    return Settings(data=data)


@pytest.fixture
def world(tmp_path: Path, stocked: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in _STORES:
        monkeypatch.delenv(name, raising=False)
    root = Path(shutil.copytree(stocked, tmp_path / "world"))
    (tmp_path / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as instance:
        for model in ("shop", "shop_2"):
            instance.report_runless_asset_event(dg.AssetMaterialization([model, "raw", "orders"]))
        monkeypatch.setattr(dg.DagsterInstance, "get", staticmethod(lambda: _open(instance)))
        yield World(root, _settings(root / "data"), instance)


class _Opened:
    """An instance that outlives its `with`."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance

    def __enter__(self) -> dg.DagsterInstance:
        return self.instance

    def __exit__(self, *_: object) -> None:
        pass


def _open(instance: dg.DagsterInstance) -> _Opened:
    return _Opened(instance)


def test_a_reset_forgets_everything_but_the_folder_and_the_files(world: World) -> None:
    other = world.state("shop_2")
    assert [part.name for part in world.parts(ForgetRequest("shop")) if not part.what] == []
    said = forget(ForgetRequest("shop"), world.settings, world.defs, yes=True)
    assert said == "shop was reset; `ml-assets run shop` starts anew"
    found = world.state("shop")
    assert found.pop("files") == ["data/incoming/shop/orders/a.csv", "defs/shop/a.csv"]
    assert found == {
        "online": ([], False), "served": 0, "assets": 0, "champion": None, "versions": [], "known": True,
        "server": (False, []),
    }  # fmt: skip
    assert world.state("shop_2") == other
    world.train("shop")
    assert [version.number for version in world.registry.versions("shop")] == [2], "no number is given twice"
    assert world.state("shop")["server"][0]


def test_a_removal_leaves_nothing_and_frees_the_name(world: World) -> None:
    other = world.state("shop_2")
    assert forget(ForgetRequest("shop", remove=True), world.settings, world.defs, yes=True) == "shop was removed"
    found = world.state("shop")
    assert not any(found.pop(name) for name in ("files", "known", "served", "assets", "champion", "versions"))
    assert found == {"online": ([], False), "server": (False, [])}
    assert world.state("shop_2") == other
    with pytest.raises(ForgetError, match="there is nothing of a model 'shop' here"):
        forget(ForgetRequest("shop", remove=True), world.settings, world.defs, yes=True)
    world.stock("shop")
    assert world.state("shop")["versions"] == [1]


def test_the_last_model_is_removed_from_the_server_too_and_a_lost_database_is_not_believed(world: World) -> None:
    for model in ("shop", "shop_2"):
        forget(ForgetRequest(model, remove=True), world.settings, world.defs, yes=True)
        assert model not in world.follower.look().models
    assert world.follower.look().trouble is None
    world.stock("shop")
    (world.settings.data / "mlflow" / "mlflow.db").rename(world.root / "away")
    assert "shop" in world.follower.look().models
    assert "names no champion any more" in (world.follower.look().trouble or "")


def test_one_source_is_read_again_and_the_tables_of_the_others_stay(world: World) -> None:
    world.delete(ForgetRequest("shop", "orders"))
    tables = [str(path.parent.relative_to(world.settings.lake)) for path in world.settings.lake.rglob("_delta_log")]
    assert [table for table in sorted(tables) if table.startswith("shop/")] == ["shop/raw/tickets"]
    assert world.state("shop")["versions"] == []


def test_a_command_that_is_killed_at_any_part_ends_as_if_it_had_not_been(world: World) -> None:
    request_ = ForgetRequest("shop", remove=True)
    killed = [_copy(world, f"killed{number}") for number in range(len(world.parts(request_)))]
    world.delete(request_)
    expected = world.state("shop")
    for number, other in enumerate(killed):
        found = other.parts(request_)
        found[number] = found[number]._replace(delete=_half(found[number]))
        note = other.settings.data / "forgetting" / "shop.json"
        with pytest.raises(KeyboardInterrupt):
            forgotten.delete(found, note, request_.command)
        assert pending_command(other.settings, "shop") == request_.command
        with pytest.raises(ForgetError, match=re.escape(f"`{request_.command}` was interrupted: run it again")):
            require_whole(other.settings, "shop")
        assert remedies(other.settings, other.defs)["shop is half deleted"] == request_.command
        with pytest.raises(ForgetError, match="was interrupted: run it again first"):
            forget(ForgetRequest("shop"), other.settings, other.defs, yes=True)
        other.delete(request_)
        assert other.state("shop") == expected, found[number].name
        assert pending_command(other.settings, "shop") is None


def _copy(world: World, name: str) -> World:
    root = Path(shutil.copytree(world.root, world.root.parent / name))
    return World(root, _settings(root / "data"), world.instance)


def _half(part: ModelPlace) -> Any:
    """Deletes, and dies before anybody knows."""

    def delete() -> None:
        part.delete()
        raise KeyboardInterrupt

    return delete


def test_a_folder_goes_at_once_whatever_an_earlier_try_left(tmp_path: Path) -> None:
    for name in ("a", ".a.deleted"):
        (tmp_path / name / "b").mkdir(parents=True)
    discard(tmp_path / "a")
    discard(tmp_path / "a")
    assert [*tmp_path.iterdir()] == []


def test_what_is_left_of_models_without_a_folder_is_named_with_the_command(world: World) -> None:
    assert orphans(world.settings, world.defs) == {}
    shutil.rmtree(world.defs / "shop")
    (found,) = orphans(world.settings, world.defs).items()
    assert found[0] == "shop"
    assert {"in the lake", "in the drop zone", "in the registry"} <= set(found[1])
    ((said, command),) = remedies(world.settings, world.defs).items()
    assert said.startswith("shop has no model folder, and is still in the lake, in the drop zone")
    assert command == "ml-assets remove shop"
    forget(ForgetRequest("shop", remove=True), world.settings, world.defs, yes=True)
    assert remedies(world.settings, world.defs) == {}


def test_nothing_is_deleted_where_nobody_can_be_asked(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    before = world.state("shop")
    with pytest.raises(ForgetError, match="nobody is there to ask: `ml-assets reset shop --yes`"):
        forget(ForgetRequest("shop"), world.settings, world.defs, yes=False)
    assert world.state("shop") == before
    said = capsys.readouterr().out
    assert "versions: 1 version in the registry, version 1 is the champion" in said
    assert "tables: 5 tables below" in said
    assert "It keeps the model's folder and the files in" in said


def test_nothing_is_deleted_while_a_run_is_in_progress(world: World) -> None:
    run = dg.DagsterRun(job_name="shop_loop", status=dg.DagsterRunStatus.STARTED)
    world.instance.add_run(run)
    with pytest.raises(DataError, match=r"a run of shop is started .*terminate it in the Dagster UI"):
        forget(ForgetRequest("shop"), world.settings, world.defs, yes=True)
    assert world.state("shop")["versions"] == [1]
    assert champions(world.lake, "shop") == []


def test_the_tables_of_a_source_are_told_from_those_of_a_source_with_a_longer_name() -> None:
    tables = ["a", "a_files", "a_left", "a_b", "a_b_files", "a_b_quarantine", "c"]
    owners = ["a", "a", "a", "a_b", "a_b", "a_b", "c"]
    assert [*_owners(tables).values()] == owners


def test_what_is_left_is_removed_whatever_somebody_called_it(world: World) -> None:
    (world.settings.incoming / "my own-files.2").mkdir()
    assert [*remedies(world.settings, world.defs).values()] == ["ml-assets remove 'my own-files.2'"]
    forget(ForgetRequest("my own-files.2", remove=True), world.settings, world.defs, yes=True)
    assert remedies(world.settings, world.defs) == {}


@pytest.mark.parametrize("name", ["../shop", "", "a/b", ".", "..", "_locks", "a'b", ".git"])
def test_what_is_not_a_name_is_refused(world: World, name: str) -> None:
    with pytest.raises(DataError, match="is not the name of a model"):
        forget(ForgetRequest(name), world.settings, world.defs, yes=True)
