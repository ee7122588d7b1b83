"""A server in the process of the test."""

from pathlib import Path
from typing import Any

from httpx2 import Response
from starlette.testclient import TestClient

from ml_assets.events.store import EventStore
from ml_assets.serving.app import App
from ml_assets.serving.worker import Worker
from ml_assets.settings import Settings
from ml_assets_tests.serving.released import MODEL

ROW = {"total spend": 0.5, "n": 1, "plan": "pro"}
PREDICT = f"/models/{MODEL}/predict"
INVOKE = f"/models/{MODEL}/invocations"


class Served:
    """A server in this process, and what it wrote."""

    def __init__(self, data: Path, model: str = MODEL, patience: float = 0.0) -> None:
        self.model = model
        self.settings = Settings(data=data)
        self.worker = Worker(self.settings)
        self.client = TestClient(
            App(self.worker, patience), base_url="http://127.0.0.1:8000", raise_server_exceptions=False
        )

    def predict(self, body: Any) -> Any:
        answer = self.client.post(PREDICT, json=body)
        return answer.json()["predictions"] if answer.status_code == 200 else answer.json()

    def events(self, kind: Any) -> list[Any]:
        with EventStore(self.settings.event_store_url) as store:
            return list(store.read_since(kind, 0, 1000, model=self.model).rows)


def post(served: Served, path: str, body: bytes, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return served.client.post(path, content=body, headers={"content-type": "application/json", **named})


def scores(answer: Response) -> list[float]:
    assert answer.status_code == 200, answer.text
    found = answer.json()["predictions"]
    return [row["score"] if isinstance(row, dict) else row for row in found]


def refused(answer: Response, status: int, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()
    assert (answer.status_code, found["type"]) == (status, kind), found
    assert answer.headers["content-type"] == "application/problem+json"
    assert found["remedy"]
    return found
