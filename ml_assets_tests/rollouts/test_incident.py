"""The page of an incident holds what every ledger knew of a rollback, and says what could not be known."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from ml_assets.alerts.outbox import record_failed_run
from ml_assets.decisions.route import CHALLENGER, CHAMPION, PREVIOUS
from ml_assets.events.exposures import ERROR, MISSING, Exposure, VariantFailure
from ml_assets.events.store import EventStore
from ml_assets.monitoring.performance.groups import MetricRow
from ml_assets.monitoring.performance.table import to_table
from ml_assets.rollouts.incident import (
    Incident,
    IncidentSources,
    Rollback,
    gather_incident,
    last_rollback,
)
from ml_assets.rollouts.incident_page import KEPT, render, write_page
from ml_assets.rollouts.ledger import RolloutStep, claim
from ml_assets.storage.registry import Registry, Version
from ml_assets.training.release import LedgerRelease
from ml_assets.training.release import ledger as champions
from ml_assets_tests.conftest import AS_OF, Tiny
from ml_assets_tests.rollouts.test_ledger import FIRST

NOW = datetime(2026, 6, 2)  # noqa: DTZ001 - naive UTC
HOUR = timedelta(hours=1)
HOSTILE = '<script>alert("x")</script> | [a](http://b)'
PARTS = '{"declared": {"C": "%s"}, "queries": {}, "last": "2026-05-01", "rows": "1", "libraries": {}}'
BEGUN = replace(FIRST, control=1, challenger=2, rollout="2-1", actor="sensor")
STEPS = (
    BEGUN,
    *(replace(BEGUN, step=number, action="hold", at=FIRST.at + number * HOUR) for number in (1, 2)),
    replace(BEGUN, step=3, action="roll_back", share=0.0, at=FIRST.at + 3 * HOUR, reason=f"errors: 12 of 30 {HOSTILE}"),
)


@dataclass(frozen=True)
class Registered(Registry):
    """Version 1 is champion; version 2 was declared otherwise."""

    def find_version(self, model: str, number: int) -> Version | None:
        commit = "mlflow.source.git.commit"
        return Version(model, number, f"run {number}", {"parts": PARTS % number, commit: f"commit {number}"})

    def versions_of_alias(self, alias: str) -> dict[str, Version]:
        return {} if alias == PREVIOUS else {"shop": Version("shop", 1, "run 1", {})}

    def tags(self, key: str) -> dict[str, str]:
        return {} if key else {"shop": key}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with EventStore(f"sqlite:///{tmp_path}/events.db") as store:
        yield store


def take(tiny: Tiny, *steps: RolloutStep) -> None:
    for step in steps:
        claim(tiny.lake, "shop", step)


def gather(tiny: Tiny, store: EventStore | None) -> Incident:
    rollback = last_rollback(tiny.lake, "shop")
    assert rollback
    sources = IncidentSources(tiny.lake, Registered(""), store, {"orders": "shop/raw/orders"})
    return gather_incident(sources, "shop", rollback, NOW)


def rows(incident: Incident, title: str) -> list[dict[str, object]]:
    (section,) = (each for each in incident.sections if title in each.title)
    assert "not known" not in section.nothing, section
    return [dict(row) for row in section.rows]


def test_a_rollout_that_was_rolled_back_is_told_from_its_ledger(tiny: Tiny) -> None:
    take(tiny, *STEPS[:3])
    assert last_rollback(tiny.lake, "shop") is None
    take(tiny, *STEPS)
    rollback = last_rollback(tiny.lake, "shop")
    assert rollback
    assert (rollback.name, rollback.version, rollback.stays, rollback.actor) == ("2-1", 2, 1, "sensor")
    steps = rows(gather(tiny, None), "Steps")
    assert [(step["step"], step["action"], step["share"]) for step in steps] == [
        (0, "start", "10%"), (2, "hold", "10%"), (3, "roll_back", "0%")
    ]  # fmt: skip


def test_a_rollback_by_hand_without_a_rollout_is_one_too(tiny: Tiny) -> None:
    row = LedgerRelease(AS_OF, 1, "run 1", 2, "it was wrong", "{}", NOW - HOUR, "rolled back")
    take(tiny, *STEPS)
    champions("shop").append(tiny.lake, row)
    incident = gather(tiny, None)
    assert incident.rollback == Rollback("version 2", NOW - HOUR, "a person", "it was wrong", 2, 1)
    changes = rows(incident, "What changed")
    assert [row["what"] for row in changes] == ["champion", "rollout 2-1", "rollout 2-1"]


def test_units_failures_versions_alerts_and_deliveries_are_on_it(tiny: Tiny, store: EventStore) -> None:
    exposures = [Exposure("shop", "2-1/0", f"u{n}", CHALLENGER if n < 5 else CHAMPION, f"p{n}", 1) for n in range(40)]
    slow = [VariantFailure("shop", "2-1/0", f"u{n}", CHALLENGER, "slow p50", f"p{n}", n) for n in range(4)]
    worse = [
        VariantFailure("shop", "2-1/0", f"u{n}", CHALLENGER, kind, f"p{n}", 9)
        for n, kind in enumerate((ERROR, MISSING))
    ]
    writer = store.writer()
    writer.write([*exposures, *slow, *worse, VariantFailure("shop", "2-1/0", "u9", CHAMPION, ERROR, "", 1)])
    writer.close()
    record_failed_run(tiny.lake, "shop", "abc", "shop_loop", None, "it broke", "", FIRST.at)
    record_failed_run(tiny.lake, "shop", "later", "shop_loop", None, "it broke again", "", FIRST.at + 9 * HOUR)
    take(tiny, *STEPS)
    incident = gather(tiny, store)
    units = [[row[name] for name in ("variant", "units answered", "first failures")] for row in rows(incident, "Units")]
    assert units == [
        [CHALLENGER, "5", "error 1, missing 1, slow p50 4"],
        [CHAMPION, "35", "error 1, missing 0, slow p50 0"],
    ]
    failures = rows(incident, "Failures")
    assert [row["kind"] for row in failures] == [ERROR, MISSING, *["slow p50"] * 4]
    assert failures[0]["lineage"] == "/predictions/p0/lineage"
    assert [row["difference"] for row in rows(incident, "differs")] == [
        "C is 2 (before: 1)", "the git commit is commit 2 (before: commit 1)"
    ]  # fmt: skip
    assert [row["said"] for row in rows(incident, "alerts")] == ["run abc of shop_loop failed: it broke"]
    assert rows(incident, "What serves now") == [
        {"variant": CHAMPION, "version": 1, "share": "100%", "until": "for ever"}
    ]


def test_deliveries_of_the_last_14_days_are_changes(tiny: Tiny) -> None:
    now = datetime.now().replace(microsecond=0)  # noqa: DTZ005 - the ingest's own clock
    take(tiny, *(replace(step, at=now + timedelta(days=1)) for step in STEPS))
    tiny.deliver("orders", [{"customer": 1, "made_at": now, "amount": 1.0, "kind": "a"}])
    said = [row["said"] for row in rows(gather(tiny, None), "What changed") if row["what"] == "delivery of orders"]
    assert "1 file: 1 row accepted, 0 in the quarantine" in said


def test_what_cannot_be_known_is_said_and_keeps_nothing_else_away(tiny: Tiny, tmp_path: Path) -> None:
    take(tiny, *STEPS)
    (tmp_path / "broken.db").write_bytes(b"no database, but long enough to be looked at" * 100)
    with EventStore(f"sqlite:///{tmp_path}/broken.db") as broken:
        incident = gather(tiny, broken)
    said = {section.title: section.nothing for section in incident.sections if "not known" in section.nothing}
    assert list(said) == ["Units by stage and variant", "Failures of the version, with their predictions"]
    assert rows(incident, "Steps")


def test_the_page_shows_text_as_text_and_the_last_ones_are_kept(tiny: Tiny, tmp_path: Path) -> None:
    take(tiny, *STEPS)
    incident = gather(tiny, None)
    page = write_page(tmp_path / "pages", incident, b"png")
    content = page.read_text(encoding="utf-8")
    assert content == render(incident, b"png")
    assert "<script>" not in content
    assert "&lt;script&gt;alert" in content
    assert "default-src 'none'" in content
    assert page.name == "2026-06-01-030000-2-1.html"
    for minute in range(KEPT):
        later = replace(incident, rollback=replace(incident.rollback, at=NOW + timedelta(minutes=minute)))
        write_page(tmp_path / "pages", later)
    assert len([*(tmp_path / "pages").glob("*.html")]) == KEPT
    assert not page.exists()


def test_performance_and_drift_of_both_versions_are_on_it(tiny: Tiny) -> None:
    take(tiny, *STEPS)
    measured = [
        MetricRow("measured", AS_OF, AS_OF, True, number, None, None, 100, metric, 0.7, 0.6, 0.8)
        for number in (1, 2, 3)
        for metric in ("roc_auc", "base_rate")
    ]
    tiny.lake.append("shop/performance_report", to_table(AS_OF, measured, ["a note"]))
    drift = [{"as_of": AS_OF, "model_version": 1, "feature": name, "drifted": name == "b"} for name in "ab"]
    tiny.lake.append("shop/drift_report", pa.Table.from_pylist(drift))
    incident = gather(tiny, None)
    performance = rows(incident, "Performance")
    assert [(row["version"], row["metric"], row["value"]) for row in performance] == [
        (1, "roc_auc", "0.7000 (0.6000 to 0.8000)"), (2, "roc_auc", "0.7000 (0.6000 to 0.8000)")
    ]  # fmt: skip
    assert rows(incident, "Drift") == [{"version": 1, "as of": AS_OF, "features": 2, "drifted": "b"}]
