"""Training sets in one table of dates: a version of it is a training set, and dates that did not change are shared.

A set that is built of other dates than the one before takes out and brings in those dates only. Every version stays
readable, so each set does. What stands of a date is recorded under a fingerprint of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date

import pyarrow as pa

from ml_assets.errors import OvertakenError
from ml_assets.storage.duck import literal, quote
from ml_assets.storage.lake import Lake
from ml_assets.storage.tables import as_of_key

ROW = "row_as_of"
"""The as-of date of a row; that of the training set that holds it is another."""


def stands(lake: Lake, table: str, as_of: date, fingerprint: int) -> int | None:
    """The version that is the training set of an as-of date under a fingerprint; None where there is none."""
    kept = lake.records(table, [as_of_key(as_of), _version(as_of)])
    return kept.get(_version(as_of)) if kept.get(as_of_key(as_of)) == fingerprint else None


def changed(lake: Lake, table: str, wanted: Mapping[date, int]) -> tuple[int, list[date], list[date]]:
    """What the table would have to be given to hold `wanted` dates and no others.

    Args:
        lake: where the table is.
        table: its name; it need not be there.
        wanted: the fingerprint of each date's rows.

    Returns:
        The version that was looked at; the dates whose rows it lacks, and those that it has to lose.
    """
    version = lake.version(table)
    if version is None:
        return 0, [*wanted], []
    held = lake.records(table, [_date(day) for day in wanted], version)
    lacking = [day for day, fingerprint in wanted.items() if held.get(_date(day)) != fingerprint]
    return version, lacking, sorted(set(_days(lake, table, version)) - set(wanted))


def keep(
    lake: Lake,
    table: str,
    as_of: date,
    fingerprint: int,
    wanted: Mapping[date, int],
    rows: Callable[[Sequence[date], Sequence[date]], pa.Table | None],
) -> int | None:
    """Make a version that holds `wanted` dates and no others, and record it as the training set of an as-of date.

    Args:
        lake: where the table is.
        table: its name.
        as_of: of the training set.
        fingerprint: of the training set.
        wanted: the fingerprint of each date's rows.
        rows: gives the rows of dates that are to be written, beside others that stand; None: not any more.

    Returns:
        The version; None where there are no rows any more, or another process wrote the table meanwhile.
    """
    with lake.lock(table):
        version, lacking, gone = changed(lake, table, wanted)
        made = rows(lacking, [day for day in wanted if day not in set(lacking)])
        if made is None:
            return None
        days = {_date(day): wanted[day] for day in lacking} | {_date(day): 0 for day in gone}
        records = {**days, as_of_key(as_of): fingerprint, _version(as_of): version + 1}
        replaced = [*lacking, *gone] or [as_of]  # which is none of its own
        try:
            return lake.replace(table, made, column=ROW, values=replaced, records=records, onto=version)
        except OvertakenError:
            return None


def read(lake: Lake, table: str, as_of: date, version: int | None = None) -> pa.Table:
    """The rows of a training set, in their own order: by date and entity, its first columns."""
    at = lake.record(table, _version(as_of)) if version is None else version
    with lake.connect() as connection:
        relation, among = lake.relation(connection, table, at), condition(lake, table, as_of, at)
        chosen = ", ".join(quote(name) for name in lake.schema(table, at).names if name != "as_of")
        found: pa.Table = connection.sql(
            f"SELECT {chosen} FROM {relation} WHERE {among} ORDER BY 1, 2"
        ).to_arrow_table()
    return found


def condition(lake: Lake, table: str, as_of: date, version: int | None) -> str:
    """SQL that chooses the rows of a training set from a version: all but where, as once, a table holds many sets."""
    return f"as_of = DATE {literal(as_of)}" if "as_of" in lake.schema(table, version).names else "true"


def _days(lake: Lake, table: str, version: int) -> list[date]:
    with lake.connect() as connection:
        relation = lake.relation(connection, table, version)
        rows = connection.sql(f"SELECT DISTINCT {ROW} AS day FROM {relation}").to_arrow_table()
    return [*rows["day"].to_pylist()]


def _date(day: date) -> str:
    return f"{ROW}={day}"


def _version(as_of: date) -> str:
    return f"version of {as_of_key(as_of)}"
