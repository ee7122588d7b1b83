"""Rendered documents, scans, and the drop zone that `write` fills."""

import hashlib
import json
import re
import shutil
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ml_assets.errors import DataError
from ml_assets.examples.documents import layouts, markup
from ml_assets.examples.documents.draw import Drawn, draw, reflow
from ml_assets.examples.documents.history import Plan, arrivals
from ml_assets.examples.documents.pdf import pdf
from ml_assets.examples.documents.scan import CLEAN, Noise, scan
from ml_assets.examples.documents.write import append, find, read, write

END = date(2026, 8, 16)
EVERY = sorted(layouts.layouts())


def _words(text: str) -> list[str]:
    return text.split()


def _contents(folder: Path) -> dict[str, tuple[bytes, float]]:
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime) for path in paths}


def _layer(content: bytes) -> list[str]:
    """The text layer of each page."""
    import pypdfium2

    document = pypdfium2.PdfDocument(content)
    try:
        return [page.get_textpage().get_text_bounded() for page in document]
    finally:
        document.close()


@pytest.mark.parametrize(("label", "layout"), EVERY)
def test_the_text_layer_is_the_truth_word_by_word(label: str, layout: str) -> None:
    drawn = draw(11, layouts.find(label, layout).label, layout, length=0.5)
    layers = _layer(pdf(drawn))
    assert len(layers) == drawn.truth.page_count
    for layer, page in zip(layers, drawn.truth.pages, strict=True):
        assert Counter(_words(layer)) == Counter(_words(page))
        assert _words(layer)[:20] == _words(page)[:20] or layouts.find(label, layout).style.columns == 2


def test_rendering_is_deterministic() -> None:
    drawn = draw((3, 1), "cam_statement", "variance")
    for written in (pdf, markup.docx, markup.html, markup.plain):
        assert written(drawn) == written(drawn)
    pages, one = pdf(draw((3, 1), "cam_statement", "variance", length=0.2)), pdf(_paged(single=True))
    noise = Noise.of(0)  # each kind of it, on pages of few points
    assert noise.dpi == 200
    assert all((noise.skew, noise.blur, noise.speckle, noise.grain, noise.shadow, noise.contrast < 1))
    assert scan(pages, 0, "pdf") == scan(pages, 0, "pdf")
    scanned = scan(one, 0, "tiff")
    assert scanned == scan(one, 0, "tiff")
    assert scanned != scan(one, 2, "tiff")


def test_a_scan_has_all_pages_and_no_text() -> None:
    drawn = draw((3, 2), "lease", "form", length=0.2)
    content = pdf(drawn)
    assert [text.strip() for text in _layer(scan(content, 1))] == [""] * drawn.truth.page_count
    with Image.open(BytesIO(scan(content, 1, "tiff"))) as pages:
        assert getattr(pages, "n_frames", 1) == drawn.truth.page_count


def test_pictures_hold_one_page_and_more_are_refused() -> None:
    one = pdf(_paged(single=True))
    for form, name in (("png", "PNG"), ("jpeg", "JPEG")):
        with Image.open(BytesIO(scan(one, 1, form))) as picture:  # type: ignore[arg-type]
            assert picture.format == name
    with pytest.raises(DataError, match="png holds one page, the document has"):
        scan(pdf(_paged(single=False)), 1, "png")


def _paged(*, single: bool) -> Drawn:
    found = (draw((9, seed), "lease", "office", length=0.5) for seed in range(9)) if not single else None
    return next(found) if found else draw(0, "addendum", "pets", length=0)


def test_a_turned_page_lies_on_its_side() -> None:
    content = pdf(_paged(single=True))
    turned = Noise(**{**vars(CLEAN), "turned": 90})
    with (
        Image.open(BytesIO(scan(content, 1, "png", CLEAN))) as up,
        Image.open(BytesIO(scan(content, 1, "png", turned))) as side,
    ):
        assert side.size == up.size[::-1]
        assert np.array_equal(np.rot90(np.asarray(up), -1), np.asarray(side))


def test_noise_stays_in_its_bounds() -> None:
    drawn = [Noise.of(seed) for seed in range(300)]
    assert all(150 <= noise.dpi <= 300 for noise in drawn)
    assert all(-3 <= noise.skew <= 3 for noise in drawn)
    assert {noise.turned for noise in drawn} == {0, 90, 180, 270}
    assert all(0.4 <= noise.contrast <= 1 for noise in drawn)


def test_markup_holds_every_word() -> None:
    import docx as word

    for seed in range(6):
        drawn = draw((seed, 4), "cam_statement")
        truth = Counter(_words(reflow(drawn).text))
        assert Counter(_words(markup.plain(drawn).decode())) == truth
        bare = re.sub(r"<(style|script)>.*?</\1>|<[^>]+>", " ", markup.html(drawn).decode())
        assert Counter(_words(bare.replace("&#x27;", "'").replace("&quot;", '"').replace("&amp;", "&"))) == truth
        held = word.Document(BytesIO(markup.docx(drawn)))
        lines = [paragraph.text for paragraph in held.paragraphs]
        cells = [cell.text for table in held.tables for row in table.rows for cell in row.cells]
        assert Counter(_words(" ".join(lines + cells))) == truth


SMALL = {"documents": 40, "weeks": 8, "end": END, "seed": 2}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    location = tmp_path_factory.mktemp("documents")
    write(location, **SMALL)  # type: ignore[arg-type]
    return location


@pytest.fixture
def copied(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "copied"))


def test_files_arrive_within_their_weeks_under_names_that_tell_nothing(written: Path) -> None:
    files = sorted((written / "files").iterdir())
    assert len(files) == 40
    assert all(re.fullmatch(r"[0-9a-f]{16}\.(pdf|png|jpg|tif|docx|html|txt)", path.name) for path in files)
    start = datetime(END.year, END.month, END.day, tzinfo=UTC) - timedelta(weeks=8)
    rows = [json.loads(line) for path in (written / "arrivals").iterdir() for line in path.read_text().splitlines()]
    assert {row["document_id"] for row in rows} == {hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    for row in rows:
        assert start <= datetime.fromisoformat(row["received_at"]).replace(tzinfo=UTC) < start + timedelta(weeks=8)


def test_reviews_name_the_content_and_follow_the_arrival(written: Path) -> None:
    plan = read(written)
    by_name = {arrival.name: arrival for week in range(plan.weeks) for arrival in arrivals(plan, week)}
    files = (written / "files").iterdir()
    known = {hashlib.sha256(path.read_bytes()).hexdigest(): by_name[path.name] for path in files}
    rows = [json.loads(line) for path in (written / "labels").iterdir() for line in path.read_text().splitlines()]
    assert 20 <= len(rows) < 40
    assert len({row["document_id"] for row in rows}) == len(rows)
    for row in rows:
        arrival = known[row["document_id"]]
        assert row["label"] == arrival.truth().label
        reviewed = datetime.fromisoformat(row["reviewed_at"]).replace(tzinfo=UTC)
        assert arrival.at < reviewed < arrival.at + timedelta(weeks=4)
        assert reviewed.date() < END


def test_the_second_write_changes_nothing(copied: Path) -> None:
    before = _contents(copied)
    assert write(copied, **SMALL) == []  # type: ignore[arg-type]
    assert _contents(copied) == before


def test_an_interrupted_write_is_completed(copied: Path) -> None:
    before = _contents(copied)
    lost = [
        *sorted((copied / "files").iterdir())[3:6],
        *(path for folder in ("arrivals", "labels") for path in sorted((copied / folder).iterdir())[-1:]),
    ]
    for path in lost:
        path.unlink()
    assert sorted(write(copied, **SMALL)) == sorted(lost)  # type: ignore[arg-type]
    assert {name: held for name, (held, _) in _contents(copied).items()} == {
        name: held for name, (held, _) in before.items()
    }


def test_a_longer_history_only_adds(copied: Path) -> None:
    before = _contents(copied)
    longer = {"documents": 50, "weeks": 10, "end": END + timedelta(weeks=2), "seed": 2}
    added = write(copied, **longer)  # type: ignore[arg-type]
    after = _contents(copied)
    manifest = "documents.json"
    assert {name: after[name] for name in before if name != manifest} == {
        name: content for name, content in before.items() if name != manifest
    }
    assert {str(path.relative_to(copied)) for path in added} == set(after) - set(before)
    assert len(list((copied / "files").iterdir())) == 50


def test_append_is_the_same_as_a_longer_history(copied: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(copied, tmp_path / "other"))
    append(copied, 1)
    append(copied, 1)
    write(other, documents=50, weeks=10, end=END + timedelta(weeks=2), seed=2)
    assert _contents(copied).keys() == _contents(other).keys()
    assert read(copied) == read(other)
    with pytest.raises(DataError, match="0 weeks cannot pass"):
        append(copied, 0)


def test_another_history_is_refused(copied: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds another history"):
        write(copied, **{**SMALL, "seed": 3})  # type: ignore[arg-type]
    with pytest.raises(DataError, match="write documents first"):
        read(tmp_path / "nothing")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "documents.json").write_text("{}")
    with pytest.raises(DataError, match=r"documents\.json is no manifest"):
        find(tmp_path / "broken")
    with pytest.raises(DataError, match="at least 1"):
        write(tmp_path / "none", documents=0, weeks=2, end=END)


def test_held_out_layouts_arrive_in_the_last_weeks_only() -> None:
    plan = Plan(END - timedelta(weeks=20), 20, 400, 20, END - timedelta(weeks=4), 1)
    for week in range(20):
        kinds = {
            layouts.find(truth.label, truth.layout).held_out for truth in (a.truth() for a in arrivals(plan, week)[:8])
        }
        assert week >= 16 or kinds == {False}
    late = [arrival.novel for week in range(16, 20) for arrival in arrivals(plan, week)]
    assert 0.3 < sum(late) / len(late) < 0.7


def test_the_mix_of_formats_is_as_declared() -> None:
    plan = Plan(END - timedelta(weeks=50), 50, 4_000, 50, END, 1)
    forms = Counter(arrival.form.partition("-")[0] for week in range(50) for arrival in arrivals(plan, week))
    share = {form: count / forms.total() for form, count in forms.items()}
    assert share["pdf"] == pytest.approx(0.645, abs=0.04)
    assert share["scan"] == pytest.approx(0.025, abs=0.01)


def test_progress_counts_the_weeks(copied: Path) -> None:
    told: list[tuple[int, int]] = []
    write(copied, **SMALL, progress=lambda done, total: told.append((done, total)))  # type: ignore[arg-type]
    assert told == [(week + 1, 8) for week in range(8)]
