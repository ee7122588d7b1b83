"""As of when `ml-assets run` runs, and what it says of data that end before."""

from datetime import date

import pytest

from ml_assets.commands.failure import RunError
from ml_assets.commands.run import EndedError, _behind, _reached
from ml_assets.training.reach import Reach

TODAY, BEFORE, EVENT = date(2026, 11, 29), date(2026, 11, 22), date(2026, 11, 20)


def test_data_that_ended_are_refused_with_the_command_that_goes_as_far_as_they_do() -> None:
    with pytest.raises(EndedError, match=r"its data end on 2011-08-31.*: ml-assets run shop --as-of 2011-08-28$"):
        _reached("shop", Reach(TODAY, date(2011, 8, 31), date(2011, 8, 28), ended=True))
    with pytest.raises(RunError, match="before the first as-of date"):
        _reached("shop", Reach(TODAY, date(2011, 8, 31), None, ended=True))


def test_a_late_feed_is_run_at_the_date_that_it_reaches_and_the_table_says_so() -> None:
    late = Reach(TODAY, EVENT, BEFORE, ended=False)
    assert _reached("shop", late) == BEFORE
    assert _behind(late, BEFORE) == "the data end on 2026-11-20, so the run is as of 2026-11-22 and not 2026-11-29"
    assert _behind(late, TODAY) == "the data end on 2026-11-20: what came after is not known as of 2026-11-29"


def test_nothing_is_said_where_nothing_is_late() -> None:
    assert _behind(Reach(TODAY, date(2026, 11, 28), TODAY, ended=False), TODAY) == ""
    assert _behind(Reach(TODAY, EVENT, BEFORE, ended=False), date(2026, 11, 15)) == ""
    ended = Reach(TODAY, date(2011, 8, 31), date(2011, 8, 28), ended=True)
    assert _behind(ended, date(2011, 8, 28)) == ""
    assert "2011-08-31" in _behind(ended, date(2011, 9, 4))
