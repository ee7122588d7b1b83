"""A production machine-learning loop as one Dagster asset graph."""
