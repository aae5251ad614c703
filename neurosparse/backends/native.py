"""neurosparse's own simulator: compiled loops over time, driven by spikes, with the reference's bits."""

from __future__ import annotations

import importlib.util
import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from neurosparse.backends.base import Quantity, thresholds
from neurosparse.core.network import Network, is_readout
from neurosparse.core.quantized import QuantizedNetwork
from neurosparse.core.recording import Recording
from neurosparse.errors import ValidationError

if TYPE_CHECKING:
    from neurosparse.kernels.simulation_plan import Tables

__all__ = ["Native"]

_MOST_NEURONS = 2**27 - 16
"""In a population: positions of vectors of 16 currents are 32-bit integers."""


@dataclass(frozen=True)
class Native:
    """Numba kernels: one sample in microseconds, many samples on all cores.

    Spikes and voltages are the reference's, bit for bit, on a grid or not: sums are made in the reference's order. (One
    exception: with ``kind="analog"`` or with payloads off the grid, on processors where scipy's matrix product fuses
    multiplication and addition, which its x86 builds do not.)

    Parameters
    ----------
    threads : int, optional
        Threads among which the samples of a batch are shared; by default as many as Numba may use
        (``NUMBA_NUM_THREADS``). The result does not depend on it.
    """

    threads: int | None = None

    name: ClassVar[str] = "native"
    integers: ClassVar[bool] = True

    def __post_init__(self) -> None:
        count = self.threads
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
            raise ValidationError(f"Native.threads: must be a whole number >= 1 or None, got {count!r}")

    def missing(self) -> str | None:
        """Return None if Numba is there, else the line that installs it."""
        return None if importlib.util.find_spec("numba") else "pip install numba"

    def unsupported(self, network: Network | QuantizedNetwork) -> list[str]:
        """It runs every network whose populations it can count in 32 bits."""
        return [
            f"population {name!r} has {network.size_of(name)} neurons, this engine counts to {_MOST_NEURONS}"
            for name in network.order
            if network.size_of(name) > _MOST_NEURONS
        ]

    def simulate(
        self, network: Network | QuantizedNetwork, inputs: ArrayLike, *, record: frozenset[Quantity], seed: int
    ) -> Recording:
        """Run `network`; see `neurosparse.simulate`.

        The recording's ``info`` has ``additions``: how many additions of a weight, to one step or to a word of 16, the
        spikes of all samples took. The first call for a float type compiles (half a minute, then cached on disk).
        """
        if isinstance(network, QuantizedNetwork):
            from neurosparse.backends.native_integers import simulate_integers

            return simulate_integers(network, inputs, record=record, threads=self.threads)
        from neurosparse.kernels.simulation import run_tables

        x = network.input.values(inputs, np.bool_ if network.input.kind == "spikes" else network.dtype)
        tables = _tables(network, voltages="voltages" in record)
        result = run_tables(tables, np.ascontiguousarray(x), threads=self._n_threads(x.shape[1]))
        spikes = {p.name: result.spikes[p.name] for p in network.populations}
        voltages = {p.name: result.voltages[p.name] for p in network.populations if p.name in result.voltages}
        info = {"additions": result.additions}
        return Recording(spikes, voltages, thresholds(network), network.dt, self.name, info)

    def _n_threads(self, n_samples: int) -> int:
        if n_samples < 2:
            return 1
        if self.threads is not None:
            return min(self.threads, n_samples)
        from neurosparse.kernels.jit import n_threads

        return min(n_threads(), n_samples)


_lock = threading.Lock()
_known: weakref.WeakKeyDictionary[Network, dict[bool, Tables]] = weakref.WeakKeyDictionary()


def _tables(network: Network, *, voltages: bool) -> Tables:
    """Return the network's tables, made once for as long as the network lives: it cannot change."""
    from neurosparse.kernels.simulation_gather import has_wide_masks
    from neurosparse.kernels.simulation_plan import make_tables

    with _lock:
        made = _known.setdefault(network, {})
        if voltages not in made:
            traced = tuple(p.name for p in network.populations if voltages or is_readout(p))
            made[voltages] = make_tables(network, traced, split=has_wide_masks())
        return made[voltages]
