"""A property of `serve:` is a field of the spec, one of the manifest, and its use: nothing else names it."""

from dataclasses import fields
from pathlib import Path

import pytest

import ml_assets
from ml_assets.serving.routes.models import Model
from ml_assets.spec.model import ServeSpec
from ml_assets.storage.manifest import Manifest, ServedProperties
from ml_assets_tests.serving import released
from ml_assets_tests.serving.released import MODEL
from ml_assets_tests.serving.served import Served

PACKAGE = Path(ml_assets.__file__).parent
PROPERTIES = [each.name for each in fields(ServedProperties)]


@pytest.mark.parametrize("name", PROPERTIES)
def test_a_property_is_declared_published_and_shown(served: Served, name: str) -> None:
    assert name in ServeSpec.model_fields
    assert name in {each.name for each in fields(Manifest)}
    assert served.client.get(f"/models/{MODEL}").json()[name] == getattr(released.manifest(), name)
    schema = served.client.get("/openapi.json").json()["components"]["schemas"]["Model"]
    assert name in schema["properties"]
    assert name in Model.__struct_fields__


def test_a_new_property_touches_four_files_at_most() -> None:
    """The spec, the manifest, what decides by it in the server and what does in the batch."""
    naming = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if "review_words" in path.read_text(encoding="utf-8") and "examples" not in path.parts
    }
    assert naming == {
        "spec/model.py", "storage/manifest.py", "serving/models/artifact.py", "training/score.py"
    }  # fmt: skip
    for path in ("training/publish.py", "serving/schemas.py", "serving/routes/models.py"):
        text = (PACKAGE / path).read_text(encoding="utf-8")
        assert [name for name in PROPERTIES if name in text and name != "max_rows"] == [], path
