"""Search over 100,000 generated documents: build, update, questions with filters, and how good the answers are.

The peers of the fused ranking are its own parts. `search_documents` makes the documents, `search_questions` what is
asked, with judgements that follow from how the documents were made.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import date, datetime
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from benchmarks.figure import Figure, figures
from benchmarks.process import PROJECT, call, say

if TYPE_CHECKING:
    from ml_assets.search.index import Filters, SearchIndex

P99 = 100.0  # ms
SAMPLE = 20_000
_SEED = 7
_ABOVE = 1e-6


def measure(quick: bool) -> list[Figure]:
    """Speed at the full size, quality at a fifth of it."""
    size, judged, each = (2_000, 2_000, 15) if quick else (100_000, 20_000, 100)
    return [*_speed(size, quick), *_quality(judged, each)]


def _speed(size: int, quick: bool) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        data, of = Path(folder), f"{size:,} documents"
        say(f"building an index of {of}")
        built = call("search:build", data, documents=size)
        asked = call("search:ask", data, documents=size, times=200 if quick else 1000)
        small = [call("search:change", data, documents=size, number=n, at=at) for at, n in enumerate((20, 20, 20), 1)]
        after = call("search:ask", data, documents=size, times=100 if quick else 500)
        large = call("search:change", data, documents=size, number=1000, at=9)
        killed = [_killed(data, size, share) for share in (0.2, 0.5, 0.9)]
    limit = None if quick else P99
    return [
        figures(f"search: generate and fit the embedder, {of}", "s", [built["fit"]]),
        figures(f"search: index {of}", "s", [built["index"]]),
        figures(f"search: index {of}, peak memory", "MiB", [built.peak]),
        figures(f"search: index on disk, {of} of {built['text']:.0f} MiB of text", "MiB", [built["mib"]]),
        figures(f"search: a question, {of}, median", "ms", [asked["p50"]]),
        figures(f"search: a question, {of}, p99", "ms", [asked["p99"]], limit=limit),
        figures(f"search: a question with filters, {of}, p99", "ms", [asked["filtered"]], limit=limit),
        figures(f"search: questions, {of}, peak memory", "MiB", [asked.peak]),
        figures("search: update of 20 documents, until they are found", "s", [run["seconds"] for run in small]),
        figures("search: a question after those updates, p99", "ms", [after["p99"]], limit=limit),
        figures("search: update of 1,000 documents, folded in", "s", [large["seconds"]]),
        figures("search: states after a kill that differ from one without", "", [float(sum(killed))], limit=0.0),
    ]


def _killed(data: Path, size: int, share: float) -> bool:
    """Kill an update part of the way; whether the next one ends differently from what was asked for."""
    arguments = f"import benchmarks.search as s; s.change(documents={size}, number=2000, at={int(100 * share)})"
    child = subprocess.Popen(
        [sys.executable, "-c", arguments], cwd=PROJECT, env={**os.environ, "ML_ASSETS_DATA": str(data)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(4 + 8 * share)
    child.send_signal(signal.SIGKILL)
    child.wait()
    return not call("search:change", data, documents=size, number=2000, at=int(100 * share))["right"]


def _quality(size: int, each: int) -> list[Figure]:
    say(f"judging answers on {size:,} documents")
    with tempfile.TemporaryDirectory() as folder:
        found = call("search:judge", Path(folder), documents=size, each=each)
    made = []
    for part in ("bm25", "vector"):
        low, high = found["difference"][part][1:]
        name = f"nDCG@10, hybrid (ours) against {part} alone (peer), {size:,} documents"
        made += [
            figures(name, "", [found["ndcg"]["hybrid"][0]], [found["ndcg"][part][0]]),
            figures(f"… the difference, 95 % interval up to {high:.3f}, from", "", [low], at_least=_ABOVE),
        ]
        made += [
            figures(f"… {kind}", "", [found["kinds"][kind]["hybrid"]], _shown(found["kinds"][kind][part]))
            for kind in found["kinds"]
        ]
    return made


def _shown(value: float) -> list[float]:
    """What a part alone reaches, unless that is nothing: a ratio to it would say nothing."""
    return [value] if value >= 0.01 else []


# --- in the measured processes


def build(documents: int) -> dict[str, Any]:
    """Fit an embedder and index everything, from nothing."""
    from benchmarks.search_documents import documents as made
    from benchmarks.search_documents import tables
    from ml_assets.search.embedding import fit

    started, letters = time.perf_counter(), 0

    def texts() -> Any:  # noqa: ANN401 - an iterator of strings
        nonlocal letters
        for document in made(documents, _SEED):
            letters += len(document.text)
            yield document.text

    embedder = fit(texts(), sample=SAMPLE)
    fitted = time.perf_counter()
    index().update(tables(documents, _SEED), embedder=embedder)
    ended = time.perf_counter()
    size = sum(path.stat().st_size for path in location().rglob("*") if path.is_file())
    return {"fit": fitted - started, "index": ended - fitted, "mib": size / 1024**2, "text": letters / 1024**2}


def ask(documents: int, times: int) -> dict[str, Any]:
    """Milliseconds of questions as they are asked, half of them with filters."""
    import numpy as np

    from benchmarks.search_documents import documents as made
    from benchmarks.search_questions import questions

    asked = [query.text for query in questions(list(made(min(documents, 5000), _SEED)), 100, _SEED)]
    rng, searched, plain, filtered = Random(_SEED), index(), list[float](), list[float]()  # noqa: S311 - data, not secrets
    for text in rng.sample(asked, 20):  # opens files, fills caches
        searched.search(text)
    for number in range(times):
        text, filters = rng.choice(asked), _filters(rng) if number % 2 else None
        started = time.perf_counter()
        found = searched.search(text, filters=filters, limit=10) if filters else searched.search(text, limit=10)
        (filtered if filters else plain).append(1000 * (time.perf_counter() - started))
        assert found.total or filters, text
    p50, p99 = np.percentile([*plain, *filtered], [50, 99])
    return {"p50": float(p50), "p99": float(p99), "filtered": float(np.percentile(filtered, 99))}


def _filters(rng: Random) -> "Filters":
    from ml_assets.search.index import Filters

    year = rng.randrange(2010, 2024)
    return rng.choice((
        Filters(labels=("lease", "amendment")),
        Filters(date_from=date(year, 1, 1), date_to=date(year, 6, 30)),
        Filters(party="Properties", kinds=("pdf",)),
        Filters(party=rng.choice(("Brenski", "talton", "Freight"))),
        Filters(amount_from=10_000, amount_to=12_000, labels=("invoice",)),
        Filters(received_from=datetime(year, 1, 1), received_to=datetime(year, 12, 31)),  # noqa: DTZ001
    ))  # fmt: skip


def change(documents: int, number: int, at: int) -> dict[str, Any]:
    """Change some documents; seconds until that shows, and whether all of it does and nothing else."""
    import pyarrow as pa

    from benchmarks.search_documents import tables
    from ml_assets.search.index_schema import DOCUMENTS

    searched, word = index(), f"zyx{'abcdefghij'[at // 10]}{'abcdefghij'[at % 10]}word"
    rows = next(iter(tables(min(number, documents), _SEED))).to_pylist()
    changed = [row | {"text": f"{row['text']} {word}", "fingerprint": f"{at} {row['fingerprint']}"} for row in rows]
    embedder = searched.embedder
    assert embedder is not None
    started = time.perf_counter()
    searched.update(pa.Table.from_pylist(changed, DOCUMENTS), embedder=embedder)
    found = searched.search(word, limit=100, mode="bm25")
    seconds = time.perf_counter() - started
    every = searched.search("", limit=1).total == documents
    return {"seconds": seconds, "right": every and found.total == min(100, len(changed))}


def judge(documents: int, each: int) -> dict[str, Any]:
    """nDCG@10 of each mode with intervals, paired differences, and means by kind of question."""
    from benchmarks.search_documents import documents as made
    from benchmarks.search_documents import tables
    from benchmarks.search_questions import questions
    from ml_assets.search.embedding import fit
    from ml_assets.search.relevance import evaluate

    truth = list(made(documents, _SEED))
    searched = index()
    searched.update(tables(documents, _SEED), embedder=fit((d.text for d in truth), sample=SAMPLE))
    asked = questions(truth, each, _SEED + 1)
    found = {mode: evaluate(searched, asked, mode=mode) for mode in ("hybrid", "bm25", "vector")}
    kinds = dict.fromkeys(query.kind for query in asked)
    return {
        "ndcg": {mode: _plain(each_.mean("ndcg")) for mode, each_ in found.items()},
        "difference": {part: _plain(found["hybrid"].minus(found[part], "ndcg")) for part in ("bm25", "vector")},
        "kinds": {k: {mode: each_.mean("ndcg", kind=k).estimate for mode, each_ in found.items()} for k in kinds},
    }


def _plain(interval: Any) -> list[float]:  # noqa: ANN401 - an Interval
    return [interval.estimate, interval.low, interval.high]


def location() -> Path:
    """Where the measured index lies."""
    return Path(os.environ["ML_ASSETS_DATA"]) / "search"


def index() -> "SearchIndex":
    """The measured index."""
    from ml_assets.search.index import SearchIndex

    return SearchIndex(location())
