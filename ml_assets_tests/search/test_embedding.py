"""Vectors: a function of the texts and the seed; the same meaning at both ends; kept without pickle."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.errors import DataError
from ml_assets.search.embedding import LsaEmbedder, fit
from ml_assets.search.lexicon import Lexicon, sample_texts
from ml_assets.search.saved_embedder import load
from ml_assets.search.sentences import sentence_embedder
from ml_assets.search.terms import terms
from ml_assets_tests.search.cases import corpus

ROWS = corpus(120)
TEXTS = [row["text"] for row in ROWS]


@pytest.fixture(scope="module")
def fitted() -> LsaEmbedder:
    return fit(TEXTS, size=8)


def vectors(embedder: LsaEmbedder, texts: list[str]) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    return embedder.documents(texts, [terms(text) for text in texts])


def test_the_order_of_the_texts_and_repetition_do_not_matter(fitted: LsaEmbedder) -> None:
    assert fit([*TEXTS[::-1], *TEXTS[:7]], size=8).fingerprint == fitted.fingerprint


def test_the_sample_does_not_depend_on_the_order() -> None:
    assert sample_texts(TEXTS, 17) == sample_texts(TEXTS[::-1], 17)
    assert set(sample_texts(TEXTS, 1000)) == set(TEXTS)
    assert len(sample_texts(TEXTS * 2, 17)) == 17


def test_other_texts_and_other_seeds_are_other_embedders(fitted: LsaEmbedder) -> None:
    assert fit(TEXTS[:100], size=8).fingerprint != fitted.fingerprint
    assert fit(TEXTS, size=8, seed=1).fingerprint != fitted.fingerprint


def test_vectors_have_length_one_or_are_zero(fitted: LsaEmbedder) -> None:
    lengths = np.linalg.norm(vectors(fitted, [*TEXTS, "", "qqqq wwww"]), axis=1)
    assert lengths[:-2] == pytest.approx(1, abs=1e-5)
    assert lengths[-2:].tolist() == [0, 0]


def test_a_query_of_a_documents_words_is_its_document(fitted: LsaEmbedder) -> None:
    """The same normalisation at both ends, for terms that stand once."""
    text = "escalation insurance picnic lease"
    query = fitted.query(text, fitted.lexicon.query_terms(terms(text)))
    assert query == pytest.approx(vectors(fitted, [text])[0], abs=1e-6)


def test_words_that_keep_company_lie_close(fitted: LsaEmbedder) -> None:
    query = fitted.query("", fitted.lexicon.query_terms(terms("escalation consumer price")))
    found = vectors(fitted, TEXTS) @ query
    labels = np.array([row["label"] for row in ROWS])
    assert found[labels == "letter"].mean() > found[labels == "picnic"].mean() + 0.1


@settings(deadline=None)  # the first example loads the tokenizer
@given(st.permutations(TEXTS[0].split()))
def test_the_order_of_words_does_not_matter(fitted: LsaEmbedder, words: list[str]) -> None:
    assert vectors(fitted, [" ".join(words)])[0] == pytest.approx(vectors(fitted, [TEXTS[0]])[0], abs=1e-5)


def test_a_long_document_is_taken_whole(fitted: LsaEmbedder) -> None:
    far = vectors(fitted, ["picnic lawn salad. " * 5000 + TEXTS[0]])[0]
    assert far @ vectors(fitted, ["picnic lawn salad. " * 5000])[0] < 0.999


def test_an_embedder_is_read_as_it_was_written(fitted: LsaEmbedder, tmp_path: Path) -> None:
    fitted.save(tmp_path / "one.npz")
    again = load(tmp_path / "one.npz")
    assert again.fingerprint == fitted.fingerprint
    assert (again.documents(TEXTS, [terms(text) for text in TEXTS]) == vectors(fitted, TEXTS)).all()
    assert again.lexicon.words == fitted.lexicon.words
    with np.load(tmp_path / "one.npz", allow_pickle=False) as held:
        assert all(held[name].dtype != object for name in held.files)


@pytest.mark.slow
def test_another_process_fits_the_same(fitted: LsaEmbedder) -> None:
    code = (
        "from ml_assets_tests.search.cases import corpus; from ml_assets.search.embedding import fit;"
        "print(fit((row['text'] for row in corpus(120)), size=8).fingerprint)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == fitted.fingerprint


def test_a_damaged_file_is_refused(fitted: LsaEmbedder, tmp_path: Path) -> None:
    path = tmp_path / "one.npz"
    with pytest.raises(DataError, match="not an embedder"):
        load(path)
    fitted.save(path)
    with np.load(path) as held:
        arrays = {name: held[name] for name in held.files}
    np.savez(path, **arrays | {"components": arrays["components"] + 1})
    with pytest.raises(DataError, match="fingerprint"):
        load(path)
    np.savez(path, **arrays | {"format": np.array("lsa-0")})
    with pytest.raises(DataError, match="lsa-0"):
        load(path)


def test_texts_that_share_nothing_cannot_be_fitted() -> None:
    with pytest.raises(DataError, match="no two of 2 documents"):
        fit(["one", "two"])


def test_a_slip_of_the_pen_is_near_what_was_meant() -> None:
    known = Lexicon(("amend", "escal", "insur", "tenant"), np.array([5, 5, 5, 5]), 20, 10.0)
    assert list(known.near("tenent")) == ["tenant"]
    assert "escal" in known.near("escalatoin")
    assert known.near("12500") == known.near("xy") == {}
    assert known.query_terms(["tenent", "insur"]) == {"tenant": 0.5, "tenent": 1.0, "insur": 1.0}


def test_rare_terms_say_more() -> None:
    known = Lexicon(("common", "rare"), np.array([20, 2]), 20, 10.0)
    assert 0 < known.idf("common") < known.idf("rare") < known.idf("new")


def test_sentence_transformers_says_what_is_missing(fitted: LsaEmbedder, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no sentence-transformers model"):
        sentence_embedder(tmp_path / "nowhere", fitted.lexicon)
    with pytest.raises(DataError, match=r"ml-assets\[embeddings\]"):
        sentence_embedder(tmp_path, fitted.lexicon)
