"""Event stores to test with."""

from ml_assets_tests.event_stores import postgres, postgres_url, small_disk, sqlite_url, store, url

__all__ = ["postgres", "postgres_url", "small_disk", "sqlite_url", "store", "url"]
