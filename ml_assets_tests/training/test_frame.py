from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from ml_assets.errors import TrainingError
from ml_assets.training.frame import FeatureColumns, columns, features, frame

DAYS = [date(2025, 1, 5), date(2025, 1, 12)]
ROWS = pa.table({
    "day": pa.array([DAYS[0], DAYS[0], DAYS[1]], pa.date32()),
    "customer": ["x", "y", "x"],
    "n": pa.array([1, None, 3], pa.int64()),
    "share": [0.1, 0.2, None],
    "yes": [True, False, None],
    "word": ["a", None, ""],
    "label": [0, 1, 1],
})  # fmt: skip
CHOSEN = FeatureColumns(("n", "share", "yes"), ("word",))


def test_text_is_a_category_and_everything_else_a_number() -> None:
    assert columns(ROWS, {"day", "customer", "label"}) == CHOSEN
    assert CHOSEN.all == ["n", "share", "yes", "word"]


def test_a_column_without_a_value_is_no_feature() -> None:
    later = ROWS.append_column("coupon", pa.nulls(3, pa.float64()))
    assert columns(later, {"day", "customer", "label"}) == CHOSEN


def test_numbers_are_float32_with_nan_and_categories_text_with_null() -> None:
    found = features(ROWS, CHOSEN)
    assert [str(kind) for kind in found.dtypes] == ["float32", "float32", "float32", "str"]
    np.testing.assert_array_equal(found["n"].to_numpy(), np.array([1, np.nan, 3], dtype=np.float32))
    np.testing.assert_array_equal(found["yes"].to_numpy(), np.array([1, 0, np.nan], dtype=np.float32))
    assert found["word"].isna().tolist() == [False, True, False]


def test_a_category_without_one_value_is_still_text() -> None:
    empty = ROWS.set_column(5, "word", pa.nulls(3, pa.string()))
    found = features(empty, CHOSEN)
    assert str(found["word"].dtype) == "str"
    assert found["word"].isna().all()


def test_a_missing_column_is_named() -> None:
    with pytest.raises(TrainingError, match="rows have no column 'share': the model was trained with it"):
        features(ROWS.drop_columns("share"), CHOSEN)


def test_rows_keep_their_entities_and_dates() -> None:
    found = frame(ROWS, CHOSEN, "customer", "day")
    assert found.y.tolist() == [0, 1, 1]
    assert found.groups[0] == found.groups[2] != found.groups[1]
    chosen = found.at([DAYS[1]])
    assert (chosen.y.tolist(), chosen.X["n"].tolist(), chosen.days.tolist()) == ([1], [3.0], [DAYS[1]])
    with pytest.raises(TrainingError, match="the population is empty at 2024-01-01 to 2024-01-01"):
        found.at([date(2024, 1, 1)])
