"""What `write` and `append` leave in a drop zone."""

from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pq
import pytest

from ml_assets.errors import DataError
from ml_assets.examples.churn.observe import ARRIVAL, SCHEMAS
from ml_assets.examples.churn.simulation import Simulation, append, history, read, write

END = date(2025, 6, 29)
SMALL = Simulation(end=END, customers=80, months=3, seed=3, dirty=0.01)
EMPTY_IS_NULL = pa_csv.ConvertOptions(strings_can_be_null=True, null_values=[""])
READERS = {
    ".csv": partial(pa_csv.read_csv, convert_options=EMPTY_IS_NULL),
    ".parquet": pq.read_table,
    ".jsonl": pa_json.read_json,
}


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _rows(folder: Path) -> dict[str, list[str]]:
    """All rows of each source as text, in an order of their own."""
    found: dict[str, list[str]] = {}
    for source in SCHEMAS:
        tables = [READERS[path.suffix](path) for path in sorted((folder / source).iterdir())]
        named = [list(map(str, rows.select(SCHEMAS[source].names).to_pylist())) for rows in tables]
        found[source] = sorted(chain.from_iterable(named))
    return found


def test_the_same_simulation_writes_the_same_bytes(tmp_path: Path) -> None:
    write(SMALL, tmp_path / "one")
    write(SMALL, tmp_path / "two")
    assert _contents(tmp_path / "one") == _contents(tmp_path / "two")


def test_another_seed_writes_other_rows(tmp_path: Path) -> None:
    write(SMALL, tmp_path / "one")
    write(replace(SMALL, seed=4), tmp_path / "two")
    assert _rows(tmp_path / "one")["sessions"] != _rows(tmp_path / "two")["sessions"]


def test_a_second_write_touches_nothing(tmp_path: Path) -> None:
    first = write(SMALL, tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert write(SMALL, tmp_path) == []
    assert {path: path.stat().st_mtime_ns for path in first} == {path: times[path] for path in first}


def test_an_interrupted_write_is_completed(tmp_path: Path) -> None:
    """The manifest is written last: without it, a run begins again and adds what is missing."""
    files = write(SMALL, tmp_path)
    whole = _contents(tmp_path)
    (tmp_path / "simulation.json").unlink()
    files[-1].unlink()
    assert write(SMALL, tmp_path) == [files[-1]]
    assert _contents(tmp_path) == whole


def test_no_temporary_file_remains(tmp_path: Path) -> None:
    write(SMALL, tmp_path)
    append(tmp_path, 2)
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


def test_another_simulation_is_refused(tmp_path: Path) -> None:
    write(SMALL, tmp_path)
    with pytest.raises(DataError, match="holds another simulation"):
        write(replace(SMALL, customers=81), tmp_path)


def test_a_file_with_other_rows_is_never_replaced(tmp_path: Path) -> None:
    file = write(SMALL, tmp_path)[0]
    (tmp_path / "simulation.json").unlink()
    file.write_text("other")
    with pytest.raises(DataError, match="holds other rows"):
        write(SMALL, tmp_path)
    assert file.read_text() == "other"


@pytest.mark.parametrize("weeks", [1, 7])
def test_appended_weeks_are_those_of_a_longer_simulation(tmp_path: Path, weeks: int) -> None:
    write(SMALL, tmp_path / "grown")
    append(tmp_path / "grown", weeks)
    write(SMALL.until(END + timedelta(weeks=weeks)), tmp_path / "long")
    assert _rows(tmp_path / "grown") == _rows(tmp_path / "long")


def test_weeks_appended_one_by_one_are_weeks_appended_at_once(tmp_path: Path) -> None:
    for folder, steps in (("one", [1, 1, 1]), ("once", [3])):
        write(SMALL, tmp_path / folder)
        for step in steps:
            append(tmp_path / folder, step)
    assert _contents(tmp_path / "one") == _contents(tmp_path / "once")


def test_an_appended_drift_is_that_of_a_longer_simulation(tmp_path: Path) -> None:
    write(SMALL, tmp_path / "grown")
    append(tmp_path / "grown", 2)
    append(tmp_path / "grown", 2, drift="covariate")
    append(tmp_path / "grown", 1)
    drifting = replace(SMALL, drift="covariate", drift_from=END + timedelta(weeks=2))
    write(drifting.until(END + timedelta(weeks=5)), tmp_path / "long")
    assert _rows(tmp_path / "grown") == _rows(tmp_path / "long")
    assert read(tmp_path / "grown") == read(tmp_path / "long")


def test_the_first_write_still_stands_after_weeks_were_appended(tmp_path: Path) -> None:
    write(SMALL, tmp_path)
    append(tmp_path, 2, drift="concept")
    assert write(SMALL, tmp_path) == []
    assert read(tmp_path).end == END + timedelta(weeks=2)


def test_a_second_kind_of_drift_is_refused(tmp_path: Path) -> None:
    write(SMALL, tmp_path)
    append(tmp_path, 1, drift="concept")
    with pytest.raises(DataError, match="concept drift begins on 2025-06-29"):
        append(tmp_path, 1, drift="covariate")


def test_append_needs_a_simulation_and_time(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="write a simulation first"):
        append(tmp_path, 1)
    write(SMALL, tmp_path)
    with pytest.raises(DataError, match="0 weeks cannot pass"):
        append(tmp_path, 0)


def test_a_broken_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / "simulation.json").write_text("{}")
    with pytest.raises(DataError, match=r"simulation\.json is no manifest"):
        write(SMALL, tmp_path)


def test_every_format_reads_back_what_happened(tmp_path: Path) -> None:
    write(SMALL, tmp_path)
    happened = [rows for _, rows in history(SMALL)]
    for source, found in _rows(tmp_path).items():
        rows = pa.concat_tables([week[source] for week in happened])
        seconds = pa.schema([pa.field(f.name, pa.timestamp("s")) if f.name.endswith("_at") else f for f in rows.schema])
        assert found == sorted(map(str, rows.cast(seconds).to_pylist())), source


def test_rows_arrive_before_the_end_and_in_their_own_week() -> None:
    for begins, rows in history(SMALL):
        for source, table in rows.items():
            arrived = table[ARRIVAL[source]].to_numpy()
            assert (arrived < np.datetime64(begins + timedelta(weeks=1))).all()
            assert begins == SMALL.start or (arrived >= np.datetime64(begins)).all()
            assert (np.diff(arrived) >= np.timedelta64(0)).all()


def test_some_tickets_arrive_in_a_later_week_than_they_were_opened() -> None:
    late = 0
    for begins, rows in history(SMALL):
        tickets = rows["support_tickets"]
        opened, synced = tickets["opened_at"].to_numpy(), tickets["synced_at"].to_numpy()
        assert (opened < synced).all()
        late += int((opened < np.datetime64(begins)).sum())
    assert late > 0


def test_progress_counts_the_weeks(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    write(SMALL, tmp_path, lambda done, total: told.append((done, total)))
    assert told == [(week + 1, SMALL.weeks) for week in range(SMALL.weeks)]
    told.clear()
    append(tmp_path, 2, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]
