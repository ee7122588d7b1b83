"""Alerts reach people: a real mail server, real HTTP servers, and processes that are killed."""

# ruff: noqa: DTZ001 - the lake's times are naive UTC

import email
import json
import logging
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from email import policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import SecretStr

from ml_assets.alerts.delivery import DeliveryResult, deliver, list_undelivered
from ml_assets.alerts.message import message
from ml_assets.alerts.outbox import Alert, alerts, evaluate, record_failed_run, record_recovery
from ml_assets.decisions.alert import Kind, MetricRule, Severity
from ml_assets.spec.alert import PROJECT
from ml_assets.storage.lake import Lake
from ml_assets_tests.conftest import shared
from ml_assets_tests.processes import environment

# Apprise 2.2 asks for it below Python 3.13, and lives without.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

DAY = date(2026, 6, 7)
NOW = datetime(2026, 6, 7, 12)
LINK = "http://127.0.0.1:3000/assets/churn/drift_report"
SECRET = "hunter2-s3cr3t-token"  # noqa: S105 - that of a server of this test
RULES = (
    MetricRule("drift", "drifted_importance", above=0.3, severity=Severity.CRITICAL),
    MetricRule("few", "predictions", below=100),
)
# What the sensor does, in a process of its own.
TICK = """
import sys
from datetime import datetime
from pydantic import SecretStr
from ml_assets.storage.lake import Lake
from ml_assets.alerts.delivery import deliver
print(deliver(Lake(sys.argv[1]), ["churn"], [SecretStr(url) for url in sys.argv[2:]], now=datetime(2026, 6, 7, 13)))
"""


def minutes(number: float) -> datetime:
    return NOW + timedelta(minutes=number)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@dataclass
class Web:
    """A webhook: it keeps what is posted, answers with `status`, and does `before` before it answers."""

    port: int
    status: int = 200
    posted: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    before: Callable[[], object] = bool

    @property
    def json(self) -> str:
        """Its Apprise URL."""
        return f"json://user:{SECRET}@127.0.0.1:{self.port}/{SECRET}/"


@contextmanager
def web(port: int = 0) -> Iterator[Web]:
    found = Web(port)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.before()
            if found.status == 200:
                found.posted.append(json.loads(body))
                found.paths.append(self.path)
            self.send_response(found.status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that was killed does not read its answer."""

    with Server(("127.0.0.1", port), Handler) as server:
        found.port = server.server_address[1]
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Mailbox:
    """What a mail server of aiosmtpd was given."""

    mails: list[email.message.EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        assert isinstance(envelope.content, bytes)
        self.mails.append(email.message_from_bytes(envelope.content, policy=policy.default))
        self.recipients.append(envelope.rcpt_tos)
        return "250 OK"


@contextmanager
def mail(port: int) -> Iterator[Mailbox]:
    box = Mailbox()
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    try:
        yield box
    finally:
        server.stop()


def mailto(port: int, more: str = "") -> str:
    return f"mailto://127.0.0.1:{port}/?smtp=127.0.0.1&from=loop@example.org&to=a@example.org,b@example.org{more}"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"), shared)


def alarm(lake: Lake, day: int = 0, folder: str = "churn", **metrics: float) -> None:
    """Metrics of an as-of date; by default both rules fire."""
    found = metrics or {"drifted_importance": 0.42, "predictions": 7}
    evaluate(lake, folder, RULES, found, DAY + timedelta(days=day), link=LINK, decided_at=NOW)


def tell(lake: Lake, *urls: str, at: float = 0, folders: tuple[str, ...] = ("churn",)) -> DeliveryResult:
    return deliver(lake, folders, [SecretStr(url) for url in urls], now=minutes(at))


def numbers(done: DeliveryResult) -> tuple[int, int]:
    return done.sent, done.left


def text(said: email.message.EmailMessage, kind: str) -> str:
    """The `plain` or `html` text of a mail."""
    body = said.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n").strip()


def test_alerts_that_fire_together_are_one_mail_in_plain_text(lake: Lake) -> None:
    alarm(lake)
    record_failed_run(lake, PROJECT, "12345678", "loop", "model", "KeyError: <b>'x'</b>", "http://runs/1", minutes(1))
    with mail(port := free_port()) as box:
        assert numbers(tell(lake, mailto(port))) == (3, 0)
        assert numbers(tell(lake, mailto(port), at=1)) == (0, 0)
    assert box.recipients == [["a@example.org"], ["b@example.org"]]
    assert box.mails[0]["Subject"] == "ml_assets: 3 alerts, worst critical: churn, project"
    ids = {alert.rule: alert.id for alert in [*alerts(lake, "churn"), *alerts(lake, PROJECT)]}
    assert text(box.mails[0], "plain") == (
        f"CRITICAL churn: drifted_importance is 0.42, above 0.3\nas of 2026-06-07 | {LINK} | id {ids['drift']}\n\n"
        "CRITICAL project: run 12345678 of loop failed in model: KeyError: <b>'x'</b>\n"
        f"at 2026-06-07 12:01 UTC | http://runs/1 | id {ids['run loop']}\n\n"
        f"WARNING churn: predictions is 7, below 100\nas of 2026-06-07 | {LINK} | id {ids['few']}"
    )


def test_markup_in_an_error_is_no_markup_in_a_mail(lake: Lake) -> None:
    record_failed_run(lake, PROJECT, "1", "loop", None, "KeyError: <b>'x' & y</b>", "http://runs/1", NOW)
    with mail(port := free_port()) as box:
        tell(lake, mailto(port, "&format=html"))
    assert "&lt;b&gt;" in text(box.mails[0], "html")
    assert "<b>" not in text(box.mails[0], "html")


def test_a_mail_server_that_is_down_is_told_when_it_is_up(lake: Lake) -> None:
    alarm(lake)
    port = free_port()
    assert numbers(tell(lake, mailto(port))) == (0, 2)
    with mail(port) as box:
        assert numbers(tell(lake, mailto(port), at=1)) == (2, 0)
        assert numbers(tell(lake, mailto(port), at=2)) == (0, 0)
    assert len(box.mails) == 2  # one for each recipient


def test_a_webhook_is_posted_to(lake: Lake) -> None:
    alarm(lake)
    with web() as hook:
        assert numbers(tell(lake, hook.json)) == (2, 0)
    (posted,) = hook.posted
    assert (posted["title"], posted["type"]) == ("ml_assets: 2 alerts, worst critical: churn", "failure")
    assert "drifted_importance is 0.42" in posted["message"]
    assert LINK in posted["message"]
    assert all(alert.id in posted["message"] for alert in alerts(lake, "churn"))


def test_a_chat_is_posted_to(lake: Lake) -> None:
    """Mattermost takes what Slack takes, and can be anywhere; that of Slack is known to Apprise."""
    import apprise

    alarm(lake)
    with web() as hook:
        assert numbers(tell(lake, f"mmost://127.0.0.1:{hook.port}/{SECRET}?image=no")) == (2, 0)
    assert hook.paths == [f"/hooks/{SECRET}"]
    assert "drifted_importance is 0.42, above 0.3" in hook.posted[0]["text"]
    slack = apprise.Apprise.instantiate("https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ")
    assert type(slack).__name__ == "NotifySlack"


def test_what_clears_is_said_with_how_long_it_lasted(lake: Lake) -> None:
    with web() as hook:
        alarm(lake, predictions=7)
        tell(lake, hook.json)
        alarm(lake, day=3, predictions=500)
        record_failed_run(lake, "churn", "1", "loop", "model", "boom", "", minutes(0))
        tell(lake, hook.json, at=1)
        record_recovery(lake, "churn", "2", "loop", "http://runs/2", minutes(90))
        tell(lake, hook.json, at=91)
    assert [posted["type"] for posted in hook.posted] == ["warning", "failure", "success"]
    assert "RECOVERED churn: predictions is 500, no longer below 100; it fired for 3 days" in hook.posted[1]["message"]
    assert hook.posted[2]["title"] == "ml_assets: 1 alert, all recovered: churn"
    assert "before it 1 run failed, for 1 h 30 min" in hook.posted[2]["message"]


def test_a_server_that_refuses_is_asked_again_more_and_more_rarely(lake: Lake) -> None:
    alarm(lake)
    asked = list[float]()
    with web() as hook:
        hook.status = 503
        moment = [0.0]
        hook.before = lambda: asked.append(moment[0])
        for minute in (0, 0.5, 1, 2, 3, 6, 7, 14, 15, 30, 31, 62, 63, 122, 123, 182, 183, 199):
            moment[0] = minute
            done = tell(lake, hook.json, at=minute)
        assert asked == [0, 1, 3, 7, 15, 31, 63, 123, 183]
        assert numbers(done) == (0, 2)
        assert done.reason == "URL 1 of 1 (json://) failed 9 times in a row, again from 2026-06-07 16:03 UTC"
        hook.status = 200
        alarm(lake, day=1, folder="retail")
        assert numbers(tell(lake, hook.json, at=243, folders=("churn", "retail"))) == (4, 0)
        assert numbers(tell(lake, hook.json, at=244, folders=("churn", "retail"))) == (0, 0)
    (posted,) = hook.posted
    assert posted["title"] == "ml_assets: 4 alerts, worst critical: churn, retail"
    hook.status = 503
    alarm(lake, day=30)
    assert "attempt 1, again from 2026-06-07 18:31 UTC" in tell(lake, hook.json, at=390).reason


def test_only_the_url_that_failed_is_tried_again(lake: Lake) -> None:
    alarm(lake)
    with web() as good, web() as bad:
        bad.status = 500
        assert numbers(tell(lake, good.json, bad.json)) == (0, 2)
        bad.status = 200
        assert numbers(tell(lake, good.json, bad.json, at=1)) == (2, 0)
        tell(lake, good.json, bad.json, at=2)
    assert (len(good.posted), len(bad.posted)) == (1, 1)
    assert good.posted == bad.posted


def test_a_url_that_was_removed_is_waited_for_no_more(lake: Lake) -> None:
    alarm(lake)
    with web() as good, web() as bad, web() as later:
        bad.status = 500
        tell(lake, good.json, bad.json)
        assert numbers(tell(lake, good.json, at=1)) == (2, 0)
        assert numbers(tell(lake, good.json, later.json, at=2)) == (0, 0)
    assert (len(good.posted), len(later.posted)) == (1, 0)


def test_a_url_that_was_corrected_takes_what_the_wrong_one_did_not(lake: Lake) -> None:
    alarm(lake)
    with web() as good, web() as corrected:
        tell(lake, good.json, f"json://127.0.0.1:{free_port()}/")
        assert numbers(tell(lake, good.json, corrected.json, at=0.1)) == (2, 0)
    assert (len(good.posted), len(corrected.posted)) == (1, 1)


def test_without_a_url_alerts_wait(lake: Lake) -> None:
    alarm(lake)
    assert tell(lake) == DeliveryResult(0, 2, "no URL in ML_ASSETS_ALERTS: alerts stay in the outbox")
    assert lake.version("churn/alerts_delivered") is None
    assert len(list_undelivered(lake, ["churn"])) == 2
    with web() as hook:
        assert numbers(tell(lake, hook.json, hook.json, at=1)) == (2, 0)
    assert len(hook.posted) == 1


def test_a_url_that_apprise_does_not_know_holds_nothing_up(lake: Lake) -> None:
    alarm(lake)
    with web() as hook:
        done = tell(lake, f"carrierpigeon://{SECRET}", hook.json)
    assert numbers(done) == (0, 2)
    assert "URL 1 of 2 (carrierpigeon://) is no URL that Apprise knows: attempt 1" in done.reason
    assert "URL 2 of 2 (json://) took 2" in done.reason
    assert len(hook.posted) == 1


def test_thousands_of_alerts_are_one_message(lake: Lake) -> None:
    rules = [MetricRule(f"rule_{number}", "m", above=0.5) for number in range(3000)] + [RULES[0]]
    metrics = {"m": 1.0, "drifted_importance": 0.9}
    evaluate(lake, "churn", rules, metrics, DAY, link=LINK, decided_at=NOW)
    with web() as hook:
        assert numbers(tell(lake, hook.json)) == (3001, 0)
    (posted,) = hook.posted
    assert posted["title"] == "ml_assets: 3,001 alerts, worst critical: churn"
    assert posted["message"].startswith("CRITICAL churn: drifted_importance is 0.9")
    assert posted["message"].endswith("and 2,976 more (2,976 warning): see churn/alerts")
    assert len(posted["message"]) < 10_000


def test_a_message_names_few_of_many_folders() -> None:
    found = [
        Alert(f"model_{number}", str(number), DAY, "r", "m", Kind.FIRED, Severity.INFO, 1.0, 0.5, "m is 1", "", NOW)
        for number in range(5)
    ]
    assert message(found).title == "ml_assets: 5 alerts, worst info: model_0, model_1, model_2 and 2 more"
    assert "as of 2026-06-07 | id 0" in message(found).body


def tick(lake: Lake, *urls: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", TICK, lake.root, *urls],
        env=environment(Path(lake.root)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_killed_between_sent_and_marked_it_is_sent_again_under_the_same_ids(lake: Lake) -> None:
    alarm(lake)
    ids = [alert.id for alert in alerts(lake, "churn")]
    with web() as hook:
        received = Barrier(2)

        def hold() -> None:
            received.wait(60)  # the message is here
            received.wait(60)  # and its sender is not any more

        hook.before = hold
        with tick(lake, hook.json) as process:
            received.wait(60)
            process.send_signal(signal.SIGKILL)
            assert process.wait(60) == -signal.SIGKILL
            received.wait(60)
        assert [alert.id for alert in list_undelivered(lake, ["churn"])] == ids
        hook.before = bool
        with tick(lake, hook.json) as process:
            said, errors = process.communicate(timeout=60)
        assert "DeliveryResult(sent=2, left=0" in said, errors
        assert numbers(tell(lake, hook.json, at=120)) == (0, 0)
    assert len(hook.posted) == 2
    assert hook.posted[0] == hook.posted[1]


def test_two_daemons_at_once_send_it_once(lake: Lake) -> None:
    alarm(lake)
    with web() as hook:
        with tick(lake, hook.json) as one, tick(lake, hook.json) as two:
            said = [process.communicate(timeout=60) for process in (one, two)]
        assert sorted("sent=2" in out for out, _ in said) == [False, True], said
    assert len(hook.posted) == 1


def test_nobody_learns_a_secret(
    lake: Lake, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither logs of the deepest level, nor what is printed, nor what is kept, nor what is returned."""
    caplog.set_level(logging.NOTSET)
    for name in ("apprise", "urllib3", "urllib3.connectionpool"):
        caplog.set_level(1, logger=name)
    alarm(lake)
    with web() as hook:
        hook.status = 500
        urls = [
            hook.json,
            f"mmost://127.0.0.1:{hook.port}/{SECRET}",
            f"json://user:{SECRET}@127.0.0.1:{free_port()}/{SECRET}",
            f"mailto://user:{SECRET}@127.0.0.1:{free_port()}/?smtp=127.0.0.1&from={SECRET}@example.org",
            f"nonsense://{SECRET}",
            f"json://[{SECRET}",
        ]
        done = tell(lake, *urls)
        hook.status = 200
        again = tell(lake, *urls, at=1)
    logging.getLogger("apprise").warning("afterwards it logs as ever")
    printed = capfd.readouterr()
    kept = b"".join(path.read_bytes() for path in Path(lake.root).rglob("*") if path.is_file())
    for text in (caplog.text, printed.out, printed.err, repr(done), repr(again), repr(kept)):
        assert SECRET not in text
    assert [record.message for record in caplog.records if record.name == "apprise"] == ["afterwards it logs as ever"]


def test_a_process_tells_no_secret_either(lake: Lake) -> None:
    alarm(lake)
    with tick(lake, f"json://127.0.0.1:{free_port()}/{SECRET}", f"nonsense://{SECRET}") as process:
        said, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "refused it or did not answer: attempt 1" in said
    assert SECRET not in said + errors
    assert errors == ""
