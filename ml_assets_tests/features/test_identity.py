"""An id is the same from the file to the answer, or it is refused where the population is computed."""

import math
import re
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.errors import DataError, DeclarationError
from ml_assets.features.identity import exact_ids
from ml_assets.features.store import refresh
from ml_assets.training.dataset import build
from ml_assets_tests.conftest import AS_OF, QUERIES, Tiny

INT64 = st.integers(-(2**63), 2**63 - 1)


def ids(values: list[Any], kind: pa.DataType | None = None) -> pa.ChunkedArray:
    return exact_ids(pa.chunked_array([pa.array(values, kind)]), "account_id")


@given(st.lists(INT64, min_size=1))
def test_whole_numbers_of_64_bits_are_the_same_integers_whatever_their_type(values: list[int]) -> None:
    for kind, given_ in (
        (pa.int64(), values),
        (pa.decimal128(38, 0), [Decimal(value) for value in values]),
        (pa.decimal128(38, 4), [Decimal(value) for value in values]),
        (pa.string(), [str(value) for value in values]),
    ):
        found = ids(given_, kind)
        assert found.type in {pa.int64(), pa.string()}
        assert [*map(int, found.to_pylist())] == values


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_double_is_the_number_that_it_is_or_refused(value: float) -> None:
    if math.isfinite(value) and value == int(value) and abs(value) <= 2**53:
        assert ids([value]).to_pylist() == [int(value)]
    else:
        with pytest.raises(DataError, match="'account_id' is double and holds"):
            ids([value])


@pytest.mark.parametrize(
    ("values", "kind", "remedy"),
    [
        ([1.5], None, r"CAST\(account_id AS VARCHAR\) AS account_id"),
        ([2.0**60], None, "lost digits: deliver the ids as text or integers"),
        ([2.0**24 + 2], pa.float32(), "lost digits"),
        ([Decimal("1e30")], pa.decimal128(38, 0), r"CAST\(account_id AS VARCHAR\)"),
        ([Decimal("1.50")], pa.decimal128(9, 2), r"1\.50"),
        ([2**63], pa.uint64(), "9223372036854775808"),
        ([b"x"], None, "binary"),
        ([True], None, "bool"),
        (["a", ""], None, "empty text in 1 rows"),
    ],
)
def test_what_cannot_be_exact_is_refused_with_value_and_remedy(values: list[Any], kind: Any, remedy: str) -> None:
    with pytest.raises(DataError, match=remedy) as refused:
        ids(values, kind)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("customer", 7),
        ("customer::DOUBLE", 7),
        ("customer::DECIMAL(38, 0)", 7),
        ("(customer + 1234567890123456000)::DECIMAL(38, 0)", 1234567890123456007),
        ("customer::HUGEINT", 7),
        ("md5(customer::VARCHAR)::UUID", str(UUID("8f14e45f-ceea-167a-5a36-dedd4bea2543"))),
        ("customer::VARCHAR", "7"),
    ],
)
def test_an_id_of_any_type_is_exact_in_population_features_and_labels(
    tiny: Tiny, written: str, expected: object
) -> None:
    """Through a double, 19 digits would make one entity of all, and millions of rows of the join."""
    source = f"(SELECT * REPLACE ({written} AS customer) FROM orders)"
    for file, sql in QUERIES.items():
        tiny.write(file, re.sub(r"(FROM|JOIN) orders", lambda found: f"{found[1]} {source}", sql))
    rows = build(tiny.lake, tiny.folder(), AS_OF)
    found = tiny.lake.query("SELECT DISTINCT customer FROM t", t=rows.table)["customer"].to_pylist()
    assert len(found) == 75  # of 80, as many as ever came
    assert expected in found


def test_a_population_whose_ids_are_inexact_is_refused_before_anything_else_is_computed(tiny: Tiny) -> None:
    tiny.write("population.sql", "SELECT DISTINCT customer + 0.5::DOUBLE AS customer FROM orders")
    folder = tiny.folder()
    with pytest.raises(DataError, match=r"shop/population\.sql at .*: 'customer' is double and holds .*\.5"):
        build(tiny.lake, folder, AS_OF)
    assert [tiny.lake.version(item.view.kept) for item in folder.features] == [None]


def test_views_whose_ids_are_of_different_kinds_are_refused(tiny: Tiny) -> None:
    """DuckDB would compare '007' with 7."""
    tiny.write(
        "features/habits.sql",
        QUERIES["features/habits.sql"].replace("SELECT customer", "SELECT customer::VARCHAR AS customer"),
    )
    with pytest.raises(
        DeclarationError, match=r"population\.sql and shop/features/habits\.sql: 'customer' is int64 in"
    ):
        build(tiny.lake, tiny.folder(), AS_OF)


def test_an_empty_date_keeps_the_type(tiny: Tiny) -> None:
    tiny.write("population.sql", "SELECT DISTINCT customer::DOUBLE AS customer FROM orders WHERE customer > 1e6")
    view = tiny.folder().population
    refresh(tiny.lake, view, [AS_OF])
    assert tiny.lake.schema(view.kept).field("customer").type == pa.int64()
