"""Why an answer was given: the lake says what the server said, to the bit."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ml_assets.commands.explain import explain_entity, explain_prediction
from ml_assets.commands.project import Project
from ml_assets.errors import DataError
from ml_assets.events.store import EventStore
from ml_assets.monitoring.log.take import take
from ml_assets.serving.models.follower import Follower
from ml_assets.serving.models.releases import Releases
from ml_assets.spec.model import ReasonsSpec
from ml_assets.storage.lake import Lake
from ml_assets.storage.manifest import Manifest
from ml_assets.storage.registry import Registry
from ml_assets.training.dataset import build
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.explanations import explain_version, read_explanations
from ml_assets.training.publish import manifest
from ml_assets.training.release import release
from ml_assets.training.report import report
from ml_assets.training.score import predict
from ml_assets.training.train import train
from ml_assets_tests.conftest import AS_OF, Tiny, habits
from ml_assets_tests.serving.served import Served

pytestmark = pytest.mark.slow  # trains over a real MLflow

CHANGES: dict[str, Any] = {
    "estimator": {"type": "sklearn.ensemble.HistGradientBoostingClassifier", "max_iter": 10, "min_samples_leaf": 5},
    "serve": {"bands": {"low": 0, "high": 0.5}},
    "slices": ["kind"],
    "reasons": {"always": 1, "texts": {"days_since": "was not here for long"}},
}


class ShopProject(Project):
    """The project of one shop."""

    def __init__(self, shop: Tiny, changes: dict[str, Any]) -> None:
        super().__init__(shop.root)
        object.__setattr__(self, "shop", shop)
        object.__setattr__(self, "changes", changes)

    def folder(self, name: str) -> ModelDefinition:
        assert name == "shop"
        return self.shop.folder(**self.changes)  # type: ignore[attr-defined,no-any-return]

    @property
    def lake(self) -> Lake:
        return self.shop.lake  # type: ignore[attr-defined,no-any-return]

    @property
    def registry(self) -> Registry:
        return self.shop.registry  # type: ignore[attr-defined,no-any-return]


def shipped(shop: Tiny, changes: dict[str, Any]) -> bytes:
    """The manifest of a version that was trained and released."""
    folder, registry = shop.folder(**changes), shop.registry
    version = train(shop.lake, registry, folder, build(shop.lake, folder, AS_OF), tags={}).version
    judged = report(shop.lake, registry, folder, version)
    made = manifest(shop.lake, registry, folder, judged)
    now = datetime(2025, 6, 1)  # noqa: DTZ001 - the lake's times are naive UTC
    assert release(shop.lake, registry, version, judged.verdict, manifest=made, as_of=AS_OF, decided_at=now).shipped
    return made


def test_an_answer_is_explained_alike_by_the_server_and_from_the_lake(
    tiny: Tiny, empty_registry: Path, tmp_path: Path
) -> None:
    tiny.take_registry(empty_registry)
    tiny.deliver("orders", habits(range(14, 30), seed=1))
    made = Manifest.from_json(shipped(tiny, CHANGES))
    assert made.reasons is not None
    assert (made.reasons.always, made.reasons.texts) == (1, {"days_since": "was not here for long"})
    registry, folder, project = tiny.registry, tiny.folder(**CHANGES), ShopProject(tiny, CHANGES)

    # What was found of the version is kept, and found again; another background is another file.
    champion = registry.champion("shop")
    assert champion is not None
    judged = report(tiny.lake, registry, folder, champion).evaluation
    kept = read_explanations(registry, champion)
    assert kept is not None
    assert explain_version(tiny.lake, registry, folder, champion, judged) == kept
    assert (kept.sha256, kept.method) == (made.reasons.sha256, "exact")
    assert kept.fidelity.additivity < 1e-5
    assert set(kept.shares) == {"all rows", "decision", "kind"}
    assert kept.table()[0]["group"] == "all rows"
    other = tiny.folder(**CHANGES | {"reasons": {"background": 20, "by": "view"}})
    again = explain_version(tiny.lake, registry, other, champion, judged)
    assert (again.players, again.sha256 == kept.sha256) == (("habits",), False)
    assert other.spec.trains_on == folder.spec.trains_on
    assert folder.spec.model_copy(update={"reasons": ReasonsSpec()}).trains_on == folder.spec.trains_on

    data = tmp_path / "server"
    Follower(registry, Releases.at(data)).look()
    served = Served(data, model="shop")
    row = {"orders": 3, "mean_amount": 12.5, "days_since": 20.0, "kind": "a", "customer": 7}
    with served.client:
        body = {"instances": [row, row | {"orders": None}], "reasons": 3}
        answers = served.client.post("/models/shop/predict", json=body).json()["predictions"]
        unasked = served.client.post("/models/shop/predict", json={"instances": [row]}).json()["predictions"]
    assert len(unasked[0]["reasons"]) == 1
    with EventStore(served.settings.event_store_url) as store:
        take(tiny.lake, store, "shop", AS_OF)
    for answer in answers:
        found = explain_prediction(project, answer["prediction_id"], 3)
        assert (found.score, found.decision, found.base) == (answer["score"], answer["decision"], answer["base"])
        assert [(each.feature, each.contribution) for each in found.reasons] == [
            (each["feature"], each["contribution"]) for each in answer["reasons"]
        ]
        assert answer["decision"] in found.lines()[0]
    predict(tiny.lake, registry, folder, AS_OF)
    of_entity = explain_entity(project, "shop", "7", 2)
    assert (of_entity.entity, of_entity.as_of, len(of_entity.reasons) <= 2) == ("7", AS_OF, True)
    for wrong, message in (
        ("nonsense", "no id of a prediction"),
        (answers[0]["prediction_id"][:-1] + "0", "is not in"),
    ):
        with pytest.raises(DataError, match=message):
            explain_prediction(project, wrong, 3)
    with pytest.raises(DataError, match="not in the population"):
        explain_entity(project, "shop", "nobody", 2)
