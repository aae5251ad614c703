"""All figures under one name: of recordings, of wiring, of a training run.

Every function draws into `ax`, or into a new figure without one, and returns the axes (those that draw a pair take and
return a list); ``ax.figure.savefig(path)`` writes it. matplotlib is imported by the call, and pyplot never.

>>> from neurosparse.analysis import plots
>>> ax = plots.training_curves([{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0}])[1]
>>> ax.get_xlabel(), ax.get_ylabel()
('epoch', 'loss')
"""

from neurosparse.analysis.costs import energy_comparison, engine_speeds, epoch_memory, epoch_seconds
from neurosparse.analysis.curves import (
    accuracy,
    density,
    firing_rates,
    loss,
    silent_neurons,
    training_curves,
    turnover,
    turnover_and_density,
)
from neurosparse.analysis.lifetimes import ages, lifetimes, visited_sites
from neurosparse.analysis.occupancy import core_contents, core_occupancy, occupancy_map
from neurosparse.analysis.overlay import raster_overlay
from neurosparse.analysis.overview import overview
from neurosparse.analysis.traces import raster, readout_trace, voltage_trace
from neurosparse.analysis.wiring import (
    degree_histogram,
    input_map,
    n_new_sites,
    scales,
    weight_histogram,
    weight_matrices,
    weight_matrix,
)

__all__ = [
    "accuracy",
    "ages",
    "core_contents",
    "core_occupancy",
    "degree_histogram",
    "density",
    "energy_comparison",
    "engine_speeds",
    "epoch_memory",
    "epoch_seconds",
    "firing_rates",
    "input_map",
    "lifetimes",
    "loss",
    "n_new_sites",
    "occupancy_map",
    "overview",
    "raster",
    "raster_overlay",
    "readout_trace",
    "scales",
    "silent_neurons",
    "training_curves",
    "turnover",
    "turnover_and_density",
    "visited_sites",
    "voltage_trace",
    "weight_histogram",
    "weight_matrices",
    "weight_matrix",
]
