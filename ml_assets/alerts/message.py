"""Alerts as one message for people, in plain text: errors quote strangers, who mention nobody and link to nothing."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ml_assets import escaping
from ml_assets.alerts.outbox import Alert, outbox
from ml_assets.decisions.alert import Kind, Severity

_LINES = 25  # alerts that a message spells out; the rest is counted
_WORST = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)


@dataclass(frozen=True)
class Message:
    """A message for people, in plain text, with the worst severity; None: all recovered."""

    title: str
    body: str
    severity: Severity | None


def message(waiting: Sequence[Alert]) -> Message:
    """One message for all alerts: the worst first, recoveries last; the first 25 are spelled out, the rest counted.

    >>> from datetime import datetime
    >>> failed = Alert(
    ...     "churn", "7f3a", None, "run loop", None, Kind.FIRED, Severity.CRITICAL, None, None, "run 1 failed",
    ...     "http://127.0.0.1:3000/runs/1", datetime(2026, 6, 7),
    ... )
    >>> message([failed]).title
    'ml_assets: 1 alert, worst critical: churn'
    """
    order = sorted(waiting, key=lambda alert: (_rank(alert), alert.created_at))
    blocks = [_block(alert) for alert in order[:_LINES]]
    if rest := order[_LINES:]:
        tables = ", ".join(outbox(folder) for folder in dict.fromkeys(alert.folder for alert in rest))
        blocks.append(f"and {len(rest):,} more ({_counted(rest)}): see {tables}")
    severities = [alert.severity for alert in order if alert.kind is not Kind.RECOVERED]
    worst = next((severity for severity in _WORST if severity in severities), None)
    where = list(dict.fromkeys(alert.folder for alert in order))
    folder_names = ", ".join(where[:3]) + (f" and {len(where) - 3} more" if len(where) > 3 else "")
    count = f"{len(order):,} alert{'' if len(order) == 1 else 's'}"
    title = f"ml_assets: {count}, {f'worst {worst}' if worst else 'all recovered'}: {folder_names}"
    return Message(title, "\n\n".join(blocks), worst)


def _rank(alert: Alert) -> int:
    return len(_WORST) if alert.kind is Kind.RECOVERED else _WORST.index(alert.severity)


def _block(alert: Alert) -> str:
    word = "RECOVERED" if alert.kind is Kind.RECOVERED else alert.severity.upper()
    details = (f"as of {alert.as_of}" if alert.as_of else f"at {alert.created_at:%Y-%m-%d %H:%M} UTC", alert.link)
    text = escaping.message(alert.text, links=alert.metric is not None)  # a rule may name the page to look at
    return f"{word} {alert.folder}: {text}\n{' | '.join(filter(None, (*details, f'id {alert.id}')))}"


def _counted(rest: Iterable[Alert]) -> str:
    counts = Counter("recovered" if alert.kind is Kind.RECOVERED else alert.severity.value for alert in rest)
    return ", ".join(f"{count:,} {word}" for word, count in counts.items())
