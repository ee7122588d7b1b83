"""The page about rollouts shows every field with its default."""

import re
from typing import Any

from ml_assets.settings import PROJECT
from ml_assets.spec.load import parse_documents
from ml_assets.spec.rollout import QualitySpec, RolloutSpec

PAGE = (PROJECT / "docs" / "rollouts.md").read_text(encoding="utf-8")


def blocks() -> list[dict[str, Any]]:
    """The YAML of the page."""
    texts = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    return [document.value for text in texts for document in parse_documents(text, "rollouts.md")]


def test_the_page_shows_every_field_with_its_default() -> None:
    (shown,) = [block["attributes"] for block in blocks() if "attributes" in block]
    assert [*shown] == [*RolloutSpec.model_fields]
    assert [*shown["shadow"]] == [*type(RolloutSpec().shadow).model_fields]
    assert [*shown["quality"][0]] == [*QualitySpec.model_fields]
    assert [*shown["on"]] == [*type(RolloutSpec().on).model_fields]
    assert RolloutSpec.model_validate(shown) == RolloutSpec()


def test_the_shortest_declaration_is_one() -> None:
    assert {"type": "ml_assets.components.Rollout"} in blocks()
