"""What a client is told of a release."""

from datetime import UTC, datetime
from typing import Any

from ml_assets.serving.models.model import ServedModel
from ml_assets.serving.services import Services


def listed(model: ServedModel) -> dict[str, Any]:
    """A line of the list of models."""
    since = datetime.fromtimestamp(model.since, UTC).isoformat(timespec="seconds")
    return {
        "model": model.manifest.model,
        "version": model.manifest.version,
        "as_of": model.manifest.as_of,
        "since": since,
    }


def shown(services: Services, model: ServedModel) -> dict[str, Any]:
    """All that was released, and as of when the online store holds the features."""
    manifest, written = model.manifest, services.features_as_of.get(model.manifest.feature_set)
    return {
        **listed(model),
        "entity": manifest.entity,
        "features": manifest.inputs,
        "ttl_seconds": manifest.ttls,
        "features_as_of": written,
        "bands": manifest.bands,
        "classes": manifest.classes,
        "review_below": manifest.review_below,
        "review_unseen": manifest.review_unseen,
        "review_words": manifest.review_words,
        "max_rows": manifest.max_rows,
        "metrics": manifest.metrics,
        "gates": manifest.gates,
        "reason": manifest.reason,
        "mlflow_run": manifest.run_url,
    }
