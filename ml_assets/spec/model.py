"""The declaration of a model: what is scored, what is predicted, how it is trained, when it ships."""

import json
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from ml_assets.decisions.gate import Gate
from ml_assets.decisions.metric import BINARY, METRICS, MULTICLASS, comparable, directions
from ml_assets.spec.base import Decides, Declaration, Duration, fields_that_decide
from ml_assets.spec.cadence import Cadence
from ml_assets.spec.fairness import FairnessSpec
from ml_assets.spec.label_values import LabelValues
from ml_assets.spec.names import REVIEW
from ml_assets.spec.release import CardSpec, ReleaseSpec
from ml_assets.spec.sample import SampleSpec
from ml_assets.spec.search import SearchSpec

# ONNX must give scikit-learn's numbers; this gate is not the author's to leave out.
PARITY = Gate(metric="onnx_parity", at_most=1e-5)


class LabelSpec(Declaration):
    """What is predicted: a query over what happens in `[T, T + horizon)`."""

    sql: Annotated[str, Decides("rows")] = Field(
        description="The `.sql` file; returns the entity and `label` for every member: 0 or 1, or one of `classes`"
    )
    horizon: Duration = Field(description="How far ahead the label looks; it is mature once that has passed")
    lookback: Annotated[Duration | None, Decides("rows")] = Field(
        None, description="How far before `T` the label sees too; default: not at all"
    )
    classes: tuple[str, ...] = Field(
        (), description="Three or more values of `label`; then null says that nobody knows it. Default: 0 and 1"
    )
    positive: str | int | None = Field(
        None, description="The value of `label` that counts as 1, where the two values are not 0 and 1; the other is 0"
    )

    @field_validator("positive", mode="before")
    @classmethod
    def _quoted(cls, positive: object) -> object:
        if isinstance(positive, bool):  # YAML reads a bare yes, no, on, off so
            raise ValueError(  # noqa: TRY004 - pydantic takes a ValueError for a refusal
                f"positive is {positive}: put the value as the query returns it into quotes ('yes')"
            )
        return positive

    @model_validator(mode="after")
    def _several(self) -> Self:
        if self.classes and (len(self.classes) < 3 or len(set(self.classes)) < len(self.classes)):
            raise ValueError(f"classes {list(self.classes)}: name three or more, each once; two classes are 0 and 1")
        if REVIEW in self.classes:
            raise ValueError(f"classes name {REVIEW!r}, which is the decision of an unsure model: choose another word")
        if self.classes and self.positive is not None:
            raise ValueError(f"positive {self.positive!r} is of two classes: leave it out, or leave classes out")
        return self

    @property
    def outcome(self) -> LabelValues:
        """How the engine reads the values."""
        return LabelValues(self.classes, None if self.positive is None else str(self.positive))


class TextSpec(Declaration):
    """Columns of running text, from which the terms that tell are learned: words, and runs of them."""

    columns: tuple[str, ...] = Field(min_length=1, description="Feature columns that hold text and are no category")
    terms: Annotated[int, Field(ge=100, le=200_000)] = Field(50_000, description="Of each column, the most frequent")
    min_rows: Annotated[int, Field(ge=1)] = Field(3, description="A term of fewer rows is left out")
    ngrams: Annotated[int, Field(ge=1, le=3)] = Field(2, description="The longest run of words that is a term")


class DocumentsSpec(Declaration):
    """What is read: it can be searched, and the server takes files like it."""

    source: str = Field(description="The source of documents")
    reviewed: str | None = Field(
        None, description="The source of what people say that a document is; outcomes of the server are added to it"
    )
    relevance: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5, description="nDCG@10 that the search has to reach on questions made from the documents"
    )
    withdrawn: str | None = Field(None, description="A source with the `document_id` of what is to disappear")


class EstimatorSpec(Declaration):
    """Any import path to a scikit-learn estimator, or to a function that returns one, and its parameters."""

    model_config = ConfigDict(extra="allow")

    type: str = Field("sklearn.ensemble.HistGradientBoostingClassifier", description="Import path")

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters as written."""
        return dict(self.model_extra or {})


class WindowSpec(Declaration):
    """How many as-of dates a model is trained and tested on."""

    train: Annotated[int, Field(ge=1)] = Field(26, description="Training as-of dates")
    test: Annotated[int, Field(ge=1)] = Field(4, description="Test as-of dates, after an embargo of one horizon")


class CostsSpec(Declaration):
    """What a wrong decision costs, in any unit; the decision threshold minimises the expected cost."""

    false_positive: Annotated[float, Field(gt=0)] = Field(1.0, description="Acting on an entity that needed nothing")
    false_negative: Annotated[float, Field(gt=0)] = Field(1.0, description="Missing an entity")


class GateSpec(Declaration):
    """A condition of release: one metric and one limit."""

    metric: str = Field(description=f"One of {', '.join(sorted(directions()))}")
    at_least: float | None = Field(None, description="The value itself must reach this")
    at_most: float | None = Field(None, description="The value itself may not pass this")
    against: Literal["champion", "baseline"] | None = Field(None, description="Compare on the same test rows")
    at_most_worse: Annotated[float, Field(ge=0)] | None = Field(None, description="How much worse it may be")
    at_least_better: Annotated[float, Field(ge=0)] | None = Field(None, description="How much better it must be")
    confident: bool = Field(False, description="Judge the bad end of the confidence interval, not the estimate")

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if self.metric not in directions():
            raise ValueError(f"metric {self.metric!r} is not measured: use one of {', '.join(sorted(directions()))}")
        if self.against and self.metric not in comparable():
            raise ValueError(
                f"{self.metric} is not compared with a {self.against}, for it has no interval: leave `against` out, or "
                f"use one of {', '.join(sorted(comparable()))}"
            )
        limits = {"at_least", "at_most"} if self.against is None else {"at_most_worse", "at_least_better"}
        bounds = {
            name
            for name in ("at_least", "at_most", "at_most_worse", "at_least_better")
            if getattr(self, name) is not None
        }
        if len(bounds) != 1 or not bounds <= limits:
            kind = "with" if self.against else "without"
            raise ValueError(
                f"a gate {kind} `against` has exactly one of {' or '.join(sorted(limits))}; got {sorted(bounds)}"
            )
        return self

    @property
    def gate(self) -> Gate:
        """The gate that `decisions` judges."""
        return Gate(**self.model_dump())


_BandName = Annotated[str, Field(min_length=1, max_length=40)]
_Share = Annotated[float, Field(ge=0, le=1)]


class ServeSpec(Declaration):
    """How the champion answers requests."""

    review_below: Annotated[float, Field(ge=0, lt=1), Decides("evaluation")] = Field(
        0.0, description=f"Of `classes`: the probability of the best one below which the decision is `{REVIEW}`"
    )
    review_unseen: Annotated[float, Field(ge=0, le=1), Decides("nothing")] = Field(
        0.5,
        description="Of `classes` and running text: the share of words that the training never saw above which the "
        f"decision is `{REVIEW}`",
    )
    review_words: Annotated[int, Field(ge=0), Decides("nothing")] = Field(
        0,
        description=f"Of the same, the number of known words below which the decision is `{REVIEW}`: a title is short",
    )
    bands: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=40)], Annotated[float, Field(ge=0, le=1)]],
        Decides("nothing"),
    ] = Field(
        {},
        description="Decision → the score from which on it holds; default: `no`, and `yes` from the cheapest threshold",
    )
    max_rows: Annotated[int, Field(ge=1, le=1000), Decides("nothing")] = Field(
        100, description="Rows a request may have"
    )
    retention: Annotated[Duration, Decides("nothing")] = Field(
        "30d", validate_default=True, description="How long the event store keeps what the graph has taken"
    )
    consistency: Annotated[float, Field(gt=0, le=1), Decides("nothing")] = Field(
        0.99, description="Share of served feature vectors that must be what the offline store says"
    )

    @model_validator(mode="after")
    def _cover(self) -> Self:
        starts = list(self.bands.values())
        if starts and (starts[0] != 0 or starts != sorted(set(starts))):
            raise ValueError(f"bands start at {starts}: the first at 0, each further one higher")
        return self


class ReasonsSpec(Declaration):
    """The reasons of answers: what moved a score towards its decision."""

    always: Annotated[int, Field(ge=0, le=4)] | None = Field(
        None, description="Reasons of each answer, unasked; default: none, and 5 of running text"
    )
    background: Annotated[int, Field(ge=2, le=2000)] = Field(
        500, description="Rows of the training set with which a score is compared, drawn by `seed`"
    )
    by: Literal["feature", "view"] = Field("feature", description="What a reason names: `view` sums up its features")
    texts: dict[str, Annotated[str, Field(min_length=1, max_length=200)]] = Field(
        {},
        description="Feature, or view → words of its reason where it raises the score; default: feature and value",
    )


class ModelSpec(Declaration):
    """A model: one folder, one `Model` document."""

    entity: Annotated[str, Decides("rows")] = Field(description="The column that identifies what is scored")
    cadence: Annotated[Cadence, Decides("rows")] = Field(description="The grid of as-of dates")
    population: Annotated[str, Decides("rows")] = Field(
        "population.sql", description="The query of the entities scored at `T`"
    )
    label: LabelSpec = Field(description="What is predicted")
    features: tuple[str, ...] = Field(min_length=1, description="Names of feature views of this folder")
    text: TextSpec | None = Field(None, description="Which feature columns are running text; default: none")
    documents: Annotated[DocumentsSpec | None, Decides("nothing")] = Field(
        None, description="The entities are documents; default: they are rows"
    )
    estimator: EstimatorSpec = Field(EstimatorSpec(), description="What is fitted")
    search: SearchSpec | None = Field(None, description="Hyperparameter search; default: the parameters as written")
    window: WindowSpec = Field(WindowSpec(), description="Training and test as-of dates")
    slices: Annotated[tuple[str, ...], Decides("evaluation")] = Field(
        (), description="Feature columns by whose values the metrics are also reported"
    )
    fairness: Annotated[FairnessSpec | None, Decides("nothing")] = Field(
        None, description="Groups that are to be treated alike; default: none are declared"
    )
    costs: Annotated[CostsSpec, Decides("evaluation")] = Field(CostsSpec(), description="Costs of wrong decisions")
    serve: ServeSpec = Field(ServeSpec(), description="How the champion answers requests")
    reasons: Annotated[ReasonsSpec, Decides("nothing")] = Field(
        ReasonsSpec(), description="The reasons of answers, on request and in the evaluation report"
    )
    release: Annotated[ReleaseSpec, Decides("nothing")] = Field(
        ReleaseSpec(), description="What a candidate has to show beside its gates"
    )
    card: Annotated[CardSpec | None, Decides("nothing")] = Field(
        None, description="The owner's words on the model's card; default: nobody's, and it is not judged"
    )
    ship_when: Annotated[tuple[GateSpec, ...], Decides("nothing")] = Field(
        (), description="Gates; all must pass before a candidate becomes champion"
    )
    schedule: Annotated[str | None, Decides("nothing")] = Field(
        None, description="Cron line (UTC) of a training whatever the reports say; default: the monitor decides"
    )
    freshness: Annotated[Duration | None, Decides("nothing")] = Field(
        None, description="How old the champion may grow; default: any age"
    )
    seed: int = Field(0, description="Seed of every random choice")
    sample: Annotated[SampleSpec | None, Decides("nothing")] = Field(
        None, description="Files for a first run; default: there are none, deliver your own"
    )
    description: Annotated[str, Decides("nothing")] = Field("", description="What the model is for")
    owners: Annotated[tuple[str, ...], Decides("nothing")] = Field((), description="E-mail addresses or `team:name`")

    @model_validator(mode="after")
    def _distinct_gates(self) -> Self:
        names = [gate.name for gate in self.gates]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"ship_when has two gates {min(repeated)!r}: keep one of them")
        return self

    @model_validator(mode="after")
    def _fits_the_label(self) -> Self:
        several, serve = bool(self.label.classes), self.serve
        if several and (serve.bands or self.costs != CostsSpec()):
            raise ValueError("serve.bands and costs are of a label 0 or 1: with label.classes, use serve.review_below")
        if not several and serve.review_below:
            raise ValueError("serve.review_below is of label.classes: with a label 0 or 1, use serve.bands")
        if self.fairness:
            self.fairness.require_metrics(several)
        for gate in self.ship_when:
            if not METRICS[gate.metric].in_evaluation(MULTICLASS if several else BINARY):
                right = "accuracy or macro_f1" if several else "roc_auc or brier"
                raise ValueError(f"ship_when: {gate.metric} is not measured of this label, use {right}")
        return self

    @property
    def gates(self) -> tuple[Gate, ...]:
        """The declared gates and the one that always holds."""
        return (*(spec.gate for spec in self.ship_when), PARITY)

    @property
    def trains_on(self) -> str:
        """The part of the declaration that decides what a fit gives; the rows have a fingerprint of their own."""
        return json.dumps(fields_that_decide(self, "fit"), sort_keys=True)

    @property
    def judged_on(self) -> str:
        """The part that decides what an evaluation says."""
        return json.dumps(fields_that_decide(self, "fit", "evaluation"), sort_keys=True)
