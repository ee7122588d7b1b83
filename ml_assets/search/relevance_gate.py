"""The relevance of the search: questions made from what is known of them, asked of the search and of its parts.

Two sorts. *Known item*: some words of a document, without their order, as one who has read it remembers them. *Topic*:
a class and a party; a document of both is meant, one of the party alone is related. They are a function of the
documents, so the numbers of two states of an index can be compared where its documents are the same.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args
from zlib import crc32

from ml_assets.decisions.interval import Interval
from ml_assets.search.fusion import Mode
from ml_assets.search.index import SearchIndex
from ml_assets.search.relevance import JudgedQuestion, evaluate
from ml_assets.search.sync import bind_views
from ml_assets.storage.files import write_whole
from ml_assets.storage.lake import Lake

if TYPE_CHECKING:
    from ml_assets.spec.model import DocumentsSpec
    from ml_assets.training.definition import ModelDefinition

QUESTIONS = 40
"""Documents that are asked for; each gives at most one question of each sort."""

_KEPT = "relevance.json"
_NUMBERS = ("ndcg", "mrr", "gains")
_FEWEST = 10  # questions, for an interval
_REMEMBERED = 6
_WORD = re.compile("[a-z]{4,}")
_ASKED = """
    SELECT document_id, label, parties, text FROM documents WHERE text <> ''
    ORDER BY hash(document_id), document_id LIMIT $most
"""
_PARTIES = "SELECT DISTINCT document_id, label, lower(unnest(parties)) AS party FROM documents"


@dataclass(frozen=True)
class Relevance:
    """What the questions came to.

    Args:
        questions: how many.
        ndcg: of the first ten, of each mode, with its interval.
        mrr: the same of the reciprocal rank.
        gains: hybrid minus each part, of nDCG.
    """

    questions: int
    ndcg: Mapping[str, Interval]
    mrr: Mapping[str, Interval]
    gains: Mapping[str, Interval]

    def passes(self, least: float) -> bool:
        """Whether hybrid reaches `least` nDCG, and no part is better beyond chance."""
        enough = not self.questions or self.ndcg["hybrid"].estimate >= least
        return enough and all(gain.high >= 0 for gain in self.gains.values())

    def rows(self) -> list[dict[str, Any]]:
        """For a table."""
        return [{"mode": mode, "ndcg": _shown(each), "mrr": _shown(self.mrr[mode])} for mode, each in self.ndcg.items()]


def relevance(lake: Lake, folder: "ModelDefinition", spec: "DocumentsSpec", location: Path) -> Relevance:
    """Ask the index, once in each state; fewer than ten questions say nothing, and the answer is empty.

    Args:
        lake: the tables.
        folder: the model.
        spec: what it declares of its documents.
        location: where the index stands.
    """
    index, path = SearchIndex(location), location / _KEPT
    report = _held(path, index.serial)
    if report is None:
        report = _asked(index, questions(lake, folder, spec))
        _keep(path, index.serial, report)
    return report


def _asked(index: SearchIndex, asked: Sequence[JudgedQuestion]) -> Relevance:
    if len(asked) < _FEWEST:
        return Relevance(0, {}, {}, {})
    evaluations = {mode: evaluate(index, asked, mode=mode) for mode in get_args(Mode)}
    return Relevance(
        len(asked),
        {mode: each.mean("ndcg") for mode, each in evaluations.items()},
        {mode: each.mean("mrr") for mode, each in evaluations.items()},
        {mode: evaluations["hybrid"].minus(each, "ndcg") for mode, each in evaluations.items() if mode != "hybrid"},
    )


def _held(kept: Path, serial: int) -> Relevance | None:
    """What the same state of the index came to before."""
    try:
        content = json.loads(kept.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if content["serial"] != serial:
        return None
    report = content["relevance"]
    intervals = {name: {key: Interval(**each) for key, each in report[name].items()} for name in _NUMBERS}
    return Relevance(report["questions"], **intervals)


def _keep(kept: Path, serial: int, found: Relevance) -> None:
    write_whole(kept, json.dumps({"serial": serial, "relevance": asdict(found)}))


def questions(lake: Lake, folder: "ModelDefinition", spec: "DocumentsSpec") -> list[JudgedQuestion]:
    """The questions that the documents of the lake give, in one order."""
    with lake.connect() as connection:
        bind_views(lake, connection, folder, spec)
        rows = connection.sql(_ASKED, params={"most": QUESTIONS}).to_arrow_table().to_pylist()
        parties = connection.sql(_PARTIES).to_arrow_table().to_pylist()
    return [question for row in rows for question in (*_known(row), *_topic(row, parties))]


def _known(row: Mapping[str, Any]) -> Iterator[JudgedQuestion]:
    """Every second word of a stretch that the document's id chooses."""
    words = _WORD.findall(row["text"].lower())
    if len(words) >= 4 * _REMEMBERED:
        start = crc32(row["document_id"].encode()) % (len(words) - 2 * _REMEMBERED)
        yield JudgedQuestion(
            " ".join(words[start : start + 2 * _REMEMBERED : 2]), {row["document_id"]: 3}, "known item"
        )


def _topic(row: Mapping[str, Any], named: Sequence[Mapping[str, Any]]) -> Iterator[JudgedQuestion]:
    party = next((name.lower() for name in row["parties"] or ()), None)
    if party and row["label"]:
        related = [each for each in named if each["party"] == party]
        grades = {each["document_id"]: 2 if each["label"] == row["label"] else 1 for each in related}
        yield JudgedQuestion(f"{row['label'].replace('_', ' ')} {party}", grades, "topic")


def _shown(found: Interval) -> str:
    one, low, high = asdict(found).values()
    return f"{one:.3f} ({low:.3f} to {high:.3f})"
