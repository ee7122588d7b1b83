"""A server that trusts keys loads what they signed and nothing else; the old release goes on."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml_assets.decisions.route import Route
from ml_assets.release.sign import KeyFolder, ReleaseKey
from ml_assets.serving.models.follower import Follower
from ml_assets.serving.models.releases import Releases
from ml_assets.serving.models.trust import ReleaseFiles, ReleaseTrust, UnsignedReleaseError
from ml_assets.storage.manifest import body_sha256
from ml_assets.storage.registry import RegisteredRoute, Version
from ml_assets_tests.serving import released
from ml_assets_tests.serving.process import serving
from ml_assets_tests.serving.released import MODEL
from ml_assets_tests.serving.served import Served
from ml_assets_tests.serving.test_serve import Shelf

CARD = b"# churn"


@dataclass(frozen=True)
class SignedSet:
    """The files of a release, as a run of MLflow keeps them."""

    manifest: bytes
    record: bytes
    card: bytes = CARD

    @classmethod
    def of(cls, key: ReleaseKey, version: int = 1, shift: float = 0.0, sha256: str = "") -> "SignedSet":
        """A release of the small model."""
        from hashlib import sha256 as digest

        body = released.manifest(version, shift)
        body = replace(body, sha256=sha256 or body.sha256)
        said = {
            "model": MODEL, "version": version, "stage": "candidate", "artifact": body.sha256, "ship": True,
            "manifest": body_sha256(body.to_json()), "card": digest(CARD).hexdigest(), "checks": [],
        }  # fmt: skip
        signed = key.sign(said)
        return cls(replace(body, record=signed.sha256).to_json(), signed.to_json())


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> ReleaseKey:
    return KeyFolder(tmp_path_factory.mktemp("keys")).open()


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> ReleaseKey:
    return KeyFolder(tmp_path_factory.mktemp("foreign")).open()


@dataclass
class Bucket:
    """A registry whose files anybody may have changed."""

    files: SignedSet
    number: int = 1
    asked: list[str] = field(default_factory=list)

    def routes(self) -> dict[str, RegisteredRoute]:
        return {MODEL: RegisteredRoute(Route.of_champion(MODEL, self.number), {"champion": self.version})}

    @property
    def version(self) -> Version:
        from hashlib import sha256

        return Version(MODEL, self.number, "run1", {"release": sha256(self.files.manifest).hexdigest()})

    def is_new(self) -> bool:
        return False

    def manifest(self, _: Version) -> bytes:
        return self.files.manifest

    def onnx(self, version: Version) -> bytes:
        self.asked.append("onnx")
        return released.onnx(float(version.number - 1))

    def read(self, _: str, path: str) -> bytes | None:
        return self.files.card if path.endswith(".md") else self.files.record


def test_the_old_release_goes_on_where_a_new_one_is_foreign_or_unsigned(
    tmp_path: Path, key: ReleaseKey, stranger: ReleaseKey
) -> None:
    bucket: Any = Bucket(SignedSet.of(key))
    follower = Follower(bucket, Releases.at(tmp_path, (key.public,)))
    assert follower.look().models[MODEL].default.version == 1
    bucket.number, bucket.asked = 2, []
    foreign = SignedSet.of(stranger, 2, 1.0)
    unsigned = replace(foreign, manifest=released.manifest(2, 1.0).to_json())
    other = replace(SignedSet.of(key, 2, 1.0), record=SignedSet.of(key).record)
    for files, why in (
        (foreign, f"unsigned-release: the release record of churn version 2 is signed by {stranger.id}, which is none"),
        (unsigned, "unsigned-release: churn version 2 has no signed record: `ml-assets run churn` releases it with"),
        (other, "unsigned-release: the release record of churn version 2 is that of another release"),
    ):
        bucket.files = files
        held = follower.look().models[MODEL].default
        assert held.version == 1
        assert str(held.trouble).startswith(why)
    assert bucket.asked == [], "the artifact of a release that is refused is not fetched"
    bucket.files = SignedSet.of(key, 2, 1.0)
    assert follower.look().models[MODEL].default.version == 2


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_byte_of_record_or_manifest_is_refused(key: ReleaseKey, data: st.DataObject) -> None:
    files = SignedSet.of(key)
    name = data.draw(st.sampled_from(["manifest", "record"]), label="file")
    content = bytearray(getattr(files, name))
    content[data.draw(st.integers(0, len(content) - 1), label="offset")] ^= data.draw(st.integers(1, 255), label="bits")
    changed = replace(files, **{name: bytes(content)})
    for trust in (ReleaseTrust({key.public}), ReleaseTrust()):
        trust.verify(files.manifest, files.record)
        with pytest.raises(Exception, match=r"unsigned-release|manifest of a release"):
            trust.verify(changed.manifest, changed.record)


def test_without_keys_a_release_without_a_record_is_loaded_as_before() -> None:
    manifest = released.manifest().to_json()
    ReleaseTrust().verify(manifest, None)
    with pytest.raises(UnsignedReleaseError):
        ReleaseTrust({"ab" * 32}).verify(manifest, None)


def test_the_signed_entry_and_the_card_are_answered_to_the_byte(tmp_path: Path, key: ReleaseKey) -> None:
    files = SignedSet.of(key)
    bucket: Any = Bucket(files)
    releases = Releases.at(tmp_path)
    Follower(bucket, releases).look()
    assert {path.suffix for path in releases.files(MODEL)} == {".json", ".onnx", ".record", ".md", ".release"}
    with Served(tmp_path).client as client:
        record, card = (client.get(f"/models/{MODEL}/{what}") for what in ("release", "card"))
        assert (record.status_code, record.content) == (200, files.record)
        assert (card.content, card.headers["content-type"]) == (CARD, "text/markdown; charset=utf-8")
        assert client.get("/models/nobody/card").json()["type"] == "unknown-model"


def test_a_release_of_before_has_neither(served: Served) -> None:
    for what, kind in (("release", "no-record"), ("card", "no-card")):
        answer = served.client.get(f"/models/{MODEL}/{what}")
        assert (answer.status_code, answer.json()["type"]) == (404, kind)


def test_what_was_changed_on_the_disk_of_the_server_is_not_loaded(tmp_path: Path, key: ReleaseKey) -> None:
    releases = Releases.at(tmp_path, (key.public,))
    files = SignedSet.of(key)
    releases.save_files(ReleaseFiles(files.record, files.card), files.manifest)
    name = releases.save_release(files.manifest, released.onnx())
    assert releases.has(name)
    (record,) = releases.folder.glob("*.record")
    record.write_bytes(files.record.replace(b'"ship":true', b'"ship":null'))
    assert not releases.has(name)
    with pytest.raises(UnsignedReleaseError, match="is not what was signed"):
        releases.require_trusted(name)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_real_server_refuses_what_a_stranger_released_and_says_so(
    tmp_path: Path, key: ReleaseKey, stranger: ReleaseKey
) -> None:
    shelf = Shelf(tmp_path)

    def release(by: ReleaseKey, shift: float) -> Version:
        version = shelf.train(shift)
        files = SignedSet.of(by, version.number, shift, version.tags["sha256"])
        sha256 = files.manifest.partition(b'"record": "')[2][:64].decode()
        shelf.registry.write(version.run_id, {f"release/{sha256}.json": files.record})
        done = shelf.registry.publish(version, files.manifest)
        shelf.registry.promote(done)
        return done

    release(key, 0.0)
    with serving(tmp_path, ML_ASSETS_RELEASE_KEYS=key.public) as server:
        server.wait("all is well", lambda: not server.health())
        release(stranger, 1.0)
        why = server.wait("the refusal", lambda: server.health().get(f"model {MODEL}"))
        assert why.startswith("version 1 stays: unsigned-release: the release record of churn version 2 is signed by")
        assert server.get("/ready").status_code == 200
        assert server.get("/models").json()["models"][0]["version"] == 1
        release(key, 2.0)
        server.wait("the next one", lambda: server.get("/models").json()["models"][0]["version"] == 3)
        assert server.health() == {}
