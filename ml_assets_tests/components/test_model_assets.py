"""The assets of a model read what their upstream wrote, and refuse by name where it wrote nothing."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster_duckdb import DuckDBResource

from ml_assets.components.fairness import fairness_report
from ml_assets.components.model import Model
from ml_assets.components.release_record import release_record
from ml_assets.components.resources import LakeResource, RegistryResource
from ml_assets.errors import TrainingError
from ml_assets.release.sign import KeyFolder
from ml_assets.release.verify import verify_release
from ml_assets.rollouts.offers import next_offer
from ml_assets.settings import Settings
from ml_assets.spec.model import ModelSpec
from ml_assets.training.fairness import read_fairness
from ml_assets_tests.conftest import AS_OF, MODEL, Tiny, habits


class NothingBeside:
    """A tree in which the folder declares its model alone."""

    def find_decl_at_path(self, _: Path) -> "NothingBeside":
        return self

    def iterate_child_component_decls(self) -> list[object]:
        return []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::dagster.BetaWarning", "ignore::DeprecationWarning")  # Dagster's own
def test_each_asset_reads_its_upstream(tiny: Tiny, empty_registry: Path) -> None:
    tiny.take_registry(empty_registry)
    tiny.deliver("orders", habits(range(14, 30), seed=1))
    folder, component = tiny.folder(), Model(ModelSpec(**MODEL), tiny.path)
    loop = ("_training_set", "_model", "_evaluation_report", "_release_record", "_champion")
    beside: Any = NothingBeside()
    assets = {name: getattr(component, name)(folder) for name in loop if name != "_release_record"}
    assets["_release_record"] = release_record(component, folder, beside)
    registry = tiny.registry
    resources = {
        "lake": LakeResource(root=tiny.lake.root, workers=2, duckdb=DuckDBResource(database=":memory:")),
        "settings": Settings(data=tiny.root),
        "registry": RegistryResource(uri=registry.uri, artifacts=registry.artifacts, ui=registry.ui),
    }

    def make(name: str) -> None:
        dg.materialize([assets[name]], partition_key=str(AS_OF), resources=resources)

    with pytest.raises(TrainingError, match=r"no training set of shop as of .*: materialize shop/training_set first"):
        make("_model")
    make("_training_set")
    make("_model")
    for name in ("_release_record", "_champion"):
        with pytest.raises(
            TrainingError, match="version 1 was not evaluated: materialize shop/evaluation_report first"
        ):
            make(name)
    make("_evaluation_report")
    tiny.write("groups.sql", "SELECT DISTINCT customer, customer % 2 = 0 AS even FROM orders")
    groups: dict[str, Any] = {"fairness": {"groups": ["even"]}}
    (assets["fairness"],) = fairness_report(Model(ModelSpec(**(MODEL | groups)), tiny.path), tiny.folder(**groups))
    make("fairness")
    assert read_fairness(registry, tiny.folder(**groups), registry.version("shop", 1)).record.entities > 50
    with pytest.raises(
        TrainingError, match="version 1 has no record as it is declared today: materialize shop/release_r"
    ):
        make("_champion")
    make("_release_record")
    make("_champion")
    champion = registry.champion("shop")
    assert champion is not None
    assert (champion.number, champion.tags["verdict"]) == (1, "passed")
    verified = verify_release(tiny.lake, registry, champion, KeyFolder.at(tiny.root).public_keys())
    assert (verified.row.number, verified.entries) == (1, 1)

    # Where a rollout is declared, the next candidate is offered to it, and answers nobody.
    changed = {"estimator": {"type": "sklearn.linear_model.LogisticRegression", "C": 0.5}}
    folder, component = tiny.folder(**changed), Model(ModelSpec(**(MODEL | changed)), tiny.path)
    assets = {name: getattr(component, name)(folder) for name in loop[:3]}
    assets["_release_record"] = release_record(component, folder, beside)
    assets["_champion"] = component._champion(folder, offered=True)
    for name in loop[1:]:
        make(name)
    waiting = next_offer(tiny.lake, "shop")
    assert waiting is not None
    assert (waiting.version, waiting.actor) == (2, "asset")
    champion = registry.champion("shop")
    assert champion is not None
    assert champion.number == 1
