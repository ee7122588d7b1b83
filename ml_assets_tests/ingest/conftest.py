from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ml_assets.ingest.ingest import Ingested, ingest
from ml_assets.spec.source import SourceSpec
from ml_assets.storage.lake import Lake
from ml_assets_tests.conftest import shared

TABLE = "shop/raw/orders"


class Inbox:
    """A drop zone and a lake: deliver files, ingest, look."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "incoming"
        (self.folder / "orders").mkdir(parents=True)
        self.lake = Lake(str(root / "lake"), shared)
        self.spec = SourceSpec(name="orders", files="orders/*", event_time="at", columns={"amount": "double"})

    def put(self, name: str, content: str | bytes) -> Path:
        path = self.folder / "orders" / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def ingest(self, **changes: Any) -> Ingested:
        return ingest(self.lake, TABLE, self.with_(**changes), self.folder)

    def with_(self, **changes: Any) -> SourceSpec:
        return SourceSpec.model_validate({**self.spec.model_dump(), **changes})

    def rows(self, suffix: str = "") -> list[dict[str, Any]]:
        """The rows of a table in an order of their own, without what names files and runs."""
        if self.lake.version(TABLE + suffix) is None:
            return []
        found = self.lake.query("SELECT * FROM t", t=TABLE + suffix).to_pylist()
        noise = {"mtime", "batch", "delivered", *([] if suffix else ["_file"])}
        return sorted(({k: v for k, v in row.items() if k not in noise} for row in found), key=str)

    def reasons(self) -> list[str]:
        return sorted(row["reason"] for row in self.rows("_quarantine"))


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path)


@pytest.fixture
def inboxes(tmp_path: Path) -> Callable[[str], Inbox]:
    return lambda name: Inbox(tmp_path / name)


HEAD = "id,at,amount\n"


def orders(*rows: str) -> str:
    """A CSV file of orders."""
    return HEAD + "".join(f"{row}\n" for row in rows)
