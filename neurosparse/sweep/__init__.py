"""Many runs from one configuration: a grid of densities, methods and seeds, or a search, shared by several workers."""

from neurosparse.sweep.plan import SweepPlan
from neurosparse.sweep.results import Result, read_results
from neurosparse.sweep.study import Sweep

__all__ = ["Result", "Sweep", "SweepPlan", "read_results"]
