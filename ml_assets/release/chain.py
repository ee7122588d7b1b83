"""The record of a model: entries that each hold the SHA-256 of the one before, signed, in a table of the lake."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from ml_assets.decisions.release import Waiver
from ml_assets.errors import LakeError, MlAssetsError
from ml_assets.release.sign import ReleaseKey
from ml_assets.storage.lake import Lake
from ml_assets.storage.ledger import Ledger
from ml_assets.storage.signed import SignatureError, SignedEntry, to_canonical
from ml_assets.storage.tables import ModelTables

EntryStage = Literal["candidate", "rollout", "watch", "retired", "waiver"]

_PLACE = ("number", "previous", "written_at", "circumstances")
"""The fields of an entry that say where in the chain, when and on what it was written: not what was found."""

_ATTEMPTS = 20


class RecordError(MlAssetsError):
    """A record that is not as it was written."""


@dataclass(frozen=True)
class RecordRow:
    """A row of the table: an entry as its canonical text, with what finds it.

    Args:
        number: its place in the chain, from 1.
        stage: what the entry is about.
        version: of the model; None where it is about every version.
        sha256: of the entry.
        entry: its canonical JSON.
        key: the public key that signed it.
        signature: over the entry.
    """

    number: int
    stage: EntryStage
    version: int | None
    sha256: str
    entry: str
    key: str
    signature: str

    @classmethod
    def of(cls, signed: SignedEntry) -> "RecordRow":
        """The row of a signed entry."""
        entry = signed.entry
        return cls(
            entry["number"], entry["stage"], entry.get("version"), signed.sha256, to_canonical(entry).decode(),
            signed.key, signed.signature,
        )  # fmt: skip

    def read(self, model: str) -> SignedEntry:
        """The entry with its signature, read strictly.

        Args:
            model: whose record it is; named in errors.

        Raises:
            SignatureError: the text is not the canonical one, or the other columns say something else.
        """
        what = self.title(model)
        content = f'{{"entry":{self.entry},"key":"{self.key}","signature":"{self.signature}"}}'
        signed = SignedEntry.from_json(content.encode(), what)
        try:
            same = RecordRow.of(signed) == self and signed.entry["model"] == model
        except KeyError:
            same = False
        if not same:
            raise SignatureError(f"{what}: its columns are not what it says: restore the table")
        return signed

    def title(self, model: str) -> str:
        """The name of the entry, for errors."""
        return f"release record of {model}: entry {self.number}"


def ledger(model: str) -> Ledger[RecordRow]:
    """The record of a model."""
    return Ledger(ModelTables(model).release_record, RecordRow, ("number",))


def findings(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What an entry says, without where and when it was written: the same findings are written once in a row."""
    return {name: value for name, value in entry.items() if name not in _PLACE}


def last_entry(lake: Lake, model: str, stage: EntryStage, version: int | None = None) -> RecordRow | None:
    """The last entry of a stage; None: there is none.

    Args:
        lake: where the record is.
        model: the model's name.
        stage: what it is about.
        version: of the model; None: any.
    """
    if version is None:
        return ledger(model).last(lake, "stage = $stage", stage=stage)
    return ledger(model).last(lake, "stage = $stage AND version = $version", stage=stage, version=version)


def append_entry(
    lake: Lake, model: str, key: ReleaseKey, said: Mapping[str, Any], *, circumstances: Mapping[str, Any], now: datetime
) -> RecordRow:
    """Write an entry behind the last one, unless the last one of its stage and version says the same.

    Of several writers each takes the number that is free; killed anywhere and called again, it is written once.

    Args:
        lake: where the record is.
        model: the model's name.
        key: that signs.
        said: what was found; it has a `stage`, and where it is of a version, a `version`.
        circumstances: where it was found, such as the machine and the run.
        now: naive UTC.

    Returns:
        The row that stands.

    Raises:
        LakeError: others wrote again and again.
    """
    found = {**said, "model": model}
    for _ in range(_ATTEMPTS):
        stands = last_entry(lake, model, said["stage"], said.get("version"))
        if stands is not None and findings(stands.read(model).entry) == findings(found):
            return stands
        before = ledger(model).last(lake)
        number = 1 if before is None else before.number + 1
        place = {
            "number": number,
            "previous": None if before is None else before.sha256,
            "written_at": now.isoformat(timespec="seconds") + "Z",
            "circumstances": dict(circumstances),
        }
        row = RecordRow.of(key.sign(found | place))
        ledger(model).append(lake, row, records={f"entry={number}": 1})
        if ledger(model).last(lake, "number = $number", number=number) == row:
            return row
    raise LakeError(f"release record of {model}: others write it again and again; run again")


def waivers(model: str, rows: Sequence[RecordRow]) -> list[Waiver]:
    """Every waiver among the rows of a record, the oldest first."""
    entries = (row.read(model).entry for row in rows if row.stage == "waiver")
    return [
        Waiver(each["check"], each["person"], each["reason"], date.fromisoformat(each["until"])) for each in entries
    ]


def verify_chain(model: str, rows: Sequence[RecordRow], trusted: Collection[str]) -> None:
    """Return if each entry is as it was signed, by a key that is trusted, and follows the one before.

    What cannot be seen is that the last entries were cut off: a manifest that names one of them tells.

    Args:
        model: whose record it is.
        rows: all of it, in order.
        trusted: public keys; none: anybody's.

    Raises:
        RecordError: naming the first entry that is not.
    """
    before: RecordRow | None = None
    for row in rows:
        what = row.title(model)
        try:
            signed = row.read(model)
            signed.verify(what, trusted)
        except SignatureError as error:
            raise RecordError(str(error)) from error
        last, previous = (0, None) if before is None else (before.number, before.sha256)
        if row.number != last + 1:
            raise RecordError(f"{what} comes after {last}, and not after {row.number - 1}: restore the table")
        if signed.entry["previous"] != previous:
            raise RecordError(
                f"{what} does not follow entry {last} (previous {_short(signed.entry['previous'])}, is "
                f"{_short(previous)}): restore the table"
            )
        before = row


def _short(digest: str | None) -> str:
    return "none" if digest is None else f"{digest[:8]}…"
