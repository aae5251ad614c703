"""Chips that this library does not place on: what a network would need there, against what is stated.

Xylo is one array of recurrent neurons; Speck has nine cores for convolutional layers, where a fully connected layer is
a convolution of 1 x 1 pixels whose kernel holds every *possible* synapse: sparsity saves nothing there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from neurosparse.core.graph import INPUT, Graph
from neurosparse.deploy.behaviour import behaviour_violations
from neurosparse.deploy.chip import ArrayLimits, ChipSpec, LayerLimits
from neurosparse.deploy.violation import Violation
from neurosparse.errors import UnsupportedError

__all__ = ["profile_violations"]


def profile_violations(network: Graph[Any, Any], chip: ChipSpec, *, bits: int | None = None) -> list[Violation]:
    """Return every limit of a chip of kind ``recurrent`` or ``convolutional`` that `network` exceeds."""
    found = behaviour_violations(network, chip, bits)
    if chip.array is not None:
        return found + _array(network, chip.array)
    if chip.layers is not None:
        return found + _layers(network, chip.layers)
    raise UnsupportedError(f"chip {chip.name!r}: is of kind {chip.kind!r}; place() has its limits")


def _array(network: Graph[Any, Any], limits: ArrayLimits) -> list[Violation]:
    outputs = set(network.outputs)
    hidden = {p.name: p.n for p in network.populations if p.name not in outputs}
    n_out = sum(p.n for p in network.populations if p.name in outputs)
    fan_out = {name: np.zeros(n, np.int64) for name, n in hidden.items()}
    fed, feeding = 0, 0
    found = []
    for p in network.projections:
        if p.source == INPUT and p.target in outputs:
            remedy = "the input reaches the outputs through hidden neurons only: add a hidden population"
            found.append(Violation(f"projection {p.source}->{p.target}", "synapses", p.n_synapses, 0, remedy))
        elif p.source == INPUT:
            fed += int(np.count_nonzero(np.diff(p.indptr)))
        elif p.target in outputs and p.source in hidden:
            feeding += int(np.unique(p.indices).size)
        elif p.source in hidden:
            fan_out[p.source] += np.bincount(p.indices, minlength=p.n_source)
    smaller = "fewer neurons, or one of the chips with many cores"
    counts = [
        ("network", "inputs", network.input.n, limits.inputs.value, "combine or select input lines"),
        ("network", "hidden neurons", sum(hidden.values()), limits.hidden.value, smaller),
        ("network", "outputs", n_out, limits.outputs.value, smaller),
    ]
    if limits.input_targets is not None:
        remedy = "let the input feed fewer neurons, which feed the others"
        counts.append(("network", "neurons fed by the input", fed, limits.input_targets.value, remedy))
    if limits.output_sources is not None:
        remedy = "let fewer neurons feed the output"
        counts.append(("network", "neurons feeding the output", feeding, limits.output_sources.value, remedy))
    for name, out in fan_out.items():
        most = int(out.max(initial=0))
        density = limits.fan_out.value / most if most else 1.0
        remedy = f"a density of {density:.0%} of this one between hidden neurons, evenly spread, fits"
        counts.append((f"population {name!r}", "fan-out of a neuron", most, limits.fan_out.value, remedy))
    return found + [Violation(*row) for row in counts if row[2] > row[3]]


def _layers(network: Graph[Any, Any], limits: LayerLimits) -> list[Violation]:
    found, needs = [], []
    for population in network.populations:
        into = network.projections_into(population.name)
        owner = f"population {population.name!r}"
        if any(p.source == population.name for p in into):
            found.append(Violation(owner, "recurrence", "a loop", "no loops", "use a chip with many cores, or Xylo"))
        if not into:
            continue
        channels = sum(p.n_source for p in into)
        # kernel memory of a layer: channels * 2**(ceil log2(kernel pixels) + ceil log2(features)), here of one pixel
        words = channels << max(population.n - 1, 0).bit_length()
        n_synapses = sum(p.n_synapses for p in into)
        needs.append((owner, words, population.n, n_synapses))
        most = limits.channels.value
        for what, n in (("input channels", channels), ("output channels", population.n)):
            if n > most:
                found.append(Violation(owner, what, n, most, "make the layer convolutional, or smaller"))
        if words > max(limits.kernel_words.value):
            remedy = (
                f"its {n_synapses} synapses would fit, but a kernel stores all possible ones: "
                "make the layer convolutional, or use a chip that stores sparse synapses"
            )
            found.append(Violation(owner, "kernel words", words, max(limits.kernel_words.value), remedy))
        if population.n > max(limits.neuron_words.value):
            found.append(
                Violation(owner, "neuron words", population.n, max(limits.neuron_words.value), "fewer neurons")
            )
        targets = len({p.target for p in network.projections if p.source == population.name})
        if targets > limits.fan_out.value:
            remedy = "let it project to fewer populations"
            found.append(Violation(owner, "target layers", targets, limits.fan_out.value, remedy))
    return found + _cores(needs, limits)


def _cores(needs: list[tuple[str, int, int, int]], limits: LayerLimits) -> list[Violation]:
    """Return whether each layer finds a core of its own (maximum bipartite matching)."""
    cores = list(zip(limits.kernel_words.value, limits.neuron_words.value, strict=True))
    possible = [[words <= k and n <= m for k, m in cores] for _, words, n, _ in needs]
    placeable = [row for row in possible if any(row)]
    matched = maximum_bipartite_matching(csr_array(np.array(placeable, bool)), "column") if placeable else np.zeros(0)
    n_matched = int(np.count_nonzero(matched >= 0))
    if n_matched == len(placeable) and len(needs) <= len(cores):
        return []
    remedy = "fewer or smaller layers: a core holds one layer"
    if len(needs) > len(cores):
        return [Violation("network", "layers", len(needs), len(cores), remedy)]
    return [Violation("network", "cores of the right size", len(placeable), n_matched, remedy)]
