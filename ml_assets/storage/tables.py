"""Names of the tables of a model, and the key under which a table records what stands of an as-of date.

A table is called like the asset that writes it: `churn/predictions`.
"""

from dataclasses import dataclass
from datetime import date


def as_of_key(as_of: date) -> str:
    """The key under which a table records the fingerprint of the rows of an as-of date.

    >>> as_of_key(date(2026, 3, 1))
    'as_of=2026-03-01'
    """
    return f"as_of={as_of}"


@dataclass(frozen=True)
class ModelTables:
    """The tables of one model.

    >>> ModelTables("churn").raw("orders")
    'churn/raw/orders'
    """

    model: str

    def raw(self, source: str) -> str:
        """The rows of a source, as they were delivered."""
        return f"{self.model}/raw/{source}"

    def training_set(self, queries: str) -> str:
        """The training sets of one set of queries, which is named by a fingerprint."""
        return f"{self.model}/training_set/{queries}"

    @property
    def predictions(self) -> str:
        """The scores of the population, by as-of date."""
        return f"{self.model}/predictions"

    @property
    def prediction_log(self) -> str:
        """What servers answered."""
        return f"{self.model}/prediction_log"

    @property
    def prediction_report(self) -> str:
        """A row for each as-of date."""
        return f"{self.model}/prediction_report"

    @property
    def performance_report(self) -> str:
        """A row for each number of a report."""
        return f"{self.model}/performance_report"

    @property
    def drift_report(self) -> str:
        """A row for each feature of a drift report."""
        return f"{self.model}/drift_report"

    @property
    def score_drift(self) -> str:
        """A row for each drift report, with what is said of the champion's scores."""
        return f"{self.model}/score_drift"

    @property
    def retraining_verdict(self) -> str:
        """The ledger of verdicts."""
        return f"{self.model}/retraining_verdict"

    @property
    def champion(self) -> str:
        """The ledger of champions."""
        return f"{self.model}/champion"

    @property
    def release_record(self) -> str:
        """The signed record of what was checked of its versions."""
        return f"{self.model}/release_record"

    @property
    def rollout(self) -> str:
        """The ledger of rollouts."""
        return f"{self.model}/rollout"

    @property
    def rollout_offers(self) -> str:
        """The ledger of candidates that wait for their rollout."""
        return f"{self.model}/rollout_offers"

    @property
    def turns(self) -> str:
        """The ledger of whose turn it is: of one rollout or experiment at a time."""
        return f"{self.model}/turns"

    @property
    def rollout_quality(self) -> str:
        """The ledger of what both versions of a rollout lost on the same rows."""
        return f"{self.model}/rollout_quality"

    def experiment(self, name: str) -> str:
        """The ledger of an experiment."""
        return f"{self.model}/experiments/{name}"

    @property
    def online_features(self) -> str:
        """The ledger of writes to the online store."""
        return f"{self.model}/online_features"

    @property
    def online_variants(self) -> str:
        """The ledger of such writes for versions beside the champion."""
        return f"{self.model}/online_variants"

    @property
    def alerts(self) -> str:
        """The outbox of alerts."""
        return f"{self.model}/alerts"

    @property
    def alerts_delivered(self) -> str:
        """The ledger of alerts that a URL took."""
        return f"{self.model}/alerts_delivered"

    @property
    def alerts_attempts(self) -> str:
        """The ledger of messages that were sent, or tried; of the project alone."""
        return f"{self.model}/alerts_attempts"
