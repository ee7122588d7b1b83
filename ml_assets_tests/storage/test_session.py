"""A session opens each version of a table once, and answers as a lake without one does, whoever writes beside it."""

from datetime import date
from pathlib import Path
from threading import Thread

import deltalake
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from ml_assets.errors import OvertakenError
from ml_assets.storage.lake import Lake
from ml_assets.storage.snapshot import TableSnapshot

DAYS = [date(2025, 1, day) for day in range(1, 6)]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(str(tmp_path))
    made.append("t", pa.table({"n": [0]}), records={"batch": 1})
    return made


@pytest.fixture
def opens(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tables that are opened, in order."""
    opened: list[str] = []

    class Counted(DeltaTable):
        def __init__(self, table_uri: str, version: int | None = None) -> None:
            opened.append(Path(table_uri).name)
            super().__init__(table_uri, version=version)

    monkeypatch.setattr(deltalake, "DeltaTable", Counted)
    return opened


def numbers(lake: Lake, version: int | None = None) -> list[int]:
    with lake.connect() as connection:
        rows = connection.sql(f"SELECT n FROM {lake.relation(connection, 't', version)} ORDER BY n").fetchall()
    return [number for (number,) in rows]


def test_a_version_is_opened_once_a_session_and_not_beyond_it(lake: Lake, opens: list[str]) -> None:
    session = lake.session()
    assert session.session() is session
    for _ in range(3):
        assert (session.version("t"), session.record("t", "batch"), session.schema("t").names) == (1, 1, ["n"])
        assert (numbers(session), numbers(session, 1), len(session.files("t", 1))) == ([0], [0], 1)
    assert opens == ["t"]
    lake.session().version("t")
    assert opens == ["t", "t"]


def test_a_commit_of_another_is_seen_at_once_and_a_version_stays_what_it_was(lake: Lake, opens: list[str]) -> None:
    session, other = lake.session(), Lake(lake.root)
    assert (numbers(session), session.version("new")) == ([0], None)
    for number in range(1, 4):
        other.append("t", pa.table({"n": [number], f"more_{number}": ["x"]}), records={"batch": number + 1})
        before = len(opens)
        assert (session.version("t"), session.record("t", "batch")) == (number + 1, number + 1)
        assert numbers(session) == [*range(number + 1)]
        assert len(opens) == before + 1
        assert (session.record("t", "batch", 1), numbers(session, 1), session.schema("t", 1).names) == (1, [0], ["n"])
    other.append("new", pa.table({"n": [7]}))
    assert session.version("new") == 1


def test_what_a_session_writes_it_sees_and_what_it_has_read_stays(lake: Lake) -> None:
    session = lake.session()
    first = session.identity("t")
    assert session.append("t", pa.table({"n": [1]}), records={"batch": 2}) == 2
    assert session.append("t", pa.table({"n": [1]}), records={"batch": 2}) == 2
    assert (numbers(session), numbers(session, 1), session.record("t", "batch", 1)) == ([0, 1], [0], 1)
    assert session.replace("t", pa.table({"n": [0, 0]}), column="n", values=[0], partitioned=False) == 3
    assert (numbers(session), numbers(session, 2), numbers(session, 1)) == ([0, 0, 1], [0, 1], [0])
    assert session.identity("t") == (first and first[0], 3)


def test_a_write_onto_a_version_that_another_has_replaced_is_refused(lake: Lake) -> None:
    session = lake.session()
    version = session.version("t")
    Lake(lake.root).append("t", pa.table({"n": [1]}))
    with pytest.raises(OvertakenError, match="another process made version 2"):
        session.replace("t", pa.table({"n": [9]}), column="n", values=[0], partitioned=False, onto=version)
    assert numbers(session) == [0, 1]


def test_a_table_that_is_removed_is_gone_for_a_session_too(lake: Lake) -> None:
    session = lake.session()
    assert session.version("t") == 1
    Lake(lake.root).drop("t")
    assert session.version("t") is None
    lake.append("t", pa.table({"other": ["x"]}))
    lake.append("t", pa.table({"other": ["y"]}))
    assert (session.version("t"), session.schema("t").names) == (2, ["other"])


def test_threads_of_a_session_never_see_half_of_a_commit(lake: Lake) -> None:
    """A reader of one thread holds its version while another thread sees a newer one."""
    session, wrong, last = lake.session(), list[str](), 25

    def read() -> None:
        while (version := session.version("t") or 0) <= last:
            batch = session.record("t", "batch", version)
            rows = numbers(session, version)
            if (batch, rows) != (version, [*range(version)]):
                wrong.append(f"version {version}: batch {batch}, rows {rows}")

    readers = [Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(1, last + 1):
        (session if number % 2 else Lake(lake.root)).append(
            "t", pa.table({"n": [number]}), records={"batch": number + 1}
        )
    for reader in readers:
        reader.join()
    assert wrong == []


def test_records_read_from_the_log_are_those_that_deltalake_looks_up(tmp_path: Path) -> None:
    """Across a checkpoint, at each version, whatever characters a key has."""
    lake = Lake(str(tmp_path))
    keys = ["batch", 'odd "é\\ key', *(f"as_of={day}" for day in DAYS), "never"]
    for number in range(12):
        lake.append("t", pa.table({"n": [number]}), records=dict.fromkeys(keys[: 1 + number % 7], number))
        if number == 5:
            DeltaTable(tmp_path / "t").create_checkpoint()
    for version in range(13):
        table = DeltaTable(tmp_path / "t", version=version)
        known = {key: table.transaction_version(key) for key in keys}
        assert TableSnapshot(table).records(keys) == {
            key: number for key, number in known.items() if number is not None
        }
        assert lake.records("t", keys[:2], version) == {key: known[key] for key in keys[:2] if known[key] is not None}
