"""NIR's neurons, which are differential equations, as neurons that are updated step by step.

NIR: ``tau dv/dt = (v_leak - v) + R I``, for `CubaLIF` with ``tau_syn dI/dt = -I + w_in S``. Over one step, with the
decay ``beta = 1 - dt/tau`` (forward Euler) or ``exp(-dt/tau)`` (exact for a current that is constant within the step)::

    v = beta v + (1 - beta) (v_leak + R I),      I = alpha I + (1 - alpha) w_in S

So a neuron of ours, ``v = beta v + I'``, needs its weights and biases multiplied by the gain ``(1 - beta) R``, for
`CubaLIF` by ``(1 - beta) R (1 - alpha) w_in``; many tools write R and w_in such that the gain is 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurosparse.core.neurons import LI, LIF, CubaLIF, Neuron, Reset
from neurosparse.errors import ArtifactError, UnsupportedError

__all__ = ["Convention", "Converted", "Discretization", "IfGain", "convert"]

Discretization = Literal["euler", "exact"]
IfGain = Literal["r", "r*dt"]

# A gain this close to 1 was meant to be 1: it is a quotient of rounded time constants.
_ROUNDING = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-13}


@dataclass(frozen=True)
class Convention:
    """What NIR leaves open, as the caller has said it; None where the file must say it."""

    dt: float
    discretization: Discretization
    reset: Reset | None
    if_gain: IfGain | None


@dataclass(frozen=True)
class Converted:
    """A neuron model without the biases of its `Affine` nodes, and what it multiplies its inputs by, shape (n,)."""

    neuron: Neuron
    gain: NDArray[np.float64]
    assumptions: tuple[str, ...]


def convert(name: str, node: dict[str, Any], n: int | None, convention: Convention) -> Converted:
    """Return the neurons of a NIR node called `name`.

    Parameters
    ----------
    name : str
    node : dict
        Its fields.
    n : int or None
        Number of neurons, as its inputs say; None if it has none.
    convention : Convention

    Raises
    ------
    ArtifactError
        For parameters that are missing, not finite or of different shapes.
    UnsupportedError
        For what would be another network here, or could be one of several, with the value that would decide.
    """
    return _Conversion(name, node, n, convention).result()


class _Conversion:
    def __init__(self, name: str, node: dict[str, Any], n: int | None, convention: Convention) -> None:
        self.name, self.node, self.convention = name, node, convention
        self.kind = str(node["type"])
        sizes = {np.size(node[key]) for key in _FIELDS[self.kind] if key in node} - {1}
        self.n = max(sizes) if sizes else (n or 1)
        self.notes: list[str] = []

    def result(self) -> Converted:
        if self.kind == "CubaLIF":
            return self._cuba()
        beta, gain, leak = self._membrane()
        if self.kind in ("LI", "I"):
            return Converted(LI(beta, (1 - beta) * leak), gain, tuple(self.notes))
        reset, base = self._reset()
        threshold = self._threshold(base)
        return Converted(LIF(beta, threshold, reset, (1 - beta) * (leak - base)), gain, tuple(self.notes))

    def _membrane(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        if self.kind in ("IF", "I"):
            return np.ones(self.n), self._integrator_gain(), np.zeros(self.n)
        beta, rest = self._decay("tau")
        return beta, self._near_one(rest * self._field("r"), "(1 - beta) R", "r"), self._field("v_leak")

    def _cuba(self) -> Converted:
        (alpha, rest_syn), (beta, rest) = self._decay("tau_syn"), self._decay("tau_mem")
        gain = rest * self._field("r") * rest_syn * self._field("w_in", default=1.0)
        gain = self._near_one(gain, "(1 - beta) R (1 - alpha) w_in", "r")
        reset, base = self._reset()
        if (self._field("v_leak") != base).any():
            self._refuse(
                "v_leak differs from v_reset: the leak would be a current behind the synapse, which no neuron here has"
            )
        self.notes.append("the synaptic current of a step enters the voltage in that step (snnTorch, lava-dl)")
        return Converted(CubaLIF(alpha, beta, self._threshold(base), reset), gain, tuple(self.notes))

    def _decay(self, key: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the decay per step, and 1 minus it as it was before rounding: a decay of nearly 1 leaves no digits."""
        tau, dt = self._field(key), self.convention.dt
        if (tau <= 0).any():
            self._refuse(f"{key} must be > 0, got {tau.min():g}")
        if self.convention.discretization == "exact":
            return np.exp(-dt / tau), -np.expm1(-dt / tau)
        decay = 1 - dt / tau
        decay[np.abs(decay) < 1e-6] = 0.0  # tau = dt, rounded
        if (decay < 0).any():
            self._refuse(
                f"{key} = {tau.min():g} s is shorter than dt = {dt:g} s, for which forward Euler has no decay; "
                "give the dt of the program that wrote it (Norse 1.1 writes tau * dt: give its dt squared), or "
                "discretization='exact'"
            )
        return decay, dt / tau

    def _integrator_gain(self) -> NDArray[np.float64]:
        r, dt = self._field("r"), self.convention.dt
        if self.convention.if_gain == "r":
            return r
        if self.convention.if_gain is None and (np.abs(r * dt - 1) > 1e-6).any():
            self._refuse(
                f"NIR says dv/dt = R I, a gain of R dt = {r.flat[0] * dt:g} per step, but sinabs and others write R "
                "for the gain itself; give if_gain='r' or if_gain='r*dt'"
            )
        return self._near_one(r * dt, "R dt", "r")

    def _reset(self) -> tuple[Reset, NDArray[np.float64]]:
        """Return the reset, and the voltage to which it goes and from which voltages are counted."""
        given, base = self.convention.reset, self._field("v_reset", default=0.0)
        if given is None and "v_reset" not in self.node:
            self._refuse(
                "the file has no v_reset, and programs differ in what they mean (snnTorch subtracts the threshold); "
                "give reset='zero', 'subtract' or 'none'"
            )
        if given is None:
            self.notes.append(
                "a spike sets the voltage to v_reset, as NIR says; a program that subtracts the threshold instead "
                "(snnTorch's default) writes the same: reset='subtract' then"
            )
        reset = given or "zero"
        if reset != "zero":
            if (base != 0).any():
                self._refuse(f"reset={reset!r} contradicts v_reset = {base[base != 0][0]:g}")
            if reset == "subtract":
                self.notes.append(
                    "the threshold is subtracted in the step after the spike (snnTorch's reset_delay=True)"
                )
        elif (base != 0).any():
            self.notes.append("voltages are counted from v_reset, and every neuron starts there")
        return reset, base

    def _threshold(self, base: NDArray[np.float64]) -> NDArray[np.float64]:
        threshold = self._field("v_threshold") - base
        if (threshold <= 0).any():
            self._refuse("v_threshold must be above v_reset, or the neuron spikes at rest")
        return threshold

    def _near_one(self, gain: NDArray[np.float64], formula: str, key: str) -> NDArray[np.float64]:
        dtype = np.asarray(self.node[key]).dtype
        near = np.abs(gain - 1) <= _ROUNDING.get(dtype, 1e-6)
        if not near.all():
            low, high = gain.min(), gain.max()
            text = f"{low:.6g}" if low == high else f"{low:.6g}..{high:.6g}"
            self.notes.append(f"weights and biases are multiplied by {formula} = {text}, so that voltages stay NIR's")
        return np.where(near, 1.0, gain)

    def _field(self, key: str, default: float | None = None) -> NDArray[np.float64]:
        if key not in self.node:
            if default is None:
                raise ArtifactError(f"from_nir: {self.kind} {self.name!r} has no {key}")
            return np.full(self.n, default)
        try:
            values = np.asarray(self.node[key], np.float64).reshape(-1)
        except (TypeError, ValueError) as error:
            raise ArtifactError(f"from_nir: {key} of {self.name!r} is no array of numbers") from error
        if not np.isfinite(values).all():
            raise ArtifactError(
                f"from_nir: {key} of {self.name!r} must be finite, got {values[~np.isfinite(values)][0]}"
            )
        if values.size not in (1, self.n):
            raise ArtifactError(f"from_nir: {key} of {self.name!r} has {values.size} values for {self.n} neurons")
        return np.broadcast_to(values, (self.n,)).copy()

    def _refuse(self, reason: str) -> None:
        raise UnsupportedError(f"from_nir: {self.kind} {self.name!r}: {reason}")


_FIELDS = {
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "CubaLIF": ("tau_mem", "tau_syn", "r", "v_leak", "v_threshold", "v_reset", "w_in"),
    "LI": ("tau", "r", "v_leak"),
    "IF": ("r", "v_threshold", "v_reset"),
    "I": ("r",),
}
