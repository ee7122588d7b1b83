"""A text of words that the model never saw is for a person: the answer says how many of them are new."""

import hashlib
from dataclasses import replace

import pytest

from ml_assets.serving.models.artifact import Artifact
from ml_assets.serving.models.model import Classified, ModelInput, ServedModel
from ml_assets.spec.names import REVIEW
from ml_assets.storage.manifest import Input, Manifest
from ml_assets_tests.documents.test_vocabulary import exported
from ml_assets_tests.serving import released

CLASSES = ("lease", "rider", "other")


@pytest.fixture(scope="module")
def onnx() -> bytes:
    return exported()


def manifest(onnx: bytes, unseen: float = 0.5) -> Manifest:
    kinds = {"pages": "number", "kind": "text", "story": "document", "title": "document"}
    inputs = tuple(Input(name, kind, "papers", None) for name, kind in kinds.items())  # type: ignore[arg-type]
    sha = hashlib.sha256(onnx).hexdigest()
    return replace(
        released.manifest(),
        inputs=inputs,
        sha256=sha,
        bands=(),
        classes=CLASSES,
        review_below=0.0,
        review_unseen=unseen,
    )


@pytest.mark.parametrize(
    ("story", "unseen"),
    [("big red dog", 0.0), ("Σύμβαση καθαρισμού", 1.0), ("清洁服务合同", 1.0), ("", 1.0), ("red Haus Garten", 2 / 3)],
)
def test_the_decision_is_review_where_most_words_are_new(onnx: bytes, story: str, unseen: float) -> None:
    (decided,) = Artifact(manifest(onnx), onnx).answer([(1.0, "x", story, "nothing of it")])
    assert decided.unseen == pytest.approx(unseen)
    assert decided.predicted in CLASSES
    assert decided.decision == (REVIEW if unseen > 0.5 else decided.predicted)


def test_the_answer_says_so_and_the_limit_is_declared(onnx: bytes) -> None:
    texts = [ModelInput((1.0, "x", "Σύμβαση καθαρισμού", None))]
    for limit, decision in ((0.5, REVIEW), (1.0, None)):
        model = ServedModel("1", Artifact(manifest(onnx, limit), onnx), 0.0, "champion")
        (answer,), _ = model.answers(["a"], texts, 0)
        assert isinstance(answer, Classified)
        assert (answer.unseen_share, answer.decision) == (1.0, decision or answer.predicted)


@pytest.mark.parametrize(("words", "decision"), [(3, None), (4, REVIEW)])
def test_a_text_of_too_few_words_is_reviewed(onnx: bytes, words: int, decision: str | None) -> None:
    artifact = Artifact(replace(manifest(onnx), review_words=words), onnx)
    (decided,) = artifact.answer([(1.0, "x", "big red dog", "one")])
    assert decided.decision == (decision or decided.predicted)


def test_a_release_of_before_reviews_nothing_for_its_words(onnx: bytes) -> None:
    old = manifest(onnx).to_json().replace(b'"review_unseen": 0.5,', b"")
    assert Manifest.from_json(old).review_unseen == 1.0
