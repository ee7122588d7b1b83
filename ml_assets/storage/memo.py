"""What is computed for an as-of date is kept, and computed anew only where it is a function of something else."""

from collections.abc import Callable
from datetime import date
from typing import NamedTuple

import pyarrow as pa

from ml_assets.storage.lake import Lake
from ml_assets.storage.tables import as_of_key


class Kept(NamedTuple):
    """Rows of an as-of date that stand in a table.

    Args:
        version: the version of the table that was looked at or made.
        reused: they stood already.
    """

    version: int
    reused: bool


def memo(lake: Lake, table: str, as_of: date, fingerprint: int, make: Callable[[], pa.Table]) -> Kept:
    """Keep the rows of an as-of date in one transaction with their fingerprint; they are made if it is another one.

    Args:
        lake: where the table is.
        table: its name; it need not be there.
        as_of: the date in its column `as_of`.
        fingerprint: what the rows are a function of, taken before they are: what arrives in between is then seen by the
            next run, and not lost.
        make: gives the rows; it is not called where they stand under that fingerprint.

    Raises:
        LakeError: other processes wrote the table again and again.
    """
    opened, key = lake.session(), as_of_key(as_of)
    version = opened.version(table)
    if version is not None and opened.record(table, key, version) == fingerprint:
        return Kept(version, reused=True)
    return Kept(lake.replace(table, make(), values=[as_of], records={key: fingerprint}), reused=False)
