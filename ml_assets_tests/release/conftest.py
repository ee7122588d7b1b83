"""A shop whose first candidate was trained and evaluated; its registry is kept in memory, and may be killed."""

import hashlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ml_assets.decisions.route import CHAMPION
from ml_assets.release.checks import AlertsEvidence
from ml_assets.release.documentation import read_documentation
from ml_assets.release.record import RecordedRelease, StandingRelease, record_candidate, standing_release
from ml_assets.release.scan import PackageAuditor
from ml_assets.release.sign import KeyFolder
from ml_assets.storage.lake import Lake, Rows
from ml_assets.storage.registry import Registry, Version
from ml_assets.training.dataset import build
from ml_assets.training.explanations import EXPLANATIONS, explain_version
from ml_assets.training.release import ReleaseEntry, release
from ml_assets.training.report import read_report, report
from ml_assets.training.train import train
from ml_assets_tests.conftest import AS_OF, SOURCES, Tiny, shared

NOW = datetime(2026, 12, 1, 5)  # noqa: DTZ001 - the lake's times are naive UTC


class KilledError(BaseException):
    """The process ends here."""


@dataclass
class Fate:
    """The process is killed before the write of a number, to the lake or the registry; None: never."""

    kill_at: int | None = None
    writes: int = 0

    def write(self) -> None:
        if self.kill_at is not None and self.writes >= self.kill_at:
            self.kill_at = None
            raise KilledError
        self.writes += 1


@dataclass(frozen=True)
class MortalLake(Lake):
    """A lake whose writer may be killed."""

    fate: Fate = field(default_factory=Fate)

    def append(self, table: str, rows: Rows, *, records: Mapping[str, int] | None = None) -> int:
        self.fate.write()
        return super().append(table, rows, records=records)


@dataclass(frozen=True)
class MemoryRegistry(Registry):
    """The registry of one version, whose files may be changed by a test; who writes may be killed."""

    uri: str = "memory"
    fate: Fate = field(default_factory=Fate)
    files: dict[str, bytes] = field(default_factory=dict)
    tags_of: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    measured: dict[str, float] = field(default_factory=dict)

    def version(self, model: str, number: int) -> Version:
        return Version(model, number, "run1", dict(self.tags_of))

    def versions(self, model: str) -> list[Version]:
        return [self.version(model, 1)]

    def champion(self, model: str) -> Version | None:
        return self.version(model, self.aliases[CHAMPION]) if CHAMPION in self.aliases else None

    def read(self, run_id: str, path: str) -> bytes | None:
        assert run_id == "run1"
        return self.files.get(path)

    def write(self, run_id: str, files: Mapping[str, bytes]) -> None:
        """File by file: it may be killed after each."""
        assert run_id == "run1"
        for path, content in files.items():
            self.fate.write()
            self.files[path] = content

    def tag(self, version: Version, **tags: str) -> None:
        assert version.number == 1
        self.fate.write()
        self.tags_of.update(tags)

    def promote(self, version: Version, variant: str = CHAMPION) -> None:
        self.fate.write()
        self.aliases[variant] = version.number

    def metrics(self, run_id: str) -> dict[str, float]:
        assert run_id == "run1"
        return self.measured

    def onnx(self, version: Version) -> bytes:
        assert version.number == 1
        return self.files["model.onnx"]

    def link(self, version: Version) -> str:
        return f"http://127.0.0.1:5000/{version.run_id}"

    def intent(self, _: str) -> dict[str, Any] | None:
        return None


class Evaluated:
    """A shop with a candidate that waits for its record.

    Args:
        root: of the lake, the queries and the key.
        registry: where the version is.
    """

    def __init__(self, root: Path, registry: MemoryRegistry) -> None:
        self.shop, self.registry, self.now = Tiny(root), registry, NOW
        self.lake: Lake = MortalLake(str(root / "lake"), shared, fate=registry.fate)
        self.keys = KeyFolder.at(root)
        self.changes: dict[str, Any] = {}
        self.alerts = AlertsEvidence(0, [], 0)

    @property
    def version(self) -> Version:
        return self.registry.version("shop", 1)

    def record(self) -> RecordedRelease:
        """What the asset does."""
        folder = self.shop.folder(**self.changes)
        sources = [each.model_copy(update={"description": "rows"}) for each in SOURCES.values()]
        return record_candidate(
            self.lake, self.registry, folder, read_report(self.registry, folder, self.version),
            key=self.keys.open(), auditor=PackageAuditor(self.shop.root), alerts=self.alerts,
            documentation=read_documentation(self.shop.path, folder.spec.card, sources, []),
            origin={"dagster_run_id": "run of dagster"}, now=self.now,
        )  # fmt: skip

    def stands(self) -> StandingRelease:
        folder = self.shop.folder(**self.changes)
        report = read_report(self.registry, folder, self.version)
        return standing_release(self.lake, self.registry, folder, report)

    def release(self) -> ReleaseEntry:
        """Record, publish, promote: the loop from the evaluation on."""
        self.record()
        stands = self.stands()
        return release(
            self.lake, self.registry, self.version, stands.verdict, manifest=stands.manifest, as_of=AS_OF,
            decided_at=self.now,
        )  # fmt: skip


@pytest.fixture(scope="session")
def evaluated_shop(
    stocked_shop: Path, empty_registry: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, MemoryRegistry]:
    """The stocked shop with a version and its report; nobody writes to it."""
    shop = Tiny(Path(shutil.copytree(stocked_shop, tmp_path_factory.mktemp("evaluated") / "shop")))
    (shop.path / "README.md").write_text("Who will not order again?")
    shop.take_registry(empty_registry)
    registry, folder = shop.registry, shop.folder()
    version = train(shop.lake, registry, folder, build(shop.lake, folder, AS_OF), tags={}).version
    done = report(shop.lake, registry, folder, version)
    version = registry.version("shop", version.number)
    explained = explain_version(shop.lake, registry, folder, version, done.evaluation)
    reasons = f"release/{explained.sha256}.npz"
    names = ("training.json", "evaluation/report.json", "evaluation/plots.png", EXPLANATIONS, reasons)
    files = {name: registry.read(version.run_id, name) or b"" for name in names}
    files["model.onnx"] = registry.onnx(version)
    return shop.root, MemoryRegistry(files=files, tags_of=dict(version.tags), measured=registry.metrics(version.run_id))


@pytest.fixture
def life(evaluated_shop: tuple[Path, MemoryRegistry], tmp_path: Path) -> Callable[..., Evaluated]:
    """What makes a copy of it, as often as a test likes; its writer may be killed before the write of a number."""
    root, registry = evaluated_shop

    def begin(kill_at: int | None = None) -> Evaluated:
        copied = Path(shutil.copytree(root, tmp_path / f"life {kill_at}", ignore=shutil.ignore_patterns("mlflow")))
        mine = replace(
            registry, files=dict(registry.files), tags_of=dict(registry.tags_of), aliases={}, fate=Fate(kill_at)
        )
        return Evaluated(copied, mine)

    return begin


@pytest.fixture
def evaluated(life: Callable[..., Evaluated]) -> Evaluated:
    return life()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
