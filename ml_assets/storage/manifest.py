"""The manifest of a release: what a server needs to answer with a version, as the gates let it pass."""

import hashlib
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from ml_assets.errors import MlAssetsError

PROBABILITIES = "probabilities"
"""The output of an artifact: float [n, classes]; of two, the second column is P(label = 1)."""

MISSING = "<missing>"
"""What stands for a missing text in the string tensors, which know no null. Whoever calls a model sends it."""


RARELY = 0.01
"""A feature that no more of the training rows lacked is expected of every row: one without it lacks something."""


class ManifestError(MlAssetsError):
    """A manifest that cannot be read."""


InputKind = Literal["number", "text", "document"]


@dataclass(frozen=True)
class Input:
    """An input of the model.

    Args:
        name: of the feature.
        kind: a number, text that is one of a few, or running text, lower-cased and empty where it is missing.
        view: the feature view that it comes from.
        example: a common value of the training set.
        missing: the share of the training set without a value; None: manifests of before do not say it.
    """

    name: str
    kind: InputKind
    view: str
    example: float | str | None
    missing: float | None = None


@dataclass(frozen=True)
class Band:
    """A decision, and the score from which on it holds."""

    name: str
    start: float


@dataclass(frozen=True)
class PassedGate:
    """A gate that the version passed: its numbers and the sentence that a person reads."""

    name: str
    value: float | None
    limit: float
    reason: str


@dataclass(frozen=True)
class RowQuery:
    """A feature view that reads one row: SQL, under which name it reads the row, whether it asks for `$as_of`."""

    sql: str
    relation: str
    as_of: bool


@dataclass(frozen=True)
class ReleasedReasons:
    """The reasons of a version's answers.

    Args:
        sha256: of the file that explains them, `release/<sha256>.npz` of the run.
        always: reasons of each answer that asks for none.
        texts: feature → declared words.
    """

    sha256: str
    always: int = 0
    texts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ServedProperties:
    """The properties of `serve:` in a defs.yaml that a server needs, under the names that they have there.

    A new one is a field of `ServeSpec` and one here: `publish` copies it, `GET /models/{model}` and its schema show it.

    Args:
        review_below: of several classes, the probability of the best one below which the decision is `REVIEW`.
        review_unseen: of running text, the share of words that the training never saw above which it is, too.
        review_words: and the number of words that it did see below which it is.
        max_rows: a request may have.
    """

    review_below: float = 0.0
    review_unseen: float = 1.0
    review_words: int = 0
    max_rows: int


@dataclass(frozen=True, kw_only=True)
class Manifest(ServedProperties):
    """What was released.

    Args:
        model: the model's folder.
        version: in the registry.
        as_of: the as-of date at which it was trained, ISO.
        entity: the column that identifies what is scored.
        sha256: of the artifact.
        inputs: in the order of the model.
        ttls: view → seconds after the as-of date for which its values may be used.
        feature_set: under which the online store keeps its features.
        bands: of the decisions, ascending; the first starts at 0.
        metrics: on the test rows.
        gates: that it passed.
        reason: of the release.
        run_id: the MLflow run that trained it.
        run_url: that run in the MLflow UI.
        tags: what the run says of the code: Dagster run, git commit.
        tables: every table that went in → its version.
        classes: of the probabilities, in their order, where they are several; then there are no bands.
        documents: the feature views of a model of documents: a file that is sent becomes its row, and features by them.
        extract: of such a model, what names the function that finds facts in a text; unset: there is none.
        terms: of versions of earlier releases, class → word → how much it speaks for the class, of running text.
        record: the SHA-256 of the entry of the release record that vouches for all the rest; unset: nobody does.
        reasons: of its answers; None: it was released without.
    """

    model: str
    version: int
    as_of: str
    entity: str
    sha256: str
    inputs: tuple[Input, ...]
    ttls: dict[str, float]
    feature_set: str
    bands: tuple[Band, ...]
    metrics: dict[str, float]
    gates: tuple[PassedGate, ...]
    reason: str
    run_id: str
    run_url: str
    tags: dict[str, str]
    tables: dict[str, int]
    classes: tuple[str, ...] = ()
    documents: tuple[RowQuery, ...] = ()
    extract: str | msgspec.UnsetType = msgspec.UNSET
    terms: dict[str, dict[str, float]] = field(default_factory=dict)
    record: str | msgspec.UnsetType = msgspec.UNSET
    reasons: ReleasedReasons | None = None

    @property
    def expected(self) -> frozenset[str]:
        """The features of which a rollout counts that they are missing: those that nearly all training rows had.

        Customers who never wrote to the support rightly lack what is known of it. Where a manifest does not say what
        the training rows lacked, all features are expected.
        """
        return frozenset(each.name for each in self.inputs if each.missing is None or each.missing <= RARELY)

    def to_json(self) -> bytes:
        """The one JSON text of this manifest."""
        return _formatted(self)

    @classmethod
    def from_json(cls, content: bytes) -> "Manifest":
        """The manifest that `to_json` wrote.

        Raises:
            ManifestError: it was written by another release of ml_assets, or by nobody.
        """
        try:
            return msgspec.json.decode(content, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ManifestError(f"this is no manifest of a release: {error}; run the loop again") from error


def body_sha256(content: bytes) -> str:
    """The SHA-256 of a manifest without the record that it names: what that record vouches for.

    Also of a manifest that another release of ml_assets wrote: fields that this one does not know count as well.

    Raises:
        ManifestError: it is not written as `to_json` writes, so that a reader might take it for something else.
    """
    try:
        body = msgspec.json.decode(content)
        if not isinstance(body, dict) or _formatted(body) != content:
            raise ManifestError("this manifest of a release is not as it was written: run the loop again")
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ManifestError(f"this is no manifest of a release: {error}; run the loop again") from error
    body.pop("record", None)
    return hashlib.sha256(_formatted(body)).hexdigest()


def _formatted(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=1)
