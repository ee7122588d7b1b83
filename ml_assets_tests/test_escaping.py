"""Text of strangers stays text: in Markdown as a parser of its own reads it, in chats, at terminals."""

import ast
import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from markdown_it import MarkdownIt
from markdown_it.token import Token

from ml_assets.alerts.message import message
from ml_assets.alerts.outbox import Alert
from ml_assets.components.metadata import ROWS, check_result, picture, table
from ml_assets.decisions.alert import Kind, Severity
from ml_assets.escaping import html, markdown, printable
from ml_assets.escaping import message as one_line
from ml_assets.settings import PROJECT
from ml_assets_tests.hostile_text import WORDS

_PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
# What GitHub's Markdown makes a link of, wherever it stands in a text (mdast-util-gfm-autolink-literal).
_AUTOMATIC = re.compile(r"(https?://|www(?=\.))([-.\w]+)|([-.\w+]+)@([-\w]+(\.[-\w]+)+)", re.IGNORECASE)
_MARKUP = (
    "![x](/graphql?query=mutation{stopSensor(id:1)})",
    "[a](https://evil.example/)",
    "[a][b]",
    "<https://evil.example/>",
    "https://evil.example/?a=b",
    "WWW.evil.example",
    "somebody@evil.example",
    "<img src=x onerror=alert(1)>",
    "```\ncode",
    "~~~",
    "`a` ``b``",
    "# heading",
    "- list",
    "12. list",
    "> quoted",
    "===",
    "---",
    "***a*** __b__ ~~c~~ _d_",
    "a | b",
    "a\\",
    "\\[a](b)",
    "\\\\[a](b)",
    "    code",
    "&lt;b&gt; &#60;",
    "[a]: https://evil.example/",
    "a\r\n\r\n# b",
    "a\x0b\x85\u2028# b",
    *WORDS,
)
_ANY = st.text(st.characters(exclude_categories=[]) | st.sampled_from("![]()<>*_`~|\\&#-+=:/@.w1 \n"), max_size=40)
_PLAIN = {"paragraph_open", "paragraph_close", "inline", "text", "text_special"}
_PARTS = ("table", "thead", "tbody", "tr", "th", "td")
_TABLE = _PLAIN | {f"{name}_{end}" for name in _PARTS for end in ("open", "close")}


def _tokens(source: str) -> Iterator[Token]:
    for token in _PARSER.parse(source):
        yield token
        yield from token.children or ()


def _text(source: str) -> str:
    """What is read, without the spaces of no width."""
    return "".join(token.content for token in _tokens(source) if token.type.startswith("text")).replace("\u200b", "")


def _as_line(text: str) -> str:
    return printable(" ".join(text.split()), keep="").replace("\u200b", "")


@given(_ANY)
def test_markdown_shows_any_text_and_nothing_else(text: str) -> None:
    _assert_shown(text)


@pytest.mark.parametrize("text", _MARKUP)
def test_markdown_shows_markup_as_text(text: str) -> None:
    _assert_shown(text)
    _assert_in_a_table(text)


def _assert_shown(text: str) -> None:
    shown = markdown(text)
    assert {token.type for token in _tokens(shown)} <= _PLAIN, shown
    assert _text(shown) == _as_line(text)
    assert not any(_AUTOMATIC.search(token.content) for token in _tokens(shown) if token.type == "text")


@given(_ANY)
def test_a_table_has_the_cells_that_it_was_given(text: str) -> None:
    _assert_in_a_table(text)


def _assert_in_a_table(text: str) -> None:
    shown = table([{"file": text, text + "2": 1, "last": "end"}]).value
    assert shown is not None
    tokens = list(_tokens(shown))
    assert {token.type for token in tokens} <= _TABLE, shown
    cells = [_text_of(token) for before, token in pairwise(tokens) if before.type == "td_open"]
    assert cells == [_as_line(text), "1", "end"]


def _text_of(inline: Token) -> str:
    return "".join(child.content for child in inline.children or ()).replace("\u200b", "")


def test_the_description_of_a_result_is_text_and_a_picture_is_one_picture() -> None:
    said = check_result("any", passed=False, description=_MARKUP[0]).description
    assert said == markdown(_MARKUP[0])
    assert check_result("any", passed=True).description is None
    kinds = [token.type for token in _tokens(picture(b"png", "](x) ![y](z)").value or "")]
    assert kinds.count("image") == 1


def _calls(name: str) -> Iterator[tuple[Path, ast.Call]]:
    """Every call of a function or method of that name in the project."""
    for path in (PROJECT / "ml_assets").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == name:
                yield path, node


@pytest.mark.parametrize("name", ["md", "AssetCheckResult", "MarkdownMetadataValue"])
def test_what_dagster_takes_for_markdown_is_made_in_one_file(name: str) -> None:
    found = {path.name for path, _ in _calls(name)}
    assert found <= {"metadata.py"}, f"{name}(…) of text that is not escaped: use components/metadata.py"


def test_the_error_of_a_folder_is_escaped_where_it_becomes_a_description() -> None:
    for path, call in _calls("AssetSpec"):
        said = next(ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg == "description")
        assert said.startswith("markdown("), f"{path}: {said}"


@given(_ANY)
@example("\x1b[2J\x1b]0;title\x07 \x9b31m \r\b \u202egnp.exe \u2066 \u200f \ufeff \udcff")
def test_nothing_printable_moves_a_cursor_or_turns_the_direction(text: str) -> None:
    shown = printable(text)
    assert {unicodedata.category(sign) for sign in shown if sign not in "\n\t\u200c\u200d"} <= _VISIBLE
    shown.encode()


_VISIBLE = {
    "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm",
    "Sc", "Sk", "So", "Zs", "Cn", "Co",
}  # fmt: skip


def test_what_people_write_is_left_as_it_is() -> None:
    for text in ("café, naïve, Ünïcode €", "日本語 ไทย עברית", "👩‍👩‍👧 می‌خواهم", "a\u00a0b"):
        assert printable(text) == text
    assert markdown("days_since_last 0.5 (of 3)") == "days_since_last 0.5 (of 3)"


# What Discord, Slack and Telegram make of a plain text, beside addresses.
_CALLS = re.compile(r"@(everyone|here|channel|\w)|<([@#!:]|/?[a-z]+:)|\]\(|```")


@pytest.mark.parametrize(
    "text",
    [
        "@everyone look", "@here", "<@123456>", "<@&1>", "<#1>", "<!channel>", "<!subteam^1>", "</open:1>", "<t:1:R>", "<https://e.example|a>",
        "[a](https://e.example/)", "```", "somebody@evil.example", "https://evil.example/", "a\r\nBcc: b@evil.example",
        "\x1b[31m",
    ],
)  # fmt: skip
def test_an_alert_of_an_error_calls_nobody_and_links_to_nothing(text: str) -> None:
    body = _alert(f"run 1 of churn failed: {text}", None)
    said = body.partition("\n")[0]
    assert not _CALLS.search(said)
    assert not _AUTOMATIC.search(said)
    assert said.replace("\u200b", "") == f"CRITICAL churn: run 1 of churn failed: {_as_line(text)}"
    assert body.count("\n") == 1


def test_a_table_of_thousands_of_rows_says_how_many_are_not_shown() -> None:
    shown = str(table([{"file": "a", "column": f"c{number}"} for number in range(ROWS + 1_234)]).value)
    assert shown.count("\n| a | ") == ROWS
    assert shown.endswith("… and 1,234 more")


def test_an_alert_of_a_rule_may_name_the_page_to_look_at() -> None:
    body = _alert("@here see https://wiki.example/drift", "psi_plan")
    assert "see https://wiki.example/drift\n" in body
    assert "@here" not in body
    assert one_line("see https://wiki.example") != "see https://wiki.example"


def _alert(text: str, metric: str | None) -> str:
    at = datetime(2026, 6, 7)  # noqa: DTZ001 - naive UTC, as in the lake
    alert = Alert("churn", "1", None, "any", metric, Kind.FIRED, Severity.CRITICAL, None, None, text, "", at)
    return message([alert]).body


def test_html_shows_what_it_is_given_as_text_and_keeps_what_it_has_made() -> None:
    inner = html("ml_assets.monitoring.drift", "banner.html", banner="<b>&")
    assert "&lt;b&gt;&amp;</p>" in inner
    assert inner in html("ml_assets.features", "catalog.html", names=[], rows=[[("view", inner)]])
    with pytest.raises(UndefinedError, match="banner"):
        html("ml_assets.monitoring.drift", "banner.html")
