"""A challenger and the previous champion find their own features in the online store."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from ml_assets.decisions.route import CHALLENGER, CHAMPION, PREVIOUS, Route, Variant
from ml_assets.features.online.store import open_store
from ml_assets.features.view import TimedView
from ml_assets.storage.registry import RegisteredRoute, Registry, Version
from ml_assets.training.online_variants import VariantWrite, other_versions, write_variants
from ml_assets.training.online_writer import OnlineWriter, date_to_refresh
from ml_assets_tests.conftest import AS_OF, Tiny
from ml_assets_tests.training.test_online_writer import DAY, Champion, Served, recorded

ONE_COLUMN = "SELECT customer, count(*) AS orders FROM orders GROUP BY customer"


@dataclass(frozen=True)
class Variants(Champion):
    """A registry with a champion, version 1, and other versions by their aliases."""

    others: Mapping[str, tuple[int, tuple[TimedView, ...]]] = field(default_factory=dict)

    def versions_of_alias(self, alias: str) -> dict[str, Version]:
        number, _ = self.others.get(alias, (0, ()))
        return {"shop": Version("shop", number, f"run {number}", {})} if number else {}

    def routes(self) -> dict[str, RegisteredRoute]:
        champion = Version("shop", self.number, "run", {})
        return {"shop": RegisteredRoute(Route.of_champion("shop", self.number), {CHAMPION: champion})}

    def read(self, run_id: str, path: str) -> bytes | None:
        for number, features in self.others.values():
            if run_id == f"run {number}":
                return recorded(features)
        return super().read(run_id, path)


@pytest.fixture
def served(tiny: Tiny) -> Iterator[Served]:
    served = Served(tiny, f"sqlite:///{tiny.root}/online.db")
    yield served
    served.store.close()


def write(served: Served, registry: Variants) -> list[VariantWrite]:
    """Write for the champion, then for the others, as the asset does."""
    done = served.write(champion=registry)
    writer = OnlineWriter(served.shop.lake, served.folder, served.store, done.row.as_of, done.row.written_at)
    return write_variants(writer, registry)


def of_another_day(served: Served) -> tuple[TimedView, ...]:
    """The views of a version that was trained before the folder's query was changed."""
    now = (served.shop.path / "features/habits.sql").read_text(encoding="utf-8")
    served.shop.write("features/habits.sql", ONE_COLUMN)
    features = served.folder.features
    served.shop.write("features/habits.sql", now)
    return features


def lacking(served: Served, *others: int) -> bool:
    return date_to_refresh(served.shop.lake, served.folder, served.store, AS_OF, others) is not None


def test_the_previous_champion_and_the_challenger_have_records_of_their_own(served: Served) -> None:
    before = of_another_day(served)
    registry = Variants(
        "",
        features=served.folder.features,
        number=2,
        others={PREVIOUS: (1, before), CHALLENGER: (3, served.folder.features)},
    )
    previous, challenger = write(served, registry)
    assert previous.row
    assert challenger.row
    (record,) = served.store.read(previous.row.feature_set, ["1"])
    assert record
    assert (record.as_of, len(record.values)) == (AS_OF, 1)
    assert [len(each.values) for each in served.read(1) if each] == [4], "notebooks read what the champion is served"
    assert challenger.row.feature_set != previous.row.feature_set
    assert not lacking(served, 1, 3)


def test_a_version_that_takes_its_turn_is_filled_before_the_next_date_of_the_loop(served: Served) -> None:
    registry = Variants("", features=served.folder.features, number=2, others={CHALLENGER: (3, of_another_day(served))})
    served.write(champion=registry)
    assert not lacking(served)
    assert lacking(served, 3), "its features were never written"
    write(served, registry)
    assert not lacking(served, 3)


def test_who_became_champion_by_a_rollout_or_a_rollback_is_noted_as_the_one_that_answers(served: Served) -> None:
    served.write(champion=Champion("", features=served.folder.features, number=2))
    lake, folder = served.shop.lake, served.folder
    assert date_to_refresh(lake, folder, served.store, AS_OF, (), 2) is None
    assert date_to_refresh(lake, folder, served.store, AS_OF, (), 3) == AS_OF
    assert served.write(champion=Champion("", features=served.folder.features, number=3)).reused
    assert date_to_refresh(lake, folder, served.store, AS_OF, (), 3) is None


def test_another_store_lacks_them(served: Served) -> None:
    registry = Variants("", features=served.folder.features, number=2, others={PREVIOUS: (1, of_another_day(served))})
    write(served, registry)
    served.store.close()
    Path(served.url.removeprefix("sqlite:///")).unlink()
    with closing(open_store(served.url)) as served.store:
        served.write(champion=registry)
        assert not lacking(served)
        assert lacking(served, 1)


def test_a_former_champion_is_written_again_at_each_later_date(served: Served) -> None:
    before = of_another_day(served)
    served.write(champion=Champion("", features=before, number=1))
    registry = Variants("", features=served.folder.features, number=2, others={PREVIOUS: (1, before)})
    write(served, registry)
    served.write(AS_OF + 7 * DAY, champion=registry)
    assert lacking(served, 1)


def test_the_same_rows_are_written_and_noted_once(served: Served) -> None:
    registry = Variants("", features=served.folder.features, number=2, others={PREVIOUS: (1, of_another_day(served))})
    (first,), (again,) = write(served, registry), write(served, registry)
    assert first.row
    assert again.row
    assert replace(again.row, written_at=first.row.written_at) == first.row
    assert len(served.shop.lake.query("SELECT * FROM o", o="shop/online_variants")) == 1
    assert len(served.ledger()) == 1


def test_a_version_whose_query_cannot_run_any_more_keeps_no_other_from_it(served: Served) -> None:
    (broken,) = of_another_day(served)
    view = replace(broken.view, relations=tuple(replace(each, table="shop/raw/gone") for each in broken.view.relations))
    lost = (replace(broken, view=view, ttl=timedelta(days=1)),)
    registry = Variants(
        "",
        features=served.folder.features,
        number=2,
        others={PREVIOUS: (1, lost), CHALLENGER: (3, served.folder.features)},
    )
    previous, challenger = write(served, registry)
    assert previous.row is None
    assert "source orders has no rows yet" in str(previous.trouble)
    assert challenger.row


def test_other_versions_are_those_of_the_route_and_of_the_aliases(tmp_path: Path, empty_registry: Path) -> None:
    shop = Tiny(tmp_path)
    shop.take_registry(empty_registry)
    registry = shop.registry
    versions = {number: released(registry, f"r{number}") for number in (1, 2, 3)}
    assert other_versions(registry, "shop") == {}
    registry.promote(versions[2])
    assert other_versions(registry, "shop") == {}
    registry.promote(versions[1], PREVIOUS)
    assert numbers(registry) == {PREVIOUS: 1}
    registry.set_route(Route("shop", "7", (Variant("a", 2, 0.5), Variant("b", 3, 0.5))))
    assert numbers(registry) == {PREVIOUS: 1, "b": 3}
    registry.promote(versions[2], PREVIOUS)
    assert numbers(registry) == {"b": 3}


def numbers(registry: Registry) -> dict[str, int]:
    return {name: version.number for name, version in other_versions(registry, "shop").items()}


def released(registry: Registry, recipe: str) -> Version:
    """A version without a training."""
    client = registry._client
    with registry.run("shop", recipe, {"recipe": recipe}) as run:
        if not registry.has_model("shop") or not client.search_registered_models("name = 'shop'"):
            client.create_registered_model("shop")
        version = client.create_model_version("shop", "", run.run_id)
    return Version("shop", int(version.version), run.run_id, {})
