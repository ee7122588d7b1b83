"""Variants are shown with shares and counted by name; a challenger waits for its features, a rollback for nothing."""

import time
from collections.abc import Callable
from pathlib import Path

from ml_assets.decisions.route import CHALLENGER, CHAMPION, PREVIOUS, Route, Variant
from ml_assets_tests.serving import released
from ml_assets_tests.serving.released import MODEL
from ml_assets_tests.serving.rollouts import STAGE, customers, fragile, publish, release, route, row, served_split
from ml_assets_tests.serving.served import Served

TWO = customers(CHALLENGER, 3)
PART = f"model {MODEL} ({CHALLENGER})"


def _wait(look: Callable[[], object]) -> None:
    until = time.monotonic() + 20
    while not look():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_the_variants_of_a_model_are_listed_with_shares_experiment_and_end(tmp_path: Path) -> None:
    served = served_split(tmp_path, route(0.25, until=time.time() + 60, shadow=0.1))
    with served.client as client:
        (line,) = client.get("/models").json()["models"]
        assert line["variants"] == [
            {"variant": CHAMPION, "version": 1, "share": 0.75, "loaded": True},
            {"variant": CHALLENGER, "version": 2, "share": 0.25, "loaded": True},
        ]
        assert (line["experiment"], line["shadow"], line["in_force"]) == (STAGE, 0.1, True)
        assert line["until"] > line["since"]
        page = client.get(f"/models/{MODEL}").json()
        assert {name: page[name] for name in line} == line
        assert PART not in client.get("/health").json()["degraded"]


def test_a_route_that_nobody_watches_is_said_to_be_the_champions(tmp_path: Path) -> None:
    served = served_split(tmp_path, route(until=time.time() - 90))
    with served.client as client:
        assert client.get("/models").json()["models"][0]["in_force"] is False
        assert f"nobody has watched {STAGE} since" in client.get("/health").json()["degraded"][PART]
        assert client.get("/ready").status_code == 200


def test_requests_are_counted_by_variant(tmp_path: Path) -> None:
    served = served_split(tmp_path)
    with served.client as client:
        served.predict({"instances": [row(TWO[0])]})
        text = client.get("/metrics").text
    labels = f'model="{MODEL}",route="predict",status="200",variant="{CHALLENGER}"'
    assert f"ml_assets_requests_total{{{labels}}} 1.0" in text


def test_a_challenger_waits_for_its_online_features_also_where_none_was_before(tmp_path: Path) -> None:
    """Or it would answer from nothing, and no unit of it could be compared."""
    champion = release(tmp_path, 1, released.onnx())
    challenger = release(tmp_path, 2, released.onnx(2.0), feature_set=f"{MODEL}@new")
    publish(tmp_path, route(1.0), champion, challenger)
    served = Served(tmp_path)
    released.write(served.settings.online_url, {"c1": (0.5, 1, "pro")})
    with served.client as client:
        assert served.predict({"instances": [row("c1")]})[0]["variant"] == CHAMPION
        assert client.get("/health").json()["degraded"][PART].startswith("version 2 waits for its online features")
        assert [each["loaded"] for each in client.get("/models").json()["models"][0]["variants"]] == [True, False]
        released.write(served.settings.online_url, {"c1": (0.5, 1, "pro")}, name=f"{MODEL}@new")
        publish(tmp_path, route(1.0), champion, challenger)  # the follower writes once a second
        _wait(lambda: served.predict({"instances": [row("c1")]})[0]["variant"] == CHALLENGER)


def test_a_rollback_and_a_promotion_wait_for_no_release_that_is_being_loaded(tmp_path: Path) -> None:
    """What answers under another name already is not loaded again: its files may even be gone."""
    champion, challenger = release(tmp_path, 1, fragile()), release(tmp_path, 2, fragile(2.0))
    publish(tmp_path, route(1.0), champion, challenger)
    served = Served(tmp_path)
    with served.client:
        assert served.predict({"instances": [row("c1")]})[0]["model_version"] == 2
        for path in (tmp_path / "serving").glob("*.onnx"):
            path.unlink()
        promoted = Route(MODEL, "after 7", (Variant(CHAMPION, 2, 1.0), Variant(PREVIOUS, 1, 0.0)), experiment="7-1/9")
        publish(tmp_path, promoted, challenger, champion)
        _wait(lambda: served.predict({"instances": [row("c1")]})[0]["variant"] == CHAMPION)
        assert served.predict({"instances": [row("c1")]})[0]["model_version"] == 2
        publish(tmp_path, Route.of_champion(MODEL, 1), champion)
        _wait(lambda: served.predict({"instances": [row("c1")]})[0]["model_version"] == 1)
