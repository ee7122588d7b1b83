"""A drop zone of bad files, small: `python -m benchmarks fuzz-files` ingests such ones for ten minutes."""

from pathlib import Path

import pytest

from benchmarks.fuzz.zone import DropZone


def test_bad_files_and_names_stop_nothing_and_each_is_taken_or_named(tmp_path: Path) -> None:
    """Rows that are good are taken beside them; what is said of a file is what the tables hold."""
    zone = DropZone(tmp_path / "zone", "tables")
    for _ in range(2):
        zone.round(tables=20, papers=0)
    assert (zone.found.stopped, zone.found.lost) == ({}, {})
    assert zone.found.refused > 5
    assert zone.found.accepted > 12


@pytest.mark.slow
def test_bad_documents_stop_nothing_and_each_is_taken_or_named(tmp_path: Path) -> None:
    zone = DropZone(tmp_path / "zone", "papers")
    zone.round(tables=0, papers=12)
    assert (zone.found.stopped, zone.found.lost) == ({}, {})
