"""The page that a person opens: small, whole, and nothing in it but what was measured."""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.monitoring.drift import attribution, score_drift
from ml_assets.monitoring.drift.compare import drift
from ml_assets.monitoring.drift.page import DriftPage, render, write
from ml_assets.monitoring.drift.score_drift import EntityScores
from ml_assets.monitoring.html_files import EVIDENTLY, prune
from ml_assets.spec.drift import DriftSpec
from ml_assets_tests.browser import Elements, rendered
from ml_assets_tests.hostile_text import WORDS

_HOSTILE = '<script>alert("1")</script>&\''


class _Tags(HTMLParser):
    """Every tag with its attributes, and all text; an element that is never closed stays open."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.open = "", list[str]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def _table(features: int, *, words: list[str], shift: float = 0, seed: int = 1) -> pa.Table:
    rng = np.random.default_rng(seed)
    numbers = {f"number_{i}": rng.normal(size=400) + shift * (i == 3) for i in range(features)}
    return pa.table({**numbers, _HOSTILE: rng.choice(words, 400)})


def _page(features: int = 4, words: list[str] | None = None, shift: float = 1) -> DriftPage:
    chosen = words or ["a", "b", _HOSTILE]
    before, after = (_table(features, words=chosen, shift=shift * n, seed=n) for n in (0, 1))
    found = drift(before, after, before.column_names[:-1], [_HOSTILE], DriftSpec())
    rng = np.random.default_rng(3)
    samples = [EntityScores(rng.beta(2, 5, 300), np.arange(300)) for _ in range(2)]
    scores = score_drift.compare(samples[0], samples[1], 0.4, DriftSpec()), score_drift.score_histogram(*samples)
    leant = attribution.compare(dict.fromkeys(found.features, 1.0), dict.fromkeys(found.features, 1.0), 0.9)
    return DriftPage(found, DriftSpec(), f"Drift of {_HOSTILE}", "the training sample", scores, leant, f"x{EVIDENTLY}")


def test_the_page_says_what_was_compared_and_what_came_of_it() -> None:
    text = _Tags(render(_page())).text
    for said in (
        "1 of 5 features drifted: number_3",
        "the training sample, 400 rows",
        "400 rows of the reference, 400 current ones",
        "ndcg 1 ≥ 0.9",
        "share from 0.4",
    ):
        assert said in text
    assert text.index("number_3", text.index("the most severe first")) < text.index("number_0", text.index("severe"))
    assert "No feature drifted" in _Tags(render(_page(shift=0))).text


def test_whatever_a_name_or_category_holds_is_text() -> None:
    found = _Tags(render(_page()))
    assert found.open == []
    assert "script" not in [tag for tag, _ in found.tags]
    assert _HOSTILE in found.text


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=15, unique=True))
def test_no_category_breaks_the_page(words: list[str]) -> None:
    assert _Tags(render(_page(1, words))).open == []


def test_the_page_needs_nobody_else() -> None:
    """No script, no font, no picture from elsewhere; the one link is to the file beside it."""
    found = _Tags(render(_page()))
    assert not {tag for tag, _ in found.tags} & {"script", "link", "img", "iframe", "object", "image", "use"}
    assert [attrs["href"] for _, attrs in found.tags if "href" in attrs] == [f"x{EVIDENTLY}"]
    assert not any("src" in attrs for _, attrs in found.tags)


def test_every_picture_says_what_it_shows() -> None:
    found = _Tags(render(_page())).tags
    pictures = [index for index, (tag, _) in enumerate(found) if tag == "svg"]
    assert len(pictures) == 5 + 2
    for index in pictures:
        assert found[index][1]["role"] == "img"
        assert [tag for tag, _ in found[index + 1 : index + 3]] == ["title", "desc"]


def test_thirty_five_features_fit_into_a_quarter_of_a_megabyte(tmp_path: Path) -> None:
    write(tmp_path / "page.html", _page(35, [f"a rather long category {number}" for number in range(200)]))
    assert (tmp_path / "page.html").stat().st_size < 250_000


def test_a_page_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "page.html", _page())
    before = (tmp_path / "page.html").read_text()

    def full(path: Path, content: str, encoding: str) -> int:
        path.write_bytes(content[:100].encode(encoding))
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="no space"):
        write(tmp_path / "page.html", _page(shift=0))
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert (tmp_path / "page.html").read_text() == before


def test_the_two_kinds_of_pages_are_counted_apart(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.html").touch()
        (tmp_path / f"{number}{EVIDENTLY}").touch()
    assert [path.name for path in prune(tmp_path, keep=2)] == ["0.html"]
    assert [path.name for path in prune(tmp_path, keep=1, evidently=True)] == [f"{n}{EVIDENTLY}" for n in (0, 1)]
    assert {path.name for path in tmp_path.iterdir()} == {"1.html", "2.html", f"2{EVIDENTLY}"}


@pytest.mark.slow
def test_nothing_runs_in_a_real_browser(tmp_path: Path) -> None:
    hostile, numbers = list(WORDS), np.arange(400) % len(WORDS)
    sample = pa.table({word: pa.array([hostile[n] for n in numbers]) for word in hostile})
    write(
        tmp_path / "page.html", DriftPage(drift(sample, sample, [], hostile, DriftSpec()), DriftSpec(), title=WORDS[0])
    )
    shown = rendered((tmp_path / "page.html").as_uri(), tmp_path / "profile")
    assert Elements(shown).count("script") == Elements(shown).count("a") == 0
    assert Elements(shown).count("svg") == len(WORDS)
    assert WORDS[0] in _Tags(shown).text
