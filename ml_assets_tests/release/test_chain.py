"""Entries follow one another, whoever writes and is killed; whatever is changed afterwards is named."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.decisions.release import Waiver
from ml_assets.errors import TrainingError
from ml_assets.release.chain import RecordError, RecordRow, append_entry, ledger, verify_chain, waivers
from ml_assets.release.sign import KeyFolder, ReleaseKey
from ml_assets.release.waive import waive
from ml_assets.storage.lake import Lake, Rows
from ml_assets.storage.signed import SignatureError
from ml_assets_tests.conftest import shared

NOW = datetime(2026, 12, 1, 5)  # noqa: DTZ001 - the lake's times are naive UTC


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> ReleaseKey:
    return KeyFolder(tmp_path_factory.mktemp("keys")).open()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path), shared)


def write(lake: Lake, key: ReleaseKey, version: int, reason: str = "good") -> RecordRow:
    said = {"stage": "candidate", "version": version, "run_id": f"run{version}", "reason": reason, "value": 0.1}
    return append_entry(lake, "shop", key, said, circumstances={"python": "3.11"}, now=NOW)


@pytest.fixture(scope="module")
def chain(key: ReleaseKey, tmp_path_factory: pytest.TempPathFactory) -> list[RecordRow]:
    lake = Lake(str(tmp_path_factory.mktemp("chain")), shared)
    for version in (1, 2, 3):
        write(lake, key, version)
    return ledger("shop").history(lake)


def test_each_entry_names_the_one_before_and_the_same_findings_are_written_once(lake: Lake, key: ReleaseKey) -> None:
    first = write(lake, key, 1)
    assert write(lake, key, 1) == first
    second = write(lake, key, 2)
    assert write(lake, key, 1) == first, "of this version nothing new was found"
    again, back = write(lake, key, 1, "bad"), write(lake, key, 1)
    rows = ledger("shop").history(lake)
    assert rows == [first, second, again, back]
    entries = [row.read("shop").entry for row in rows]
    assert [entry["previous"] for entry in entries] == [None, *(row.sha256 for row in rows[:-1])]
    assert entries[0]["written_at"] == "2026-12-01T05:00:00Z"
    verify_chain("shop", rows, {key.public})


def test_two_writers_take_a_number_each(tmp_path: Path, key: ReleaseKey) -> None:
    """The other one writes between the look and the write."""

    @dataclass(frozen=True)
    class Slow(Lake):
        meanwhile: list[Callable[[], object]] = field(default_factory=list)

        def append(self, table: str, rows: Rows, **more: object) -> int:
            if self.meanwhile:
                self.meanwhile.pop()()
            return super().append(table, rows, **more)  # type: ignore[arg-type]

    slow = Slow(str(tmp_path), shared)
    slow.meanwhile.append(lambda: write(Lake(str(tmp_path), shared), key, 1))
    mine = write(slow, key, 2)
    rows = ledger("shop").history(slow)
    assert [(row.number, row.version) for row in rows] == [(1, 1), (2, 2)]
    assert mine == rows[1]
    verify_chain("shop", rows, {key.public})


def test_a_foreign_key_is_refused(chain: list[RecordRow], key: ReleaseKey, tmp_path: Path) -> None:
    verify_chain("shop", chain, ())
    other = KeyFolder(tmp_path).open().public
    with pytest.raises(RecordError, match=f"shop: entry 1 is signed by {key.id}, which is none of the trusted keys"):
        verify_chain("shop", chain, {other})


@given(data=st.data())
def test_any_changed_byte_of_a_row_is_refused(chain: list[RecordRow], key: ReleaseKey, data: st.DataObject) -> None:
    rows = [*chain]
    place = data.draw(st.integers(0, 2), label="row")
    name = data.draw(st.sampled_from([each.name for each in fields(RecordRow)]), label="column")
    value = getattr(rows[place], name)
    if isinstance(value, int):
        changed: object = value ^ data.draw(st.integers(1, 255))
    else:
        raw = bytearray(value.encode())
        raw[data.draw(st.integers(0, len(raw) - 1), label="offset")] ^= data.draw(st.integers(1, 127), label="bits")
        changed = bytes(raw).decode("utf-8", "replace")
    rows[place] = RecordRow(**{**asdict(rows[place]), name: changed})
    with pytest.raises(RecordError):
        verify_chain("shop", rows, {key.public})


def test_what_is_left_out_swapped_or_of_another_model_is_named(chain: list[RecordRow], key: ReleaseKey) -> None:
    one, two, three = chain
    for rows, error in (
        ([one, three], "entry 3 comes after 1, and not after 2"),
        ([two, three], "entry 2 comes after 0, and not after 1"),
        ([one, one], "entry 1 comes after 1, and not after 0"),
    ):
        with pytest.raises(RecordError, match=error):
            verify_chain("shop", rows, {key.public})
    with pytest.raises(RecordError, match="its columns are not what it says"):
        verify_chain("churn", chain, {key.public})


def test_an_entry_that_was_signed_anew_breaks_the_chain(chain: list[RecordRow], key: ReleaseKey) -> None:
    """Also where who changed it has the key: later entries name the old one."""
    entry = chain[1].read("shop").entry
    forged = RecordRow.of(key.sign(entry | {"reason": "very good"}))
    with pytest.raises(RecordError, match=r"entry 3 does not follow entry 2 \(previous .*…, is .*…\)"):
        verify_chain("shop", [chain[0], forged, chain[2]], {key.public})


def test_a_damaged_last_entry_stops_whoever_would_write_on_it(lake: Lake, key: ReleaseKey) -> None:
    row = write(lake, key, 1)
    ledger("shop").append(lake, replace(row, number=2, entry=row.entry.replace("good", "bad ")))
    with pytest.raises(SignatureError, match="entry 2: its columns are not what it says"):
        write(lake, key, 1)


def test_a_waiver_is_an_entry_too(lake: Lake, key: ReleaseKey) -> None:
    waiver = Waiver("alerts", "ada", "the channel\nmoves", date(2026, 12, 31))
    row = waive(lake, "shop", waiver, key, NOW)
    assert (row.number, row.stage, row.version) == (1, "waiver", None)
    assert waivers("shop", ledger("shop").history(lake)) == [replace(waiver, reason="the channel moves")]
    with pytest.raises(TrainingError, match="waiver of alerts ends 2027-06-01: 182 days; at most 90"):
        waive(lake, "shop", replace(waiver, until=date(2027, 6, 1)), key, NOW)
    with pytest.raises(TrainingError, match="shop: a waiver needs a reason"):
        waive(lake, "shop", replace(waiver, reason=" "), key, NOW)
    assert len(ledger("shop").history(lake)) == 1
