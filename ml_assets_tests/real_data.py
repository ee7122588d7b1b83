"""Where the real invoices are, for the tests that read them."""

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).parents[2] / "shared" / "data"
ROOT = Path(os.environ.get("ML_ASSETS_SHARED_DATA", _BESIDE))
INVOICES = ROOT / "online_retail_ii" / "transactions.parquet"

needs_invoices = pytest.mark.skipif(
    not INVOICES.exists(), reason="needs online_retail_ii/transactions.parquet below ML_ASSETS_SHARED_DATA"
)
