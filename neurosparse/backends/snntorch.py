"""snnTorch (Eshraghian et al. 2023): the network run step by step by `snntorch.Leaky` and `snntorch.Synaptic`.

What the written equations claim about snnTorch is checked by running snnTorch. The connections are sparse CSR matrices,
spikes on their way wait in ring buffers, and a spike function that keeps the type makes float64 networks possible
(snnTorch's surrogates return float32).
"""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from neurosparse.backends.base import Quantity, thresholds
from neurosparse.core.network import INPUT, Network, Population, is_readout
from neurosparse.core.neurons import LI, CubaLIF
from neurosparse.core.projection import Projection
from neurosparse.core.recording import Recording

if TYPE_CHECKING:
    import torch

__all__ = ["SnnTorch"]


@dataclass(frozen=True)
class SnnTorch:
    """snnTorch's own neuron modules, one step after the other, all samples of the batch at once, on the CPU."""

    name: ClassVar[str] = "snntorch"

    def missing(self) -> str | None:
        """Return None, or the line that installs what is missing."""
        installed = all(importlib.util.find_spec(name) is not None for name in ("torch", "snntorch"))
        return None if installed else "pip install neurosparse on Python 3.11 or later, which brings torch and snntorch"

    def unsupported(self, network: Network) -> list[str]:
        """Return the reasons why `network` cannot run; there is none."""
        return []

    def simulate(self, network: Network, inputs: ArrayLike, *, record: frozenset[Quantity], seed: int) -> Recording:
        """Run `network`; see `neurosparse.simulate`."""
        import torch

        x = torch.from_numpy(network.input.values(inputs, network.dtype))
        n_steps, n_samples = x.shape[:2]
        with torch.no_grad(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)
            cells = {p.name: _Cell(p, x.dtype) for p in network.populations}
            lines = [_Line(p, x.dtype) for p in network.projections]
            spikes = {p.name: np.zeros((n_steps, n_samples, p.n), bool) for p in network.populations}
            voltages = {
                p.name: np.zeros((n_steps, n_samples, p.n), network.dtype)
                for p in network.populations
                if "voltages" in record or is_readout(p)
            }
            for t in range(n_steps):
                now = {INPUT: x[t]}
                for name in network.order:
                    cell = cells[name]
                    current = x.new_zeros((n_samples, cell.n))
                    for line in lines:
                        if line.target == name:
                            arriving = line.arriving(t) if line.delay else now[line.source]
                            if arriving is not None:
                                current = current + line.transmit(arriving)
                    now[name] = cell.step(current + cell.bias)
                    spikes[name][t] = now[name].numpy() != 0
                    if name in voltages:
                        voltages[name][t] = cell.mem.numpy()
                for line in lines:
                    line.enter(t, now[line.source])
        return Recording(spikes, voltages, thresholds(network), network.dt, self.name)


class _Cell:
    """The snnTorch module of one population, with its state."""

    def __init__(self, population: Population, dtype: torch.dtype) -> None:
        import snntorch
        import torch

        def tensor(values: Any) -> torch.Tensor:
            return torch.as_tensor(np.array(values), dtype=dtype)

        neuron = population.neuron
        self.n, self.bias = population.n, tensor(neuron.bias)
        # A read-out is snntorch.Leaky that never reaches its threshold.
        reset = "none" if isinstance(neuron, LI) else neuron.reset
        threshold = tensor(np.full(self.n, np.inf) if isinstance(neuron, LI) else neuron.v_threshold)
        options: dict[str, Any] = {
            "beta": tensor(neuron.beta),
            "threshold": threshold,
            "reset_mechanism": reset,
            "reset_delay": reset != "zero",
            "spike_grad": _heaviside,
        }
        # snnTorch keeps every module ever made in this list; a simulation should leave nothing behind
        registry = snntorch.SpikingNeuron.instances
        known = len(registry)
        if isinstance(neuron, CubaLIF):
            self._module = snntorch.Synaptic(alpha=tensor(neuron.alpha), **options)
        else:
            self._module = snntorch.Leaky(**options)
        del registry[known:]
        self._state: tuple[torch.Tensor, ...] = ()

    @property
    def mem(self) -> torch.Tensor:
        """The voltage (batch, n) after the last step."""
        return self._state[-1]

    def step(self, current: torch.Tensor) -> torch.Tensor:
        """Advance by one step under the complete current (batch, n); return the spikes, 0 or 1, in the same type."""
        spikes, *state = self._module(current, *self._state)
        self._state = tuple(state)
        return spikes


class _Line:
    """One projection: a sparse matrix and, if it has a delay, a ring of what is on its way."""

    def __init__(self, projection: Projection, dtype: torch.dtype) -> None:
        import torch

        self.source, self.target, self.delay = projection.source, projection.target, projection.delay
        self._matrix = torch.sparse_csr_tensor(
            torch.from_numpy(projection.indptr.copy()),
            torch.from_numpy(projection.indices.astype(np.int64)),
            torch.from_numpy(projection.weights.copy()),
            size=projection.shape,
            check_invariants=False,  # Projection has checked them
            dtype=dtype,
        )
        self._ring: list[torch.Tensor | None] = [None] * self.delay

    def arriving(self, t: int) -> torch.Tensor | None:
        """Return what entered `delay` steps before step `t`; None if that was before the start."""
        return self._ring[t % self.delay]

    def enter(self, t: int, values: torch.Tensor) -> None:
        """Put what the source sent in step `t` on its way."""
        if self.delay:
            self._ring[t % self.delay] = values

    def transmit(self, values: torch.Tensor) -> torch.Tensor:
        """Return the current (batch, n_target) that `values` (batch, n_source) cause."""
        return (self._matrix @ values.T).T


def _heaviside(x: torch.Tensor) -> torch.Tensor:
    """Return 1 where ``x > 0``, else 0, in the type of `x`; snnTorch's surrogates return float32, whatever they get."""
    return (x > 0).to(x.dtype)
