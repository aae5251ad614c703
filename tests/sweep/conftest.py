"""The plan of a sweep whose runs take a fraction of a second each."""

from __future__ import annotations

from typing import Any

import pytest

from neurosparse.sweep.plan import SweepPlan

BASE: dict[str, Any] = {
    "seed": 3,
    "data": {"name": "digits", "n_steps": 3},
    "network": {"hidden": [12], "density": 0.2},
    "training": {"epochs": 2, "samples": 64, "batch_size": 32},
}


@pytest.fixture
def plan() -> SweepPlan:
    """2 densities x 2 methods x 1 seed, and a dense baseline: five runs."""
    return SweepPlan.make(base=BASE, densities=[0.1, 0.3], methods=["deep_r", "static", "dense"], seeds=1, samples=20)
