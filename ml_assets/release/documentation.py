"""What a folder says about itself: README, descriptions, and the owner's words for the card."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ml_assets.release.checks import DocumentationEvidence
from ml_assets.spec.release import CardSpec
from ml_assets.spec.source import SourceSpec
from ml_assets.spec.view import ViewSpec


def read_documentation(
    path: Path, card: CardSpec | None, sources: Sequence[SourceSpec], views: Sequence[ViewSpec]
) -> DocumentationEvidence:
    """What a folder leaves unsaid.

    Args:
        path: of the folder.
        card: the owner's words; None: there are none.
        sources: of the folder.
        views: its feature views.
    """
    readme = path / "README.md"
    content = readme.read_bytes() if readme.is_file() else b""
    holes = [] if content.strip() else ["README.md"]
    holes += [f"description of source {each.name}" for each in sources if not each.description.strip()]
    holes += [f"description of view {each.name}" for each in views if not each.description.strip()]
    holes += [f"card.{name}" for name in (card.holes if card else ())]
    return DocumentationEvidence(holes, card is not None, hashlib.sha256(content).hexdigest() if content else None)
