"""A file that cannot be used is named with the remedy, stays where it is, and stops nothing else."""

import gzip
import os
import socket
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml_assets.errors import DataError
from ml_assets.ingest.files import arrivals, identify, require_unchanged
from ml_assets.ingest.listing import list_files
from ml_assets_tests.ingest.conftest import Inbox, orders

WHOLE = orders("1,2025-01-01,1.5")


def _parquet(path: Path) -> bytes:
    pq.write_table(pa.table({"id": list(range(1000))}), path)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("b.csv", b"", "is empty"),
        ("b.csv", b"id,at,amount\n", "holds no rows"),
        ("b.csv", WHOLE.encode()[:-1], "rename"),
        ("b.csv", b"id,at,amount\n1,2025-01-01\n", "row 2 has 2 cells and 3 are expected"),
        ("b.csv", b"id,at,amount\n1,2025-01-01,\xff\n", "line 2 is not UTF-8"),
        ("b.csv", b'at,amount,id\n2025-01-01,1,"1\nmore\n', "line 2 opens a quotation mark that is never closed"),
        ("b.csv", b"id,at,amount,ID\n1,2025-01-01,1,1\n", "have one name"),
        ("b.csv", b"id,at,amount,\n1,2025-01-01,1,1\n", "has no name"),
        ("b.csv", b"id,at,amount,_file\n1,2025-01-01,1,1\n", "name of the lake"),
        ("b.csv", b"id,at,Amount\n1,2025-01-01,1\n", "misses column amount; it has id, at, Amount"),
        ("b.csv.gz", gzip.compress(WHOLE.encode() * 50, mtime=0)[:-9], "end-of-stream"),
        ("b.csv.gz", b"no archive\n", "misses column id"),
        ("b.jsonl", b'{"id": 1}\n[2]\n', r"line 2, '\[2\]', is not a JSON object"),
        ("b.ndjson", b'{"id": 1}\n{"id":\n', "line 2, .* is not a JSON object"),
        ("b.parquet", b"PAR1 but not more", "cannot be read as parquet"),
        ("b.xlsx", b"x", "unknown extension"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_stays(inbox: Inbox, name: str, content: bytes, reason: str) -> None:
    inbox.put("a.csv", orders("1,2025-01-01,1.5"))
    path = inbox.put(name, content)
    inbox.put("c.csv", orders("2,2025-01-02,2.5"))
    found = inbox.ingest()
    assert [note.file for note in found.refused] == [f"orders/{name}"]
    with pytest.raises(DataError, match=reason):
        raise DataError(found.refused[0].reason)
    assert path.read_bytes() == content
    assert [row["id"] for row in inbox.rows()] == [1, 2]


def test_a_truncated_parquet_file_is_refused_and_taken_once_it_is_whole(inbox: Inbox, tmp_path: Path) -> None:
    whole = _parquet(tmp_path / "whole.parquet")
    inbox.put("a.parquet", whole[: len(whole) // 2])
    assert len(inbox.ingest(columns=None).refused) == 1


def test_a_refused_file_is_taken_once_it_is_delivered_whole(inbox: Inbox) -> None:
    inbox.put("a.csv", WHOLE[:-1])
    assert inbox.ingest().refused
    inbox.put("a.csv", WHOLE)
    found = inbox.ingest()
    assert (found.refused, found.new_files) == ((), ("orders/a.csv",))


@pytest.mark.parametrize("name", [".a.csv", "_a.csv", "a.csv.tmp", "a.csv.part", "a.csv.crdownload"])
def test_a_file_under_a_temporary_name_is_not_seen(inbox: Inbox, name: str) -> None:
    inbox.put(name, WHOLE)
    found = inbox.ingest()
    assert (found.files, found.refused) == (0, ())


def test_folders_of_other_tools_are_not_seen(inbox: Inbox) -> None:
    (inbox.folder / "orders" / "_temporary").mkdir()
    (inbox.folder / "orders" / "_temporary" / "part.csv").write_text(WHOLE)
    assert inbox.ingest(files="orders/**/*.csv").files == 0


def test_a_file_that_changes_while_it_is_read_is_refused(inbox: Inbox) -> None:
    path = inbox.put("a.csv", WHOLE)
    (arrival,) = arrivals("orders/*", inbox.folder)
    identity = identify(arrival)
    with path.open("a") as file:
        file.write("2,2025-01-01,1\n")
    with pytest.raises(DataError, match="changed while it was read"):
        require_unchanged(arrival, identity)
    path.unlink()
    with pytest.raises(DataError, match="vanished"):
        require_unchanged(arrival, identity)


def test_a_relative_glob_needs_a_drop_zone() -> None:
    with pytest.raises(DataError, match="no drop zone"):
        arrivals("orders/*", None)


def test_only_files_of_the_drop_zone_are_read(inbox: Inbox, tmp_path: Path) -> None:
    folder = inbox.folder / "orders"
    (tmp_path / "elsewhere.csv").write_text(WHOLE)
    (inbox.folder / "within").mkdir()
    (inbox.folder / "within" / "kept.csv").write_text(WHOLE)
    links: dict[str, Path | str] = {
        "a.csv": inbox.folder / "within" / "kept.csv",
        "b.csv": "nowhere.csv",
        "c.csv": "c.csv",
    }
    for name, target in {**links, "d.csv": tmp_path / "elsewhere.csv", "e.csv": tmp_path}.items():
        (folder / name).symlink_to(target)
    os.mkfifo(folder / "f.csv")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "g.csv"))
        found = inbox.ingest()
    assert (found.rows, found.new_files) == (1, ("orders/a.csv",))
    whys = ["a link to nothing or to itself", "a link to nothing or to itself"]
    whys += ["through a link that leaves the drop zone"] * 2 + ["a named pipe and not a file", "a socket"]
    for note, name, why in zip(found.refused, "bcdefg", whys, strict=True):
        assert note.file == f"orders/{name}.csv"
        assert note.reason.startswith(note.file)
        assert why in note.reason


def test_names_of_any_bytes_are_read_and_printable(inbox: Inbox) -> None:
    for nr, name in enumerate([b"caf\xe9.csv", b"two\nlines.csv", "späße.csv".encode()]):
        path = os.path.join(os.fsencode(inbox.folder / "orders"), name)  # noqa: PTH118 - bytes
        with open(path, "w", encoding="ascii") as file:  # noqa: PTH123 - bytes
            file.write(orders(f"{nr},2025-01-01,1"))
    found = inbox.ingest()
    assert tuple(sorted(found.new_files)) == ("orders/caf\\xe9.csv", "orders/späße.csv", "orders/two\\nlines.csv")
    assert inbox.ingest().new_files == ()
    assert list_files(inbox.spec, inbox.folder).files == 3
