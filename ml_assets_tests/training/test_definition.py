"""A folder that cannot be run is refused at load, by the file and with the remedy."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ml_assets.errors import DeclarationError
from ml_assets_tests.conftest import QUERIES, Tiny


def test_a_folder_becomes_views_by_the_names_of_its_assets(tmp_path: Path) -> None:
    folder = Tiny(tmp_path).folder()
    assert [folder.population.table, folder.labels.table, *(item.view.table for item in folder.features)] == [
        "shop/population", "shop/labels", "shop/features/habits",
    ]  # fmt: skip
    assert folder.labels.views == (("population", folder.population),)
    assert folder.labels.horizon == folder.spec.label.horizon


@pytest.mark.parametrize("missing", sorted(QUERIES))
def test_a_missing_query_is_named_with_the_folder_that_lacks_it(tmp_path: Path, missing: str) -> None:
    shop = Tiny(tmp_path, {name: sql for name, sql in QUERIES.items() if name != missing})
    with pytest.raises(DeclarationError) as error:
        shop.folder()
    assert str(error.value).startswith(f"{shop.path / 'defs.yaml'}: there is no {missing} beside it: write the query")


@pytest.mark.parametrize("file", sorted(QUERIES))
def test_a_query_that_may_not_run_is_named_by_its_file(tmp_path: Path, file: str) -> None:
    shop = Tiny(tmp_path)
    shop.write(file, "SELECT customer, now() AS label FROM orders")
    with pytest.raises(DeclarationError, match=rf"shop/{file}:1 calls now\(\)"):
        shop.folder()


@pytest.mark.parametrize(("name", "meant"), [("habit", "use habits"), ("zzz", "use habits")])
def test_an_undeclared_feature_view_is_refused_with_those_that_are(tmp_path: Path, name: str, meant: str) -> None:
    with pytest.raises(DeclarationError, match=f"defs.yaml: features names '{name}', which is no FeatureView: {meant}"):
        Tiny(tmp_path).folder(features=[name])


def test_only_a_label_may_read_the_population(tmp_path: Path) -> None:
    shop = Tiny(tmp_path)
    shop.write("features/habits.sql", "SELECT customer FROM population")
    with pytest.raises(DeclarationError, match=r"shop/features/habits\.sql:1 reads 'population', which is not a"):
        shop.folder()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ship_when": [{"metric": "auc", "at_least": 0.5}]}, "metric 'auc' is not measured: use one of accuracy"),
        ({"ship_when": [{"metric": "roc_auc"}]}, "exactly one of at_least or at_most; got"),
        ({"ship_when": [{"metric": "roc_auc", "at_least": 0.5, "at_most": 0.9}]}, "exactly one of"),
        ({"ship_when": [{"metric": "roc_auc", "against": "champion", "at_least": 0.5}]}, "at_least_better or at_most"),
        ({"ship_when": [{"metric": "roc_auc", "at_least": 0.5}] * 2}, "two gates 'roc_auc_at_least': keep one"),
        ({"ship_when": [{"metric": "onnx_parity", "at_most": 1}]}, "two gates 'onnx_parity_at_most'"),
        ({"features": []}, "at least 1 item"),
        ({"window": {"train": 0}}, "greater than or equal to 1"),
        ({"lable": {}}, "unknown field 'lable': did you mean 'label'"),
    ],
)
def test_a_model_that_makes_no_sense_is_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Tiny(tmp_path).folder(**changes)
