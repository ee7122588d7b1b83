"""A search index is a function of its documents: however they came in, and whatever happened on the way."""

import random
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.errors import DataError
from ml_assets.search import writer as search_writer
from ml_assets.search.index import Filters, Results, SearchIndex, Signals, Updated
from ml_assets.search.index_schema import DOCUMENTS
from ml_assets_tests.search.cases import NEW_YEAR, TEXTS, corpus, embedder, letters, row, table

ROWS = corpus(150)
FITTED = embedder(ROWS)
QUERIES = [
    "rent increase",
    "Kovmer Dental",
    "12,500",
    letters(7),
    "escalatoin",
    "insurance policy",
    "picnic on the lawn",
]


def filled(folder: Path, rows: Sequence[dict[str, Any]] = ROWS) -> SearchIndex:
    index = SearchIndex(folder)
    index.update(table(rows), embedder=FITTED)
    return index


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> SearchIndex:
    return filled(tmp_path_factory.mktemp("search"))


def answers(index: SearchIndex) -> list[Any]:
    """Everything that a reader can see, without the serial."""
    found = [index.search(query, limit=50) for query in [*QUERIES, ""]]
    filtered = [index.search("rent", filters=Filters(labels=("lease",), amount_from=30, amount_to=90))]
    return [(each.hits, each.total, each.exact) for each in found + filtered]


def ids(found: Results) -> list[str]:
    return [hit.document_id for hit in found.hits]


def test_a_part_of_a_text_without_spaces_is_found_and_marked(tmp_path: Path) -> None:
    texts = [
        "清洁服务合同。服务方每周清洁楼梯一次,客户每月支付八十元。",
        "租赁合同。承租人每月支付租金。",
        "Σύμβαση καθαρισμού.",
    ]
    rows = [row(f"foreign{number}", text) for number, text in enumerate(texts)]
    index = filled(tmp_path, [*ROWS, *rows])
    found = index.search("服务合同")
    assert ids(found)[0] == "foreign0"
    assert "<mark>服务合同</mark>" in found.hits[0].snippet
    assert ids(index.search("承租人"))[0] == "foreign1"
    assert ids(index.search("租"))[0] == "foreign1"
    assert ids(index.search("ΚΑΘΑΡΙΣΜΟΥ"))[0] == "foreign2"


def test_what_is_asked_for_is_found(index: SearchIndex) -> None:
    assert ids(index.search(letters(42)))[0] == "00042"
    assert ids(index.search(f"lease reference {letters(30)}"))[0] == "00030"
    assert index.search("$43,000.00").hits[0].document_id == "00042"
    assert {hit.label for hit in index.search("children with salad and cake").hits} == {"picnic"}
    assert {hit.label for hit in index.search("cnsumer pricce index").hits} == {"lease"}


def test_a_hit_says_what_it_is(index: SearchIndex) -> None:
    hit = index.search(f"rent increases {letters(8)}").hits[0]
    assert (hit.document_id, hit.label, hit.kind, hit.title) == ("00008", "letter", "png", None)
    assert hit.received_at == NEW_YEAR + timedelta(hours=8)
    assert hit.bm25 > 0
    assert 0 < hit.similarity <= 1.0001
    assert f"<mark>{letters(8)}</mark>" in hit.snippet


def test_a_word_of_the_title_finds_too(tmp_path: Path) -> None:
    index = filled(tmp_path, [*ROWS, row("titled", "Nothing here.", title="Memorandum of Zanzibar")])
    assert ids(index.search("zanzibar memorandums"))[0] == "titled"


@settings(max_examples=80, deadline=None)
@given(st.text())
def test_any_text_is_a_legal_query(index: SearchIndex, query: str) -> None:
    assert len(index.search(query).hits) <= 10


@pytest.mark.parametrize(
    "query",
    ["'; DROP TABLE documents; --", '"rent" AND (lease OR', "rent^2 lease~ *", "text:rent", "a" * 5000, "rent " * 5000],
)
def test_syntax_is_text(index: SearchIndex, query: str) -> None:
    assert all(hit.score > 0 for hit in index.search(query).hits)


def test_a_query_without_a_word_finds_nothing_and_a_blank_one_lists(index: SearchIndex) -> None:
    assert index.search("the?!").total == 0
    found = index.search(" \n", limit=3, offset=2)
    assert (ids(found), found.total, found.exact) == (["00147", "00146", "00145"], 150, True)
    assert index.search("", offset=149).total == index.search("", offset=5000).total == 150
    assert ids(index.search("", offset=149)) == ["00000"]


def test_documents_that_arrived_at_once_are_listed_by_id(tmp_path: Path) -> None:
    index = filled(tmp_path, [row(name, "same text", received_at=None if name == "z" else NEW_YEAR) for name in "cazb"])
    assert ids(index.search("")) == ["a", "b", "c", "z"]


def test_the_same_documents_tie_and_are_ranked_by_id(tmp_path: Path) -> None:
    rows = [row(name, TEXTS["lease"]) for name in random.Random(0).sample("abcdefghij", 10)]  # noqa: S311 - not secrets
    assert ids(filled(tmp_path, [*rows, *ROWS]).search("escalate index dental consumer", limit=10)) == list(
        "abcdefghij"
    )


@pytest.mark.parametrize("query", ["rent", "lease amendment", ""])
def test_pages_are_parts_of_one_list(index: SearchIndex, query: str) -> None:
    whole = index.search(query, limit=60)
    pages = [index.search(query, limit=7, offset=offset) for offset in range(0, 56, 7)]
    assert [hit for page in pages for hit in page.hits] == list(whole.hits[:56])
    assert {page.total for page in pages} == {whole.total}
    assert len(set(ids(whole))) == len(whole.hits)


def test_the_total_is_honest(index: SearchIndex) -> None:
    found = index.search(letters(3), mode="bm25")
    assert (found.total, found.exact) == (1, True)
    assert not index.search("rent", mode="vector").exact


def test_an_update_is_found_at_once_by_words_vectors_and_filters(tmp_path: Path) -> None:
    index = filled(tmp_path)
    new = row("new", "The zeppelin insurance carrier renewed its liability policy.", amounts=[77777.0])
    assert index.update(table([new]), ["00000"], embedder=FITTED) == Updated(1, 0, 1, 2, folded=False)
    assert ids(index.search("zeppelin", mode="bm25")) == ["new"]
    assert "new" in ids(index.search("insurance carrier", mode="vector", limit=30))
    assert ids(index.search("", filters=Filters(amount_from=77777, amount_to=77777))) == ["new"]
    assert "00000" not in ids(index.search(letters(0), limit=100))
    index.update(table([row("new", "Now it is about yodelling.")]), embedder=FITTED)
    assert ids(index.search("yodelling", mode="bm25")) == ["new"]
    assert ids(index.search("zeppelin", mode="bm25")) == []
    assert index.search("").total == 150


def test_the_same_input_changes_nothing(tmp_path: Path) -> None:
    index = filled(tmp_path)
    before = answers(index)
    assert index.update(table(ROWS), ["nobody"], embedder=FITTED) == Updated(0, 150, 0, 1, folded=False)
    assert answers(index) == before
    assert index.serial == 1


def test_however_the_documents_came_in_the_answers_are_the_same(
    index: SearchIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one part; in parts that are folded in or not; with documents that were others before, or went and came."""
    for folded in (0, 512):
        monkeypatch.setattr(search_writer, "_UNFOLDED", folded)
        other = SearchIndex(tmp_path / str(folded))
        shuffled = random.Random(folded).sample(ROWS, len(ROWS))  # noqa: S311 - not secrets
        wrong = [row(each["document_id"], "lease rent escalation " * 9) for each in shuffled[20:50]]
        other.update(table([*shuffled[:20], *wrong, row("x", "rent")]), embedder=FITTED)
        other.update(table(shuffled[20:100]), ["x", *(each["document_id"] for each in shuffled[:9])], embedder=FITTED)
        other.update(iter([table(shuffled[100:120]), *table(shuffled[:9]).to_batches()]), embedder=FITTED)
        other.update(table(shuffled[115:]), embedder=FITTED)
        assert answers(other) == answers(index)


def test_another_embedder_means_vectors_of_one_space(tmp_path: Path) -> None:
    """The documents that are not named again are embedded anew too; the answers are those of a new index."""
    index, other = filled(tmp_path / "one", ROWS[:100]), embedder(ROWS[:90], seed=5)
    found = index.update(table(ROWS[100:]), ["00003"], embedder=other)
    assert (found.written, found.removed, found.serial) == (50, 1, 2)
    fresh = SearchIndex(tmp_path / "two")
    fresh.update(table([each for each in ROWS if each["document_id"] != "00003"]), embedder=other)
    assert answers(index) == answers(fresh)
    index.update(table(ROWS), embedder=FITTED)
    again = filled(tmp_path / "three")
    assert answers(index) == answers(again)
    assert len(list((tmp_path / "one" / "lance").glob("*.lance"))) == 2


def test_a_reader_follows(tmp_path: Path) -> None:
    index, reader = filled(tmp_path, ROWS[:50]), SearchIndex(tmp_path)
    assert reader.search("").total == 50
    index.update(table(ROWS), embedder=FITTED)
    assert reader.search("").total == 150
    index.update(table([]), embedder=embedder(ROWS, seed=3))
    assert answers(reader) == answers(SearchIndex(tmp_path))


def test_an_index_may_be_empty(tmp_path: Path) -> None:
    index = filled(tmp_path, [])
    assert index.search("rent") == index.search("") == Results((), 0, exact=True, serial=1)
    index.update(table(ROWS[:3]), embedder=FITTED)
    assert index.search("").total == 3
    index.update(table([]), [row["document_id"] for row in ROWS[:3]], embedder=FITTED)
    assert index.search("rent").total == 0


def test_of_an_id_that_comes_twice_the_last_counts(tmp_path: Path) -> None:
    index = filled(tmp_path, [row("a", "first words"), row("a", "second words")])
    assert index.search("").total == 1
    assert ids(index.search("second", mode="bm25")) == ["a"]
    assert ids(index.search("first", mode="bm25")) == []


def test_without_an_index_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="update it first"):
        SearchIndex(tmp_path / "none").search("rent")
    assert SearchIndex(tmp_path / "none").serial == 0
    assert not (tmp_path / "none").exists()


def test_wrong_rows_are_refused_and_change_nothing(tmp_path: Path) -> None:
    index = filled(tmp_path, ROWS[:10])
    before = answers(index)
    good = table(ROWS[10:20])
    for wrong, said in (
        (good.drop_columns(["text"]), "column 'text'"),
        (good.set_column(0, "document_id", pa.nulls(10, pa.string())), "no document_id"),
        (good.set_column(5, "received_at", pa.array(["soon"] * 10)), "another type"),
    ):
        with pytest.raises(DataError, match=said):
            index.update(iter([good, wrong]), ["00000"], embedder=FITTED)
        assert answers(index) == before
    assert index.update(good, embedder=FITTED).written == 10


def test_signals_lift_and_are_off_by_default(index: SearchIndex) -> None:
    plain = index.search("rent", limit=50)
    assert index.search("rent", limit=50, signals=Signals()) == plain
    lifted = index.search("rent", limit=50, signals=Signals(priorities={"invoice": 1.0}, priority=1.0))
    labels = [hit.label for hit in lifted.hits]
    assert labels == sorted(labels, key=lambda label: label != "invoice")
    latest = max(hit.received_at for hit in plain.hits if hit.received_at)
    newest = index.search("rent", limit=50, signals=Signals(recency=1.0, half_life=timedelta(hours=1), as_of=latest))
    arrived = newest.hits[0].received_at
    assert arrived is not None
    assert arrived >= latest


def test_rows_come_in_any_arrow_type_that_can_be_cast(tmp_path: Path) -> None:
    wide = pa.schema([(f.name, pa.large_string() if f.type == pa.string() else f.type) for f in DOCUMENTS])
    index = SearchIndex(tmp_path)
    index.update(table(ROWS[:20]).cast(wide).to_batches(), embedder=FITTED)
    assert index.search("").total == 20


def test_a_damaged_pointer_is_named(tmp_path: Path) -> None:
    index = filled(tmp_path, ROWS[:10])
    (tmp_path / "current.json").write_text("{")
    with pytest.raises(DataError, match=re.escape("current.json")):
        index.search("rent")


def test_scores_do_not_depend_on_the_filter(index: SearchIndex) -> None:
    """What is filtered away says nothing about the rest."""
    kept = index.search("escalation insurance", filters=Filters(labels=("letter",)), mode="bm25", limit=50)
    every = {hit.document_id: hit for hit in index.search("escalation insurance", mode="bm25", limit=100).hits}
    assert kept.hits
    assert [replace(every[hit.document_id]) for hit in kept.hits] == list(kept.hits)
