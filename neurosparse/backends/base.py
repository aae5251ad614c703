"""What a backend is, and `simulate`, the one function that runs any of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from neurosparse.core.network import Network, is_readout
from neurosparse.core.quantized import QuantizedNetwork
from neurosparse.core.recording import Recording
from neurosparse.core.registry import Registry
from neurosparse.errors import MissingDependencyError, UnknownNameError, UnsupportedError

__all__ = ["BACKENDS", "Backend", "Quantity", "fastest_exact", "get_backend", "simulate"]

Quantity = Literal["spikes", "voltages", "currents"]
_QUANTITIES = get_args(Quantity)

BACKENDS = Registry(
    "backends",
    {
        "reference": "neurosparse.backends.reference:Reference",
        "native": "neurosparse.backends.native:Native",
        "snntorch": "neurosparse.backends.snntorch:SnnTorch",
        "brian2": "neurosparse.backends.brian2:Brian2",
        "brian2-cython": "neurosparse.backends.brian2:Brian2Cython",
        "brian2-standalone": "neurosparse.backends.brian2:Brian2Standalone",
        "lava": "neurosparse.backends.lava:Lava",
    },
)
"""Every engine by name. A backend = one file + one line here."""


INTEGER_BACKENDS = ("reference", "native", "lava")
"""The engines of ours that run a `QuantizedNetwork` too."""


@runtime_checkable
class Backend(Protocol):
    """An engine that runs a `Network`. Implementations are frozen dataclasses, their fields the engine's options.

    An engine that runs a `QuantizedNetwork` as well says so by a class attribute ``integers = True``; it is then given
    either.
    """

    name: str

    def missing(self) -> str | None:
        """Return None if this engine can run here, else the one line that makes it so (``pip install ...``)."""

    def unsupported(self, network: Any) -> list[str]:
        """Return the reasons, in the user's words, why this engine cannot run `network`; empty if it can."""

    def simulate(self, network: Any, inputs: ArrayLike, *, record: frozenset[Quantity], seed: int) -> Recording:
        """Run `network` from rest on `inputs` (time, batch, n_inputs); called only with what `unsupported` has passed.

        Spikes of every population are always recorded; voltages of `LI` populations too, of the others if `record`
        asks for them.
        """


def get_backend(backend: str | Backend) -> Backend:
    """Return the backend of that name with its default options; a backend object is returned as it is."""
    return BACKENDS.get(backend)() if isinstance(backend, str) else backend


def fastest_exact(network: Network | QuantizedNetwork) -> str:
    """Return the name of the fastest engine here that has the reference's bits: ``native``, or the reference itself."""
    native = get_backend("native")
    return "native" if native.missing() is None and not native.unsupported(network) else "reference"


def simulate(
    network: Network | QuantizedNetwork,
    inputs: ArrayLike,
    *,
    backend: str | Backend = "reference",
    record: Quantity | Iterable[Quantity] = "spikes",
    seed: int = 0,
) -> Recording:
    """Run `network` on `inputs` in one of the engines, every sample from rest.

    Parameters
    ----------
    network : Network or QuantizedNetwork
        In floats, or in a chip's integers; the type decides, in every engine that knows both.
    inputs : array, shape (time, batch, n_inputs) or (time, n_inputs)
        Spikes (bool, 0/1), uint8 payloads or floats, as ``network.input.kind`` says.
    backend : str or Backend
        A name (``neurosparse.backends.BACKENDS``) or a configured backend object.
    record : {"spikes", "voltages", "currents"} or several of them
        Spikes are always there; ``"voltages"`` adds the voltage of every population, ``"currents"`` the synaptic
        current of every population of a `QuantizedNetwork`.
    seed : int
        For engines that draw random numbers; none of the built-in ones does.

    Returns
    -------
    Recording
        Arrays (time, batch, n) per population, aligned so that step t is step t of the `reference`, whatever the
        engine's own latency.

    Raises
    ------
    UnsupportedError
        If the engine cannot express the network, with every reason.
    MissingDependencyError
        If the engine is not installed, with the line that installs it.
    """
    engine = get_backend(backend)
    quantities = frozenset([record] if isinstance(record, str) else record)
    for quantity in quantities:
        if quantity not in _QUANTITIES:
            raise UnknownNameError("record", str(quantity), _QUANTITIES)
    line = engine.missing()
    if line is not None:
        raise MissingDependencyError(f"backend {engine.name!r} is not installed here: {line}")
    reasons = _wrong_arithmetic(engine, network, quantities) or engine.unsupported(network)
    if reasons:
        raise UnsupportedError(f"backend {engine.name!r} cannot run this network: " + "; ".join(reasons))
    return engine.simulate(network, inputs, record=quantities, seed=seed)


def _wrong_arithmetic(engine: Backend, network: Network | QuantizedNetwork, quantities: frozenset[str]) -> list[str]:
    if isinstance(network, QuantizedNetwork):
        if not getattr(engine, "integers", False):
            known = ", ".join(name for name in INTEGER_BACKENDS if name in BACKENDS)
            return [f"it computes in floats and this network is quantised; integers run in: {known}"]
    elif "currents" in quantities:
        return ["record 'currents' is for a QuantizedNetwork; of a float network, record spikes and voltages"]
    return []


def float_recording(
    network: Network, n_steps: int, n_samples: int, record: frozenset[Quantity], backend: str
) -> Recording:
    """Return a recording of zeros, for the engine `backend` to fill in: voltages of read-outs, of others if wanted."""
    spikes = {p.name: np.zeros((n_steps, n_samples, p.n), bool) for p in network.populations}
    wanted = [p for p in network.populations if "voltages" in record or is_readout(p)]
    voltages = {p.name: np.zeros((n_steps, n_samples, p.n), network.dtype) for p in wanted}
    return Recording(spikes, voltages, thresholds(network), network.dt, backend)


def thresholds(network: Network) -> dict[str, Any]:
    """Return the thresholds of the populations that have one, for `Recording.v_thresholds`."""
    return {p.name: p.neuron.v_threshold for p in network.populations if hasattr(p.neuron, "v_threshold")}
