"""Evidently's page is made safe before it is saved: no script of a name or a category, no link of theirs."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.monitoring.drift.evidently import SignificanceRule, write
from ml_assets.monitoring.drift.feature import Kind
from ml_assets.monitoring.drift.inline_data import inert, secure_page
from ml_assets.monitoring.drift.samples import InMemory
from ml_assets.spec.drift import DriftSpec
from ml_assets_tests.browser import Elements, rendered
from ml_assets_tests.hostile_text import MARK, WORDS

_PLAIN = ("red", "green", "blue")


def _page(words: tuple[str, ...] | list[str]) -> str:
    """A page of Evidently's shape: its data stand in a script of its head."""
    data = json.dumps({"widgets": [*words]})
    return (
        f"\n<!DOCTYPE html>\n<html>\n<head>\n<style></style>\n<script>\n    var a = {data};\n    var b = {data};\n"
        "</script>\n</head>\n<body>\n<div></div>\n<script>var lib = '<div>'</script>\n<script>draw(a)</script>\n</body>"
    )


def _data(page: str) -> object:
    return json.loads(page.partition("var a = ")[2].partition(";\n    var b")[0])


def test_nothing_in_the_data_begins_or_ends_an_element() -> None:
    plain, hostile = (Elements(secure_page(_page(words), "few")).found for words in (_PLAIN, WORDS))
    assert [tag for tag, _ in hostile] == [tag for tag, _ in plain]
    assert _data(secure_page(_page(WORDS), "few")) == {"widgets": [*WORDS]}


@given(st.lists(st.text()))
def test_the_data_stay_what_they_are(words: list[str]) -> None:
    safe = secure_page(_page(words), "few")
    assert _data(safe) == {"widgets": words}
    assert Elements(safe).count("script") == 3


def test_the_browser_is_told_which_scripts_are_the_pages_own() -> None:
    policy = next(attrs["content"] for tag, attrs in Elements(secure_page(_page(_PLAIN), "few")).found if tag == "meta")
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert policy.count("'sha256-") == 3
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]


def test_a_page_of_another_shape_is_not_saved() -> None:
    with pytest.raises(ValueError, match="cannot be made safe"):
        secure_page(_page(_PLAIN).replace("    var a", "    let a"), "few")


@given(st.lists(st.text(st.sampled_from("<&ab\u200b;"), max_size=5), unique=True))
def test_labels_of_plots_stay_apart(words: list[str]) -> None:
    assert len({*map(inert, words)}) == len(words)


def _write(path: Path, words: tuple[str, ...]) -> str:
    rng = np.random.default_rng(1)
    rows = {word: pa.array(rng.choice(words, 300)) for word in words}
    rows |= {f"number {word}": pa.array(rng.normal(size=300)) for word in words[-3:]}
    sample, kinds = InMemory(pa.table(rows)), {name: _kind(name) for name in rows}
    scores = write(path, sample, sample, kinds, SignificanceRule(DriftSpec(), 0.01))
    assert scores is not None
    assert {name for name, _ in scores} == {*rows}
    return path.read_text()


def _kind(name: str) -> Kind:
    return "numeric" if name.startswith("number ") else "categorical"


@pytest.mark.slow
def test_no_script_or_link_of_a_stranger_is_in_evidentlys_page(tmp_path: Path) -> None:
    plain = Elements(_write(tmp_path / "plain.evidently.html", _PLAIN))
    hostile = tmp_path / "hostile.evidently.html"
    found = Elements(_write(hostile, WORDS))
    assert [tag for tag, _ in found.found] == [tag for tag, _ in plain.found]
    shown = rendered(hostile.as_uri(), tmp_path / "profile")
    assert "main-svg" in shown, "the plots are not drawn"
    assert MARK not in "".join(_titles(shown))
    assert "https://evil.example/" not in Elements(shown).links()
    assert not [link for link in Elements(shown).links() if link.startswith("javascript")]


def _titles(page: str) -> list[str]:
    return [part.partition("</title>")[0] for part in page.split("<title>")[1:]]
