"""Delivery of alerts by Apprise: all that wait in one message, each URL at its own pace.

At least once: an alert is marked only after its URL took the message. Killed in between, it is sent again, under the
same ids. A URL that does not answer is tried again after 1, 2, 4 … 60 minutes, for ever. The URLs are secrets: the lake
knows them by a hash, and what Apprise logs is dropped, for it names them.
"""

import contextlib
import functools
import hashlib
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import SecretStr

from ml_assets.alerts.message import Message, message
from ml_assets.alerts.outbox import Alert, alerts
from ml_assets.decisions.alert import Severity, backoff
from ml_assets.spec.alert import PROJECT
from ml_assets.storage.compaction import KEPT
from ml_assets.storage.lake import Lake
from ml_assets.storage.ledger import Ledger
from ml_assets.storage.tables import ModelTables


@dataclass(frozen=True)
class _Delivery:
    """An alert and a URL that took it. `complete`: with this row every URL of the settings has it."""

    id: str
    target: str
    delivered_at: datetime
    attempt: int
    complete: bool


@dataclass(frozen=True)
class _Attempt:
    """A message, taken (`failure` is None) or not: what the waiting time after a failure follows from."""

    target: str
    attempted_at: datetime
    alerts: int
    failure: str | None


_ATTEMPTS = Ledger(ModelTables(PROJECT).alerts_attempts, _Attempt, ("attempted_at",))
_TALKATIVE = ("apprise", "urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry", "urllib3.poolmanager")


@dataclass(frozen=True)
class DeliveryResult:
    """The result of a delivery.

    Args:
        sent: those that every URL has now.
        left: those that wait on.
        reason: what was sent where and what waits for what, without a secret.
    """

    sent: int
    left: int
    reason: str


@dataclass(frozen=True)
class _Target:
    name: str
    key: str
    url: SecretStr
    failed: int = 0
    last: datetime | None = None


_NOBODY = _Target("", "", SecretStr(""))  # what marks that nobody is left to tell


@dataclass(frozen=True)
class _Round:
    """One call of `deliver`: `delivered` holds (id, target) and grows with what is sent."""

    lake: Lake
    targets: Sequence[_Target]
    delivered: set[tuple[str, str]]
    now: datetime

    def complete(self, alert: Alert) -> bool:
        return all((alert.id, target.key) in self.delivered for target in self.targets)

    def mark(self, alerts: Sequence[Alert], target: _Target) -> None:
        for folder in dict.fromkeys(alert.folder for alert in alerts):
            own = [alert for alert in alerts if alert.folder == folder]
            number = target.failed + 1
            rows = [_Delivery(alert.id, target.key, self.now, number, self.complete(alert)) for alert in own]
            _delivered(folder).append(self.lake, *rows)


def list_undelivered(lake: Lake, folders: Iterable[str]) -> list[Alert]:
    """The alerts of the folders and of the project that some URL has not taken yet, in the order of the outboxes."""
    waiting = list[Alert]()
    for folder in _all(folders):
        rows = alerts(lake, folder)
        complete = {row.id for row in _delivered(folder).history(lake) if row.complete} if rows else set()
        waiting += [alert for alert in rows if alert.id not in complete]
    return waiting


def list_silent(lake: Lake, urls: Sequence[SecretStr], *, since: datetime) -> list[str]:
    """The URLs that have taken no message since a time, each by a name that is no secret.

    Args:
        lake: where the attempts are.
        urls: of Apprise.
        since: naive UTC.
    """
    taken = set[str]()
    if lake.version(_ATTEMPTS.table) is not None:
        sql = "SELECT DISTINCT target FROM t WHERE failure IS NULL AND attempted_at >= $since"
        taken = set(lake.query(sql, {"since": since}, t=_ATTEMPTS.table)["target"].to_pylist())
    return [target.name for target in _targets(lake, urls) if target.key not in taken]


def deliver(lake: Lake, folders: Iterable[str], urls: Sequence[SecretStr], *, now: datetime) -> DeliveryResult:
    """Send what waits to every URL that is not waiting itself, in one message for each.

    Without a URL nothing is sent and nothing marked: the alerts stay in the outboxes. A URL that was added takes what
    is not complete; one that was removed is waited for no more.

    Args:
        lake: where the outboxes are.
        folders: whose; the project's is always among them.
        urls: of Apprise.
        now: UTC, without a zone.
    """
    all_folders = _all(folders)
    if not urls:
        return DeliveryResult(
            0, len(list_undelivered(lake, all_folders)), "no URL in ML_ASSETS_ALERTS: alerts stay in the outbox"
        )
    with lake.lock("alerts_delivered"):  # one at a time: two would both send
        waiting = list_undelivered(lake, all_folders)
        if not waiting:
            return DeliveryResult(0, 0, "nothing waits")
        deliveries = {(row.id, row.target) for folder in all_folders for row in _delivered(folder).history(lake)}
        this = _Round(lake, _targets(lake, urls), deliveries, now)
        this.mark([alert for alert in waiting if this.complete(alert)], _NOBODY)
        reasons = [_deliver(this, waiting, target) for target in this.targets]
    left = {alert.id for alert in list_undelivered(lake, all_folders)}
    complete = sum(alert.id not in left for alert in waiting)  # another one may have come meanwhile
    return DeliveryResult(complete, len(left), "; ".join(filter(None, reasons)) or "nothing waits")


def _deliver(this: _Round, waiting: Sequence[Alert], target: _Target) -> str:
    """One message to one URL, marked in the lake; what became of it in words, none where it has everything."""
    due = [alert for alert in waiting if (alert.id, target.key) not in this.delivered]
    ready = target.last + backoff(target.failed) if target.last else this.now
    if not due:
        return ""
    if ready > this.now:
        return f"{target.name} failed {target.failed} times in a row, again from {ready:%Y-%m-%d %H:%M} UTC"
    failure = _send(target.url, message(due))
    if not failure:
        this.delivered.update((alert.id, target.key) for alert in due)
        this.mark(due, target)
    _ATTEMPTS.append(this.lake, _Attempt(target.key, this.now, len(due), failure or None))
    this.lake.compact(_ATTEMPTS.table, kept=KEPT)
    if not failure:
        return f"{target.name} took {len(due):,}"
    again = this.now + backoff(target.failed + 1)
    return f"{target.name} {failure}: attempt {target.failed + 1}, again from {again:%Y-%m-%d %H:%M} UTC"


def _all(folders: Iterable[str]) -> list[str]:
    return list(dict.fromkeys((*folders, PROJECT)))


def _delivered(folder: str) -> Ledger[_Delivery]:
    return Ledger(ModelTables(folder).alerts_delivered, _Delivery, ("delivered_at",))


def _targets(lake: Lake, urls: Sequence[SecretStr]) -> list[_Target]:
    """The URLs, each once, with their failed attempts since they took a message the last time."""
    failed = {row["target"]: row for row in _failed(lake)}
    targets = dict[str, _Target]()
    for number, url in enumerate(urls, start=1):
        scheme = re.match("[a-z0-9+.-]+(?=://)", url.get_secret_value().lower())
        name = f"URL {number} of {len(urls)} ({scheme[0] if scheme else 'no'}://)"
        target = _Target(name, _hash(url.get_secret_value()), url)
        row = failed.get(target.key, {"failed": 0, "last": None})
        targets.setdefault(target.key, replace(target, failed=row["failed"], last=row["last"]))
    return list(targets.values())


def _failed(lake: Lake) -> list[dict[str, Any]]:
    if lake.version(_ATTEMPTS.table) is None:
        return []
    rows: list[dict[str, Any]] = lake.query(
        "WITH taken AS (SELECT target, max(attempted_at) FILTER (failure IS NULL) AS sent_at FROM t GROUP BY target) "
        "SELECT target, count(*) AS failed, max(attempted_at) AS last FROM t JOIN taken USING (target) "
        "WHERE failure IS NOT NULL AND (sent_at IS NULL OR attempted_at > sent_at) GROUP BY target",
        t=_ATTEMPTS.table,
    ).to_pylist()
    return rows


@functools.cache
def _hash(url: str) -> str:
    """The hash of a URL for the lake; slow to guess, because a password in it may be short."""
    return hashlib.scrypt(url.encode(), salt=b"ml_assets alerts", n=2**14, r=8, p=1, dklen=12).hex()


def _send(url: SecretStr, text: Message) -> str:
    """Send a message to a URL; return why that failed, empty where Apprise says that it was taken."""
    with _quiet():
        try:
            import apprise  # 0.2 s

            kinds = {
                None: apprise.NotifyType.SUCCESS,
                Severity.INFO: apprise.NotifyType.INFO,
                Severity.WARNING: apprise.NotifyType.WARNING,
                Severity.CRITICAL: apprise.NotifyType.FAILURE,
            }
            sender = _sender(url)
            if sender is None:
                return "is no URL that Apprise knows"
            kind, form = kinds[text.severity], apprise.NotifyFormat.TEXT
            delivered = sender.notify(text.body, text.title, notify_type=kind, body_format=form)
        except Exception as error:  # noqa: BLE001 - what a plugin raises may quote its URL, and must not stop the others
            return f"failed by {type(error).__name__}"
    return "" if delivered else "refused it or did not answer"


def _sender(url: SecretStr) -> Any:  # noqa: ANN401 - an Apprise with one plugin; None where it does not know the URL
    import apprise

    asset = apprise.AppriseAsset(
        app_id="ml_assets",
        app_desc="ml_assets",
        app_url="",
        image_url_mask="",  # no pictures from elsewhere
        image_url_logo="",
        async_mode=False,  # in this thread: nothing goes on, or logs, after it returned
        service_timeout=0,  # which would need another one; sockets time out
        storage_mode="memory",  # no files
        pgp_autogen=False,
        pem_autogen=False,
        allow_templates=False,
    )
    plugin = apprise.Apprise.instantiate(url.get_secret_value(), asset=asset)
    if plugin is None:
        return None
    if plugin.overflow_mode == apprise.OverflowMode.UPSTREAM:
        plugin.overflow_mode = apprise.OverflowMode.SPLIT  # a service that refuses long texts would refuse for ever
    sender = apprise.Apprise(asset=asset)
    sender.add(plugin)
    return sender


def _drop(record: logging.LogRecord) -> bool:
    del record
    return False


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drop what Apprise, and the HTTP library below it, log: URLs with their tokens."""
    talkative = [logging.getLogger(name) for name in _TALKATIVE]
    for logger in talkative:
        logger.addFilter(_drop)
    try:
        yield
    finally:
        for logger in talkative:
            logger.removeFilter(_drop)
