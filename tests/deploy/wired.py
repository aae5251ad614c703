"""Tiny networks and chips for placements that can be worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.core.network import Input, Network, Population, Projection
from neurosparse.core.neurons import LIF
from neurosparse.deploy.chip import ChipSpec


def random_matrix(seed: int, shape: tuple[int, int], density: float) -> NDArray[np.float32]:
    """Weights (n_target, n_source) in which each site is a synapse with probability `density`."""
    generator = np.random.default_rng(seed)
    return np.float32(generator.standard_normal(shape) * (generator.random(shape) < density))


def chain(*matrices: NDArray[np.float32], neuron: Any = None, **options: Any) -> Network:
    """A feed-forward network p1, p2, ... with these weights (n_target, n_source)."""
    names = ["input", *(f"p{i + 1}" for i in range(len(matrices)))]
    populations = [
        Population(name, len(matrix), neuron or LIF(reset="zero"))
        for name, matrix in zip(names[1:], matrices, strict=True)
    ]
    projections = [
        Projection.from_dense(source, target, matrix)
        for source, target, matrix in zip(names, names[1:], matrices, strict=False)
    ]
    return Network(Input(matrices[0].shape[1]), populations, projections, **options)


def small_chip(**limits: int) -> ChipSpec:
    """A chip of 4 cores of 4 neurons, 1024 bits, 8 axons in and out, with Loihi's synapse format; or other limits."""
    core = {"cores": 4, "neurons": 4, "synapse_bits": 1024, "in_axons": 8, "out_axons": 8, **limits}
    source = "made up for this test"

    def stated(value: Any) -> dict[str, Any]:
        return {"value": value, "source": "test"}

    return ChipSpec.model_validate(
        {
            "name": "small",
            "title": "Small chip",
            "kind": "cores",
            "sources": {"test": source},
            "core": {name: stated(value) for name, value in core.items()},
            "synapses": {
                "weight_bits": stated([1, 2, 4, 8]),
                "index_bits": stated([6, 7, 8, 9, 10]),
                "tag_bits": stated(0),
                "list_length": stated(64),
                "header_bits": stated(10),
                "word_bits": stated(64),
                "max_delay": stated(3),
            },
            "behaviour": {
                "models": stated(["LIF", "CubaLIF", "LI"]),
                "resets": stated(["zero"]),
                "inputs": stated(["spikes"]),
            },
        }
    )
