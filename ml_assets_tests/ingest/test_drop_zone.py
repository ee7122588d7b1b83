from datetime import date
from pathlib import Path

import pytest

from ml_assets.ingest.drop_zone import DropZone, Unfinished, unfinished_history
from ml_assets.spec.cadence import Cadence

END = date(2026, 11, 29)
SUNDAYS = Cadence(start=date(2023, 1, 1))


def zone(folder: Path, command: str) -> DropZone:
    return DropZone("churn", folder, SUNDAYS, END, command)


def test_a_history_that_was_ended_in_the_middle_is_known_to_be_a_part_until_it_is_whole(tmp_path: Path) -> None:
    def stopped() -> None:
        with zone(tmp_path / "churn", "ml-assets data simulate").mark_unfinished(END):
            raise KeyboardInterrupt

    assert unfinished_history(tmp_path / "churn") is None
    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert unfinished_history(tmp_path / "churn") == Unfinished("2026-11-29", "ml-assets data simulate")
    with zone(tmp_path / "churn", "").mark_unfinished(END):
        assert unfinished_history(tmp_path / "churn") == Unfinished("2026-11-29", "")
    assert unfinished_history(tmp_path / "churn") is None


def test_files_that_are_appended_have_no_end_of_their_own(tmp_path: Path) -> None:
    with zone(tmp_path, "ml-assets data simulate --append 1").mark_unfinished():
        assert unfinished_history(tmp_path) == Unfinished("", "ml-assets data simulate --append 1")


def test_a_mark_that_was_cut_off_is_one_of_a_history_of_which_nothing_is_there(tmp_path: Path) -> None:
    (tmp_path / ".unfinished.json").write_text('{"end": "2026')
    assert unfinished_history(tmp_path) == Unfinished("", "")
