"""An empty FastAPI application: what it costs to take the body and to give it back."""

from fastapi import FastAPI

from benchmarks.peers.body import Request

app = FastAPI()


@app.post("/predict")
async def predict(request: Request) -> Request:
    """The request."""
    return request
