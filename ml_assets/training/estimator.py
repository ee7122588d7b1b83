"""A scikit-learn pipeline from a declared estimator, with nothing in it that ONNX cannot repeat."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ml_assets.errors import TrainingError, list_values
from ml_assets.training.frame import FeatureColumns

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator
    from sklearn.pipeline import Pipeline

_WORD = "[a-z]+"  # what ONNX Runtime splits into the same words as scikit-learn
# A category of fewer rows shares one column with the other rare ones, and no column grows wider than this.
RARE = 10
WIDEST = 50


@dataclass(frozen=True)
class TermWeights:
    """The numbers that running text becomes: a weight for each term, all of a text of length one.

    A term counts 1 + ln(tf) (Manning, Raghavan & Schütze 2008, Introduction to Information Retrieval, 6.4.1), and no
    more because it is rare: on layouts of documents that no training row has, rare words mislead.

    Args:
        most: so many terms are kept, the most frequent ones.
        min_rows: a term of fewer rows is left out.
        ngrams: the longest run of words that is a term.
    """

    most: int = 50_000
    min_rows: int = 3
    ngrams: int = 2


def build(
    path: str, parameters: Mapping[str, object], columns: FeatureColumns, seed: int, words: TermWeights | None = None
) -> "Pipeline":
    """An unfitted pipeline of two steps, `columns` and `model`, for a DataFrame with the named columns.

    Numbers (float32, NaN = missing) reach an estimator that accepts NaN as they are; for others the median
    fills the gaps, and those that are not trees get standardised numbers. Categories (`str`, NaN = missing)
    become 0/1 columns; missing is a category, rare ones share a column, and one that the fit has not seen
    counts as rare. Running text becomes weights of its terms (`TermWeights`); words are runs of the letters a to z:
    whoever writes the text lower-cases it, for ONNX Runtime does so only where the machine has a locale for it.

    Args:
        path: import path of a classifier class, or of a function that returns a classifier.
        parameters: its arguments; `a__b` sets `b` of the nested estimator `a`. A mapping with a `type` is
            built first.
        columns: their names, in the order of the model's inputs.
        words: of running text.
        seed: each `random_state` that is not declared. `n_jobs` stays as declared, because the threads of a
            forest add up their votes in any order, and the last digits would then differ from run to run.

    Raises:
        TrainingError: the path cannot be imported, a parameter is unknown, or it is no classifier with
            probabilities.
    """
    from sklearn.pipeline import Pipeline

    if not columns.all:
        raise TrainingError(f"{path}: there is no feature to train on: declare at least one feature view")
    model = _seeded(_instance(path, parameters), seed)
    _require_classifier(path, model)
    return Pipeline([("columns", _columns(model, columns, words or TermWeights())), ("model", model)])


def _columns(model: "BaseEstimator", columns: FeatureColumns, words: TermWeights) -> "BaseEstimator":
    import numpy as np
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import OneHotEncoder

    # float32 throughout: thresholds learned on wider numbers flip rows once the model runs as ONNX.
    encoder = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=RARE,
        max_categories=WIDEST,
        sparse_output=False,
        dtype=np.float32,
    )
    steps = [("numeric", _numbers(model), list(columns.numeric)), ("categorical", encoder, list(columns.categorical))]
    texts = [(f"text_{nr}", _terms(words), name) for nr, name in enumerate(columns.text)]
    return ColumnTransformer([*(step for step in steps if step[2]), *texts], verbose_feature_names_out=False)


def _terms(words: TermWeights) -> "BaseEstimator":
    import numpy as np
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
    from sklearn.pipeline import Pipeline

    counter = CountVectorizer(
        lowercase=False, token_pattern=_WORD, max_features=words.most, min_df=words.min_rows,
        ngram_range=(1, words.ngrams), dtype=np.float32,
    )  # fmt: skip
    return Pipeline([("terms", counter), ("weights", TfidfTransformer(use_idf=False, sublinear_tf=True))])


def _numbers(model: "BaseEstimator") -> "BaseEstimator | str":
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if _accepts_missing(model):
        return "passthrough"
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    return imputer if _is_trees(model) else make_pipeline(imputer, StandardScaler())


def _accepts_missing(model: "BaseEstimator") -> bool:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.utils import get_tags

    # Its own tag says no, yet it hands the rows on unchecked: what it calibrates decides.
    if isinstance(model, CalibratedClassifierCV) and model.estimator is not None:
        return _accepts_missing(model.estimator)
    return bool(get_tags(model).input_tags.allow_nan)


def _is_trees(model: "BaseEstimator") -> bool:
    from sklearn.base import BaseEstimator

    nested = [part for part in model.get_params(deep=True).values() if isinstance(part, BaseEstimator)]
    leaves = [part for part in [model, *nested] if not _wraps(part)]
    return all(type(part).__module__.startswith(("sklearn.tree", "sklearn.ensemble")) for part in leaves)


def _wraps(model: "BaseEstimator") -> bool:
    from sklearn.base import BaseEstimator

    return any(isinstance(part, BaseEstimator) for part in model.get_params(deep=True).values())


def _instance(path: str, parameters: Mapping[str, object]) -> Any:  # noqa: ANN401 - whatever the path makes
    make = _imported(path)
    arguments = {name: _nested(value) for name, value in parameters.items()}
    direct = {name: value for name, value in arguments.items() if "__" not in name}
    _require_known(path, direct, _arguments(make))
    try:
        model = make(**direct)
    except (TypeError, ValueError) as error:
        raise TrainingError(f"{path} cannot be made from {direct}: {error}") from error
    deep = {name: value for name, value in arguments.items() if "__" in name}
    if deep and hasattr(model, "get_params"):
        _require_known(path, deep, list(model.get_params(deep=True)))
        model.set_params(**deep)
    return model


def _nested(value: object) -> object:
    if isinstance(value, Mapping) and isinstance(value.get("type"), str):
        return _instance(value["type"], {name: part for name, part in value.items() if name != "type"})
    return value


def _imported(path: str) -> Callable[..., Any]:
    module, _, name = path.rpartition(".")
    try:
        member = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise TrainingError(
            f"estimator type {path!r} cannot be imported ({error}): write the full path of a class or a "
            "function, such as sklearn.ensemble.HistGradientBoostingClassifier"
        ) from error
    if not callable(member):
        raise TrainingError(f"estimator type {path!r} is a {type(member).__name__}: name a class or a function")
    make: Callable[..., Any] = member
    return make


def _arguments(make: Callable[..., Any]) -> list[str] | None:
    """The names that `make` takes; None where it takes any."""
    arguments = inspect.signature(make).parameters.values()
    if any(argument.kind is argument.VAR_KEYWORD for argument in arguments):
        return None
    return [argument.name for argument in arguments]


def _require_known(path: str, given: Mapping[str, object], known: list[str] | None) -> None:
    for name in given if known is not None else ():
        if name not in (known or ()):
            same = [other for other in known or () if other.lower() == name.lower()]
            near = same or get_close_matches(name, known or (), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it takes {list_values(known or (), 8) or 'none'}"
            raise TrainingError(f"{path} has no parameter {name!r}: {hint}")


def _require_classifier(path: str, model: object) -> None:
    from sklearn.base import BaseEstimator, is_classifier

    if isinstance(model, BaseEstimator) and is_classifier(model) and hasattr(model, "predict_proba"):
        return
    raise TrainingError(
        f"{path} gives a {type(model).__name__}, which is no classifier with predict_proba: name a "
        "scikit-learn classifier, or calibrate it with sklearn.calibration.CalibratedClassifierCV"
    )


def _seeded(model: Any, seed: int) -> Any:  # noqa: ANN401 - whatever the path made
    if hasattr(model, "get_params"):
        model.set_params(**dict.fromkeys(_unseeded(model), seed))
    return model


def _unseeded(model: "BaseEstimator") -> Iterator[str]:
    for name, value in model.get_params(deep=True).items():
        if value is None and (name == "random_state" or name.endswith("__random_state")):
            yield name
