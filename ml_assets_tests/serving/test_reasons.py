"""Reasons of answers: on request, as declared, later by the id, and never at the cost of an answer."""

from pathlib import Path
from typing import Any

import pytest

from ml_assets.serving.models.releases import Releases
from ml_assets_tests.serving import explained, released
from ml_assets_tests.serving.served import INVOKE, PREDICT, ROW, Served

ROWS = [ROW, {"total spend": -2.0, "n": None, "plan": "basic"}, {"total spend": 3, "n": 2.5, "plan": None}]


def why(served: Served, prediction_id: str) -> Any:
    answer = served.client.get(f"/predictions/{prediction_id}/reasons")
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("onnx", [explained.trees, released.onnx], ids=["exact", "sampled"])
def test_an_answer_says_why_and_says_the_same_later(tmp_path: Path, onnx: Any) -> None:
    explained.release(tmp_path, onnx())
    served = Served(tmp_path)
    with served.client:
        plain = served.predict({"instances": ROWS})
        answers = served.predict({"instances": ROWS, "reasons": 2})
        assert [answer["score"] for answer in answers] == [answer["score"] for answer in plain]
        assert not {"reasons", "base", "method"} & plain[0].keys()
        for answer in answers:
            assert answer["method"] == ("exact" if onnx is explained.trees else "sampled")
            assert 0 < len(answer["reasons"]) <= 2
            sign = {"low": -1, "high": 1}.get(answer["decision"])
            if sign:
                assert all(sign * reason["contribution"] > 0 for reason in answer["reasons"])
            for reason in answer["reasons"]:
                words = reason["text"] == "orders much"
                assert words == (reason["feature"] == "n" and reason["contribution"] > 0)
    # A new release, and a server that starts anew
    explained.release(tmp_path, released.onnx(9.0), version=2)
    again = Served(tmp_path)
    with again.client:
        for answer in answers:
            later = why(again, answer["prediction_id"])
            assert (later["version"], later["decision"]) == ("1", answer["decision"])
            assert (later["reasons"][: len(answer["reasons"])], later["base"]) == (answer["reasons"], answer["base"])


def test_what_is_declared_is_said_unasked_and_can_be_declined(tmp_path: Path) -> None:
    explained.release(tmp_path, explained.trees(), always=1)
    served = Served(tmp_path)
    with served.client:
        assert [len(answer["reasons"]) for answer in served.predict({"instances": ROWS})] == [1, 1, 1]
        assert "reasons" not in served.predict({"instances": [ROW], "reasons": 0})[0]
        assert len(served.client.post(INVOKE, json={"instances": [ROW]}).json()["predictions"]) == 1


def test_reasons_that_cannot_be_given_are_refused_with_the_remedy(tmp_path: Path) -> None:
    released.release(tmp_path)
    served = Served(tmp_path)
    with served.client:
        refusal = served.predict({"instances": [ROW], "reasons": 3})
        assert (refusal["status"], refusal["type"]) == (409, "reasons-unavailable")
        assert "version 1 was released without reasons" in refusal["detail"]
        assert served.predict({"instances": [ROW], "reasons": 11})["field"] == "$.reasons"
        (answer,) = served.predict({"instances": [ROW], "reasons": 0})
        later = served.client.get(f"/predictions/{answer['prediction_id']}/reasons")
        assert (later.status_code, later.json()["type"]) == (409, "reasons-unavailable")
        unknown = f"churn.{answer['prediction_id'].rpartition('.')[2][::-1]}"
        assert served.client.get(f"/predictions/{unknown}/reasons").status_code == 404


def test_an_answer_is_sent_though_its_reasons_are_damaged(tmp_path: Path) -> None:
    """The release is refused at its start where they are; here they are lost afterwards."""
    explained.release(tmp_path, explained.trees())
    served = Served(tmp_path)
    with served.client:
        for path in Releases.at(tmp_path).folder.glob("*.npz"):
            path.write_bytes(path.read_bytes()[:-1])
        (answer,) = served.predict({"instances": [ROW], "reasons": 3})
        assert (answer["reasons"], answer["method"]) == ([], "unavailable")
        assert served.client.post(PREDICT, json={"instances": [ROW]}).status_code == 200


def test_a_release_is_not_whole_without_its_reasons(tmp_path: Path) -> None:
    name = explained.release(tmp_path, explained.trees())
    releases = Releases.at(tmp_path)
    assert releases.has(name)
    (path,) = releases.folder.glob("*.npz")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert not releases.has(name)
