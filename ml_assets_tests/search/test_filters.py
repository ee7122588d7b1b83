"""Filters mean the same to the index as to anyone who reads the rows, and they come before the ranking."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.search.index import Filters, SearchIndex, Signals
from ml_assets.search.index_schema import fold_text
from ml_assets.search.query import QueryError
from ml_assets.search.store import SearchStore
from ml_assets_tests.search.cases import NEW_YEAR, corpus, embedder, row, table

ROWS = [
    *corpus(60),
    row("bare", "lease of nothing", label=None, parties=None, dates=None, amounts=None, received_at=None),
    row("empty", "lease of less", parties=[], dates=[], amounts=[]),
    row("quote", "lease of O'Neil", parties=["O'Neil % _ \\ Söhne", "Ab\nc"], amounts=[-3.5]),
    row("many", "lease of many", amounts=[n + 0.5 for n in range(75, 0, -1)],
        dates=[date(2000 + n, 5, 5) for n in range(30)]),
]  # fmt: skip


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> SearchIndex:
    made = SearchIndex(tmp_path_factory.mktemp("filters"))
    made.update(table(ROWS), embedder=embedder(ROWS))
    return made


def within(values: list[Any] | None, low: Any, high: Any) -> bool:
    return any((low is None or value >= low) and (high is None or value <= high) for value in values or ())


def allowed(filters: Filters, row: dict[str, Any]) -> bool:
    """The filters by their definition."""
    arrived = [row["received_at"]] if row["received_at"] else []
    ranges = (
        (row["dates"], filters.date_from, filters.date_to),
        (row["amounts"], filters.amount_from, filters.amount_to),
        (arrived, filters.received_from, filters.received_to),
    )
    return (
        (not filters.labels or row["label"] in filters.labels)
        and (not filters.kinds or row["kind"] in filters.kinds)
        and (filters.party is None or any(fold_text(filters.party) in fold_text(name) for name in row["parties"] or ()))
        and all(within(*each) for each in ranges if each[1] is not None or each[2] is not None)
    )


def expected(filters: Filters) -> set[str]:
    return {row["document_id"] for row in ROWS if allowed(filters, row)}


def listed(index: SearchIndex, filters: Filters) -> set[str]:
    found = index.search("", filters=filters, limit=100)
    assert found.exact
    assert found.total == len(found.hits)
    return {hit.document_id for hit in found.hits}


def ends(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, Any]]:
    pair = st.tuples(st.none() | values, st.none() | values)
    return pair.map(lambda both: both if None in both else tuple(sorted(both)))


@st.composite
def filters(draw: Callable[..., Any]) -> Filters:
    dates = draw(ends(st.dates(date(1999, 1, 1), date(2051, 1, 1))))
    arrivals = draw(ends(st.integers(-5, 70).map(lambda hours: NEW_YEAR + timedelta(hours=hours))))
    amounts = draw(ends(st.floats(-5, 70) | st.sampled_from([1e6, -3.5, 7.0])))
    chosen = draw(st.sets(st.sampled_from(["label", "kind", "party", "dates", "arrivals", "amounts"])))
    return Filters(
        labels=tuple(draw(st.sets(st.sampled_from(["lease", "letter", "it's"])))) if "label" in chosen else (),
        kinds=tuple(draw(st.sets(st.sampled_from(["pdf", "docx"])))) if "kind" in chosen else (),
        party=draw(st.sampled_from(["HARBOR prop", "zoe", "o'neil", "% _", "\\", "b c", "nobody"]))
        if "party" in chosen else None,
        date_from=dates[0] if "dates" in chosen else None, date_to=dates[1] if "dates" in chosen else None,
        received_from=arrivals[0] if "arrivals" in chosen else None,
        received_to=arrivals[1] if "arrivals" in chosen else None,
        amount_from=amounts[0] if "amounts" in chosen else None, amount_to=amounts[1] if "amounts" in chosen else None,
    )  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(filters())
def test_a_list_is_what_the_definition_says(index: SearchIndex, chosen: Filters) -> None:
    assert listed(index, chosen) == expected(chosen)


@settings(max_examples=60, deadline=None)
@given(filters())
def test_a_ranking_holds_every_allowed_document_and_no_other(index: SearchIndex, chosen: Filters) -> None:
    """Each lease is found by its words, however few the filter leaves."""
    found = index.search("lease rent", filters=chosen, limit=100, mode="bm25")
    words = {row["document_id"] for row in ROWS if "ease" in row["text"] or "rent " in row["text"]}
    assert {hit.document_id for hit in found.hits} == expected(chosen) & words


@settings(max_examples=100, deadline=None)
@given(st.text(min_size=1))
def test_any_party_may_be_asked_for(index: SearchIndex, party: str) -> None:
    if fold_text(party):
        assert listed(index, Filters(party=party)) == expected(Filters(party=party))


def test_a_date_between_two_of_a_document_is_not_in_it(index: SearchIndex) -> None:
    """Each document mentions 2050 and an early day: its span holds every day between."""
    assert listed(index, Filters(date_from=date(2030, 1, 1), date_to=date(2040, 1, 1))) == set()
    assert listed(index, Filters(amount_from=100, amount_to=1000)) == set()


def test_both_ends_are_inside(index: SearchIndex) -> None:
    first = date(2000, 1, 1)
    assert listed(index, Filters(date_from=first, date_to=first)) == {"00000"}
    assert listed(index, Filters(amount_from=8, amount_to=8)) == {"00008"}
    assert listed(index, Filters(received_from=NEW_YEAR, received_to=NEW_YEAR)) >= {"00000"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"date_from": date(2025, 1, 2), "date_to": date(2025, 1, 1)}, "date_from 2025-01-02 is after"),
        ({"amount_from": 2.0, "amount_to": 1.0}, "swap"),
        ({"amount_from": float("nan")}, "amount_from is nan: pass a finite number"),
        ({"amount_to": "12"}, "amount_to is '12'"),
        ({"date_to": datetime(2025, 1, 1)}, "pass a date"),  # noqa: DTZ001
        ({"date_to": "2025"}, "pass a date"),
        ({"received_from": date(2025, 1, 1)}, "pass a datetime"),
        ({"received_from": datetime(2025, 1, 1, tzinfo=UTC)}, "a datetime in UTC"),
        ({"party": " \n"}, "party"),
    ],
)
def test_an_impossible_filter_names_field_value_and_remedy(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(QueryError, match=said):
        Filters(**wrong)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"limit": 0}, "limit is 0"), ({"limit": 101}, "limit is 101"), ({"offset": -1}, "offset is -1"),
        ({"offset": 95}, "beyond the 100"),
    ],
)  # fmt: skip
def test_an_impossible_page_is_refused(index: SearchIndex, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(QueryError, match=said):
        index.search("lease", **wrong)


@pytest.mark.parametrize("wrong", [{"priority": 2.0}, {"recency": -0.1}, {"priorities": {"lease": 3.0}},
                                   {"half_life": timedelta()}])  # fmt: skip
def test_an_impossible_signal_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(QueryError, match="choose"):
        Signals(**wrong)


def test_a_range_follows_the_longest_list(tmp_path: Path) -> None:
    """Only as many columns are looked into as some document has values."""
    bare = [row(str(place), "lease", amounts=None, dates=[]) for place in range(3)]
    long = row("long", "lease", amounts=[float(n) for n in range(1, 90)])
    index = SearchIndex(tmp_path)
    index.update(table(bare), embedder=embedder())
    wanted = Filters(amount_from=70, amount_to=88.5)
    assert listed(index, wanted) == set()
    known = index.embedder
    assert known is not None
    index.update(table([long]), embedder=known)
    assert listed(index, wanted) == {"long"}
    assert listed(index, Filters(amount_from=88.2, amount_to=88.8)) == set()


def test_a_table_of_a_release_before_is_written_anew(tmp_path: Path) -> None:
    import lancedb  # 3 s: whoever only collects this file has no use for it

    fitted = embedder(ROWS)
    index = SearchIndex(tmp_path)
    index.update(table(ROWS), embedder=fitted)
    held = lancedb.connect(tmp_path / "lance").open_table(SearchStore(tmp_path).current().table)  # type: ignore[union-attr]
    held.drop_columns(["amounts_63"])
    pointer = tmp_path / "current.json"
    pointer.write_text(json.dumps(json.loads(pointer.read_text()) | {"version": held.version}))
    assert index.update(table(ROWS[:1]), embedder=fitted).written == 0
    assert listed(index, Filters(amount_from=100, amount_to=103)) == expected(Filters(amount_from=100, amount_to=103))
