"""The same orders as ten systems would export them: each file gives the features that pandas has."""

import gzip
import io
import lzma
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml_assets.features.engine import compute
from ml_assets.features.query import check
from ml_assets.features.view import Relation, View
from ml_assets.ingest.ingest import ingest
from ml_assets.spec.source import SourceSpec
from ml_assets.storage.duck import quote
from ml_assets.storage.lake import Lake
from ml_assets_tests.conftest import shared

TABLE = "shop/raw/orders"
DATES = [date(2025, 1, 10), date(2025, 2, 3), date(2025, 2, 28)]
LOOKBACK = timedelta(days=30)
NAMES = ("customer", "at", "amount", "items", "kind")


def orders() -> pd.DataFrame:
    """Ids with gaps, whole seconds, amounts and items that are missing at times, text of every sort."""
    rng = np.random.default_rng(7)
    size = 300
    kinds = ["café", 'say "hi"', "a; b, c", "x|y", "NULL island", "plain"]
    seconds = np.sort(rng.integers(0, 59 * 86400, size))
    return pd.DataFrame({
        "customer": rng.choice([3, 17, 1004, 52311, 900000000000001], size),
        "at": pd.Timestamp("2025-01-01") + pd.to_timedelta(seconds, unit="s").as_unit("us"),
        "amount": np.where(rng.random(size) < 0.15, np.nan, rng.integers(-500, 99999, size) / 100),
        "items": pd.Series(rng.integers(0, 9, size), dtype="Int64").mask(rng.random(size) < 0.2),
        "kind": rng.choice(kinds, size),
    })  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """How a system writes the orders.

    Args:
        name: of the file.
        write: the rows as bytes.
        columns: what it calls the columns, in the order of `NAMES`.
        source: what is declared of it.
    """

    name: str
    write: Callable[[pd.DataFrame], bytes]
    columns: tuple[str, ...] = NAMES
    source: dict[str, Any] = field(default_factory=dict)


def csv(encoding: str = "utf-8", sep: str = ",", *, index: bool = False) -> Callable[[pd.DataFrame], bytes]:
    """A writer of CSV, by pandas."""
    return lambda rows: rows.to_csv(sep=sep, index=index).encode(encoding)


def german(rows: pd.DataFrame) -> bytes:
    """Semicolons, a decimal comma, points between thousands, days first, the encoding of Windows."""
    amounts = rows.amount.map(lambda each: f"{each:,.2f}".translate(str.maketrans(",.", ".,")), na_action="ignore")
    return rows.assign(amount=amounts, at=rows["at"].dt.strftime("%d.%m.%Y %H:%M:%S")).to_csv(
        sep=";", index=False, lineterminator="\r\n"
    ).encode("cp1252")  # fmt: skip


def american(rows: pd.DataFrame) -> bytes:
    """As a spreadsheet exports it: month first, blanks in names, ids with .0, N/A for what is missing."""
    named = rows.rename(columns={"customer": "Customer ID", "at": "Order Date", "amount": "Amount ($)"})
    dates = named["Order Date"].dt.strftime("%m/%d/%Y %H:%M:%S")
    return gzip.compress(named.assign(**{"Order Date": dates}).to_csv(index=False, na_rep="N/A").encode())


def zoned(rows: pd.DataFrame) -> bytes:
    """JSON Lines with times of a zone; what is missing is left out, and the keys come in any order."""
    times = rows["at"].dt.tz_localize("UTC").dt.tz_convert("Asia/Kolkata")
    lines = []
    for nr, (_, row) in enumerate(rows.assign(at=times).iterrows()):
        whole = {key: value for key, value in row.items() if not pd.isna(value)}
        turned = dict(reversed(whole.items())) if nr % 2 else whole
        lines.append(pd.Series({**turned, "at": row["at"].isoformat()}).to_json(force_ascii=False))
    return ("\n".join(lines) + "\n").encode()


def parquet(rows: pd.DataFrame) -> bytes:
    """As pandas writes it: integers beside a missing one are floats, times are nanoseconds."""
    buffer = io.BytesIO()
    floats = rows.astype({"items": "float64"}).assign(at=rows["at"].astype("datetime64[ns]"))
    floats.to_parquet(buffer)
    return buffer.getvalue()


def wide(rows: pd.DataFrame) -> bytes:
    """Columns of fixed width without a header; what is missing is a point."""
    quoted = '"' + rows.kind.str.replace('"', '""') + '"'
    texts = rows.assign(at=rows["at"].dt.strftime("%Y%m%d%H%M%S"), kind=quoted).astype("string").fillna(".")
    return "".join("  ".join(each.rjust(16) for each in row) + " \r\n" for row in texts.to_numpy()).encode()


SHAPES = {
    "iso": Shape("a.csv", csv()),
    "german": Shape("a.CSV", german, source={"format": {
        "encoding": "cp1252", "decimal": ",", "thousands": ".", "dates": ["%d.%m.%Y %H:%M:%S"],
    }}),
    "american": Shape("a.csv.gz", american, ("Customer ID", "Order Date", "Amount ($)", "items", "kind"), {
        "format": {"dates": ["%m/%d/%Y %H:%M:%S"], "missing": ["N/A"]},
    }),
    "tabs in UTF-16": Shape("a.tsv", csv("utf-16", sep="\t")),
    "rows with a number, compressed": Shape("a.csv.xz", lambda rows: lzma.compress(csv(index=True)(rows)), source={
        "format": {"names": ["row", *NAMES]},
    }),
    "another ending": Shape(
        "ratings.inter",
        lambda rows: rows.assign(at=rows["at"].astype("int64") // 10**6).to_csv(
            sep="|", index=False, header=[f"{name}:token" for name in NAMES]
        ).encode(),
        tuple(f"{name}:token" for name in NAMES),
        {"format": {"separator": "|", "dates": ["epoch seconds"]}},
    ),
    "fixed width": Shape("report.txt", wide, source={
        "format": {"separator": " ", "header": False, "names": [*NAMES], "dates": ["%Y%m%d%H%M%S"], "missing": ["."]},
    }),
    "JSON of a zone": Shape("a.ndjson", zoned),
    "JSON of pandas": Shape(
        "a.jsonl",
        lambda rows: rows.assign(at=rows["at"].astype("int64") // 1000).to_json(orient="records", lines=True).encode(),
        source={"format": {"dates": ["epoch milliseconds"]}},
    ),
    "Parquet of pandas": Shape("a.parquet", parquet),
}  # fmt: skip


def view(columns: tuple[str, ...]) -> View:
    customer, at, amount, items, kind = map(quote, columns)
    sql = f"""
        SELECT {customer} AS customer, count(*) AS orders, count({amount}) AS priced, sum({amount}) AS total,
               avg({items}) AS items, max({kind}) AS kind, date_diff('second', max({at}), $as_of) AS seconds
        FROM orders GROUP BY ALL
    """
    relation = Relation("orders", TABLE, columns[1])
    return View("shop/features/v", check(sql, ["orders"], where="v.sql"), "customer", (relation,), (), LOOKBACK)


def expected(rows: pd.DataFrame, as_of: date) -> pd.DataFrame:
    end = pd.Timestamp(as_of)
    known = rows[(rows["at"] < end) & (rows["at"] >= end - LOOKBACK)].groupby("customer")
    return pd.DataFrame({
        "orders": known.size(), "priced": known.amount.count(), "total": known.amount.sum(min_count=1),
        "items": known["items"].mean().astype("float64"), "kind": known.kind.max(),
        "seconds": (end - known["at"].max()).dt.total_seconds(),
    })  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_features_of_a_file_as_it_comes_are_those_of_pandas(tmp_path: Path, shape: Shape) -> None:
    rows = orders()
    path = tmp_path / "incoming" / "orders" / shape.name
    path.parent.mkdir(parents=True)
    path.write_bytes(shape.write(rows))
    spec = SourceSpec.model_validate(
        {"name": "orders", "files": "orders/*", "event_time": shape.columns[1]} | shape.source
    )
    lake = Lake(str(tmp_path / "lake"), shared)
    done = ingest(lake, TABLE, spec, tmp_path / "incoming")
    assert (done.accepted, done.quarantined, done.refused) == (len(rows), 0, ())
    for as_of, table in compute(lake, view(shape.columns), DATES, workers=1):
        found = table.to_pandas().drop(columns="as_of").set_index("customer").sort_index()
        found.index = found.index.astype("int64")
        pd.testing.assert_frame_equal(found, expected(rows, as_of), check_dtype=False, check_names=False, rtol=1e-12)
