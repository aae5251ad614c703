"""Which way to compute a layer's linear part: masked additions, event lists, or a dense matrix product.

Per synapse and word of 16 lanes a masked addition costs about a cycle whatever the activity; a visit to an event, which
is one spike, about as much; a dense product costs half a cycle for every *possible* synapse. So event lists win at low
activity, BLAS at high density, and masked additions between. Where exactly is a property of
the machine: `Costs` holds the nanoseconds, with values measured on one machine as defaults and
`neurosparse.nn.engine_costs` to measure them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurosparse.errors import ValidationError
from neurosparse.kernels.events import spikes_per_word
from neurosparse.kernels.vectors import LANES

__all__ = ["Costs", "Plan", "plan"]


@dataclass(frozen=True)
class Costs:
    """Nanoseconds of wall-clock time per unit of work, all threads working.

    Attributes
    ----------
    word_add, event_add : float
        Forward: per synapse and word, and per synapse and spike.
    word_dot, event_dot : float
        Gradient of the values, likewise.
    row_add, row_dot : float
        The same for rows of floats (analog input), per synapse and vector of 16 lanes.
    transposed_add : float
        Gradient of the input, per synapse and vector.
    dense : float
        Matrix product, per pair of neurons and vector.
    stream : float
        One pass over a row of floats, per vector.
    listing : float
        Making the event lists, per word.
    """

    word_add: float = 0.13
    event_add: float = 0.19
    word_dot: float = 0.17
    event_dot: float = 0.18
    row_add: float = 0.45
    row_dot: float = 0.62
    transposed_add: float = 0.30
    dense: float = 0.09
    stream: float = 4.4
    listing: float = 1.0

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not isinstance(value, (int, float)) or not 0 < value < float("inf"):
                raise ValidationError(
                    f"Costs.{item.name}: is {value!r}, would have to be a positive finite number of ns"
                )


class Plan(NamedTuple):
    """How to run a layer: as a dense product, and else whether each direction visits the spikes or all words."""

    dense: bool
    forward_events: bool
    backward_events: bool


def plan(
    n_target: int,
    n_source: int,
    n_synapses: int,
    rows: NDArray,
    costs: Costs,
    *,
    values_gradient: bool = True,
    input_gradient: bool = True,
) -> Plan:
    """Choose the cheapest way for one layer and one input.

    Parameters
    ----------
    n_target, n_source, n_synapses : int
    rows : (n_source, n_words) uint16 or (n_source, n_lanes) floats
        The input; its activity is counted.
    costs : Costs
    values_gradient, input_gradient : bool
        Which gradients the backward pass will compute.

    Notes
    -----
    Rows of floats that are not all finite are never given to the dense product: a NaN would reach neurons it is not
    wired to, as 0 * NaN.
    """
    spikes = rows.dtype == np.uint16
    vectors = rows.shape[1] if spikes else rows.shape[1] // LANES
    work = float(n_synapses) * vectors
    spikes_each = spikes_per_word(rows) if spikes else LANES
    listing = n_source * vectors * costs.listing
    forward = work * (costs.word_add if spikes else costs.row_add)
    backward = work * (costs.word_dot if spikes else costs.row_dot) * values_gradient
    forward_events = spikes and work * spikes_each * costs.event_add + listing < forward
    backward_events = spikes and values_gradient and work * spikes_each * costs.event_dot + listing < backward
    if forward_events:
        forward = work * spikes_each * costs.event_add + listing
    if backward_events:
        backward = work * spikes_each * costs.event_dot + listing
    sparse = forward + backward + work * costs.transposed_add * input_gradient
    products = 1 + values_gradient + input_gradient
    # The dense way also writes the spikes and the currents out as floats, and fills and reads the dense matrix.
    passes = (n_source * (1 + values_gradient) + n_target * (1 + (values_gradient or input_gradient))) * vectors
    matrix = n_target * n_source / LANES * (1 + values_gradient)
    dense = float(n_target) * n_source * vectors * costs.dense * products + (passes + matrix) * costs.stream
    if dense < sparse and (spikes or np.isfinite(rows.sum())):
        return Plan(True, False, False)
    return Plan(False, forward_events, backward_events)
