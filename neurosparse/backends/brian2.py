"""Brian2 (Stimberg, Brette and Goodman 2019): `Network` in its runtime targets numpy and cython and in C++ standalone.

Everything runs in *one* `NeuronGroup`, all populations of all samples side by side, with the neuron model's parameters
as variables, and *one* `Synapses` object plus one for the input. The generated code is then the same for every network,
so that the cython target compiles once per float type and never again. A synaptic hop costs one step in Brian2's
default schedule; `pipeline` aligns that.

What the textbook translation (``dv/dt = -v/tau``, ``on_pre='v += w'``, ``reset='v -= thr'``) gets wrong, and this does
not: the weight must not be multiplied by the decay, the subtraction of a reset acts after the next decay, every
statement is one IEEE operation that neither Brian2's optimiser nor the compiler may re-associate or contract, and no
constant may be a double in float32 arithmetic.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosparse.backends import brian2_session, copies
from neurosparse.backends.base import Quantity, thresholds
from neurosparse.core.network import Network, is_readout
from neurosparse.core.pipeline import Pipeline, impossible_loops, pipeline
from neurosparse.core.recording import Recording
from neurosparse.errors import ValidationError

__all__ = ["Brian2", "Brian2Cython", "Brian2Standalone"]

# LIF is CubaLIF with alpha = 0; the resets differ by `sub` (threshold or 0) and `keep` (0 or 1). `current` ends the
# step as what the next one starts from: the bias, from the step on at which the population's own time begins.
_MODEL = """
mem : 1
syn : 1
current : 1
r : 1
alpha : 1 (constant)
beta : 1 (constant)
bias : 1 (constant)
thr : 1 (constant)
sub : 1 (constant)
keep : 1 (constant)
bias_from : integer (constant)
"""
_STEP = """
decayed_syn = alpha*syn
syn = decayed_syn + current
decayed_mem = beta*mem
charged = decayed_mem + syn
pending = r*sub
mem = charged - pending
r = 0
on = int(t_in_timesteps >= bias_from)
current = on*bias
"""
_RESET = """
r = 1
mem = mem*keep
"""


@dataclass(frozen=True)
class Brian2:
    """Brian2's numpy target: no compiler needed.

    Parameters
    ----------
    max_synapses : int
        Samples run side by side, as many at a time as have at most this many synapses together (about 100 bytes each),
        or one.
    """

    max_synapses: int = 2_000_000

    name: ClassVar[str] = "brian2"
    target: ClassVar[brian2_session.Target] = "numpy"

    def __post_init__(self) -> None:
        if not self.max_synapses >= 1:
            raise ValidationError(f"{type(self).__name__}.max_synapses: must be at least 1, got {self.max_synapses!r}")

    def missing(self) -> str | None:
        """Return None, or the line that installs what is missing."""
        return brian2_session.missing(self.target)

    def unsupported(self, network: Network) -> list[str]:
        """Return why `network` cannot run: a loop with less delay than hops."""
        return impossible_loops(network)

    def simulate(self, network: Network, inputs: ArrayLike, *, record: frozenset[Quantity], seed: int) -> Recording:
        """Run `network`; see `neurosparse.simulate`.

        The recording's ``info`` has ``build_seconds`` (objects, code, compilation), ``run_seconds`` (the time steps)
        and ``synaptic_events``.
        """
        x = network.input.values(inputs, network.dtype)
        plan = pipeline(network)
        wanted = [p.name for p in network.populations if "voltages" in record or is_readout(p)]
        spikes = {p.name: np.zeros((*x.shape[:2], p.n), bool) for p in network.populations}
        voltages = {name: np.zeros((*x.shape[:2], network[name].n), network.dtype) for name in wanted}
        build_seconds = run_seconds = 0.0
        for samples in copies.batches(network, x, self.max_synapses) if x.shape[0] else ():
            started = time.perf_counter()
            with self._session(network.dtype) as session:
                run = _Run(session, network, plan, x[:, samples], wanted)
                run.store(spikes, voltages, samples)
            run_seconds += session.run_seconds
            build_seconds += time.perf_counter() - started - session.run_seconds
        info = {
            "build_seconds": build_seconds,
            "run_seconds": run_seconds,
            "synaptic_events": copies.synaptic_events(network, x, spikes),
        }
        return Recording(spikes, voltages, thresholds(network), network.dt, self.name, info)

    def _session(self, dtype: np.dtype[Any]) -> AbstractContextManager[brian2_session.Session]:
        return brian2_session.session(self.target, dtype)


@dataclass(frozen=True)
class Brian2Cython(Brian2):
    """Brian2's cython target: compiles once per float type (under a minute), then starts from its cache."""

    name: ClassVar[str] = "brian2-cython"
    target: ClassVar[brian2_session.Target] = "cython"


@dataclass(frozen=True)
class Brian2Standalone(Brian2):
    """Brian2's C++ standalone mode: writes, compiles and runs a C++ project in a temporary directory.

    Parameters
    ----------
    max_synapses : int
        As for `Brian2`. Every chunk of samples is a project of its own to compile, hence the larger default.
    time_limit_s : float
        Seconds after which compiling, and after which running, is stopped with a `SidecarError`.
    """

    max_synapses: int = 10_000_000
    time_limit_s: float = 600.0

    name: ClassVar[str] = "brian2-standalone"
    target: ClassVar[brian2_session.Target] = "standalone"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.time_limit_s > 0:
            raise ValidationError(f"Brian2Standalone.time_limit_s: must be seconds > 0, got {self.time_limit_s!r}")

    def _session(self, dtype: np.dtype[Any]) -> AbstractContextManager[brian2_session.Session]:
        return brian2_session.session(self.target, dtype, self.time_limit_s)


class _Run:
    """One run of as many copies of a network as `x` (time, batch, n_lines) has samples."""

    def __init__(
        self, session: brian2_session.Session, network: Network, plan: Pipeline, x: NDArray[Any], wanted: list[str]
    ) -> None:
        b2 = session.brian2
        self._network, self._plan, self._wanted = network, plan, wanted
        self._n_steps, self._n_copies = x.shape[:2]
        self._first = copies.starts(network)
        # With steps of one second, times and delays are whole numbers; nothing in the equations depends on dt.
        clock = b2.Clock(1 * b2.second, name="neurosparse_clock")
        neurons = self._neurons(b2, clock)
        self._spikes = b2.SpikeMonitor(neurons, name="neurosparse_spikes")
        parts = [neurons, self._spikes]
        inner = copies.recurrent_synapses(network, plan, self._n_copies)
        inputs = copies.generators(x)
        if inner.weights.size:
            parts.append(_connect(b2, neurons, neurons, inner, "neurosparse_synapses"))
        if inputs.lines.size:
            parts.append(
                b2.SpikeGeneratorGroup(
                    inputs.lines.size,
                    inputs.indices,
                    inputs.steps * b2.second,
                    clock=clock,
                    sorted=True,
                    name="neurosparse_input",
                )
            )
            outer = copies.input_synapses(network, plan, inputs)
            if outer.weights.size:
                parts.append(_connect(b2, parts[-1], neurons, outer, "neurosparse_input_synapses"))
        self._voltages = None
        if wanted:
            self._voltages = b2.StateMonitor(
                neurons, "mem", record=self._recorded(), clock=clock, when="end", name="neurosparse_voltages"
            )
            parts.append(self._voltages)
        session.run(b2.Network(*parts, name="neurosparse_network"), self._n_steps + plan.n_extra)

    def _neurons(self, b2: Any, clock: Any) -> Any:
        n, dtype = self._n_copies * self._network.n_neurons, self._network.dtype
        group = b2.NeuronGroup(
            n, _MODEL, threshold="mem > thr", reset=_RESET, dtype=dtype.type, clock=clock, name="neurosparse_neurons"
        )
        group.run_regularly(_STEP, when="groups", clock=clock, name="neurosparse_step")
        for name, values in _parameters(self._network, self._plan).items():
            setattr(group, name, np.tile(values, self._n_copies))
        return group

    def _recorded(self) -> NDArray[np.int64]:
        """Return the indices of all neurons whose voltage is wanted, copy by copy."""
        network = self._network
        one = np.concatenate([self._first[name] + np.arange(network[name].n) for name in self._wanted])
        return (np.arange(self._n_copies)[:, np.newaxis] * network.n_neurons + one).reshape(-1)

    def store(self, spikes: dict[str, NDArray[np.bool_]], voltages: dict[str, NDArray[Any]], samples: slice) -> None:
        """Write the recorded steps into the columns `samples` of `spikes` and `voltages`, shifted by each offset."""
        network, n_rows = self._network, self._n_steps + self._plan.n_extra
        raster = np.zeros((n_rows, self._n_copies * network.n_neurons), bool)
        raster[np.rint(np.asarray(self._spikes.t)).astype(np.int64), np.asarray(self._spikes.i)] = True
        raster = raster.reshape(n_rows, self._n_copies, network.n_neurons)
        for p in network.populations:
            spikes[p.name][:, samples] = raster[self._rows(p.name), :, self._first[p.name] : self._first[p.name] + p.n]
        if self._voltages is not None:
            trace = np.asarray(self._voltages.mem).T.reshape(n_rows, self._n_copies, -1)
            column = 0
            for name in self._wanted:
                voltages[name][:, samples] = trace[self._rows(name), :, column : column + network[name].n]
                column += network[name].n

    def _rows(self, population: str) -> slice:
        offset = self._plan.offsets[population]
        return slice(offset, offset + self._n_steps)


def _parameters(network: Network, plan: Pipeline) -> dict[str, NDArray[Any]]:
    """Return the variables of `_MODEL` for the neurons of one copy, each of shape (n,)."""
    columns: dict[str, list[NDArray[Any]]] = {}
    for p in network.populations:
        neuron, zero = p.neuron, np.zeros(p.n, network.dtype)
        threshold = getattr(neuron, "v_threshold", zero + np.inf)
        reset = getattr(neuron, "reset", "none")
        values = {
            "alpha": getattr(neuron, "alpha", zero),
            "beta": neuron.beta,
            "bias": neuron.bias,
            "thr": threshold,
            "sub": threshold if reset == "subtract" else zero,
            "keep": zero if reset == "zero" else zero + 1,
            "bias_from": np.full(p.n, plan.offsets[p.name] - 1, np.int32),
        }
        for name, value in values.items():
            columns.setdefault(name, []).append(value)
    return {name: np.concatenate(values) for name, values in columns.items()}


def _connect(b2: Any, source: Any, target: Any, synapses: copies.Synapses, name: str) -> Any:
    result = b2.Synapses(
        source,
        target,
        "w : 1 (constant)",
        on_pre="current_post += w",
        dtype=synapses.weights.dtype.type,
        clock=target.clock,
        name=name,
    )
    result.connect(i=synapses.sources, j=synapses.targets)
    result.w = synapses.weights
    result.delay = (synapses.delays - 1) * b2.second  # a hop itself takes one step
    return result
