"""The words of a model, read from its artifact: by column, single ones only; and the share of those that are new."""

# ruff: noqa: N806 - X is scikit-learn's name

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from ml_assets.documents.vocabulary import Familiarity, familiarity, vocabulary
from ml_assets.errors import TrainingError
from ml_assets.training.estimator import TermWeights, build
from ml_assets.training.export import to_onnx
from ml_assets.training.frame import FeatureColumns

COLUMNS = FeatureColumns(("pages",), ("kind",), ("story", "title"))
STORY, TITLE = {"a", "big", "cat", "dog", "red"}, {"one", "two", "three"}


def exported(**changed: object) -> bytes:
    """A model of two text columns, and of a number and a category; `changed` is of the first one's vectorizer."""
    X = pd.DataFrame({
        "pages": np.arange(20, dtype=np.float32),
        "kind": ["x", "y"] * 10,
        "story": ["big red dog", "a cat", "red cat", "dog"] * 5,
        "title": ["one", "two", "one two", "three"] * 5,
    }).astype(dict.fromkeys(("kind", "story", "title"), "str"))  # fmt: skip
    pipeline = build("sklearn.linear_model.LogisticRegression", {}, COLUMNS, 0, TermWeights(min_rows=1, ngrams=1))
    (vectorizer,) = [step for name, step, _ in pipeline["columns"].transformers if name == "text_0"]
    vectorizer[0].set_params(**changed)
    return to_onnx(pipeline.fit(X, np.array([0, 1, 2, 0] * 5)), COLUMNS)


def test_each_column_has_its_own_words() -> None:
    onnx = exported()
    assert vocabulary(onnx, ["story", "title"]) == {"story": STORY, "title": TITLE}
    assert vocabulary(onnx, ["title"]) == {"title": TITLE}
    assert vocabulary(onnx, ["kind"]) == {}
    assert vocabulary(onnx, []) == {}


@pytest.mark.parametrize(("span", "words"), [((1, 2), STORY), ((2, 2), set())], ids=["words and pairs", "pairs only"])
def test_a_pair_of_words_is_no_word(span: tuple[int, int], words: set[str]) -> None:
    assert vocabulary(exported(ngram_range=span), ["story", "title"]) == {"story": words, "title": TITLE}


def test_a_token_with_a_blank_is_no_word() -> None:
    """One vectorizer of two columns: each is read with the words of both."""
    texts = [helper.make_tensor_value_info(name, TensorProto.STRING, [None, 1]) for name in ("story", "title")]
    counted = helper.make_tensor_value_info("counts", TensorProto.FLOAT, [None, 3])
    pool: dict[str, Any] = {
        "pool_strings": ["red", "red cat", "über", "cat"], "ngram_counts": [0], "ngram_indexes": [0, 1, 2, 3],
        "min_gram_length": 1, "max_gram_length": 1, "max_skip_count": 0, "mode": "TF",
    }  # fmt: skip
    nodes = [
        helper.make_node("Concat", ["story", "title"], ["both"], axis=1),
        helper.make_node("TfIdfVectorizer", ["both"], ["counts"], **pool),
    ]
    onnx = helper.make_model(helper.make_graph(nodes, "model", texts, [counted])).SerializeToString()
    assert vocabulary(onnx, ["story", "title"]) == {"story": {"red", "cat"}, "title": {"red", "cat"}}


def test_a_column_that_is_no_input_is_refused() -> None:
    with pytest.raises(TrainingError, match="the model has no input 'body': name some of 'pages', 'kind'"):
        vocabulary(exported(), ["body"])


KNOWN = {"story": frozenset(STORY), "title": frozenset(TITLE), "pairs": frozenset[str]()}


@pytest.mark.parametrize(
    ("texts", "known", "share"),
    [
        ({"story": "big red dog", "title": "nine"}, 3, 0.0),
        ({"story": "big green dog", "title": "nine"}, 2, 1 / 3),
        ({"story": "Σύμβαση καθαρισμού", "title": "清洁服务合同"}, 0, 1.0),
        ({"story": "Σύμβαση red", "title": None}, 1, 0.5),
        ({"story": "12 34", "title": ""}, 0, 1.0),
        ({}, 0, 1.0),
    ],
)
def test_how_much_is_known_of_a_row(texts: dict[str, str | None], known: int, share: float) -> None:
    found = familiarity(texts, KNOWN)
    assert found.known == known
    assert found.unseen == pytest.approx(share)


def test_where_no_word_is_known_by_itself_nothing_is_said() -> None:
    for texts, known in (({"pairs": "big red dog"}, {"pairs": frozenset[str]()}), ({"pages": "1"}, {})):
        found = familiarity(texts, known)
        assert (found, found.enough(9, 0.0)) == (Familiarity(0, None), True)


@given(st.text(), st.integers(0, 9), st.floats(0, 1))
def test_the_share_of_any_text_is_a_share_and_more_is_asked_of_it_in_vain(text: str, words: int, share: float) -> None:
    found = familiarity({"story": text}, KNOWN)
    assert 0 <= (found.unseen or 0) <= 1
    assert found.enough(0, 1.0)
    assert found.enough(words, share) or not found.enough(words + 1, share)
