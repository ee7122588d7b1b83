"""`<table>_left`: the files that the last ingest left where they are, and why; and what came of all files, in words."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from ml_assets.ingest import ledger
from ml_assets.ingest.deliveries import standing_deliveries
from ml_assets.ingest.report import Note, Reason
from ml_assets.spec.source import FILE_COLUMN
from ml_assets.storage.duck import literal
from ml_assets.storage.lake import fingerprint_of

if TYPE_CHECKING:
    from ml_assets.storage.lake import Lake

_SCHEMA = pa.schema([("file", pa.string()), ("reason", pa.string()), ("source", pa.string())])
_LEFT = "left"
_SHOWN = 3
# One kind of reason: what is quoted, and numbers and times, are the values of one row.
_KIND = r"""regexp_replace(regexp_replace(reason, '''[^'']*''', '…', 'g'), '[0-9][0-9:.,+-]*', '#', 'g')"""


def write_left(lake: "Lake", table: str, notes: Sequence[Note]) -> None:
    """Keep what was left; nothing is written where the same stands already."""
    name, print_ = _name(table), fingerprint_of(sorted((each.file, each.reason) for each in notes))
    recorded = lake.record(name, _LEFT)
    if recorded == print_ or (recorded is None and not notes):
        return
    rows = [{"file": each.file, "reason": each.reason, "source": table} for each in notes]
    table_rows = pa.Table.from_pylist(rows, schema=_SCHEMA)
    lake.replace(name, table_rows, column="source", values=[table], partitioned=False, records={_LEFT: print_})


def read_left(lake: "Lake", table: str) -> list[Note]:
    """The files that the last ingest left where they are."""
    if lake.version(_name(table)) is None:
        return []
    rows = lake.query("SELECT file, reason FROM l ORDER BY file", l=_name(table)).to_pylist()
    return [Note(**row) for row in rows]


def quarantine_reasons(lake: "Lake", table: str, shas: Iterable[str] | None = None) -> list[Reason]:
    """Why rows are in the quarantine: the three kinds with the most rows, each with one of its reasons.

    `shas` names the files whose rows count; by default all.
    """
    quarantine = ledger.quarantine_table(table)
    if lake.version(quarantine) is None:
        return []
    among = "" if shas is None else f"WHERE {FILE_COLUMN} IN ({', '.join(map(literal, shas)) or 'NULL'})"
    sql = f"SELECT min(reason) AS reason, count(*) AS rows FROM q {among} GROUP BY {_KIND} ORDER BY rows DESC, reason"
    return [Reason(**row) for row in lake.query(f"{sql} LIMIT {_SHOWN}", q=quarantine).to_pylist()]


def quarantined_reasons(lake: "Lake", table: str) -> list[str]:
    """Why each quarantined row of a table is there, in the order of its files."""
    quarantine = ledger.quarantine_table(table)
    if lake.version(quarantine) is None:
        return []
    return [*lake.query("SELECT reason FROM q ORDER BY file", q=quarantine)["reason"].to_pylist()]


def without_rows(lake: "Lake", table: str) -> str:
    """Why a source has no rows, as the end of a sentence about it: which files lie there, and what became of them."""
    entries = ledger.committed_entries(lake, table)
    quarantined = sum(one.entry.quarantined for one in standing_deliveries(entries).values())
    notes = read_left(lake, table)
    back = sorted({entry.path for entry in entries if entry.undone})
    if not notes and not quarantined and not back:
        return "has no rows yet: deliver its files and run again"
    sentences = [each.reason.removesuffix(".") for each in notes[:_SHOWN]]
    sentences += [f"{path}: was taken back, touch it to deliver it again" for path in back[:_SHOWN]]
    if len(notes) > _SHOWN:
        sentences.append(f"{len(notes) - _SHOWN} more files were left")
    if quarantined:
        kinds = "; ".join(f"{each.reason} ({each.rows:,} rows)" for each in quarantine_reasons(lake, table))
        sentences.append(f"{quarantined:,} rows are in {ledger.quarantine_table(table)}: {kinds}")
    return (
        f"has no rows yet, though files were delivered: {'. '.join(sentences)}. Repair them, deliver them again and run"
    )


def _name(table: str) -> str:
    return f"{table}_left"
