"""The prediction server and what it writes; it never imports Dagster."""
