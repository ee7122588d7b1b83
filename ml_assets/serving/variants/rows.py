"""The rows of a request as each variant of a model sees them."""

from collections.abc import Sequence

import msgspec

from ml_assets.features.online.schema import OnlineRecord
from ml_assets.serving.models.model import ModelInput, ServedModel
from ml_assets.serving.models.split import TrafficSplit
from ml_assets.serving.problem import Problem
from ml_assets.serving.request import RequestRows
from ml_assets.serving.services import Services
from ml_assets.serving.uploads import inputs_from_documents, read_texts

Records = Sequence[OnlineRecord | None]


async def read_inputs(services: Services, model: ServedModel, rows: RequestRows, began: int) -> list[ModelInput]:
    """What a model sees of the rows of a request.

    Args:
        services: of the process.
        model: that answers.
        rows: of the request.
        began: when it came, nanoseconds since 1970.

    Raises:
        Problem: a store does not answer, an entity is not known, or a document cannot be read.
    """
    if rows.values is not None:
        return [ModelInput(values) for values in rows.values]
    documents = read_texts(rows.texts) if rows.texts is not None else rows.documents
    if documents is not None:
        return await inputs_from_documents(services, model, documents)
    return model.inputs_from_records(entities(rows), await read_records(services, model, rows), began / 1e9)


def entities(rows: RequestRows) -> list[str]:
    """The names of the entities that were sent."""
    return [entity for entity in rows.entities if entity is not None]


async def read_records(services: Services, model: ServedModel, rows: RequestRows) -> Records:
    """What the online store holds of entities for a model; None of one that it does not know.

    Raises:
        Problem: it does not answer.
    """
    return await services.lookups.read(model.manifest.feature_set, entities(rows), model.manifest.entity)


class VariantRows:
    """The rows of one request, for each variant of a split.

    Args:
        services: of the process.
        split: of the route.
        rows: of the request.
        began: when it came, nanoseconds since 1970.
    """

    def __init__(self, services: Services, split: TrafficSplit, rows: RequestRows, began: int) -> None:
        self._services = services
        self._split = split
        self._began = began
        self._records: dict[str, Records] = {}
        self.rows = rows
        if rows.texts is not None:
            self.rows = msgspec.structs.replace(rows, texts=None, documents=read_texts(rows.texts))

    @property
    def _online(self) -> bool:
        return self.rows.values is None and self.rows.documents is None

    async def read(self) -> None:
        """Read what the online store holds for the default variant.

        Raises:
            Problem: it does not answer, or does not know an entity.
        """
        if self._online:
            default = self._split.default
            records = await read_records(self._services, default, self.rows)
            default.require_records(entities(self.rows), records)
            self._records[default.manifest.feature_set] = records

    async def answerable(self) -> list[bool]:
        """Tell of each row whether every variant could answer it: only then it says something about all of them."""
        answerable = [True] * len(self.rows.entities)
        for name, model in self._split.others.items():
            if not self._online:
                answerable = [one and self._reads_form(name, model) for one in answerable]
            elif model is not None and model.manifest.feature_set != self._split.default.manifest.feature_set:
                records = await self._records_of(model)
                answerable = [one and record is not None for one, record in zip(answerable, records, strict=True)]
        return answerable

    def _reads_form(self, name: str, model: ServedModel | None) -> bool:
        """Tell whether a variant reads what was sent; one that is refused would have, for all that is known."""
        if model is None:
            return True
        return bool(model.manifest.documents) if self.rows.values is None else self._split.pickers[name] is not None

    async def _records_of(self, model: ServedModel) -> Records:
        """The records of another variant; none of any entity where they cannot be read: the default one answers."""
        feature_set = model.manifest.feature_set
        if feature_set not in self._records:
            try:
                self._records[feature_set] = await read_records(self._services, model, self.rows)
            except Problem:
                self._records[feature_set] = [None] * len(self.rows.entities)
        return self._records[feature_set]

    async def inputs(self, variant: str, places: Sequence[int]) -> list[ModelInput]:
        """What a variant sees of some rows, which it can answer.

        Raises:
            Problem: a document cannot be read.
        """
        model = self._split.models[variant]
        if model is None:
            return [ModelInput(())] * len(places)
        if self.rows.documents is not None:
            return await inputs_from_documents(self._services, model, [self.rows.documents[at] for at in places])
        if self.rows.values is not None:
            pick = self._split.pickers.get(variant)
            values = [self.rows.values[at] for at in places]
            return [ModelInput(pick(each) if pick else each) for each in values]
        records = self._records[model.manifest.feature_set]
        names = entities(self.rows)
        return model.inputs_from_records(
            [names[at] for at in places], [records[at] for at in places], self._began / 1e9
        )
