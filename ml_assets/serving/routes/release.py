"""`GET /models/{model}/release` and `/card`: what was checked of the champion, signed, and its card."""

from typing import Any

import msgspec

from ml_assets.serving.problem import Problem
from ml_assets.serving.services import Services


class SignedRelease(msgspec.Struct, forbid_unknown_fields=True):
    """An entry of the release record, and who signed its canonical JSON.

    Args:
        entry: what was checked of the version, as docs/release.md describes it.
        key: the public key, hexadecimal.
        signature: Ed25519, over the entry with sorted keys and no spaces, hexadecimal.
    """

    entry: dict[str, Any]
    key: str
    signature: str


def release_record(services: Services, model: str) -> bytes:
    """The signed entry of the champion.

    Raises:
        Problem: there is no such model, or it was released without a record.
    """
    served = services.model(model)
    record = services.releases.record(served.manifest)
    if record is None:
        raise Problem(
            404, "no-record", f"version {served.version} of {model} was released without a record",
            f"`ml-assets run {model}` releases it with one",
        )  # fmt: skip
    return record


def card(services: Services, model: str) -> bytes:
    """The card of the champion, Markdown.

    Raises:
        Problem: there is no such model, or it was released without a card.
    """
    served = services.model(model)
    content = services.releases.card(served.manifest)
    if content is None:
        raise Problem(
            404, "no-card", f"version {served.version} of {model} was released without a card",
            f"`ml-assets run {model}` releases it with one",
        )  # fmt: skip
    return content
