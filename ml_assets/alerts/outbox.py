"""The outbox: every alert of a folder as a row of `<folder>/alerts`, whether anybody could be told or not.

A rule's state is what its rows say, so an as-of date that is judged again, after a kill or by hand, writes nothing
twice. `delivery.py` tells people.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from ml_assets.decisions.alert import AlertEvent, Kind, MetricRule, RuleState, Severity, decide
from ml_assets.redaction import redact
from ml_assets.storage.lake import Lake, fingerprint_of
from ml_assets.storage.ledger import Ledger
from ml_assets.storage.tables import ModelTables

_JUDGED = "judged"  # the record that holds the last as-of date that was judged, as its ordinal
_LINE = 300  # characters of an error; the whole one is behind the link


@dataclass(frozen=True)
class Alert:
    """One row of an outbox.

    Args:
        folder: whose outbox.
        id: the same for the same alert, however often it is written or sent.
        as_of: None for a run that has none.
        rule: its name; `run <job>` for runs.
        metric: None for runs, as are `value` and `limit`.
        kind: fired, reminder or recovered.
        severity: info, warning or critical.
        value: what was measured.
        limit: what it was measured against.
        text: the sentence for people.
        link: the asset or the run.
        created_at: UTC, without a zone.
    """

    folder: str
    id: str
    as_of: date | None
    rule: str
    metric: str | None
    kind: Kind
    severity: Severity
    value: float | None
    limit: float | None
    text: str
    link: str
    created_at: datetime


def ledger(folder: str) -> Ledger[Alert]:
    """The alerts of a folder."""
    return Ledger(ModelTables(folder).alerts, Alert, ("created_at", "as_of", "rule"), {"folder": folder})


def outbox(folder: str) -> str:
    """The table of a folder's alerts."""
    return ledger(folder).table


def alerts(lake: Lake, folder: str) -> list[Alert]:
    """Every alert of a folder, in the order in which they came up."""
    return ledger(folder).history(lake)


def states(lake: Lake, folder: str) -> Mapping[str, RuleState]:
    """Rule → its state, of every rule that ever fired; `since` is None where it does not fire now."""
    judged = lake.record(outbox(folder), _JUDGED)
    if judged is None:
        return {}
    rows = lake.query(
        "SELECT rule, max(as_of) AS said, arg_max(kind, as_of) AS kind, max(as_of) FILTER (kind = 'fired') AS since "
        "FROM a WHERE metric IS NOT NULL GROUP BY rule",
        a=outbox(folder),
    ).to_pylist()
    last_judged = date.fromordinal(judged)
    return {
        row["rule"]: RuleState(None if row["kind"] == "recovered" else row["since"], row["said"], last_judged)
        for row in rows
    }


def evaluate(
    lake: Lake,
    folder: str,
    rules: Sequence[MetricRule],
    metrics: Mapping[str, float | None],
    as_of: date,
    *,
    link: str,
    decided_at: datetime,
) -> list[Alert]:
    """Judge the metrics of an as-of date, and append what is to be said in one transaction.

    Args:
        lake: where the outbox is.
        folder: whose.
        rules: what is judged; one that is declared no longer keeps its state and says nothing.
        metrics: name → number; None and NaN are not known.
        as_of: the date that the metrics stand for. One older than the last that was judged says nothing.
        link: to the asset.
        decided_at: UTC, without a zone.

    Returns:
        The rules' alerts of the as-of date, whether written now or before.

    Raises:
        LakeError: another machine wrote one of them at the same moment; run again.
    """
    with lake.lock(outbox(folder)):
        judged = lake.record(outbox(folder), _JUDGED)
        last_judged, rule_states = None if judged is None else date.fromordinal(judged), states(lake, folder)
        state = {rule.name: replace(rule_states.get(rule.name, RuleState()), last_judged=last_judged) for rule in rules}
        events, _ = decide(rules, metrics, state, as_of)
        rows = [_row(folder, event, link, decided_at) for event in events]
        newer = {_JUDGED: as_of.toordinal()} if rules and (last_judged is None or as_of > last_judged) else {}
        _append(lake, folder, rows, newer)
    return [alert for alert in alerts(lake, folder) if alert.as_of == as_of and alert.metric is not None]


def record_failed_run(
    lake: Lake,
    folder: str,
    run_id: str,
    job: str,
    step: str | None,
    error_line: str,
    link: str,
    created_at: datetime,
    *,
    severity: Severity = Severity.CRITICAL,
    as_of: date | None = None,
) -> None:
    """Append that a run failed; once for each run, however often this is called.

    Args:
        lake: where the outbox is.
        folder: of the model, or `PROJECT`.
        run_id: Dagster's.
        job: what has to succeed for a recovery: runs share it only if one makes up for the other.
        step: where it failed.
        error_line: its first line is kept.
        link: to the run.
        created_at: when it failed: UTC, without a zone.
        severity: of the alert.
        as_of: the run's as-of date, where it has one.
    """
    text = f"run {run_id[:8]} of {job} failed{f' in {step}' if step else ''}: {_first_line(error_line)}"
    _append(lake, folder, [_run(folder, run_id, job, Kind.FIRED, severity, text, link, created_at, as_of)], {})


def record_failed_sensor(
    lake: Lake,
    folder: str,
    name: str,
    error_line: str,
    link: str,
    created_at: datetime,
    *,
    severity: Severity = Severity.CRITICAL,
) -> bool:
    """Append that a sensor fails, unless that was said and it has not worked since.

    Args:
        lake: where the outbox is.
        folder: of the model, or `PROJECT`.
        name: of the sensor, as `record_recovery` is told when it works again.
        error_line: its first line is kept.
        link: to where the sensor is seen.
        created_at: of the tick: UTC, without a zone.
        severity: of the alert.

    Returns:
        True if it was written.
    """
    with lake.lock(outbox(folder)):
        if _unrecovered(lake, folder, name):
            return False
        text = f"{name} fails, and what it starts does not run: {_first_line(error_line)}"
        tick = f"{name} {created_at.isoformat()}"
        _append(lake, folder, [_run(folder, tick, name, Kind.FIRED, severity, text, link, created_at, None)], {})
    return True


def record_recovery(lake: Lake, folder: str, run_id: str, job: str, link: str, created_at: datetime) -> bool:
    """Append that a job recovered, if runs of it had failed before `created_at` and no recovery was written since.

    Args:
        lake: where the outbox is.
        folder: of the model, or `PROJECT`.
        run_id: of the run that succeeded.
        job: as `record_failed_run` or `record_failed_sensor` were told.
        link: to the run.
        created_at: when it succeeded: UTC, without a zone.

    Returns:
        True if there was something to recover from.
    """
    with lake.lock(outbox(folder)):
        failures = [alert for alert in _unrecovered(lake, folder, job) if alert.created_at <= created_at]
        if not failures:
            return False
        lasted, count = _lasted(created_at - failures[0].created_at), len(failures)
        runs = f"{count} run{'' if count == 1 else 's'} failed"
        text = f"run {run_id[:8]} of {job} succeeded; before it {runs}, for {lasted}"
        severity, as_of = failures[-1].severity, failures[-1].as_of
        _append(lake, folder, [_run(folder, run_id, job, Kind.RECOVERED, severity, text, link, created_at, as_of)], {})
    return True


def record_notice(
    lake: Lake,
    folder: str,
    rule: str,
    key: str,
    text: str,
    link: str,
    created_at: datetime,
    *,
    severity: Severity,
) -> None:
    """Append what people are to be told once, such as a rollback; once for each key, however often this is called.

    Args:
        lake: where the outbox is.
        folder: of the model.
        rule: under which name it is told.
        key: of what happened.
        text: the sentence for people.
        link: to where it is seen.
        created_at: when it happened: UTC, without a zone.
        severity: of the alert.
    """
    id_ = _id(folder, "notice", rule, key)
    row = Alert(folder, id_, None, rule, None, Kind.FIRED, severity, None, None, text, link, created_at)
    if lake.record(outbox(folder), f"alert={id_}") is None:
        _append(lake, folder, [row], {})


def _first_line(error: str) -> str:
    return redact((error.strip().splitlines() or ["no message"])[0])[:_LINE]


def _unrecovered(lake: Lake, folder: str, job: str) -> list[Alert]:
    run_alerts = [alert for alert in alerts(lake, folder) if alert.metric is None and alert.rule == f"run {job}"]
    over = max((alert.created_at for alert in run_alerts if alert.kind is Kind.RECOVERED), default=datetime.min)  # noqa: DTZ901 - the lake's times are naive UTC
    return [alert for alert in run_alerts if alert.kind is Kind.FIRED and alert.created_at > over]


def _lasted(time: timedelta) -> str:
    hours, seconds = divmod(int(time.total_seconds()), 3600)
    return f"{hours} h {seconds // 60} min"


def _row(folder: str, event: AlertEvent, link: str, decided_at: datetime) -> Alert:
    return Alert(
        folder, _id(folder, event.rule, event.as_of.isoformat(), event.kind.value), event.as_of, event.rule,
        event.metric, event.kind, event.severity, event.value, event.limit, event.sentence, link, decided_at,
    )  # fmt: skip


def _run(
    folder: str, run_id: str, job: str, kind: Kind, severity: Severity, text: str, link: str, created_at: datetime,
    as_of: date | None,
) -> Alert:  # fmt: skip
    return Alert(
        folder, _id(folder, "run", run_id, kind.value), as_of, f"run {job}", None, kind, severity, None, None, text,
        link, created_at,
    )  # fmt: skip


def _id(*parts: str) -> str:
    return f"{fingerprint_of(*parts):016x}"


def _append(lake: Lake, folder: str, rows: Sequence[Alert], records: Mapping[str, int]) -> None:
    """Rows and a record of each, in one transaction: what stands is not written again."""
    everything = {f"alert={row.id}": 1 for row in rows} | dict(records)
    if everything:
        ledger(folder).append(lake, *rows, records=everything)
