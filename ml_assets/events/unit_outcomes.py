"""Outcomes of units: what turned out of a customer whom an experiment assigned, where no answer of a model is known.

An outcome names an answer. That of a unit names the one that the unit would have: an id that follows from experiment
and unit, so that nobody has to ask a store for it, on any server, before or after the exposure is recorded.
"""

from hashlib import sha256

_FUTURE = "f"
"""The first digit of the time of such an id: no answer is given in the year 9000."""


def unit_outcome_id(model: str, experiment: str, unit: str) -> str:
    """The id under which outcomes of a unit of an experiment are kept; it has the form of a `prediction_id`.

    Args:
        model: the model's folder.
        experiment: its name.
        unit: who was assigned.

    >>> unit_outcome_id("churn", "price", "customer-1")
    'churn.f683b531-f41e-7cb4-8085-7f435f242f7b'
    """
    digits = sha256(f"{experiment}|{unit}".encode()).hexdigest()
    return f"{unit_outcome_prefix(model, experiment)}7{digits[:3]}-8{digits[3:6]}-{digits[6:18]}"


def unit_outcome_prefix(model: str, experiment: str) -> str:
    """What the ids of all units of an experiment begin with."""
    digits = _FUTURE + sha256(experiment.encode()).hexdigest()[:11]
    return f"{model}.{digits[:8]}-{digits[8:]}-"
