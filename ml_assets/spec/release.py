"""What a folder declares of its releases: what has to be checked, and what its owner says on the model's card."""

from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from ml_assets.decisions.release import ReleasePolicy, names_at
from ml_assets.spec.base import Declaration


class ReleaseSpec(Declaration):
    """What a candidate has to show before it answers."""

    require: tuple[str, ...] = Field(
        ("accuracy",),
        description="Checks that must pass, or be waived; any other may be not judged, and one that fails blocks: "
        f"{', '.join(names_at('candidate'))}",
    )
    audit: str | None = Field(
        None,
        description="Address of a vulnerability service that uv may ask about the packages, such as "
        "https://api.osv.dev; default: nobody is asked",
    )

    @field_validator("audit")
    @classmethod
    def _address(cls, audit: str | None) -> str | None:
        if audit is not None and (urlsplit(audit).scheme not in {"http", "https"} or not urlsplit(audit).hostname):
            raise ValueError(f"audit: {audit!r} is no address: write https://…")
        return audit

    @model_validator(mode="after")
    def _known(self) -> Self:
        unknown = [name for name in self.require if name not in names_at("candidate")]
        if unknown:
            raise ValueError(f"require: {unknown[0]!r} is no check: use {', '.join(names_at('candidate'))}")
        return self

    @property
    def policy(self) -> ReleasePolicy:
        """The policy that `decisions` applies."""
        return ReleasePolicy(self.require)


class CardSpec(Declaration):
    """The owner's words on the model's card; an empty one is a hole, and fails the check `documentation`."""

    intended_use: str = Field("", description="What the model is for, and who acts on it how")
    not_for: str = Field("", description="What it is not to be used for")
    risk: Literal["low", "medium", "high"] | None = Field(None, description="What a wrong answer can do to somebody")
    license: str = Field("", description="Of the model, as the Hugging Face hub names it; may be left out")

    @property
    def holes(self) -> tuple[str, ...]:
        """The fields that say nothing."""
        asked = {"intended_use": self.intended_use.strip(), "not_for": self.not_for.strip(), "risk": self.risk}
        return tuple(name for name, said in asked.items() if not said)
