"""A network with some of its neurons: the others and their synapses are left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosparse.core.graph import INPUT
from neurosparse.core.network import Network, Population
from neurosparse.core.projection import Projection
from neurosparse.core.quantized import PARAMETERS, QuantizedNetwork, QuantizedPopulation, QuantizedProjection
from neurosparse.errors import UnknownNameError, ValidationError

__all__ = ["select_neurons"]

NetworkT = TypeVar("NetworkT", bound="Network | QuantizedNetwork")


def select_neurons(network: NetworkT, keep: Mapping[str, ArrayLike]) -> NetworkT:
    """Return `network` with only the neurons `keep` names, and the synapses among them and from the input.

    Parameters
    ----------
    network : Network or QuantizedNetwork
    keep : mapping of population name to bool array, shape (n,)
        Populations that are not named stay whole; one without any neuron left is gone with its projections. The input
        lines stay.

    Raises
    ------
    ValidationError
        For a mask of another shape, or if nothing would be left.
    UnknownNameError

    Examples
    --------
    >>> from neurosparse import LIF, Input, Network, Population, Projection
    >>> weights = Projection.from_dense("input", "out", np.float32([[1, 2], [3, 4], [5, 6]]))
    >>> network = Network(Input(2), [Population("out", 3, LIF())], [weights])
    >>> select_neurons(network, {"out": [True, False, True]})
    Network(2->2, 4 synapses, density 1)
    """
    masks = {p.name: np.ones(p.n, bool) for p in network.populations}
    for name, mask in keep.items():
        if name not in masks:
            raise UnknownNameError("population", name, masks)
        chosen = np.asarray(mask)
        if chosen.dtype != bool or chosen.shape != masks[name].shape:
            raise ValidationError(
                f"select_neurons.keep[{name!r}]: must be {masks[name].size} booleans, got {chosen.dtype} of shape "
                f"{chosen.shape}"
            )
        masks[name] = chosen
    masks = {name: mask for name, mask in masks.items() if mask.any()}
    if not masks:
        raise ValidationError("select_neurons.keep: no neuron would be left")
    populations: list[Any] = [_part(network[name], mask) for name, mask in masks.items()]
    ends = {INPUT: np.ones(network.input.n, bool), **masks}
    projections: list[Any] = [
        _between(p, ends[p.source], ends[p.target]) for p in network.projections if {p.source, p.target} <= set(ends)
    ]
    if isinstance(network, QuantizedNetwork):
        scales = {name: network.scales[name] for name in masks}
        return dataclasses.replace(
            network, populations=populations, projections=projections, scales=scales, report=None
        )
    if not projections and network.projections:
        # The type of the weights is that of all arithmetic, so somebody has to carry it; not a projection from the
        # input, since payloads would ask for a coarser grid.
        first, none = populations[0], np.zeros(0, np.int32)
        starts = np.zeros(first.n + 1, np.int64)
        projections = [
            Projection(first.name, first.name, starts, none, none.astype(network.dtype), n_source=first.n, delay=1)
        ]
    grid = None if network.grid is None else {name: network.grid[name] for name in masks}
    return dataclasses.replace(network, populations=populations, projections=projections, grid=grid)


def _part(population: Population | QuantizedPopulation, mask: NDArray[np.bool_]) -> Population | QuantizedPopulation:
    if isinstance(population, QuantizedPopulation):
        own: dict[str, Any] = {name: getattr(population, name)[mask] for name in PARAMETERS}
        return dataclasses.replace(population, n=int(mask.sum()), **own)
    neuron: Any = population.neuron
    values = {name: getattr(neuron, name)[mask] for name in neuron.parameters}
    return Population(population.name, int(mask.sum()), dataclasses.replace(neuron, **values))


def _between(
    projection: Projection | QuantizedProjection, source: NDArray[np.bool_], target: NDArray[np.bool_]
) -> Projection | QuantizedProjection:
    new_column = np.cumsum(source) - 1
    stays = target[projection.rows] & source[projection.indices]
    counts = np.bincount(projection.rows[stays], minlength=target.size)[target]
    return dataclasses.replace(
        projection,
        indptr=np.concatenate([[0], np.cumsum(counts)]),
        indices=new_column[projection.indices[stays]],
        weights=projection.weights[stays],
        n_source=int(source.sum()),
    )
