"""OCR of pages whose text is known: four born-digital PDFs, rendered at 200 dots an inch, clean and spoilt.

The truth is the PDF's own text layer. Word accuracy is the share of its words that were found, as a multiset: a word
is a run of letters and digits with its case, words broken at the end of a line are joined, and order does not count,
because that of a text layer is the order of drawing. Words that are not there count against the F1 of words. Every page
is spoilt the same way in every run: tilted by up to 3°, blurred, speckled and faded.

Tesseract reads the same files, if it is installed (`apt-get install tesseract-ocr`); else its column stays empty.
"""

import os
import re
import resource
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.figure import Figure, figures
from benchmarks.process import PROJECT, call, say

DOTS, THREADS = 200, 2
SPOILT = {"tilt": 3.0, "blur": 0.8, "speckle": 0.005, "ink": 80, "paper": 190}
PROMISED = {"clean": 97.0, "noised": 90.0}
SECONDS = 2.0  # a page
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_LEAST_WORDS = 20  # pages with fewer are left out


def measure(quick: bool) -> list[Figure]:
    """Accuracy, seconds and memory on the clean pages and on the noised ones."""
    documents = Path(os.environ.get("ML_ASSETS_SHARED_DATA", PROJECT.parent / "shared" / "data")) / "documents"
    if not (documents / "pdf").is_dir():
        say("no documents/pdf below ML_ASSETS_SHARED_DATA: nothing to read")
        return []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        call("reading:draw", data, documents=str(documents), folder=folder, most=2 if quick else 1000)
        return [
            *(figure for kind in PROMISED for figure in _figures(data, kind, quick)),
            *_scan(data, documents / "scan"),
        ]


def _figures(data: Path, kind: str, quick: bool) -> list[Figure]:
    say(f"{kind} pages")
    ours = call("reading:read", data, folder=str(data / kind))
    peer = _tesseract(data / kind)
    accuracy, seconds = (None, None) if quick else (PROMISED[kind], SECONDS)
    pages = len(ours["seconds"])
    return [
        figures(f"{kind}, {pages} pages: words found", "%", [ours["found"]], at_least=accuracy),
        figures(f"{kind}: words found, against Tesseract", "%", [ours["found"]], peer.get("found", ())),
        figures(f"{kind}: F1 of words, against Tesseract", "%", [ours["f1"]], peer.get("f1", ())),
        figures(f"{kind}: the worst page, words found", "%", [ours["worst"]], peer.get("worst", ())),
        figures(f"{kind}: a page, median", "s", [median(ours["seconds"])], (), seconds),
        figures(f"{kind}: a page, mean", "s", [float(np.mean(ours["seconds"]))], (), seconds),
        figures(
            f"{kind}: a page, mean, against Tesseract", "s", [float(np.mean(ours["seconds"]))], peer.get("seconds", ())
        ),
        figures(f"{kind}: a page, mean, processor time", "s", [ours["cpu"]], peer.get("cpu", ())),
        figures(f"{kind}: peak memory", "MiB", [ours.peak]),
    ]


def _scan(data: Path, folder: Path) -> list[Figure]:
    """The genuine scan, whose words nobody has typed: how much of it is English that the born-digital files know."""
    files = sorted(folder.glob("*.pdf"))
    if not files:
        return []
    say("the genuine scan")
    read = call("reading:scan", data, file=str(files[0]), folder=str(data))
    return [
        figures(f"genuine scan, {read['pages']} pages: confidence", "%", [read["confidence"]]),
        figures("genuine scan: words that the born-digital files hold too", "%", [read["known"]]),
        figures("genuine scan: a page, mean", "s", [read["seconds"]]),
    ]


def draw(documents: str, folder: str, most: int) -> dict[str, Any]:
    """Write `clean/<page>.png`, `noised/<page>.png` and the text of each page beside them."""
    import pypdfium2
    from PIL import Image

    rng = np.random.default_rng(7)
    for kind in PROMISED:
        (Path(folder) / kind).mkdir()
    count = 0
    for file in sorted(Path(documents, "pdf").glob("*.pdf")):
        with pypdfium2.PdfDocument(file) as pdf:
            for number, page in enumerate(list(pdf)[:most]):
                truth = page.get_textpage().get_text_bounded()
                if len(words(truth)) < _LEAST_WORDS:
                    continue
                clean = page.render(scale=DOTS / 72, grayscale=True).to_numpy()
                for kind, picture in (("clean", clean), ("noised", spoilt(clean, rng))):
                    place = Path(folder, kind, f"{file.stem}-{number:03}")
                    Image.fromarray(picture).save(place.with_suffix(".png"), compress_level=1)
                    place.with_suffix(".txt").write_text(truth)
                count += 1
    return {"pages": count}


def spoilt(picture: Any, rng: np.random.Generator) -> Any:  # noqa: ANN401 - arrays
    """A page as a bad scanner gives it: tilted, blurred, faded and speckled, in this order."""
    import cv2

    height, width = picture.shape
    tilt = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-SPOILT["tilt"], SPOILT["tilt"]), 1)
    page = cv2.warpAffine(picture, tilt, (width, height), flags=cv2.INTER_LINEAR, borderValue=255)
    page = cv2.GaussianBlur(page, (0, 0), SPOILT["blur"])
    page = SPOILT["ink"] + page * ((SPOILT["paper"] - SPOILT["ink"]) / 255)
    dots = rng.random(page.shape)
    page[dots < SPOILT["speckle"]] = 0
    page[dots > 1 - SPOILT["speckle"]] = 255
    return page.astype(np.uint8)


def read(folder: str) -> dict[str, Any]:
    """Our reading of every picture in a folder; the models are loaded before the clock starts."""
    from ml_assets.documents.document import ReadingLimits
    from ml_assets.documents.ocr import read_picture
    from ml_assets.documents.read import read as read_file

    read_picture(np.tile(np.array([[255, 0]], np.uint8), (64, 32)), THREADS)
    pages, seconds, before = [], [], time.process_time()
    for file in sorted(Path(folder).glob("*.png")):
        started = time.perf_counter()
        text = read_file(file, ReadingLimits(threads=THREADS)).text
        seconds.append(time.perf_counter() - started)
        pages.append((file.with_suffix(".txt").read_text(), text))
    return scores(pages) | {"seconds": seconds, "cpu": (time.process_time() - before) / len(pages)}


def scan(file: str, folder: str) -> dict[str, Any]:
    """Our reading of the scan."""
    from ml_assets.documents.document import ReadingLimits
    from ml_assets.documents.read import read as read_file

    known = {word.lower() for text in Path(folder, "clean").glob("*.txt") for word in words(text.read_text())}
    started = time.perf_counter()
    document = read_file(Path(file), ReadingLimits(threads=THREADS))
    seconds = (time.perf_counter() - started) / len(document.pages)
    found = [word.lower() for word in words(document.text)]
    return {
        "pages": len(document.pages),
        "confidence": 100 * float(np.mean([page.confidence for page in document.pages])),
        "known": 100 * sum(word in known for word in found) / max(len(found), 1),
        "seconds": seconds,
    }


def _tesseract(folder: Path) -> dict[str, Any]:
    if not shutil.which("tesseract"):
        say("tesseract is not installed: no peer")
        return {}
    pages, seconds, before = [], [], _children()
    for file in sorted(folder.glob("*.png")):
        started = time.perf_counter()
        done = subprocess.run(
            ["tesseract", str(file), "stdout", "-l", "eng", "--dpi", str(DOTS)],
            env={**os.environ, "OMP_THREAD_LIMIT": str(THREADS)}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        seconds.append(time.perf_counter() - started)
        pages.append((file.with_suffix(".txt").read_text(), done.stdout))
    more = {"seconds": float(np.mean(seconds)), "cpu": (_children() - before) / len(pages)}
    return {name: [value] for name, value in (scores(pages) | more).items()}


def _children() -> float:
    """Seconds of processors that ended children took."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def words(text: str) -> list[str]:
    """The words of a text, those that are broken at the end of a line joined."""
    text = re.sub("[\ufffe\x02]\\s*|-\\s*\\n\\s*", "", text.replace("’", "'").replace("‘", "'"))
    return _WORD.findall(text)


def scores(pages: list[tuple[str, str]]) -> dict[str, float]:
    """Percentages over (truth, read): words found of all pages, their F1, and the worst page."""
    counts = [(Counter(words(truth)), Counter(words(text))) for truth, text in pages]
    found = [(truth & read).total() for truth, read in counts]
    wanted, given = (sum(side.total() for side in sides) for sides in zip(*counts, strict=True))
    worst = min(hits / truth.total() for hits, (truth, _) in zip(found, counts, strict=True))
    return {
        "found": 100 * sum(found) / wanted,
        "f1": 200 * sum(found) / (wanted + given),
        "worst": 100 * worst,
    }
