"""The services of one process: what its routes read from and write to."""

from typing import TYPE_CHECKING, Any

from ml_assets.events.store import EventStore
from ml_assets.serving.auth import Authenticator, mark_path
from ml_assets.serving.document_features import DocumentFeatures
from ml_assets.serving.lanes import Lanes
from ml_assets.serving.metrics import Metrics
from ml_assets.serving.models.explained import Explainers
from ml_assets.serving.models.loading import LoadedModels
from ml_assets.serving.models.lookups import Lookups
from ml_assets.serving.models.releases import Releases
from ml_assets.serving.recorder import Recorder
from ml_assets.serving.tokens import Tokens
from ml_assets.serving.variants.crashes import CrashWatch
from ml_assets.serving.variants.measures import Measures
from ml_assets.serving.variants.shadows import Shadows
from ml_assets.serving.variants.trials import TrialThreads
from ml_assets.settings import Settings

if TYPE_CHECKING:
    from ml_assets.search.index import SearchIndex


class Services:
    """The services that routes use; how the process is run is the worker's."""

    def __init__(self, settings: Settings) -> None:
        self.guard = Authenticator(Tokens(settings.tokens), mark_path())
        self.releases = Releases.at(settings.state, settings.release_keys)
        self.explainers = Explainers(self.releases)
        self.lookups = Lookups(settings.online_url)
        self.crashes = CrashWatch(self.releases.folder / "trying")
        self.models = LoadedModels(self.releases, self.lookups, self.crashes)
        self.model = self.models.model  # looked up once, not by each request
        self.route = self.models.route
        self.metrics = Metrics()
        self.documents = DocumentFeatures()
        self.lanes = Lanes()
        self.trials = TrialThreads(self.crashes)
        self.measures = Measures()
        self.events = EventStore(settings.event_store_url)
        self.recorder = Recorder(self.events, log_predictions=settings.log_predictions)
        self.shadows = Shadows(self.recorder, TrialThreads(self.crashes, 1), self.metrics.count_dropped_shadows)
        self.features_as_of: dict[str, Any] = {}
        """Feature set → as of when the online store holds it."""
        self._search = settings.search
        self._indexes: dict[str, SearchIndex] = {}

    def index(self, name: str) -> "SearchIndex":
        """The search index of a model's documents; it follows what the graph writes."""
        if name not in self._indexes:
            from ml_assets.search.index import SearchIndex  # LanceDB: only where something is searched

            self._indexes[name] = SearchIndex(self._search / name)
        return self._indexes[name]

    async def close(self) -> None:
        """Write what waits and give everything back."""
        await self.models.close()
        await self.shadows.close()
        await self.recorder.close()
        for service in (self.lookups, self.documents, self.lanes, self.trials, self.events):
            service.close()
