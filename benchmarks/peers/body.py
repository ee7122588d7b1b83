"""What the FastAPI applications take and give."""

from pydantic import BaseModel


class Row(BaseModel):
    """An account."""

    events: float
    events_14d: float
    orders: float
    tickets: float
    kinds: float
    total_amount: float
    average_amount: float
    largest_amount: float
    days_since_event: float
    days_since_first: float


class Request(BaseModel):
    """Rows to score."""

    instances: list[Row]


class Prediction(BaseModel):
    """What is said of a row."""

    score: float


class Response(BaseModel):
    """What is said of the rows, in their order."""

    predictions: list[Prediction]
