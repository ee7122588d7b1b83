"""What keeps libraries from reporting to their makers: variables of every process, set before anything is imported."""

from collections.abc import Mapping

OFF: Mapping[str, str] = {
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "False",
    "EVIDENTLY_DISABLE_TELEMETRY": "1",
    "ORT_DISABLE_TELEMETRY": "1",  # of ONNX Runtime 1.31, which also leaves .ses in the temporary folder
    "DO_NOT_TRACK": "true",
}
"""Of processes whose environment is not inherited, too."""
