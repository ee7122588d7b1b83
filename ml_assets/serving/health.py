"""Health of one process: which parts do not work and why, and whether requests shall be sent here."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import msgspec

from ml_assets.redaction import redact
from ml_assets.serving.models.loading import variant_label
from ml_assets.serving.services import Services

PARTS = ("registry", "online_store", "event_store", "tokens")
"""The parts that have a metric each."""


class HealthReport(msgspec.Struct, forbid_unknown_fields=True):
    """Whether all is well.

    Args:
        status: `degraded` where a part does not work.
        degraded: the part → why.
    """

    status: Literal["ok", "degraded"]
    degraded: dict[str, str]


class Ready(msgspec.Struct, forbid_unknown_fields=True):
    """Requests shall be sent here."""

    status: Literal["ready"] = "ready"


class Health:
    """Answers `/health` and `/ready`."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._faults: dict[str, str] = {}

    def degraded_parts(self) -> dict[str, str]:
        """Part that does not work → why; nothing where all is well."""
        services = self._services
        parts = {
            "registry": services.models.registry_trouble(),
            "online_store": services.lookups.trouble or self._lost_features(),
            "event_store": services.recorder.trouble,
            "tokens": services.guard.trouble,
            "worker": "; ".join(self._faults.values()),
        }
        reasons = self._variants_not_asked() | services.models.troubles() | parts
        return {part: redact(why) for part, why in reasons.items() if why}

    def unready_reason(self) -> str | None:
        """The reason why no request should be sent here; None: requests may."""
        services = self._services
        if not services.models.routes:
            why = "; ".join(f"{variant_label(*key)}: {trouble}" for key, trouble in services.models.refusals().items())
            return f"no model can be loaded: {why}" if why else "no model is released yet"
        return services.guard.trouble or services.recorder.trouble

    @contextmanager
    def record_faults(self, task: str) -> Iterator[None]:
        """Keep an error of a recurring task for `/health`, and go on: a worker that stopped would say nothing."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - said by /health
            self._faults[task] = f"{task}: {type(error).__name__}: {error}"
        else:
            self._faults.pop(task, None)

    def _variants_not_asked(self) -> dict[str, str]:
        """The variants that only fail, so that the default one answers for them."""
        splits = [route.split for route in self._services.models.routes.values() if route.split is not None]
        return {f"model {variant_label(*key)}": why for key, why in self._services.trials.troubles(splits).items()}

    def _lost_features(self) -> str | None:
        """The reasons why features of entities may be missing that were written."""
        sets = {model.manifest.feature_set for model in self._services.models.variants()}
        return "; ".join(why for name, why in self._services.lookups.lost.items() if name in sets) or None
