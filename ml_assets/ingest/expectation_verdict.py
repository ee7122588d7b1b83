"""The expectations of a source over the files of a batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ml_assets.ingest.content import BATCH
from ml_assets.ingest.expectations import ExpectationResult, Suite, holds_mostly

if TYPE_CHECKING:
    from ml_assets.ingest.row_buffer import RowBuffer
    from ml_assets.spec.source import Expectation

_EXAMPLES = 3
_NULLS = ("expect_column_values_to_not_be_null", "expect_column_values_to_be_null")


@dataclass(frozen=True)
class _Part:
    """Rows of one file within a chunk: `start` is their place in the file."""

    file: int
    start: int
    rows: pa.Table


def judge(files: Sequence["RowBuffer"], suite: Suite) -> list[list[ExpectationResult]]:
    """What each expectation says of each file; `ExpectationResult.rows` counts from 0 in the file.

    An expectation that judges each row by itself runs over chunks of about 250,000 rows, across small files
    and within a large one. Every other one (aggregates, uniqueness, order, several columns, `row_condition`)
    is a statement about a file: it runs once for each file on all of its rows, with its columns in memory.

    Both see the rows that fit the schema, before any goes to the quarantine.
    """
    wise = [nr for nr, row_wise in enumerate(suite.row_wise) if row_wise]
    whole = [nr for nr, row_wise in enumerate(suite.row_wise) if not row_wise]
    by_row = _row_wise(files, suite, wise)
    results = [{**rows, **_whole(file, suite, whole)} for file, rows in zip(files, by_row, strict=True)]
    return [[result[nr] for nr in range(len(suite.expectations))] for result in results]


def block_reason(expectations: Sequence["Expectation"], found: Sequence[ExpectationResult]) -> str:
    """Why a file is held back: the `block` expectations that fail in it; empty where it is not."""
    failed = [
        (expectation, result)
        for expectation, result in zip(expectations, found, strict=True)
        if expectation.severity == "block" and not result.success
    ]
    return "; ".join(f"{expectation.name} fails: {_evidence(result)}" for expectation, result in failed)


def _evidence(found: ExpectationResult) -> str:
    examples = ", ".join(found.examples) or "nothing"
    return (
        f"{found.unexpected} of {found.elements} values, such as {examples}"
        if len(found.rows)
        else f"observed {examples}"
    )


def _shown(value: object) -> str:
    return "null" if value is None else str(value)[:100]


def _row_wise(files: Sequence["RowBuffer"], suite: Suite, chosen: list[int]) -> list[dict[int, ExpectationResult]]:
    tallies: list[dict[int, list[ExpectationResult]]] = [{nr: [] for nr in chosen} for _ in files]
    columns = sorted({column for nr in chosen for column in suite.expectations[nr].columns})
    for chunk in _chunks(files, columns) if chosen else []:
        rows = pa.concat_tables([part.rows for part in chunk])
        for nr, result in suite.check(rows, chosen).items():
            _share(tallies, chunk, nr, result, suite.expectations[nr])
    return [{nr: _sum(suite.expectations[nr], parts) for nr, parts in tally.items()} for tally in tallies]


def _chunks(files: Sequence["RowBuffer"], columns: list[str]) -> Iterator[list[_Part]]:
    chunk: list[_Part] = []
    for nr, file in enumerate(files):
        start = 0
        for table in file:
            if sum(part.rows.num_rows for part in chunk) + table.num_rows > BATCH and chunk:
                yield chunk
                chunk = []
            chunk.append(_Part(nr, start, table.select(columns)))
            start += table.num_rows
    if chunk:
        yield chunk


def _share(
    tallies: list[dict[int, list[ExpectationResult]]],
    chunk: list[_Part],
    nr: int,
    found: ExpectationResult,
    expectation: "Expectation",
) -> None:
    """Give each file of a chunk its part of what was found."""
    offset = 0
    for part in chunk:
        low, high = np.searchsorted(found.rows, [offset, offset + part.rows.num_rows])
        rows = found.rows[low:high] - offset
        column = part.rows[expectation.columns[0]]
        elements = part.rows.num_rows - (0 if expectation.type in _NULLS else column.null_count)
        examples = tuple(_shown(value) for value in column.take(pa.array(rows[:_EXAMPLES])).to_pylist())
        tallies[part.file][nr].append(ExpectationResult(True, elements, rows + part.start, len(rows), examples))
        offset += part.rows.num_rows


def _sum(expectation: "Expectation", parts: list[ExpectationResult]) -> ExpectationResult:
    elements, unexpected = sum(part.elements for part in parts), sum(part.unexpected for part in parts)
    rows = np.concatenate([np.array([], np.int64), *(part.rows for part in parts)])
    examples = tuple(example for part in parts for example in part.examples)[:_EXAMPLES]
    return ExpectationResult(holds_mostly(expectation, elements, unexpected), elements, rows, unexpected, examples)


def _whole(file: "RowBuffer", suite: Suite, chosen: list[int]) -> dict[int, ExpectationResult]:
    if not file.rows:
        return {nr: ExpectationResult(True, 0, np.array([], np.int64), 0, ()) for nr in chosen}
    results: dict[int, ExpectationResult] = {}
    groups: dict[str, list[int]] = {}
    for nr in chosen:
        groups.setdefault(_need(suite.expectations[nr]), []).append(nr)
    for need, numbers in groups.items():
        columns = {column for nr in numbers for column in suite.expectations[nr].columns}
        results |= suite.check(_read(file, need, sorted(columns)), numbers)
    return results


def _need(expectation: "Expectation") -> str:
    kind = expectation.type
    if kind == "expect_column_to_exist" or kind.startswith("expect_table_column"):
        return "names"
    if kind.startswith("expect_table_row_count_to_"):
        return "count"
    return "columns" if expectation.columns and "row_condition" not in expectation.kwargs else "all"


def _read(file: "RowBuffer", need: str, columns: list[str]) -> pa.Table:
    """No more of a file than is needed: a table of millions of rows is counted by one column."""
    tables: list[Any] = []
    for table in file:
        data_columns = table.column_names[:-1]  # the last one is the row's number
        selection = {"columns": columns, "count": data_columns[:1]}.get(need, data_columns)
        tables.append(table.select(selection) if need != "names" else table.select(data_columns).slice(0, 0))
    return pa.concat_tables(tables)
