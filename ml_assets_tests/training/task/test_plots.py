import io

import numpy as np
import pytest
from PIL import Image

from ml_assets.errors import TrainingError
from ml_assets.training.explain import Importance
from ml_assets.training.metrics import Curves, curves
from ml_assets.training.plots import drawable
from ml_assets.training.task.binary_plots import figure


def three() -> dict[str, Curves]:
    rng = np.random.default_rng(0)
    p = rng.beta(1, 3, 5000)
    y = rng.random(5000) < p
    return {"candidate": curves(y, p), "champion": curves(y, p**2), "baseline": curves(y, np.round(p, 1))}


MANY = {f"feature_with_a_long_name_{i}": Importance(0.1 / (i + 1), 0.01) for i in range(30)}


@pytest.fixture(scope="module")
def picture() -> bytes:
    return figure(three(), MANY, "churn")


def test_it_is_a_small_png_of_900_pixels(picture: bytes) -> None:
    with Image.open(io.BytesIO(picture)) as image:
        assert (image.format, image.size) == ("PNG", (900, 700))
    assert len(picture) < 60_000


def test_the_same_evaluation_is_the_same_file(picture: bytes) -> None:
    assert figure(three(), MANY, "churn") == picture


def test_one_model_without_importance_is_enough() -> None:
    assert figure({"candidate": three()["candidate"]}).startswith(b"\x89PNG")


@pytest.mark.parametrize("count", [0, 5])
def test_too_few_or_too_many_models_are_refused(count: int) -> None:
    each = three()["candidate"]
    with pytest.raises(TrainingError, match=f"{count} score vectors"):
        figure({str(i): each for i in range(count)})


def test_any_name_of_a_feature_is_drawn_without_a_warning_and_none_hides_another() -> None:
    names = ["$m$ 😀", "Umsatz (€) / Ø", "$bad", "_x", "日本", "a\nb", "x" * 200, "x" * 201]
    p = np.linspace(0, 1, 200)
    y = (np.arange(200) % 3 == 0).astype(np.float64)
    drawn = figure({"candidate": curves(y, p)}, {name: Importance(0.1, 0.01) for name in names}, "names")
    assert drawn.startswith(b"\x89PNG")
    assert drawable("$m$") == r"\$m\$"
    assert drawable("a\nb") == "a b"
    assert len(drawable("x" * 200)) == 26
