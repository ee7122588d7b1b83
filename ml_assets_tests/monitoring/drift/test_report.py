"""The report of an as-of date: references, scores, attribution, what is kept and what is reused."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ml_assets.decisions.gate import GateAction, GateVerdict
from ml_assets.decisions.verdict import Verdict
from ml_assets.errors import DataError
from ml_assets.monitoring.drift import reference
from ml_assets.monitoring.drift import report as report_module
from ml_assets.monitoring.drift.feature import FeatureDrift
from ml_assets.monitoring.drift.report import DriftReport, drift_report, read
from ml_assets.monitoring.drift.samples import EmptySampleError
from ml_assets.monitoring.drift.table import Contents, keep, withdraw
from ml_assets.spec.cadence import Cadence
from ml_assets.spec.drift import DriftSpec
from ml_assets.training.dataset import build
from ml_assets.training.release import release
from ml_assets.training.report import report
from ml_assets.training.train import train
from ml_assets_tests.conftest import AS_OF, FIRST, Tiny, habits

WEEK = timedelta(weeks=1)
SPEC = {"min_rows": 20, "evidently": "never"}


def _released(tiny: Tiny, empty_registry: Path) -> Tiny:
    tiny.take_registry(empty_registry)
    registry, folder = tiny.registry, tiny.folder()
    version = train(tiny.lake, registry, folder, build(tiny.lake, folder, AS_OF), tags={}).version
    report(tiny.lake, registry, folder, version)
    verdict: GateVerdict = Verdict(GateAction.SHIP, "test", ())
    release(
        tiny.lake,
        registry,
        version,
        verdict,
        manifest=b"{}",
        as_of=AS_OF,
        decided_at=datetime.now(UTC).replace(tzinfo=None),
    )
    return tiny


def _report(tiny: Tiny, as_of: date = AS_OF, **options: Any) -> DriftReport:
    spec = DriftSpec.model_validate(SPEC | options)
    return drift_report(tiny.lake, tiny.registry, tiny.folder(), spec, as_of, pages=tiny.root / "pages")


def test_the_report_of_a_date(tiny: Tiny, empty_registry: Path) -> None:
    """One training for everything that can be asked: it takes seconds."""
    _released(tiny, empty_registry)
    found = _report(tiny)
    _complete(tiny, found)
    _kept(tiny, found)
    _read(tiny, found)
    _other_references(tiny)
    _drifted(tiny)


def _complete(tiny: Tiny, found: DriftReport) -> None:
    assert found.reference == f"training sample of version 1 ({AS_OF})"
    assert {*found.features} == {"orders", "mean_amount", "days_since", "kind"}
    assert found.features["kind"].jensen_shannon is not None
    assert found.features["kind"].drifted is False
    scores, leant = found.scores, found.attribution
    assert scores is not None
    assert leant is not None
    assert scores.mean.low <= scores.mean.difference <= scores.mean.high
    assert scores.mean.difference == pytest.approx(scores.mean.current - scores.mean.reference)
    # The model's test rows: two dates of some eighty customers, and not the whole training sample.
    assert scores.rows_reference < (found.contents.rows_reference or 0)
    assert sum(leant.reference.values()) == pytest.approx(1)
    assert leant.reference.keys() == leant.current.keys() == found.features.keys()
    assert 0 < (leant.ndcg or 0) <= 1
    assert {"score_psi", "attribution_ndcg", "rows_current", "score_mean_difference_low"} <= found.metadata().keys()
    page = Path(found.html or "")
    assert page.parent == tiny.root / "pages" / "shop"
    assert "<svg" in page.read_text()


def _kept(tiny: Tiny, found: DriftReport) -> None:
    again = _report(tiny)
    assert (found.reused, again.reused) == (False, True)
    assert again.contents == found.contents
    assert not _report(tiny, psi=0.3).reused
    for table, rows in (("shop/drift_report", 4), ("shop/score_drift", 1)):
        assert len(tiny.lake.query("SELECT * FROM t", t=table)) == rows


def _read(tiny: Tiny, found: DriftReport) -> None:
    """What stands is read, of its own version only; where nobody is in the population any more, it is withdrawn."""
    champion, pages = found.champion, tiny.root / "pages"
    stands = read(tiny.lake, "shop", AS_OF, champion, pages=pages)
    assert stands is not None
    last = _report(tiny, psi=0.3)
    assert last.reused
    assert (stands.contents, stands.metadata()) == (last.contents, last.metadata())
    assert read(tiny.lake, "shop", AS_OF, replace(champion, number=2), pages=pages) is None
    with pytest.raises(DataError, match="materialize shop/drift_report first"):
        read(tiny.lake, "shop", AS_OF - WEEK, champion, pages=pages)
    withdraw(tiny.lake, "shop", AS_OF)
    assert read(tiny.lake, "shop", AS_OF, champion, pages=pages) is None
    assert not _report(tiny).reused
    assert read(tiny.lake, "shop", AS_OF, champion, pages=pages) is not None


def test_nobody_in_the_population_withdraws_what_stood_there(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    champion, record = SimpleNamespace(tags={"sha256": "x"}, number=1), SimpleNamespace(version=0)
    monkeypatch.setattr(report_module, "champion_record", lambda *_: (champion, record))
    monkeypatch.setattr(report_module, "input_fingerprints", lambda *_: 1)
    monkeypatch.setattr(reference, "choose", lambda *_: SimpleNamespace(day=None))

    def nobody(*_: Any) -> Any:
        raise EmptySampleError("the current sample has no rows")

    monkeypatch.setattr(report_module, "_contents", nobody)
    stood = Contents({"orders": FeatureDrift("numeric", None, None, True, "drifted")}, "before")
    keep(tiny.lake, "shop", AS_OF, 1, 7, lambda: stood)
    with pytest.raises(EmptySampleError):
        _report(tiny)
    assert read(tiny.lake, "shop", AS_OF, champion, pages=tiny.root) is None  # type: ignore[arg-type]
    assert tiny.lake.query("SELECT * FROM t", t="shop/drift_report").num_rows == 0


def _other_references(tiny: Tiny) -> None:
    previous = _report(tiny, reference="previous")
    assert previous.reference == f"population at {AS_OF - WEEK}"
    assert previous.scores is not None
    season = _report(tiny, reference="same_season")
    assert {feature.drifted for feature in season.features.values()} == {None}
    assert f"no as-of date a year before {AS_OF}" in season.features["orders"].reason
    assert (season.html, season.scores, season.attribution, season.drifted) == (None, None, None, [])
    assert season.metadata() == {"reference": "none yet", "drifted": 0}
    first = _report(tiny, FIRST, reference="previous")
    assert "no as-of date before" in first.features["orders"].reason


def _drifted(tiny: Tiny) -> None:
    """Everybody suddenly pays a hundred times as much."""
    rich = [{**row, "amount": row["amount"] * 100} for row in habits(range(14, 20), seed=3)]
    tiny.deliver("orders", rich)
    found = _report(tiny, AS_OF + 6 * WEEK, min_rows=10)
    assert "mean_amount" in found.drifted
    assert found.scores is not None
    page = Path(found.html or "").read_text()
    assert "mean_amount" in page.split("verdict drifted")[1][:80]


def _champion() -> Any:
    return SimpleNamespace(number=3, as_of=date(2025, 1, 5))


@pytest.mark.parametrize(
    ("every", "start", "as_of", "day"),
    [
        ("weekly", date(2023, 1, 1), date(2025, 6, 29), date(2024, 6, 30)),
        ("daily", date(2023, 1, 1), date(2024, 2, 29), date(2023, 2, 28)),
        ("monthly", date(2023, 1, 15), date(2024, 3, 15), date(2023, 3, 15)),
        ("weekly", date(2024, 7, 7), date(2025, 6, 29), None),
        ("weekly", date(2024, 6, 30), date(2025, 6, 29), date(2024, 6, 30)),
    ],
)
def test_the_same_season_is_the_nearest_date_a_year_before(every: Any, start: date, as_of: date, day: Any) -> None:
    cadence = Cadence(every=every, start=start)
    found = reference.choose(DriftSpec(reference="same_season"), cadence, as_of, _champion())
    assert found.day == day
    assert (found.missing is None) == (day is not None)


def test_the_previous_date_is_one_of_the_cadence() -> None:
    spec, cadence = DriftSpec(reference="previous"), Cadence(every="monthly", start=date(2025, 1, 1))
    assert reference.choose(spec, cadence, date(2025, 3, 1), _champion()).day == date(2025, 2, 1)
    assert reference.choose(spec, cadence, date(2025, 1, 1), _champion()).missing is not None
