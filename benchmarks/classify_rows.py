"""Documents whose class is known, as the rows that a training set would hold, and the two models that name it."""

import hashlib
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from benchmarks.process import PROJECT

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sklearn.pipeline import Pipeline

    from ml_assets.documents.document import Document
    from ml_assets.storage.manifest import Input, Manifest
    from ml_assets.training.definition import ModelDefinition
    from ml_assets.training.frame import FeatureColumns

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int64]

_SHARED = Path(os.environ.get("ML_ASSETS_SHARED_DATA", PROJECT.parent / "shared" / "data"))
DOCUMENTS = _SHARED / "documents" / "documents.parquet"
"""Real documents, and others that a language model wrote; `is_real` says which."""

NOW = datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)

_CLASS = re.compile(
    r"\b(?:sub-?)?leas(?:e[ds]?|ing|ehold|eback)\b|\bless(?:or|ee)s?\b|\bamend(?:s|ed|ing|ments?|atory)?\b"
    r"|\baddend(?:um|a|ums)\b|\briders?\b|\bc\.?a\.?m\.?(?=[\W\d_]|$)|\bcommon[\s-]{1,8}area(?:s|[\s-]{1,8}maintenance)?\b"
    r"|\breconcil(?:e[ds]?|ing|iations?)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Rows:
    """Documents: the features of each by the declared queries, its text, the number of its class, where it is from."""

    table: pa.Table
    texts: tuple[str, ...]
    y: "Codes"
    source: "NDArray[np.str_]"

    def __add__(self, other: "Rows") -> "Rows":
        """Both, one after the other."""
        return Rows(
            pa.concat_tables([self.table, other.table]),
            self.texts + other.texts,
            np.concatenate([self.y, other.y]),
            np.concatenate([self.source, other.source]),
        )

    def __getitem__(self, chosen: "NDArray[np.bool_]") -> "Rows":
        """Those where `chosen` [n] holds."""
        texts = tuple(text for text, held in zip(self.texts, chosen, strict=True) if held)
        return Rows(self.table.filter(pa.array(chosen)), texts, self.y[chosen], self.source[chosen])


@cache
def folder() -> "ModelDefinition":
    """The declaration of `documents`, as `defs.yaml` and its `.sql` files stand."""
    from ml_assets.commands.project import Project

    return Project(PROJECT).folder("documents")


def generated(count: int, seed: int, *, held_out: bool, mask: bool, parts: bool = False) -> Rows:
    """Generated documents of the layouts that are held out, or of the others; with `parts`, some are excerpts."""
    from ml_assets.examples.documents.draw import texts
    from ml_assets.examples.documents.excerpt import delivered_truths

    whole = (truth for _, truth in texts(count, seed, held_out=held_out))
    drawn = list(delivered_truths(count, seed, held_out=held_out) if parts else whole)
    return rows([one.text for one in drawn], [one.label for one in drawn], [one.group for one in drawn], mask=mask)


def given(*, mask: bool) -> Rows:
    """The documents of `DOCUMENTS`; `source` says whose: `cuad`, `edgar_leases`, `gov_pdf` or `synthetic_gpt`."""
    import pyarrow.parquet as pq

    held = pq.read_table(DOCUMENTS, columns=["text", "label", "source"]).to_pydict()
    return rows(held["text"], held["label"], held["source"], mask=mask)


def rows(texts: Sequence[str], labels: Sequence[str], source: Sequence[str], *, mask: bool) -> Rows:
    """Texts as rows; with `mask`, nothing of a row has seen the words that name the classes."""
    from ml_assets.ingest.document_rows import DocumentRows

    seen = tuple(mask_class_words(text) for text in texts) if mask else tuple(texts)
    raw = pa.concat_tables(
        [DocumentRows().row(document(text), f"{number:08}", None, NOW) for number, text in enumerate(seen)]
    )
    named = folder().spec.label.classes
    return Rows(_features(raw), seen, np.array([named.index(label) for label in labels]), np.array(source))


def mask_class_words(text: str) -> str:
    """A text without the words that name the classes, for an evaluation that titles cannot win.

    Left out: lease and what is made of it, lessor and lessee, amend, addendum, rider, CAM, common area, reconcile.
    """
    return _CLASS.sub(" ", text)


def document(text: str) -> "Document":
    """A text as the server takes it."""
    from ml_assets.documents.document import Document, Page

    pages = tuple(Page(page, "text", 1.0) for page in text.split("\f"))
    return Document("text", len(text.encode("utf-8", "replace")), pages)


def _features(raw: pa.Table) -> pa.Table:
    """What the declared queries give for rows of documents, in their order."""
    from ml_assets.storage.duck import memory

    entity = folder().spec.entity
    with memory() as connection:
        found = [_asked(connection, item.view, raw).sort_by(entity) for item in folder().features]
    table = found[0]
    for more in found[1:]:
        for name in (name for name in more.column_names if name != entity):
            table = table.append_column(name, more[name])
    return table


def _asked(connection: Any, view: Any, raw: pa.Table) -> pa.Table:  # noqa: ANN401 - of DuckDB; a View
    (relation,) = view.relations
    connection.register(relation.name, raw)
    asked = {"as_of": NOW} if view.query.parameters else {}
    found: pa.Table = connection.sql(view.query.sql.strip().rstrip(";"), params=asked).to_arrow_table()
    return found


@dataclass(frozen=True)
class Model:
    """The declared model after a fit, with its export and the seconds that both took."""

    pipeline: "Pipeline"
    columns: "FeatureColumns"
    onnx: bytes
    seconds: float

    def probabilities(self, tested: Rows) -> "Floats":
        """Of each class, [n, classes], by the export; 0 of one that no training row has."""
        from ml_assets.training.export import probabilities
        from ml_assets.training.frame import features

        return _all_classes(probabilities(self.onnx, features(tested.table, self.columns)), self.pipeline.classes_)

    def parity(self, tested: Rows) -> float:
        """The largest difference between pipeline and export."""
        from ml_assets.training.export import parity
        from ml_assets.training.frame import features

        return parity(self.pipeline, self.onnx, features(tested.table, self.columns))


def fitted(train: Rows) -> Model:
    """The declared model on some rows, by the code that the loop runs."""
    from ml_assets.training.estimator import TermWeights, build
    from ml_assets.training.export import to_onnx
    from ml_assets.training.frame import columns, features

    spec, started = folder().spec, time.perf_counter()
    text = spec.text.columns if spec.text else ()
    words = TermWeights(spec.text.terms, spec.text.min_rows, spec.text.ngrams) if spec.text else None
    chosen = columns(train.table, {spec.entity}, text)
    pipeline = build(spec.estimator.type, spec.estimator.parameters, chosen, spec.seed, words)
    pipeline.fit(features(train.table, chosen), train.y)
    return Model(pipeline, chosen, to_onnx(pipeline, chosen), time.perf_counter() - started)


def peer(train: Rows, tested: Rows) -> "Floats":
    """Probabilities [n, classes] of TF-IDF (words and bigrams) with logistic regression, scikit-learn's defaults."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=1000))
    model.fit(train.texts, train.y)
    return _all_classes(model.predict_proba(tested.texts), model.classes_)


def _all_classes(found: "Floats", known: "Codes") -> "Floats":
    table = np.zeros((len(found), len(folder().spec.label.classes)))
    table[:, known] = found
    return table


def released(model: Model) -> "Manifest":
    """What a release of the model would tell the server."""
    from ml_assets.storage.manifest import Manifest, RowQuery

    declared, classes = folder(), folder().spec.label.classes
    views = [item.view for item in declared.features]
    queries = tuple(RowQuery(view.query.sql, view.relations[0].name, bool(view.query.parameters)) for view in views)
    blank = Manifest(
        model=declared.name, version=1, as_of="2026-01-01", entity=declared.spec.entity, inputs=tuple(_inputs(model)),
        sha256=hashlib.sha256(model.onnx).hexdigest(), ttls={}, feature_set="", bands=(), metrics={}, gates=(),
        max_rows=declared.spec.serve.max_rows, reason="", run_id="", run_url="", tags={}, tables={}, classes=classes,
    )  # fmt: skip
    return replace(blank, documents=queries, review_below=declared.spec.serve.review_below)


def _inputs(model: Model) -> Iterator["Input"]:
    from ml_assets.storage.manifest import Input

    held = model.columns
    yield from (Input(name, "number", "", None) for name in held.numeric)
    yield from (Input(name, "text", "", None) for name in held.categorical)
    yield from (Input(name, "document", "", None) for name in held.text)
