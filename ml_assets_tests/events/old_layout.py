"""Event stores as commit a32b370 made them, before layouts had versions: recorded, not derived from today's schema."""

from sqlalchemy import Engine, create_engine, text

from ml_assets.events.database import parse_url
from ml_assets.events.rows import Prediction
from ml_assets_tests.serving.traffic import NOW, prediction

SQLITE = """
CREATE TABLE exported (
    name TEXT NOT NULL,
    model TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (name, model)
) STRICT;
CREATE TABLE exposures (
    sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    model TEXT NOT NULL CONSTRAINT model_is_short CHECK (length(model) <= 100),
    experiment TEXT NOT NULL CONSTRAINT experiment_is_short CHECK (length(experiment) <= 100),
    entity TEXT NOT NULL CONSTRAINT entity_is_short CHECK (length(entity) <= 300),
    variant TEXT NOT NULL CONSTRAINT variant_is_short CHECK (length(variant) <= 100),
    prediction_id TEXT NOT NULL CONSTRAINT prediction_id_is_short CHECK (length(prediction_id) <= 100),
    exposed_at INTEGER NOT NULL,
    UNIQUE (model, experiment, entity, variant)
) STRICT;
CREATE TABLE identity (
    id TEXT NOT NULL,
    PRIMARY KEY (id)
) STRICT;
CREATE TABLE outcomes (
    sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    model TEXT NOT NULL CONSTRAINT model_is_short CHECK (length(model) <= 100),
    prediction_id TEXT NOT NULL CONSTRAINT prediction_id_is_short CHECK (length(prediction_id) <= 100),
    kind TEXT NOT NULL CONSTRAINT kind_is_short CHECK (length(kind) <= 100),
    source TEXT NOT NULL CONSTRAINT source_is_short CHECK (length(source) <= 100),
    value TEXT NOT NULL CONSTRAINT value_is_short CHECK (length(value) <= 900),
    observed_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    UNIQUE (prediction_id, kind, source, observed_at, value)
) STRICT;
CREATE TABLE predictions (
    sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    prediction_id TEXT NOT NULL CONSTRAINT prediction_id_is_short CHECK (length(prediction_id) <= 100),
    model TEXT NOT NULL CONSTRAINT model_is_short CHECK (length(model) <= 100),
    version TEXT NOT NULL,
    variant TEXT NOT NULL,
    entity TEXT NOT NULL CONSTRAINT entity_is_short CHECK (length(entity) <= 300),
    as_of TEXT,
    score REAL NOT NULL,
    decision TEXT,
    features TEXT NOT NULL,
    missing TEXT,
    stale TEXT,
    requested_at INTEGER NOT NULL,
    latency INTEGER NOT NULL,
    predicted TEXT,
    UNIQUE (prediction_id)
) STRICT;
CREATE TABLE searches (
    sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    prediction_id TEXT NOT NULL CONSTRAINT prediction_id_is_short CHECK (length(prediction_id) <= 100),
    model TEXT NOT NULL CONSTRAINT model_is_short CHECK (length(model) <= 100),
    serial INTEGER NOT NULL,
    "query" TEXT NOT NULL,
    filters TEXT NOT NULL,
    hits TEXT NOT NULL,
    total INTEGER NOT NULL,
    requested_at INTEGER NOT NULL,
    latency INTEGER NOT NULL,
    UNIQUE (prediction_id)
) STRICT;
CREATE TABLE traffic (
    sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    model TEXT NOT NULL CONSTRAINT model_is_short CHECK (length(model) <= 100),
    worker TEXT NOT NULL CONSTRAINT worker_is_short CHECK (length(worker) <= 100),
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    latency TEXT NOT NULL,
    UNIQUE (model, worker, since)
) STRICT;
"""

POSTGRES = """
CREATE TABLE exported (
    name TEXT NOT NULL,
    model TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    PRIMARY KEY (name, model)
);
CREATE TABLE exposures (
    sequence BIGSERIAL NOT NULL,
    model TEXT NOT NULL CONSTRAINT model_is_short CHECK (length(model) <= 100),
    experiment TEXT NOT NULL CONSTRAINT experiment_is_short CHECK (length(experiment) <= 100),
    entity TEXT NOT NULL CONSTRAINT entity_is_short CHECK (length(entity) <= 300),
    variant TEXT NOT NULL CONSTRAINT variant_is_short CHECK (length(variant) <= 100),
    prediction_id TEXT NOT NULL CONSTRAINT prediction_id_is_short CHECK (length(prediction_id) <= 100),
    exposed_at BIGINT NOT NULL,
    PRIMARY KEY (sequence),
    UNIQUE (model, experiment, entity, variant)
);
CREATE TABLE identity (
    id TEXT NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE outcomes (
    sequence BIGSERIAL NOT NULL,
    model TEXT NOT NULL CONSTRAINT model_is_short CHECK (length(model) <= 100),
    prediction_id TEXT NOT NULL CONSTRAINT prediction_id_is_short CHECK (length(prediction_id) <= 100),
    kind TEXT NOT NULL CONSTRAINT kind_is_short CHECK (length(kind) <= 100),
    source TEXT NOT NULL CONSTRAINT source_is_short CHECK (length(source) <= 100),
    value TEXT NOT NULL CONSTRAINT value_is_short CHECK (length(value) <= 900),
    observed_at BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (sequence),
    UNIQUE (prediction_id, kind, source, observed_at, value)
);
CREATE TABLE predictions (
    sequence BIGSERIAL NOT NULL,
    prediction_id TEXT NOT NULL CONSTRAINT prediction_id_is_short CHECK (length(prediction_id) <= 100),
    model TEXT NOT NULL CONSTRAINT model_is_short CHECK (length(model) <= 100),
    version TEXT NOT NULL,
    variant TEXT NOT NULL,
    entity TEXT NOT NULL CONSTRAINT entity_is_short CHECK (length(entity) <= 300),
    as_of TEXT,
    score DOUBLE PRECISION NOT NULL,
    decision TEXT,
    features TEXT NOT NULL,
    missing TEXT,
    stale TEXT,
    requested_at BIGINT NOT NULL,
    latency BIGINT NOT NULL,
    predicted TEXT,
    PRIMARY KEY (sequence),
    UNIQUE (prediction_id)
);
CREATE TABLE searches (
    sequence BIGSERIAL NOT NULL,
    prediction_id TEXT NOT NULL CONSTRAINT prediction_id_is_short CHECK (length(prediction_id) <= 100),
    model TEXT NOT NULL CONSTRAINT model_is_short CHECK (length(model) <= 100),
    serial BIGINT NOT NULL,
    query TEXT NOT NULL,
    filters TEXT NOT NULL,
    hits TEXT NOT NULL,
    total BIGINT NOT NULL,
    requested_at BIGINT NOT NULL,
    latency BIGINT NOT NULL,
    PRIMARY KEY (sequence),
    UNIQUE (prediction_id)
);
CREATE TABLE traffic (
    sequence BIGSERIAL NOT NULL,
    model TEXT NOT NULL CONSTRAINT model_is_short CHECK (length(model) <= 100),
    worker TEXT NOT NULL CONSTRAINT worker_is_short CHECK (length(worker) <= 100),
    since BIGINT NOT NULL,
    until BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    errors BIGINT NOT NULL,
    latency TEXT NOT NULL,
    PRIMARY KEY (sequence),
    UNIQUE (model, worker, since)
);
"""


ROWS = tuple(prediction(str(number), identity=f"p{number}") for number in range(3))
_TRAFFIC = "INSERT INTO traffic (model, worker, since, until, requests, refused, errors, latency) VALUES "


def opened(url: str) -> Engine:
    """An engine that knows nothing of layouts."""
    return create_engine(parse_url(url))


def make_old(url: str, *, nullable: bool = False) -> None:
    """A store of a32b370 with rows, of which the last was deleted; `nullable`: of a commit between it and versions."""
    engine = opened(url)
    ddl = SQLITE if engine.dialect.name == "sqlite" else POSTGRES
    if nullable:
        head, found, tail = ddl.partition("CREATE TABLE predictions")
        ddl = head + found + tail.replace("entity TEXT NOT NULL", "entity TEXT", 1)
    with engine.begin() as connection:
        for statement in filter(str.strip, ddl.split(";")):
            connection.execute(text(statement))
        for row in ROWS:
            names = ", ".join(Prediction._fields)
            marks = ", ".join(f":{name}" for name in Prediction._fields)
            connection.execute(text(f"INSERT INTO predictions ({names}) VALUES ({marks})"), row._asdict())
        connection.execute(text(f"{_TRAFFIC} ('churn', 'a', {NOW}, {NOW + 60_000_000}, 100, 3, 1, '[]')"))
        connection.execute(text("INSERT INTO identity VALUES ('as before')"))
        connection.execute(text("INSERT INTO exported VALUES ('predictions', 'churn', 2)"))
        connection.execute(text("DELETE FROM predictions WHERE sequence = 3"))
    engine.dispose()
