"""The server, asked as clients ask: what it answers, what it records, what it refuses."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from starlette.testclient import TestClient

from ml_assets.events.rows import Outcome, Prediction
from ml_assets.serving import app as application
from ml_assets.serving import http
from ml_assets.serving.tokens import Tokens
from ml_assets_tests.serving import released
from ml_assets_tests.serving.released import AS_OF, MODEL, probability
from ml_assets_tests.serving.served import INVOKE, PREDICT, ROW, Served, refused


def test_instances_are_answered_in_their_order_and_recorded(served: Served) -> None:
    found = served.predict({"instances": [ROW, {**ROW, "total spend": -3, "customer_id": "c9"}]})
    assert [row["score"] for row in found] == pytest.approx([probability(0.5, 1), probability(-3, 1)], rel=1e-6)
    assert [row["decision"] for row in found] == ["high", "low"]
    assert all(row["variant"] == "champion" and row["model_version"] == 1 for row in found)
    assert all(row["features_as_of"] is None and row["missing"] == row["stale"] == [] for row in found)
    kept = {row.prediction_id: row for row in served.events(Prediction)}
    assert list(kept) == [row["prediction_id"] for row in found]
    assert [row.entity for row in kept.values()] == [None, "c9"]
    assert json.loads(kept[found[1]["prediction_id"]].features) == {"total spend": -3.0, "n": 1.0, "plan": "pro"}
    assert kept[found[0]["prediction_id"]].score == found[0]["score"]


def test_entities_are_answered_from_the_online_store_and_what_is_missing_is_said(served: Served) -> None:
    found = served.predict({"entities": [{"customer_id": "c2"}, {"customer_id": "c1"}, {"customer_id": "c1"}]})
    assert [row["score"] for row in found] == pytest.approx(
        [probability(0, 2), probability(0.5, 1), probability(0.5, 1)], rel=1e-6
    )
    assert [row["missing"] for row in found] == [["total spend"], [], []]
    assert {row["features_as_of"] for row in found} == {str(datetime.now(UTC).date())}
    (first, *_) = served.events(Prediction)
    assert (first.entity, first.missing, first.as_of) == ("c2", '["total spend"]', str(datetime.now(UTC).date()))


def test_views_past_their_ttl_are_named_as_stale_and_their_values_are_used_as_they_are(served: Served) -> None:
    old = datetime.now(UTC).date() - timedelta(days=20)
    released.write(served.settings.online_url, {"late": (0.5, 1, "pro")}, old)
    (found,) = served.predict({"entities": [{"customer_id": "late"}]})
    assert (found["stale"], found["features_as_of"]) == (["purchases"], str(old))
    assert found["score"] == pytest.approx(probability(0.5, 1), rel=1e-6)


def test_null_is_a_missing_value_and_an_integer_names_an_entity(served: Served) -> None:
    (found,) = served.predict({"instances": [{"total spend": None, "n": True, "plan": None, "customer_id": 7}]})
    assert found["missing"] == ["total spend", "plan"]
    assert served.events(Prediction)[0].entity == "7"


REFUSED = {
    "unknown entity": (
        {"entities": [{"customer_id": "c1"}, {"customer_id": "nobody"}]},
        404,
        "unknown-entity",
        "nobody",
    ),
    "missing feature": ({"instances": [{"n": 1, "plan": "x"}]}, 422, "invalid-field", "total spend"),
    "unknown feature": ({"instances": [{**ROW, "spend": 1}]}, 422, "invalid-field", "`spend`"),
    "wrong type": ({"instances": [{**ROW, "n": "many"}]}, 422, "invalid-field", "many"),
    "beyond float32": ({"instances": [{**ROW, "n": 1e39}]}, 422, "invalid-field", "3.4"),
    "no rows": ({"entities": []}, 422, "invalid-field", "length >= 1"),
    "too many rows": ({"instances": [ROW] * 6}, 413, "too-many-rows", "more than 5 rows"),
    "neither form": ({}, 422, "rows-missing", "exactly one"),
    "both forms": ({"instances": [ROW], "entities": [{"customer_id": "c1"}]}, 422, "rows-missing", "exactly one"),
    "no object": ([1], 422, "invalid-field", "Expected `object`"),
    "empty name": ({"entities": [{"customer_id": ""}]}, 422, "invalid-field", "$.entities[0].customer_id"),
    "half of a pair": ({"entities": [{"customer_id": "\ud800"}]}, 400, "malformed-json", "null"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_client_gets_wrong_is_named_with_its_remedy_and_nothing_is_recorded(served: Served, name: str) -> None:
    body, status, kind, said = REFUSED[name]
    answer = served.client.post(PREDICT, content=json.dumps(body))
    problem = answer.json()
    assert (answer.status_code, problem["type"], problem["status"]) == (status, kind, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in json.dumps(problem, ensure_ascii=False)
    assert problem["remedy"]
    assert served.events(Prediction) == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"instances": [{"n": NAN}]}', b"\x00"])
def test_what_is_no_json_is_malformed(served: Served, body: bytes) -> None:
    answer = served.client.post(PREDICT, content=body)
    assert (answer.status_code, answer.json()["type"]) == (400, "malformed-json")


@examples(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["instances", "entities", "customer_id", "total spend", "n", "plan", "dataframe_split",
                             "columns", "data", "dataframe_records", "outcomes", "prediction_id", "value"]) | st.text(),
            inner, max_size=4,
        ),
    )
)  # fmt: skip
def test_no_json_whatever_makes_the_server_fail(served: Served, body: Any) -> None:
    for path in (PREDICT, INVOKE, "/outcomes"):
        answer = served.client.post(path, content=json.dumps(body))
        assert answer.status_code < 500, answer.text


def test_the_body_is_bounded_in_bytes_and_time(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY", 100)
    assert served.client.post(PREDICT, content=b" " * 101).json()["type"] == "body-too-large"
    assert served.client.post(PREDICT, content=iter([b" " * 60, b" " * 60])).json()["type"] == "body-too-large"


def test_more_than_a_worker_has_in_hand_is_refused_at_once(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "BUSY", 0)
    answer = served.client.post(PREDICT, json={"instances": [ROW]})
    assert (answer.status_code, answer.json()["type"], answer.headers["retry-after"]) == (503, "busy", "1")


def test_overload_is_counted_and_does_not_hide_how_the_server_is(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "BUSY", 0)
    paths = (PREDICT, INVOKE, "/models/unknown/predict", "/search", "/outcomes", f"/{'x' * 50}", "/models/a/b/predict")
    for path in paths:
        refused(served.client.post(path, json={"instances": [ROW]}), 503, "busy")
    assert served.client.get("/health").json()["status"] == "ok"
    assert served.client.get("/ready").status_code == 200
    said = served.client.get("/metrics").text
    counted = {
        ("predict", MODEL): 1, ("/models/{model}/invocations", MODEL): 1, ("predict", ""): 1, ("/search", ""): 1,
        ("/outcomes", ""): 1, ("other", ""): 2,
    }  # fmt: skip
    for (route, model), number in counted.items():
        labels = f'model="{model}",route="{route}",status="503",variant="{"champion" if model else ""}"'
        assert f"ml_assets_requests_total{{{labels}}} {number}.0" in said
    (minute,) = served.worker.traffic.minutes.take_finished(None, force=True)
    assert (minute.requests, minute.errors) == (2, 2)


def test_requests_in_hand_leave_connections_to_those_who_ask_how_the_server_is(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "capacity", lambda: 1)
    client = TestClient(application.App(served.worker), base_url="http://127.0.0.1:8000")
    refused(client.post(PREDICT, json={"instances": [ROW]}), 503, "busy")
    assert client.get("/health").status_code == 200


def test_the_forms_of_mlflows_protocol_give_the_same_scores(served: Served) -> None:
    columns, values = [*ROW], [*ROW.values()]
    forms = [
        {"dataframe_split": {"columns": columns, "data": [values], "index": [0]}},
        {"dataframe_records": [ROW]},
        {"instances": [ROW]},
        {"instances": [values]},
    ]
    answers = [served.client.post(INVOKE, json=form) for form in forms]
    table = "n,total spend,plan\n1,0.5,pro\n"
    answers.append(served.client.post(INVOKE, content=table, headers={"content-type": "text/csv; charset=utf-8"}))
    for answer in answers:
        assert answer.json()["predictions"] == pytest.approx([probability(0.5, 1)], rel=1e-6)
    assert len(served.events(Prediction)) == len(answers)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"dataframe_split": {"columns": ["n"], "data": [[1, 2]]}}, "invalid-field"),
        ({"dataframe_split": {"columns": "n", "data": 1}}, "invalid-field"),
        ({"dataframe_split": {"columns": ["n"], "data": [[1]]}}, "invalid-field"),
        ({"inputs": [1]}, "invalid-field"),
        ({"rows": [ROW]}, "rows-missing"),
    ],
)
def test_what_mlflows_protocol_does_not_know_is_named(served: Served, body: Any, kind: str) -> None:
    answer = served.client.post(INVOKE, json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, kind)


def test_a_csv_of_words_in_a_column_of_numbers_is_named(served: Served) -> None:
    answer = served.client.post(
        INVOKE, content="n,total spend,plan\n1,much,pro\n", headers={"content-type": "text/csv"}
    )
    assert (answer.json()["field"], answer.json()["value"]) == ("$[0].total spend", "much")
    for cell, status in (("nan", 200), ("", 200), ("inf", 422), ("1e99", 422)):
        table = f"n,total spend,plan\n1,{cell},pro\n"
        answer = served.client.post(INVOKE, content=table, headers={"content-type": "text/csv"})
        assert answer.status_code == status, cell


def test_an_outcome_said_twice_is_one_and_may_come_late(served: Served) -> None:
    (found,) = served.predict({"instances": [ROW]})
    said = {"prediction_id": found["prediction_id"], "value": True, "observed_at": "2026-11-20T08:00:00+02:00"}
    for _ in range(2):
        assert served.client.post("/outcomes", json={"outcomes": [said]}).json() == {"accepted": 1}
    (kept,) = served.events(Outcome)
    assert (kept.kind, kept.value, kept.observed_at) == ("label", "1.0", 1_795_154_400_000_000)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"prediction_id": "nonsense"}, "$.outcomes[0].prediction_id"),
        ({"prediction_id": "other.01a20229-5b74-7a6c-80cf-ea8f9f794b59"}, "model"),
        ({"observed_at": "2026-11-20T08:00:00"}, "$.outcomes[0].observed_at"),
        ({"observed_at": "0001-01-01T00:00:00+23:59"}, "$.outcomes[0].observed_at"),
        ({"observed_at": "9999-12-31T23:59:59-14:00"}, "$.outcomes[0].observed_at"),
        ({"observed_at": "9999-01-01T00:00:00Z"}, "$.outcomes[0].observed_at"),
        ({"value": None}, "$.outcomes[0].value"),
        ({"value": 42}, "$.outcomes[0].value"),
        ({"value": "yes"}, "$.outcomes[0].value"),
        ({"kind": "\0"}, "$.outcomes[0].kind"),
        ({"extra": 1}, "$.outcomes[0]"),
    ],
)
def test_an_outcome_of_nothing_is_refused(served: Served, change: dict[str, Any], field: str) -> None:
    said = {
        "prediction_id": "churn.01a20229-5b74-7a6c-80cf-ea8f9f794b59", "value": 1, "observed_at": "2026-11-20T08:00:00Z"
    } | change  # fmt: skip
    answer = served.client.post("/outcomes", json={"outcomes": [said]})
    assert answer.status_code in {404, 422}
    assert answer.json()["field"] == field
    assert answer.json()["remedy"]
    assert served.events(Outcome) == []


def test_an_answer_is_traced_to_the_tables_that_trained_its_model(served: Served) -> None:
    (found,) = served.predict({"entities": [{"customer_id": "c1"}]})
    said = {"prediction_id": found["prediction_id"], "value": 1, "observed_at": "2026-11-20T08:00:00Z"}
    served.client.post("/outcomes", json={"outcomes": [said]})
    traced = served.client.get(f"/predictions/{found['prediction_id']}/lineage").json()
    assert traced["prediction"]["score"] == found["score"]
    assert traced["features"] == {"total spend": 0.5, "n": 1, "plan": "pro"}
    assert (traced["version"]["mlflow_run"], traced["version"]["dagster_run"]) == ("run1", "dagster1")
    assert traced["training"]["tables"] == {"churn/labels/1": 3}
    assert [row["value"] for row in traced["outcomes"]] == [1.0]
    for unknown in ("churn.01a20229-5b74-7a6c-80cf-ea8f9f794b59", "nonsense"):
        assert served.client.get(f"/predictions/{unknown}/lineage").json()["type"] == "unknown-prediction"


def test_models_are_listed_with_all_that_was_released(served: Served) -> None:
    (line,) = served.client.get("/models").json()["models"]
    assert (line["model"], line["version"], line["as_of"]) == (MODEL, 1, str(AS_OF))
    shown = served.client.get(f"/models/{MODEL}").json()
    assert [feature["name"] for feature in shown["features"]] == ["total spend", "n", "plan"]
    assert shown["gates"][0]["reason"] == "roc_auc is 0.8, at least 0.7"
    assert shown["features_as_of"] == str(datetime.now(UTC).date())
    assert served.client.get("/models/other").json()["value"] == "other"


def test_prometheus_is_told_of_requests_scores_and_what_was_missing(served: Served) -> None:
    served.predict({"entities": [{"customer_id": "c2"}]})
    served.predict({"entities": []})
    text = served.client.get("/metrics").text
    for line in (
        'ml_assets_requests_total{model="churn",route="predict",status="200",variant="champion"} 1.0',
        'ml_assets_requests_total{model="churn",route="predict",status="422",variant="champion"} 1.0',
        'ml_assets_score_count{model="churn",variant="champion",version="1"} 1.0',
        'ml_assets_missing_features_total{feature="total spend",model="churn",variant="champion",version="1"} 1.0',
        'ml_assets_request_seconds_count{model="churn",route="predict",variant="champion"} 2.0',
    ):
        assert line in text


def test_a_token_opens_what_its_scopes_say_and_nothing_without_one(served: Served) -> None:
    tokens = Tokens(served.settings.tokens)
    predict, read = tokens.add("app", ["predict"], "2026-11-22"), tokens.add("ops", ["read", "outcomes"], "2026-11-22")
    served.worker.services.guard.reload()

    def asked(method: str, path: str, token: str | None) -> int:
        head = {"authorization": f"Bearer {token}"} if token else {}
        return served.client.request(method, path, headers=head, json={"instances": [ROW]}).status_code

    assert [asked("POST", PREDICT, token) for token in (predict, read, "mla_wrong", None)] == [200, 403, 401, 401]
    assert [asked("POST", INVOKE, token) for token in (predict, read, None)] == [200, 403, 401]
    assert [asked("POST", "/outcomes", token) for token in (predict, read, None)] == [403, 422, 401]
    for path in ("/models", f"/models/{MODEL}", "/metrics", "/predictions/x/lineage"):
        assert [asked("GET", path, token) for token in (predict, None)] == [403, 401], path
        assert asked("GET", path, read) in {200, 404}
    assert [asked("GET", path, None) for path in ("/health", "/ready", "/docs", "/openapi.json")] == [200] * 4
    assert predict not in served.settings.tokens.read_text()
    assert served.settings.tokens.stat().st_mode & 0o777 == 0o600
    tokens.remove("app")
    served.worker.services.guard.reload()
    assert asked("POST", PREDICT, predict) == 401


def test_tokens_that_cannot_be_read_let_nobody_in(served: Served) -> None:
    served.settings.tokens.write_text("{")
    served.worker.services.guard.reload()
    answer = served.client.post(PREDICT, json={"instances": [ROW]})
    assert (answer.status_code, answer.json()["type"]) == (503, "tokens")
    assert "tokens" in served.client.get("/health").json()["degraded"]
    assert served.client.get("/ready").status_code == 503


def test_without_tokens_only_this_machine_is_answered_under_its_own_name(served: Served) -> None:
    body = {"instances": [ROW]}
    assert served.client.post(PREDICT, json=body, headers={"host": "localhost:8000"}).status_code == 200
    for host in ("evil.example", "10.0.0.5:8000", "localhost.evil.example", ""):
        answer = served.client.post(PREDICT, json=body, headers={"host": host})
        assert (answer.status_code, answer.json()["type"]) == (403, "no-tokens"), host


def test_every_route_is_documented_with_what_it_refuses(served: Served) -> None:
    document = served.client.get("/openapi.json").json()
    assert {
        "/models/{model}/predict", "/models/{model}/invocations", "/outcomes", "/models", "/models/{model}",
        "/predictions/{prediction_id}/lineage", "/health", "/ready", "/metrics",
    } <= document["paths"].keys()  # fmt: skip
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            assert route["summary"], path
            assert "Raises" not in route.get("description", "")
            if method == "post":
                assert route["requestBody"]["content"]
                assert {"200", "400", "401", "403", "413", "422", "503"} <= route["responses"].keys()
    assert served.client.get("/docs").status_code == 200


def test_a_worker_imports_nothing_of_the_graph() -> None:
    heavy = (
        "dagster",
        "evidently",
        "great_expectations",
        "mlflow",
        "pandas",
        "pyarrow",
        "sklearn",
        "duckdb",
        "deltalake",
    )
    code = f"import sys, ml_assets.serving.app; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
