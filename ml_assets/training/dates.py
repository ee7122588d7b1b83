"""Training sets in one table of dates: a version of it is a training set, and dates that did not change are shared.

A set that is built of other dates than the one before takes out and brings in those dates only. Every version stays
readable, so each set does. What stands of a date is recorded under a fingerprint of its own.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from ml_assets.errors import OvertakenError
from ml_assets.storage.duck import literal, quote
from ml_assets.storage.lake import Lake
from ml_assets.storage.stream import stream_rows
from ml_assets.storage.tables import as_of_key

ROW = "row_as_of"
"""The as-of date of a row; that of the training set that holds it is another."""


@dataclass(frozen=True)
class SetRecord:
    """The record of a training set, written as numbers in one transaction with its rows.

    Args:
        as_of: of the training set.
        fingerprint: the same number for the same rows.
        until: up to when its labels were known.
        split: a fingerprint of which dates train, test and refit.
        tables: every table that went in, with its version.
    """

    as_of: date
    fingerprint: int
    until: date
    split: int
    tables: Mapping[str, int]

    @property
    def numbers(self) -> dict[str, int]:
        """Key → number."""
        until, split = _until(self.as_of), _split(self.as_of)
        tables = {_input(name, self.as_of): version for name, version in self.tables.items()}
        return {as_of_key(self.as_of): self.fingerprint, until: self.until.toordinal(), split: self.split, **tables}


def find_version(lake: Lake, table: str, record: SetRecord) -> int | None:
    """The version that is the training set of a record's date and fingerprint; None where there is none.

    None as well where an older release kept it, which did not record the rest.
    """
    version, stored = read_record(lake, table, record.as_of, record.tables) or (None, None)
    return version if stored and stored.fingerprint == record.fingerprint else None


def read_record(lake: Lake, table: str, as_of: date, inputs: Collection[str]) -> tuple[int, SetRecord] | None:
    """The version that is the training set of an as-of date, and its record; None where there is none.

    Args:
        lake: where the table is.
        table: its name; it need not be there.
        as_of: of the training set.
        inputs: the tables that went in.
    """
    keys = {name: _input(name, as_of) for name in inputs}
    own = (_version(as_of), as_of_key(as_of), _until(as_of), _split(as_of))
    numbers = lake.records(table, [*own, *keys.values()])
    if len(numbers) < len(own) + len(keys):
        return None
    version, fingerprint, until, split = (numbers[key] for key in own)
    tables = {name: numbers[key] for name, key in keys.items()}
    return version, SetRecord(as_of, fingerprint, date.fromordinal(until), split, tables)


def compare_dates(lake: Lake, table: str, fingerprints: Mapping[date, int]) -> tuple[int, list[date], list[date]]:
    """The difference between the table and one that holds dates with these fingerprints and no others.

    Args:
        lake: where the table is.
        table: its name; it need not be there.
        fingerprints: the fingerprint of each date's rows.

    Returns:
        The version that was looked at; the dates whose rows it lacks, and those that it has to lose.
    """
    version = lake.version(table)
    if version is None:
        return 0, [*fingerprints], []
    stored = lake.records(table, [_date(day) for day in fingerprints], version)
    missing = [day for day, fingerprint in fingerprints.items() if stored.get(_date(day)) != fingerprint]
    return version, missing, sorted(set(_days(lake, table, version)) - set(fingerprints))


def keep(
    lake: Lake,
    table: str,
    record: SetRecord,
    wanted: Mapping[date, int],
    rows: Callable[[Sequence[date], Sequence[date]], pa.Table | None],
) -> int | None:
    """Make a version that holds `wanted` dates and no others, and record it as the training set of an as-of date.

    Args:
        lake: where the table is.
        table: its name.
        record: of the training set.
        wanted: the fingerprint of each date's rows.
        rows: gives the rows of dates that are to be written, beside others that stand; None: not any more.

    Returns:
        The version; None where there are no rows any more, or another process wrote the table meanwhile.
    """
    with lake.lock(table):
        version, missing, gone = compare_dates(lake, table, wanted)
        new = rows(missing, [day for day in wanted if day not in set(missing)])
        if new is None:
            return None
        days = {_date(day): wanted[day] for day in missing} | {_date(day): 0 for day in gone}
        records = {**days, **record.numbers, _version(record.as_of): version + 1}
        replaced = [*missing, *gone] or [record.as_of]  # which is none of its own
        try:
            return lake.replace(table, new, column=ROW, values=replaced, records=records, onto=version)
        except OvertakenError:
            return None


def read(lake: Lake, table: str, as_of: date, version: int | None = None) -> pa.Table:
    """The rows of a training set, in their own order: by date and entity, its first columns.

    Args:
        lake: where the table is.
        table: its name.
        as_of: of the training set.
        version: of the table; default: the one that is recorded for the date.
    """
    at = lake.record(table, _version(as_of)) if version is None else version
    with lake.connect() as connection:
        relation, where = lake.relation(connection, table, at), condition(lake, table, as_of, at)
        columns = ", ".join(quote(name) for name in lake.schema(table, at).names if name != "as_of")
        rows: pa.Table = connection.sql(
            f"SELECT {columns} FROM {relation} WHERE {where} ORDER BY 1, 2"
        ).to_arrow_table()
    return rows


def condition(lake: Lake, table: str, as_of: date, version: int | None) -> str:
    """SQL that chooses the rows of a training set from a version: all but where, as once, a table holds many sets.

    Args:
        lake: where the table is.
        table: its name.
        as_of: of the training set.
        version: of the table; None: the current one.
    """
    return f"as_of = DATE {literal(as_of)}" if "as_of" in lake.schema(table, version).names else "true"


def stream(lake: Lake, table: str, as_of: date, version: int) -> AbstractContextManager[pa.RecordBatchReader]:
    """The rows of a training set with all their columns, by date, a batch at a time.

    Args:
        lake: where the table is.
        table: its name.
        as_of: of the training set.
        version: of the table.
    """
    return stream_rows(lake, table, f"{condition(lake, table, as_of, version)} ORDER BY {ROW}", version)


def _days(lake: Lake, table: str, version: int) -> list[date]:
    with lake.connect() as connection:
        relation = lake.relation(connection, table, version)
        rows = connection.sql(f"SELECT DISTINCT {ROW} AS day FROM {relation}").to_arrow_table()
    return [*rows["day"].to_pylist()]


def _date(day: date) -> str:
    return f"{ROW}={day}"


def _version(as_of: date) -> str:
    return f"version of {as_of_key(as_of)}"


def _until(as_of: date) -> str:
    return f"labels known of {as_of_key(as_of)}"


def _split(as_of: date) -> str:
    return f"split of {as_of_key(as_of)}"


def _input(table: str, as_of: date) -> str:
    return f"{table} of {as_of_key(as_of)}"
