"""What the component types share: a strict declaration, the folder that they stand in, partitions."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

import dagster as dg
from pydantic import BaseModel

from ml_assets.errors import DeclarationError
from ml_assets.spec.cadence import Cadence

Spec = TypeVar("Spec", bound=BaseModel)
Beside = TypeVar("Beside", bound=BaseModel)
Other = TypeVar("Other", bound="SpecComponent[Any]")

if TYPE_CHECKING:
    Result = dg.MaterializeResult[None]
else:
    Result = dg.MaterializeResult  # Dagster reads the annotation of an asset with checks, and knows this one only

LOOP = "ml_assets/loop"
"""The tag of the assets of a model's loop; its value is the model's name."""


class SpecComponent(dg.Component, Generic[Spec]):
    """A component whose `attributes` are a plain pydantic declaration, which the work below takes as it is.

    Dagster checks the declaration against the YAML and names file and line of what is wrong.
    """

    declaration: ClassVar[type[BaseModel]]
    assets: ClassVar[tuple[str, ...]] = ()
    """The names of its assets, first parts of their keys behind the folder's name: no model may be called like one."""

    def __init__(self, spec: Spec, path: Path) -> None:
        self.spec = spec
        self.path = path

    @property
    def folder(self) -> str:
        """The model folder's name: key prefix and group."""
        return self.path.name

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """What `attributes` must be."""
        return cls.declaration

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        """Make the component where Dagster's tools read the YAML for themselves; `attributes` is its declaration."""
        return cls(cls.declaration() if attributes is None else attributes, context.path)  # type: ignore[arg-type]

    def siblings(self, tree: dg.ComponentTree, kind: type[Other]) -> list[Other]:
        """The components of a kind in the same folder; no other is looked at, for it may be broken."""
        declared = tree.find_decl_at_path(self.path).iterate_child_component_decls()
        return [tree.load_component(each.loc, kind) for each in declared if issubclass(each.component_type, kind)]

    def specs_beside(self, tree: dg.ComponentTree, kind: type[Beside]) -> list[Beside]:
        """The declarations of a kind in the same folder, whichever component takes them."""
        declared = tree.find_decl_at_path(self.path).iterate_child_component_decls()
        takers = [each for each in declared if getattr(each.component_type, "declaration", None) is kind]
        return [tree.load_component(each.loc, each.component_type).spec for each in takers]

    def key(self, *parts: str) -> dg.AssetKey:
        """An asset key of this folder.

        Raises:
            ValueError: no component type has an asset of that name.
        """
        if parts[0] not in asset_names():
            raise ValueError(f"asset {parts[0]!r}: add it to `assets` of its component, which reserves its name")
        return dg.AssetKey([self.folder, *parts])

    def asset(
        self,
        key: dg.AssetKey,
        *kinds: str,
        deps: Sequence[dg.AssetKey | dg.AssetDep | dg.AssetsDefinition] = (),
        checks: Sequence[dg.AssetCheckSpec] = (),
        cadence: Cadence | None = None,
        freshness: timedelta | None = None,
        looped: bool = True,
        **more: Any,  # noqa: ANN401 - further arguments of dagster.asset
    ) -> Callable[[Callable[..., Result]], dg.AssetsDefinition]:
        """`dagster.asset` with what every asset of a folder has: group, owners, the loop's tag, as-of dates, a pool.

        The pool is the asset's own, and `dagster.yaml` gives it one slot: two runs never write the same asset at once,
        on whichever machines they are. A long training keeps nobody from taking the rows of servers meanwhile.

        Args:
            key: of this folder; its first part behind the folder is one of `assets`.
            kinds: what it is made with and where it lies; Dagster's UI shows them.
            deps: what it stands on.
            checks: whose results its body returns.
            cadence: of its as-of dates, its partitions; None: it has none.
            freshness: how old it may become before Dagster warns.
            looped: whether the loop's job makes it; else a person asks for it.
            more: further arguments of `dagster.asset`.

        Raises:
            ValueError: the component does not list the asset.
        """
        if key.path[1] not in self.assets:
            raise ValueError(f"asset {key.path[1]!r}: add it to `assets` of {type(self).__name__}")
        asset: Callable[[Callable[..., Result]], dg.AssetsDefinition] = dg.asset(
            key=key,
            deps=deps,
            check_specs=checks,
            partitions_def=partitions(cadence) if cadence else None,
            group_name=self.folder,
            kinds={*kinds},
            tags={LOOP: self.folder} if looped else {},
            owners=[*getattr(self.spec, "owners", ())] or None,
            pool="/".join(key.path),
            freshness_policy=dg.FreshnessPolicy.time_window(fail_window=freshness) if freshness else None,
            **more,
        )
        return asset


def asset_names() -> frozenset[str]:
    """What stands first in the key of an asset, behind the folder's name: of every component type that there is."""
    return frozenset(_listed(SpecComponent))


def _listed(kind: type[Any]) -> Iterator[str]:
    yield from kind.assets
    for each in kind.__subclasses__():
        yield from _listed(each)


def spoken(context: dg.AssetExecutionContext) -> Callable[[int, int, str], None]:
    """What says how far a long step has come, to the run's log: at most once a second, for an event costs 50 ms."""
    last = float("-inf")

    def say(done: int, total: int, what: str) -> None:
        nonlocal last
        if time.monotonic() - last >= 1:
            last = time.monotonic()
            context.log.debug("%s of %s, %s", f"{done + 1:,}", f"{total:,}", what.rpartition("/")[2])

    return say


def as_of(context: dg.AssetExecutionContext) -> date:
    """The as-of date that a run materializes."""
    return date.fromisoformat(context.partition_key)


def only(found: list[Other], path: Path, kind: str) -> Other:
    """The one component of a kind that a folder must have."""
    if len(found) != 1:
        raise DeclarationError(f"{path / 'defs.yaml'} declares {len(found)} components {kind}: declare exactly one")
    return found[0]


def partitions(cadence: Cadence) -> dg.TimeWindowPartitionsDefinition:
    """The as-of dates as partition keys: key `T` exists once `T` is reached."""
    return dg.TimeWindowPartitionsDefinition(
        start=cadence.start.isoformat(),
        end=cadence.step(cadence.end).isoformat() if cadence.end else None,
        cron_schedule=cadence.cron,
        fmt="%Y-%m-%d",
        end_offset=1,  # Dagster does not count beyond `end`
    )
