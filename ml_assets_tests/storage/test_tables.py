"""Tables and the keys of their records have one set of names, and what is kept is made once."""

import doctest
import re
from datetime import date
from pathlib import Path

import pyarrow as pa

from ml_assets.settings import PROJECT
from ml_assets.storage import tables
from ml_assets.storage.lake import Lake
from ml_assets.storage.memo import Kept, memo
from ml_assets.storage.tables import ModelTables

DAY, NEXT = date(2026, 3, 1), date(2026, 3, 8)


def test_the_examples_of_the_docs_run() -> None:
    assert doctest.testmod(tables).failed == 0


def test_a_table_and_a_record_are_named_in_one_place() -> None:
    names = [name for name, value in vars(ModelTables).items() if isinstance(value, property)]
    spelled = re.compile(rf'f"\{{[^}}"]+\}}/({"|".join(names)})"|f"\{{[^}}"]+\}}/(raw|training_set)/|f"as_of=\{{')
    root = PROJECT / "ml_assets"
    elsewhere = {
        path.relative_to(root).as_posix(): found[0]
        for path in root.rglob("*.py")
        if (found := spelled.search(path.read_text(encoding="utf-8"))) and path.name != "tables.py"
    }
    assert elsewhere == {}


def test_rows_are_made_once_for_a_fingerprint_and_anew_for_another(tmp_path: Path) -> None:
    lake, made = Lake(str(tmp_path)), list[int]()

    def rows(day: date, value: int) -> pa.Table:
        made.append(value)
        return pa.table({"as_of": pa.array([day], pa.date32()), "value": [value]})

    first = memo(lake, "shop/predictions", DAY, 7, lambda: rows(DAY, 1))
    assert memo(lake, "shop/predictions", DAY, 7, lambda: rows(DAY, 2)) == Kept(first.version, reused=True)
    memo(lake, "shop/predictions", NEXT, 7, lambda: rows(NEXT, 3))
    again = memo(lake, "shop/predictions", DAY, 8, lambda: rows(DAY, 4))
    assert (first.reused, again.reused, made) == (False, False, [1, 3, 4])
    assert lake.query("SELECT value FROM p ORDER BY as_of", p="shop/predictions")["value"].to_pylist() == [4, 3]
    assert lake.record("shop/predictions", "as_of=2026-03-01") == 8
