"""What a failed step says: one line for whoever typed the command, the rest in the log."""

import re
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import duckdb
import pyarrow as pa
import pytest

from ml_assets.commands import screen
from ml_assets.commands.failure import RunError, fail
from ml_assets.commands.screen import UnforeseenError
from ml_assets.errors import DataError, LakeError


def _foreseen() -> None:
    raise DataError("shop/orders/a.csv: 'x' is not a number: write 1.5")


def _foreseen_below_another() -> None:
    try:
        int("of no use")
    except ValueError as error:
        raise LakeError("orders cannot be written:\n  free the disk") from error


def _key() -> None:
    dict[str, int]()["absent"]


def _duck() -> None:
    duckdb.sql("SELECT * FROM nowhere")


def _arrow() -> None:
    pa.array(["a"]).cast(pa.int64())


def _silent() -> None:
    raise RuntimeError


@pytest.mark.parametrize(
    ("broken", "kind", "said"),
    [
        (_foreseen, RunError, r"shop: raw/orders: shop/orders/a.csv: 'x' is not a number: write 1.5$"),
        (_foreseen_below_another, RunError, r"shop: raw/orders: orders cannot be written: free the disk$"),
        (_key, UnforeseenError, r"shop: raw/orders: 'absent' \(KeyError\); the traceback is in \S+ml-assets.log$"),
        (_duck, UnforeseenError, r"shop: raw/orders: Catalog Error: Table .*\(CatalogException\); the traceback is in"),
        (_arrow, UnforeseenError, r"shop: raw/orders: Failed to parse string.*\(ArrowInvalid\); the traceback is in"),
        (_silent, UnforeseenError, r"shop: raw/orders: no message \(RuntimeError\); the traceback is in"),
    ],
)
def test_a_failed_step_is_one_line_without_a_class_path(
    broken: Callable[[], None], kind: type[Exception], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screen, "_log", tmp_path / "ml-assets.log")

    @dg.asset(key=["shop", "raw", "orders"])
    def orders() -> None:
        broken()

    result = dg.materialize([orders], raise_on_error=False)
    with pytest.raises(kind) as raised:
        fail(result, "shop")
    assert re.match(said, str(raised.value)), raised.value
    assert "\n" not in str(raised.value)
    assert "Stack Trace" in (tmp_path / "ml-assets.log").read_text()
