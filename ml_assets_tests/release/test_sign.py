"""The key is for its user alone; a signed entry is read strictly: no byte can be changed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.errors import DataError
from ml_assets.release.sign import KeyFolder, ReleaseKey
from ml_assets.storage.signed import SignatureError, SignedEntry

ENTRY = {"model": "churn", "version": 3, "checks": [{"name": "load", "value": 1e-05, "limit": None}], "reason": "é ✓"}


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> ReleaseKey:
    return KeyFolder(tmp_path_factory.mktemp("keys")).open()


def test_the_key_is_made_once_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    keys = KeyFolder.at(tmp_path)
    assert (keys.find(), keys.public_keys()) == (None, frozenset())
    made = keys.open()
    assert keys.path == tmp_path / "keys" / "release"
    assert keys.path.stat().st_mode & 0o777 == 0o600
    assert KeyFolder.at(tmp_path).open().public == made.public
    assert keys.public_keys() == {made.public}


def test_a_new_key_takes_the_place_of_the_old_one_whose_signatures_go_on_to_be_good(tmp_path: Path) -> None:
    keys = KeyFolder.at(tmp_path)
    old = keys.open()
    signed = old.sign(ENTRY)
    new = keys.renew()
    assert new.public != old.public
    assert keys.public_keys() == {new.public, old.public}
    signed.verify("entry", keys.public_keys())
    assert (keys.folder / "retired").stat().st_mode & 0o777 == 0o600
    with pytest.raises(SignatureError, match=f"entry is signed by {old.id}, which is none of the trusted keys"):
        signed.verify("entry", {new.public})


def test_a_file_that_is_no_key_is_named_and_left_alone(tmp_path: Path) -> None:
    keys = KeyFolder.at(tmp_path)
    keys.folder.mkdir()
    keys.path.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    for open_it in (keys.open, keys.renew):
        with pytest.raises(DataError, match="is no Ed25519 key: restore it, or move it away and `ml-assets key new`"):
            open_it()


@given(data=st.data())
def test_any_changed_byte_of_a_signed_entry_is_refused(key: ReleaseKey, data: st.DataObject) -> None:
    content = bytearray(key.sign(ENTRY).to_json())
    place = data.draw(st.integers(0, len(content) - 1), label="offset")
    content[place] ^= data.draw(st.integers(1, 255), label="flipped bits")
    with pytest.raises(SignatureError):
        SignedEntry.from_json(bytes(content), "entry").verify("entry", {key.public})


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_text_of_strangers_is_refused(text: str) -> None:
    with pytest.raises(SignatureError):
        SignedEntry.from_json(text.encode("utf-8", "surrogatepass"), "entry")


def test_another_spelling_of_key_or_signature_is_refused(key: ReleaseKey) -> None:
    signed = key.sign(ENTRY)
    signed.verify("entry")
    for other in (
        SignedEntry(signed.entry, signed.key.upper(), signed.signature),
        SignedEntry(signed.entry, signed.key, signed.signature.upper()),
        SignedEntry(signed.entry, signed.key, f"{signed.signature[:64]} {signed.signature[64:]}"),
        SignedEntry(signed.entry | {"version": 4}, signed.key, signed.signature),
    ):
        with pytest.raises(SignatureError, match="is not what was signed"):
            other.verify("entry")
