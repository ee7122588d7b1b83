from pathlib import Path

import pytest

from ml_assets.commands.unfinished import Unfinished, unfinished, writing


def test_a_history_that_was_ended_in_the_middle_is_known_to_be_a_part_until_it_is_whole(tmp_path: Path) -> None:
    def stopped() -> None:
        with writing(tmp_path / "churn", "2026-11-29", "ml-assets data simulate"):
            raise KeyboardInterrupt

    assert unfinished(tmp_path / "churn") is None
    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert unfinished(tmp_path / "churn") == Unfinished("2026-11-29", "ml-assets data simulate")
    with writing(tmp_path / "churn", "2026-11-29", ""):
        assert unfinished(tmp_path / "churn") == Unfinished("2026-11-29", "")
    assert unfinished(tmp_path / "churn") is None


def test_a_mark_that_was_cut_off_is_one_of_a_history_of_which_nothing_is_there(tmp_path: Path) -> None:
    (tmp_path / ".unfinished.json").write_text('{"end": "2026')
    assert unfinished(tmp_path) == Unfinished("", "")
