from pathlib import Path

import pytest

from ml_assets.errors import DataError
from ml_assets.features.store import refresh
from ml_assets.training.dataset import build
from ml_assets.training.score import predict, summary
from ml_assets.training.train import train
from ml_assets_tests.conftest import AS_OF, Tiny

pytestmark = pytest.mark.slow  # trains over a real MLflow


def test_predictions_are_of_the_population_by_the_champion_and_made_once(tiny: Tiny, empty_registry: Path) -> None:
    tiny.take_registry(empty_registry)
    registry, folder = tiny.registry, tiny.folder()
    with pytest.raises(DataError, match="shop has no champion yet: see why in shop/evaluation_report"):
        predict(tiny.lake, registry, folder, AS_OF)

    version = train(tiny.lake, registry, folder, build(tiny.lake, folder, AS_OF), tags={}).version
    registry.promote(version)
    first, again = (predict(tiny.lake, registry, folder, AS_OF) for _ in range(2))
    assert (first.reused, again.reused, again.table_version) == (False, True, first.table_version)
    refresh(tiny.lake, folder.population, [AS_OF])
    members = [row["customer"] for row in tiny.at(folder.population, AS_OF)[0]]
    rows = tiny.lake.query("SELECT * FROM p ORDER BY customer", p=first.table).to_pylist()
    assert [row["customer"] for row in rows] == members
    assert all(0 <= row["score"] <= 1 and row["model_version"] == 1 and row["as_of"] == AS_OF for row in rows)
    said = summary(tiny.lake, first, AS_OF)
    assert said["rows"] == len(members)
    assert said["p10"] <= said["p50"] <= said["p90"]
