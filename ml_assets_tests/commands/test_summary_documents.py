"""Documents that came after the as-of date are not scored yet, and the summary says how many."""

from datetime import date, datetime
from pathlib import Path

from ml_assets.ingest.ingest import ingest
from ml_assets.ingest.source_state import count_waiting
from ml_assets.spec.source import SourceSpec
from ml_assets.storage.lake import Lake
from ml_assets_tests.conftest import shared

SPEC = SourceSpec(name="text", read="documents", files="files/*", event_time="received_at")


def test_the_summary_says_how_many_documents_wait_for_the_next_date(tmp_path: Path) -> None:
    lake, folder = Lake(str(tmp_path / "lake"), shared), tmp_path / "files"
    folder.mkdir()
    for day in (7, 8, 9):
        (folder / f"{day}.txt").write_text(f"A lease of day {day}")
        ingest(lake, "papers/raw/text", SPEC, tmp_path, now=datetime(2026, 3, day, 12))  # noqa: DTZ001 - naive UTC
    found = [count_waiting(lake, "papers/raw/text", SPEC, date(2026, 3, day)) for day in (6, 8, 10)]
    assert found == [3, 2, 0]
    assert count_waiting(lake, "papers/raw/none", SPEC, date(2026, 3, 8)) == 0
