"""The neuron models, each with the one update equation that every engine obeys.

Per time step, one IEEE operation at a time, from left to right, in the precision of the network::

    I = sum_j W[i,j] s_j(t - delay) + bias            the complete sum first
    LIF:      v = beta * v + I
    CubaLIF:  c = alpha * c + I ;  v = beta * v + c
    LI:       v = beta * v + I                        no threshold: the voltage is the output

    reset "subtract":  v = v - s(t-1) * v_threshold   acts in the step after the spike (snnTorch's reset_delay=True)
    s = v > v_threshold                               strict
    reset "zero":      v = 0 where s                  in the same step
    reset "none":      nothing

These are `snntorch.Leaky` and `snntorch.Synaptic` (Eshraghian et al. 2023) with a delayed subtractive or an immediate
zero reset. `beta` and `alpha` are the truth; time constants are derived from them.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosparse.core.checks import check_duration
from neurosparse.errors import UnknownNameError, ValidationError

__all__ = [
    "LI",
    "LIF",
    "NEURON_MODELS",
    "CubaLIF",
    "Neuron",
    "Reset",
    "beta_from_tau",
    "beta_from_tau_euler",
    "tau_from_beta",
    "tau_from_beta_euler",
]

Reset = Literal["subtract", "zero", "none"]
State = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False, repr=False)
class _Neuron:
    """What the models share: per-neuron parameters that are scalars or arrays of shape (n,)."""

    parameters: ClassVar[tuple[str, ...]]
    state_names: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        for name in self.parameters:
            label = f"{type(self).__name__}.{name}"
            try:
                value = np.array(getattr(self, name))
            except ValueError as error:
                raise ValidationError(
                    f"{label}: must be a number or one number per neuron, got rows of different lengths"
                ) from error
            if value.dtype.kind not in "fiu" or value.ndim > 1:
                raise ValidationError(
                    f"{label}: must be a number or one number per neuron, got {value.dtype} of shape {value.shape}"
                )
            # integers and Python floats mean what they say in float64; float32 arrays stay float32
            value = value.astype(np.float32 if value.dtype == np.float32 else np.float64)
            _check_values(label, name, value)
            value.flags.writeable = False
            object.__setattr__(self, name, value)

    def broadcast(self, n: int, dtype: np.dtype[Any]) -> Any:
        """Return this model with every parameter as an array of shape (n,) and type `dtype`."""
        arrays = {}
        for name in self.parameters:
            value = getattr(self, name)
            if value.ndim == 1 and value.size != n:
                raise ValidationError(
                    f"{type(self).__name__}.{name}: has {value.size} values, the population has {n} neurons"
                )
            with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and `replace` refuses it
                arrays[name] = np.broadcast_to(value, (n,)).astype(dtype)
        return dataclasses.replace(self, **arrays)

    def __repr__(self) -> str:
        values = [f"{name}={_summary(getattr(self, name))}" for name in self.parameters]
        reset = [f"reset={self.reset!r}"] if isinstance(self, LIF | CubaLIF) else []
        return f"{type(self).__name__}({', '.join([*values, *reset])})"

    def initial_state(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> State:
        """Return the state at rest: zeros of `shape` for every state variable and for the last spikes ``s``."""
        return {name: np.zeros(shape, dtype) for name in (*self.state_names, "s")}


@dataclass(frozen=True, eq=False, repr=False)
class LIF(_Neuron):
    """Leaky integrate-and-fire neuron, ``v = beta * v + I`` (`snntorch.Leaky`).

    Parameters
    ----------
    beta : array_like, shape () or (n,)
        Decay of the voltage per step, in [0, 1].
    v_threshold : array_like, shape () or (n,)
        Firing threshold, > 0; a spike needs ``v > v_threshold``.
    reset : {"subtract", "zero", "none"}
        What a spike does to the voltage (see the module's equations).
    bias : array_like, shape () or (n,)
        Constant current added at every step.
    """

    beta: Any = 0.9
    v_threshold: Any = 1.0
    reset: Reset = "subtract"
    bias: Any = 0.0

    parameters: ClassVar[tuple[str, ...]] = ("beta", "v_threshold", "bias")
    state_names: ClassVar[tuple[str, ...]] = ("v",)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_reset(self)

    def step(self, state: State, current: NDArray[Any]) -> NDArray[np.bool_]:
        """Advance `state` by one step under the complete current (batch, n); return the spikes (batch, n)."""
        return _fire(self, state, self.beta * state["v"] + current)


@dataclass(frozen=True, eq=False, repr=False)
class CubaLIF(_Neuron):
    """LIF neuron with an exponential synaptic current, ``c = alpha * c + I; v = beta * v + c`` (`snntorch.Synaptic`).

    Parameters
    ----------
    alpha : array_like, shape () or (n,)
        Decay of the synaptic current per step, in [0, 1].
    beta, v_threshold, reset, bias
        As in `LIF`. A reset does not touch the current.
    """

    alpha: Any = 0.9
    beta: Any = 0.9
    v_threshold: Any = 1.0
    reset: Reset = "subtract"
    bias: Any = 0.0

    parameters: ClassVar[tuple[str, ...]] = ("alpha", "beta", "v_threshold", "bias")
    state_names: ClassVar[tuple[str, ...]] = ("c", "v")

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_reset(self)

    def step(self, state: State, current: NDArray[Any]) -> NDArray[np.bool_]:
        """Advance `state` by one step under the complete current (batch, n); return the spikes (batch, n)."""
        state["c"] = self.alpha * state["c"] + current
        return _fire(self, state, self.beta * state["v"] + state["c"])


@dataclass(frozen=True, eq=False, repr=False)
class LI(_Neuron):
    """Leaky integrator, ``v = beta * v + I``: a read-out without threshold, whose output is its voltage.

    Parameters
    ----------
    beta : array_like, shape () or (n,)
        Decay of the voltage per step, in [0, 1].
    bias : array_like, shape () or (n,)
        Constant current added at every step.
    """

    beta: Any = 0.9
    bias: Any = 0.0

    parameters: ClassVar[tuple[str, ...]] = ("beta", "bias")
    state_names: ClassVar[tuple[str, ...]] = ("v",)

    def step(self, state: State, current: NDArray[Any]) -> NDArray[np.bool_]:
        """Advance `state` by one step under the complete current (batch, n); return no spikes, shape (batch, n)."""
        state["v"] = self.beta * state["v"] + current
        return np.zeros(state["v"].shape, dtype=bool)


Neuron = LIF | CubaLIF | LI
NEURON_MODELS: dict[str, type[Neuron]] = {"LIF": LIF, "CubaLIF": CubaLIF, "LI": LI}


def _fire(neuron: LIF | CubaLIF, state: State, v: NDArray[Any]) -> NDArray[np.bool_]:
    if neuron.reset == "subtract":
        v = v - state["s"] * neuron.v_threshold
    spikes: NDArray[np.bool_] = v > neuron.v_threshold
    if neuron.reset == "zero":
        v = np.where(spikes, v.dtype.type(0), v)
    state["v"], state["s"] = v, spikes.astype(v.dtype)
    return spikes


def _check_reset(neuron: LIF | CubaLIF) -> None:
    if neuron.reset not in get_args(Reset):
        raise UnknownNameError(f"{type(neuron).__name__}.reset", str(neuron.reset), get_args(Reset))


def _summary(value: NDArray[Any]) -> str:
    low, high = value.min(), value.max()
    return f"{low:.6g}" if low == high else f"{low:.6g}..{high:.6g}"


def _check_values(label: str, name: str, value: NDArray[Any]) -> None:
    if name == "v_threshold":
        good, rule = np.isfinite(value) & (value > 0), "must be finite and > 0 (a neuron without threshold is an LI)"
    elif name == "bias":
        good, rule = np.isfinite(value), "must be finite"
    else:
        good, rule = (value >= 0) & (value <= 1), "a decay per step lies in [0, 1]"
    if not good.all():
        index = int(np.flatnonzero(~good)[0])
        where = f" at index {index}" if value.ndim else ""
        raise ValidationError(f"{label}: {rule}, got {value.reshape(-1)[index]}{where}")


def beta_from_tau(tau: ArrayLike, dt: float) -> Any:
    """Return the decay per step of a time constant > 0, ``exp(-dt / tau)``; `tau` and `dt` in seconds."""
    return np.exp(-check_duration("dt", dt) / _in_range("tau", tau, low=0, low_included=False))


def tau_from_beta(beta: ArrayLike, dt: float) -> Any:
    """Return the time constant of a decay per step, ``-dt / ln(beta)`` in seconds (inverse of `beta_from_tau`).

    A decay of 0 has the time constant 0, a decay of 1 an infinite one.

    >>> round(float(tau_from_beta(0.9, dt=1e-3)), 6)
    0.009491
    """
    with np.errstate(divide="ignore"):
        return check_duration("dt", dt) / np.abs(np.log(_in_range("beta", beta, low=0, high=1)))


def beta_from_tau_euler(tau: ArrayLike, dt: float) -> Any:
    """Return the decay per step of a forward-Euler discretisation, ``1 - dt / tau``; `tau` >= `dt`, in seconds."""
    return 1.0 - check_duration("dt", dt) / _in_range("tau", tau, low=dt)


def tau_from_beta_euler(beta: ArrayLike, dt: float) -> Any:
    """Return ``dt / (1 - beta)`` in seconds, the tau of formats that assume Euler steps (inverse of the above)."""
    with np.errstate(divide="ignore"):
        return check_duration("dt", dt) / (1.0 - _in_range("beta", beta, low=0, high=1))


def _in_range(
    label: str, values: ArrayLike, *, low: float, high: float = np.inf, low_included: bool = True
) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    good = (array >= low if low_included else array > low) & (array <= high)
    if not good.all():
        raise ValidationError(
            f"{label}: must lie in {'[' if low_included else '('}{low:g}, {high:g}], got {array[~good].flat[0]}"
        )
    return array
