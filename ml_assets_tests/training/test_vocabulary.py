"""The words of a model, read from its artifact: by column, single ones only; and the share of those that are new."""

# ruff: noqa: N806 - X is scikit-learn's name

from typing import Any

import numpy as np
import pandas as pd
import pytest
from onnx import TensorProto, helper

from ml_assets.errors import TrainingError
from ml_assets.training.estimator import Words, build
from ml_assets.training.export import to_onnx
from ml_assets.training.frame import Columns
from ml_assets.training.vocabulary import unseen, vocabulary

COLUMNS = Columns(("pages",), ("kind",), ("story", "title"))
STORY, TITLE = {"a", "big", "cat", "dog", "red"}, {"one", "two", "three"}


def exported(**changed: object) -> bytes:
    """A model of two text columns, and of a number and a category; `changed` is of the first one's vectorizer."""
    X = pd.DataFrame({
        "pages": np.arange(20, dtype=np.float32),
        "kind": ["x", "y"] * 10,
        "story": ["big red dog", "a cat", "red cat", "dog"] * 5,
        "title": ["one", "two", "one two", "three"] * 5,
    }).astype(dict.fromkeys(("kind", "story", "title"), "str"))  # fmt: skip
    pipeline = build("sklearn.linear_model.LogisticRegression", {}, COLUMNS, 0, Words(min_rows=1, ngrams=1))
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


@pytest.mark.parametrize(
    ("texts", "share"),
    [
        (["A big, RED dog", "cat 12 cat"], 0.0),
        (["le chat rouge"], 1.0),
        (["red red red horse", None, "", "42"], 0.25),  # running words: red counts three times
        (["Red Fjord"], 0.5),
        (["ﬁsh red"], 0.5),  # the ligature is two letters of one word
        (["Ångström"], 1.0),  # ngstr, m
        ([None, "", "1,000.00"], None),
        ([], None),
    ],
)
def test_the_share_of_words_that_are_not_known(texts: list[str | None], share: float | None) -> None:
    assert unseen(texts, STORY) == share
