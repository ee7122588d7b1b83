"""No secret of a URL is shown, whatever quotes it: every form, every output, every setting."""

import json
import logging
import time

import pytest

from ml_assets import redaction
from ml_assets.errors import DataError
from ml_assets.redaction import redact, redact_logs, redacted_json, remember

FORMS = {
    "http://mlf:TOPSECRET@127.0.0.1:9/api failed": "http://127.0.0.1:9/api failed",
    "HTTP://TOPSECRET@HOST": "HTTP://HOST",
    "postgresql+psycopg://u:TOP/S?C#@R:ET@h:5432/db?sslmode=require": "postgresql+psycopg://h:5432/db?sslmode=require",
    "postgresql://u:TOPSECRET@/db?host=/var/run": "postgresql:///db?host=/var/run",
    "redis://:TOPSECRET@h/0, redis://a:TOPSECRET@b and redis://c": "redis://h/0, redis://b and redis://c",
    "redis://u:TOPSECRET@h1,redis://u:TOPSECRET@h2": "redis://h1,redis://h2",
    "http://u:TOPSECRET@[::1]:8000/p@x": "http://x",
    "http://u:80TOPSECRET@h": "http://h",
    "http://u:12345@h": "http://h",
    "http%3A%2F%2Fu%3ATOPSECRET%40host%2Fx%3Ftoken%3DTOPSECRET%26page%3D2":
        "http%3A%2F%2Fhost%2Fx%3Ftoken%3D***%26page%3D2",
    "host=db password='TOP SECRET' dbname=y": "host=db password='***' dbname=y",
    "host=db password=TOPSECRET dbname=y": "host=db password=*** dbname=y",
    "postgresql://h/db?user=x&password=TOPSECRET&sslpassword=TOPSECRET#TOPSECRET":
        "postgresql://h/db?user=x&password=***&sslpassword=***#***",
    "http://h/?api_key=TOPSECRET;page=1": "http://h/?api_key=***;page=1",
    "http://h/#access_token=TOPSECRET": "http://h/#***",
    '{"password": "TOPSECRET", "a": 1}': '{"password": "***", "a": 1}',
    r'{"error": "{\"password\": \"TOPSECRET\"}"}': r'{"error": "{\"password\": \"***\"}"}',
    "{'password': 'TOPSECRET'}": "{'password': '***'}",
    "s3://b/x?X-Amz-Credential=TOP/SECRET&X-Amz-Signature=TOPSECRET": "s3://b/x?X-Amz-Credential=***&X-Amz-Signature=***",
    "AWS_SECRET_ACCESS_KEY=TOPSECRET of AKIAABCDEFGHIJKLMNOP": "AWS_SECRET_ACCESS_KEY=*** of ***",
    "Authorization: Basic TOPSECRET": "Authorization: Basic ***",
    "(b'authorization', b'Bearer TOPSECRET')": "(b'authorization', b'Bearer ***')",
    "mailto://u:TOPSECRET@smtp.example": "mailto://smtp.example",
    "https://hooks.slack.com/services/T1/B2/TOPSECRET": "https://hooks.slack.com/services/***",
    "a token mla_Zm9vYmFyZm9vYmFyZm9vYmFy": "a token ***",
}  # fmt: skip
PLAIN = [
    "http://host:8080/path@v1", "http://[::1]:8000/p@x", "https://github.com/a/b@main", "sqlite:////tmp/x/events.db",
    "http://127.0.0.1:5000/#/experiments/1/runs/run1", "is encrypted with a password: save it without one",
    "passed=True, assigned=3, tokens=4, design=4, author=me", "URL 1 of 2 (mailto://) refused it",
    "send Authorization: Bearer <token>; `ml-assets token add NAME` makes one", "the token 'app' is good for predict",
    "a@b.c wrote to http://h:80, d@e.f", "feature set churn@1a2b3c", 'password authentication failed for user "x"',
]  # fmt: skip


@pytest.mark.parametrize("text", FORMS)
def test_a_secret_is_left_out_and_the_rest_is_not(text: str) -> None:
    assert redact(text) == FORMS[text]
    assert redact(f"{text} {text}\n'{text}'") == f"{FORMS[text]} {FORMS[text]}\n'{FORMS[text]}'"
    assert redact(FORMS[text]) == FORMS[text]
    assert json.loads(redacted_json(json.dumps({"a": [text]}))) == {"a": [FORMS[text]]}


@pytest.mark.parametrize("text", PLAIN)
def test_what_holds_no_secret_is_left_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_a_hostile_text_takes_no_longer_than_its_length() -> None:
    began = time.process_time()
    for part in ("://a", "a:", "://", "%3A%2F%2F", "password='", "://a:", "://u:p@", "password=\\\\", "authorization:"):
        redact(f"://{part * 5_000}")
        redact(f"{part * 5_000}@#")
    assert time.process_time() - began < 10


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_known", {})


@pytest.mark.usefixtures("known")
def test_a_secret_that_is_known_is_left_out_wherever_it_stands() -> None:
    """Such as Python's `nonnumeric port`, which quotes half a URL."""
    remember(
        "http://me:TOP%20SECRET@host:9", "redis://h:6379/0?password=QUERYSECRET", "postgresql://postgres:postgres@h/db"
    )
    remember("http://host:8080/path@there", "sqlite:////data/a@b.db", "http://me:short@h", None)
    for text in ("'TOP SECRET@host:9'", "'TOP%20SECRET@host:9'", "bWU6VE9QIFNFQ1JFVA==", "QUERYSECRET"):
        assert "***" in redact(text), text
    assert redact("postgres on host:8080/path, short") == "postgres on host:8080/path, short"


def test_an_error_of_ours_quotes_no_secret_however_it_came_to_it() -> None:
    error = DataError("http://me:TOPSECRET@host is away")
    assert str(error) == "http://host is away"
    assert "TOPSECRET" not in repr(error)


def fail() -> None:
    raise ValueError("http://me:TOPSECRET@host") from KeyError("password=TOPSECRET")


def test_logs_and_their_tracebacks_hold_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    before, log = logging.getLogRecordFactory(), logging.getLogger("anybody")
    redact_logs()
    redact_logs()
    try:
        fail()
    except ValueError:
        log.exception("%s of %s", "http://me:TOPSECRET@host", "a host")
    finally:
        log.warning("as %s it is, 100 %%", "plain")
        logging.setLogRecordFactory(before)
    assert "http://host of a host" in caplog.text
    assert "ValueError: http://host" in caplog.text
    assert "as plain it is, 100 %" in caplog.text
    assert "TOPSECRET" not in caplog.text
