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
    most_neurons: ClassVar[int] = 2**27 - 16
    """In a population: positions of vectors of 16 currents are 32-bit integers."""

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
            f"population {p.name!r} has {p.n} neurons, this engine counts to {self.most_neurons}"
            for p in network.populations
            if p.n > self.most_neurons
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
        known = _prepared(network)
        x = network.input.values(inputs, known.input_type)
        tables = known.tables(network, voltages="voltages" in record)
        result = known.run(tables, np.ascontiguousarray(x), self._n_threads(x.shape[1]))
        return Recording.unchecked(
            spikes=result.spikes,
            voltages=result.voltages,
            v_thresholds=dict(known.thresholds),
            dt=network.dt,
            backend=self.name,
            info={"additions": result.additions},
        )

    def _n_threads(self, n_samples: int) -> int:
        if n_samples < 2:
            return 1
        if self.threads is not None:
            return min(self.threads, n_samples)
        from neurosparse.kernels.jit import n_threads

        return min(n_threads(), n_samples)


class _Prepared:
    """What need not be found out again for every sample of a network, which cannot change."""

    def __init__(self, network: Network) -> None:
        from neurosparse.kernels.simulation import run_checked

        self.run = run_checked
        self.input_type = np.dtype(np.bool_) if network.input.kind == "spikes" else network.dtype
        self.thresholds = thresholds(network)
        self._tables: dict[bool, Tables] = {}

    def tables(self, network: Network, *, voltages: bool) -> Tables:
        """Return the tables for recording all voltages or those of read-outs only, made when first asked for."""
        made = self._tables.get(voltages)
        return self._make(network, voltages) if made is None else made

    def _make(self, network: Network, voltages: bool) -> Tables:
        from neurosparse.kernels.simulation_gather import has_wide_masks
        from neurosparse.kernels.simulation_plan import make_tables

        with _lock:
            if voltages not in self._tables:
                traced = tuple(p.name for p in network.populations if voltages or is_readout(p))
                self._tables[voltages] = make_tables(network, traced, split=has_wide_masks())
        return self._tables[voltages]


_lock = threading.Lock()
_known: weakref.WeakKeyDictionary[Network, _Prepared] = weakref.WeakKeyDictionary()


def _prepared(network: Network) -> _Prepared:
    """Return what is known of `network`, kept for as long as it lives."""
    known = _known.get(network)
    if known is None:
        with _lock:
            known = _known.setdefault(network, _Prepared(network))
    return known
