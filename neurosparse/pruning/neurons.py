"""Structured pruning: whole neurons, or groups of them such as the filters of a convolution, by norm or by spikes.

H. Li et al., *Pruning filters for efficient ConvNets*, ICLR 2017 (the L1 norm of a filter). Unlike
`neurosparse.core.compaction.compact`, which is exact, this changes what the network computes: fine-tune afterwards, and
compact what is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from neurosparse.core.network import Network
from neurosparse.core.subnetwork import select_neurons
from neurosparse.errors import UnknownNameError, ValidationError
from neurosparse.nn.network import SparseSNN
from neurosparse.pruning.targets import check_fraction

__all__ = ["neuron_scores", "prune_neurons"]

Score = Literal["input_norm", "output_norm", "spikes"]


def prune_neurons(
    model: SparseSNN,
    keep: float | Mapping[str, float],
    *,
    by: Score = "input_norm",
    inputs: Tensor | None = None,
    groups: Mapping[str, ArrayLike] | None = None,
    spike_grad: Any = None,
) -> SparseSNN:
    """Return `model` with only the best `keep` of each hidden population; make its optimizer anew.

    Parameters
    ----------
    model : SparseSNN
    keep : float in (0, 1], or mapping of population name to float
        Fraction of the neurons, or groups, to keep; at least one. Populations that a mapping does not name stay whole.
    by, inputs
        See `neuron_scores`.
    groups : mapping of population name to int array, shape (n,)
        Which group each neuron belongs to, for instance its channel; groups stay or go as one, by the mean score of
        their neurons. Every neuron is a group of its own where not given.
    spike_grad : callable, optional
        The surrogate of the result; by default that of the model's first layer.

    Returns
    -------
    SparseSNN
        With `SparseLinear` connections.

    Examples
    --------
    >>> import snntorch as snn
    >>> from neurosparse.nn.sparse import SparseLinear
    >>> hidden, output = SparseLinear(20, 8, density=0.5), SparseLinear(8, 4, density=0.5)
    >>> net = SparseSNN(hidden, snn.Leaky(beta=0.9), output, snn.Leaky(beta=0.9))
    >>> prune_neurons(net, 0.25).layers()[0].n
    2
    """
    network = model.to_network(exact=False)
    hidden = [p.name for p in network.populations if p.name not in network.outputs]
    fractions = dict.fromkeys(hidden, keep) if isinstance(keep, (int, float)) else dict(keep)
    for name, fraction in fractions.items():
        if name not in hidden:
            raise UnknownNameError("hidden population", name, hidden)
        check_fraction("prune_neurons", f"keep[{name!r}]", fraction, low_included=False)
    scores = neuron_scores(model, by=by, inputs=inputs)
    masks = {
        name: _best(name, scores[name], fraction, (groups or {}).get(name)) for name, fraction in fractions.items()
    }
    surrogate = spike_grad if spike_grad is not None else getattr(model.layers()[0].neuron, "spike_grad", None)
    return SparseSNN.from_network(select_neurons(network, masks), engine=model.engine, spike_grad=surrogate)


def neuron_scores(
    model: SparseSNN, *, by: Score = "input_norm", inputs: Tensor | None = None
) -> dict[str, NDArray[np.float64]]:
    """Return how much each neuron counts, per population, shape (n,).

    Parameters
    ----------
    by : {"input_norm", "output_norm", "spikes"}
        ``input_norm``: sum of |w| into the neuron. ``output_norm``: sum of |w| out of it. ``spikes``: spikes per sample
        on `inputs`; a neuron that is silent on the whole training set goes first.
    inputs : Tensor (time, batch, n_inputs)
        A part of the training set, for ``spikes``.
    """
    if by not in get_args(Score):
        raise UnknownNameError("neuron_scores.by", str(by), get_args(Score))
    network = model.to_network(exact=False)
    if by == "spikes":
        if inputs is None:
            raise ValidationError("neuron_scores.inputs: counting spikes needs inputs (time, batch, n_inputs)")
        training = model.training
        with torch.no_grad():
            rates = model.eval()(inputs).rates
        model.train(training)
        names = model.names or ()
        return {name: rate.double().numpy() * len(inputs) for name, rate in zip(names, rates, strict=True)}
    return {p.name: _norms(network, p.name, by) for p in network.populations}


def _norms(network: Network, name: str, by: str) -> NDArray[np.float64]:
    total = np.zeros(network[name].n)
    for p in network.projections:
        if name == (p.target if by == "input_norm" else p.source):
            ends = p.rows if by == "input_norm" else p.indices
            total += np.bincount(ends, np.abs(p.weights).astype(np.float64), minlength=total.size)
    return total


def _best(name: str, scores: NDArray[np.float64], fraction: float, groups: ArrayLike | None) -> NDArray[np.bool_]:
    """Return which neurons are in the best `fraction` of the groups; among equals the first."""
    ids = np.arange(scores.size) if groups is None else np.asarray(groups)
    if ids.shape != scores.shape or ids.dtype.kind not in "iu":
        raise ValidationError(
            f"prune_neurons.groups[{name!r}]: needs {scores.size} integers, got {ids.dtype} of shape {ids.shape}"
        )
    _, group, sizes = np.unique(ids, return_inverse=True, return_counts=True)
    mean = np.bincount(group, scores) / sizes
    best = np.argsort(-mean, kind="stable")[: max(1, round(fraction * sizes.size))]
    return np.isin(group, best)
