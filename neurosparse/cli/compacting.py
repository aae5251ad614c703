"""Compacting a network and proving by simulation that what is left spikes as before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.backends.base import fastest_exact, simulate
from neurosparse.core.compaction import CompactReport, compact_with_report
from neurosparse.core.network import Network
from neurosparse.core.quantized import PARAMETERS, QuantizedNetwork
from neurosparse.core.rng import stream

__all__ = ["Compaction", "compacted_and_checked"]

_SAMPLES = 200
_RANDOM_SAMPLES, _RANDOM_STEPS, _RANDOM_RATE = 32, 50, 0.3


@dataclass(frozen=True)
class Compaction:
    """A network without what cannot matter, what that was, and what a simulation of both has shown.

    `tried` is what they were run on; `different`: how many spikes of the neurons that stay differ, per population.
    """

    before: Network | QuantizedNetwork
    after: Network | QuantizedNetwork
    report: CompactReport
    tried: str
    samples: int
    steps: int
    different: dict[str, int]

    @property
    def identical(self) -> bool:
        """Whether every neuron that stays has spiked at the same steps."""
        return not any(self.different.values())

    @property
    def n_bytes(self) -> tuple[int, int]:
        """Bytes of the arrays before and after."""
        return array_bytes(self.before), array_bytes(self.after)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers, ready for JSON."""
        report, left = self.report, {p.name: p.n for p in self.after.populations}
        return {
            "neurons": list(report.n_neurons),
            "synapses": list(report.n_synapses),
            "bytes": list(self.n_bytes),
            "populations": {p.name: [p.n, left.get(p.name, 0)] for p in self.before.populations},
            "never_fire": report.silent,
            "no_effect": report.unobservable,
            "folded_synapses": report.folded_synapses,
            "zero_synapses": report.zero_synapses,
            "used_inputs": report.used_inputs,
            "identical": self.identical,
            "checked_on": self.tried,
            "samples": self.samples,
            "steps": self.steps,
        }


def compacted_and_checked(source: Path, network: Network | QuantizedNetwork, samples: int | None) -> Compaction:
    """Return `network` compacted, after both have been run on the test samples of `source`, or on random inputs.

    Parameters
    ----------
    source : path
        A run directory, whose test samples are used, or the file of a network, which has none.
    samples : int, optional
        Of the test split; 200 by default.
    """
    after, report = compact_with_report(network)
    inputs, tried = _inputs(source, network, samples)
    expected = simulate(network, inputs, backend=fastest_exact(network))
    actual = simulate(after, inputs, backend=fastest_exact(after))
    different = {
        name: int((actual.spikes[name] != expected.spikes[name][:, :, kept]).sum())
        for name, kept in report.kept.items()
        if kept.size
    }
    return Compaction(network, after, report, tried, inputs.shape[1], len(inputs), different)


def _inputs(source: Path, network: Network | QuantizedNetwork, samples: int | None) -> tuple[NDArray[Any], str]:
    if (source / "config.toml").is_file():
        from neurosparse.training.inputs import load_inputs

        if samples is not None:
            return load_inputs(source, "test", samples)[0], "test samples"
        return load_inputs(source, "test")[0][:, :_SAMPLES], "test samples"
    rng = stream(0, "compaction check")
    shape = (_RANDOM_STEPS, samples or _RANDOM_SAMPLES, network.input.n)
    if network.input.kind == "spikes":
        return rng.random(shape) < _RANDOM_RATE, "random spikes"
    if network.input.kind == "graded":
        return rng.integers(0, 256, shape).astype(np.uint8), "random payloads"
    return rng.standard_normal(shape).astype(np.float32), "random values"


def array_bytes(network: Network | QuantizedNetwork) -> int:
    """Return the bytes of all arrays of `network`, as its file holds them."""
    total = sum(p.weights.nbytes + p.indices.nbytes + p.indptr.nbytes for p in network.projections)
    for population in network.populations:
        owner: Any = getattr(population, "neuron", population)
        names = PARAMETERS if isinstance(network, QuantizedNetwork) else owner.parameters
        total += sum(getattr(owner, name).nbytes for name in names)
    return total
