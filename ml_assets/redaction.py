"""What of a text may be shown: no user, password, token or key of a URL, whoever quoted it.

Errors, logs, tracebacks, Dagster's events, answers of the server and what commands print all go through `redact`.
"""

import base64
import json
import logging
import re
import traceback
from typing import Any
from urllib.parse import quote, unquote

HIDDEN = "***"
_SHORTEST = 8  # characters of a secret that is looked for by itself: a shorter one is part of too many words

_BEGIN = r"(?::|%3A)(?:/|%2F){2}"
_REST = rf"(?:(?!{_BEGIN})[^\s\"'<>\\])"  # of a URL, up to the next one: what repeats it takes no longer than the text
_NAME = rf"(?:(?!{_BEGIN})[^\s\"'<>\\/?#@])"
# `//user:password@`, also percent-encoded. A password may hold what ought to be encoded; a port is none.
_USER = re.compile(
    rf"({_BEGIN})(?:[^\s\"'<>\\/?#@:\[]{{0,300}}:(?!\d{{1,5}}(?:[/?#,]|\b(?!{_REST}*@))){_REST}*|{_NAME}*)(?:@|%40)",
    re.IGNORECASE,
)
_FRAGMENT = re.compile(rf"(://(?:(?!#){_REST})*)#(?!/){_REST}+")  # `#/…` is a page of MLflow's UI
# `password=…` of a query or a DSN, `"password": "…"` of JSON, which may itself be within a text of JSON.
_NAMED = re.compile(
    r"((?:password|passwd|passphrase|secret|token|apikey|(?:access|account|api|private|secret|sas)[_-]?key(?:[_-]?id)?"
    r"|(?<![a-z])(?:pass|pwd|auth|sig|signature|credentials?))(?:\\*[\"']?\s*(?:=|%3D)|\\*[\"']\s*:)\s*)"
    r"(?:(?P<mark>\\*[\"'])(?:(?!(?P=mark))[^\n])*(?P=mark)|(?![=\"'])(?:(?!%26)[^\s&;,\"'<>()\[\]{}#|\\])+)",
    re.IGNORECASE,
)
_HEADER = re.compile(r"(authorization[\"']?\s*[:=,]\s*b?[\"']?(?:basic|bearer)\s+)[\w+/=.~-]{6,}", re.IGNORECASE)
_HOOK = re.compile(
    r"(hooks\.slack\.com/services/|discord(?:app)?\.com/api/webhooks/|api\.telegram\.org/bot)[^\s\"'<>\\]+"
)
_KEY = re.compile(r"\bmla_[\w-]{20,}|\bA(?:KI|SI)A[0-9A-Z]{16}\b")

_known: dict[str, None] = {}


def redact(text: str) -> str:
    """The text without the secrets of its URLs, and without those that `remember` was told.

    >>> redact("http://me:secret@host/x?token=abc&page=2 and host=db password=abc")
    'http://host/x?token=***&page=2 and host=db password=***'
    """
    for secret in _known:
        text = text.replace(secret, HIDDEN)
    return _without_urls(text)


def redacted_json(text: str) -> str:
    """A text of JSON whose own texts are without the secrets of URLs; no other word of it is touched."""
    return text if _without_urls(text) == text else json.dumps(_within(json.loads(text)))


def _without_urls(text: str) -> str:
    text = _USER.sub(r"\1", text)
    text = _FRAGMENT.sub(rf"\1#{HIDDEN}", text)
    text = _NAMED.sub(lambda found: f"{found[1]}{found['mark'] or ''}{HIDDEN}{found['mark'] or ''}", text)
    for pattern in (_HEADER, _HOOK):
        text = pattern.sub(rf"\g<1>{HIDDEN}", text)
    return _KEY.sub(HIDDEN, text)


def remember(*urls: str | None) -> None:
    """Never show the secrets of these URLs, also where something quotes them without their URL."""
    for url in urls:
        _known.update(dict.fromkeys(sorted(_secrets(url or ""), key=len, reverse=True)))


def redact_logs() -> None:
    """Redact what this process logs from now on, tracebacks too, whoever logs and wherever it goes."""
    before = logging.getLogRecordFactory()
    if not isinstance(before, _Factory):
        logging.setLogRecordFactory(_Factory(before))


class _Factory:
    """Makes records of a log."""

    def __init__(self, make: Any) -> None:  # noqa: ANN401 - as the standard library's own type has it
        self._make = make

    def __call__(self, *args: Any, **more: Any) -> logging.LogRecord:  # noqa: ANN401 - the same
        record: logging.LogRecord = self._make(*args, **more)
        message = record.getMessage()
        if (safe := redact(message)) != message:
            record.msg, record.args = safe, ()
        if record.exc_info and record.exc_info[1] is not None:
            quoted = "".join(traceback.format_exception(record.exc_info[1])).rstrip()
            record.exc_text = safe if (safe := redact(quoted)) != quoted else None
        return record


def _within(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    if isinstance(value, str):
        return _without_urls(value)
    if isinstance(value, list):
        return [_within(part) for part in value]
    return {key: _within(part) for key, part in value.items()} if isinstance(value, dict) else value


def _secrets(url: str) -> set[str]:
    """The password of a URL and the secrets of its query, as they may be written."""
    login_match = re.match(r"[^:/]+://([^:@/]*):(.+)@", url)
    login = login_match.groups() if login_match and not re.match(r"\d{1,5}[/?]", login_match[2]) else None
    plain = {login[1]} if login else set()
    plain |= {value for value in re.findall(r"[?&][^=&]*=([^&#]*)", url) if f"={value}" not in redact(url)}
    forms = {form for value in plain for form in (value, unquote(value), quote(unquote(value), safe=""))}
    if login:
        forms.add(base64.b64encode(f"{unquote(login[0])}:{unquote(login[1])}".encode()).decode())
    rest = redact(url)
    return {secret for secret in forms if len(secret) >= _SHORTEST and secret not in rest}
