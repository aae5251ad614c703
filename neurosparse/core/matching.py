"""Whether inputs, a recording and a network belong together: asked before anything is counted over all three."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosparse.core.graph import Graph
from neurosparse.core.recording import Recording
from neurosparse.errors import ValidationError

__all__ = ["matching_inputs"]


def matching_inputs(
    owner: str, network: Graph[Any, Any], recording: Recording, inputs: ArrayLike, *, empty: bool = True
) -> NDArray[Any]:
    """Return `inputs` as (time, batch, n_inputs).

    Parameters
    ----------
    owner : str
        In whose name an error is.
    network : Network or QuantizedNetwork
    recording : Recording
        Of `network`, made with `inputs`.
    inputs : array, shape (time, batch, n_inputs) or (time, n_inputs)
    empty : bool
        Whether there may be no step or no sample.

    Raises
    ------
    ValidationError
        If inputs, recording and network are not of one size, or empty.
    """
    x = np.asarray(inputs)
    x = x[:, np.newaxis, :] if x.ndim == 2 else x
    expected = (recording.n_steps, recording.n_samples, network.input.n)
    if x.shape != expected:
        raise ValidationError(f"{owner}.inputs: have shape {x.shape}, the recording of this network needs {expected}")
    if not empty and not x.size:
        raise ValidationError(f"{owner}.inputs: are empty, shape {x.shape}; needs at least one step of one sample")
    for population in network.populations:
        found = recording.spikes[population.name].shape[2] if population.name in recording.spikes else 0
        if found != population.n:
            raise ValidationError(
                f"{owner}.recording: has {found} neurons of {population.name!r}, the network has {population.n}"
            )
    return x
