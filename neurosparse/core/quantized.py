"""`QuantizedNetwork`: a network in a chip's integers. A type of its own: no float can be taken for one of these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosparse.core import integers as z
from neurosparse.core.checks import check_count, check_duration
from neurosparse.core.graph import INPUT, Graph, check_name, members
from neurosparse.core.inputs import Input
from neurosparse.core.integers import SignMode
from neurosparse.core.neurons import Reset
from neurosparse.core.projection import Synapses
from neurosparse.errors import UnknownNameError, UnsupportedError, ValidationError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["PARAMETERS", "IntegerState", "QuantizedNetwork", "QuantizedPopulation", "QuantizedProjection"]

PARAMETERS: dict[str, tuple[int, int]] = {
    "du": (0, z.MAX_CURRENT_DECAY),
    "dv": (0, z.MAX_VOLTAGE_DECAY),
    "v_threshold": (0, z.MAX_V_THRESHOLD),
    "bias": z.BIAS_RANGE,
    "bias_exponent": (0, z.MAX_BIAS_EXPONENT),
}
"""The integer parameters of a neuron and the range of each, both ends included."""

IntegerState = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class QuantizedPopulation:
    """`n` neurons in fixed-point arithmetic (`neurosparse.core.integers` has the equations).

    Every parameter takes one integer for all neurons or one per neuron, and is kept as an int32 array of shape (n,).

    Parameters
    ----------
    name : str
    n : int
        Number of neurons.
    du : int, in [0, 4095]
        The current keeps ``4096 - (du + 1)`` parts of 4096 per step; 4095 clears it (a LIF neuron).
    dv : int, in [0, 4096]
        The voltage keeps ``4096 - dv`` parts of 4096 per step. On a chip at most 4095.
    v_threshold : int, in [0, 131071]
        Mantissa of the threshold: a spike needs ``v > v_threshold << 6``. Without meaning for a read-out.
    bias : int, in [-4096, 4095]
        Mantissa of the bias, added to the voltage as ``bias << bias_exponent``.
    bias_exponent : int, in [0, 7]
    reset : {"zero", "subtract", "none"}
        What a spike does to the voltage. Loihi's own neuron knows "zero" only; the others need microcode (Loihi 2).
    readout : bool
        A leaky integrator (`LI`): it never spikes, its voltage is the output.
    """

    name: str
    n: int
    du: Any = z.NO_CURRENT
    dv: Any = 0
    v_threshold: Any = z.MAX_V_THRESHOLD
    bias: Any = 0
    bias_exponent: Any = 0
    reset: Reset = "zero"
    readout: bool = False

    def __post_init__(self) -> None:
        check_name("QuantizedPopulation", self.name)
        label = f"Population {self.name!r}"
        object.__setattr__(self, "n", check_count(f"{label}.n", self.n))
        for name, (low, high) in PARAMETERS.items():
            value = _integers(f"{label}.{name}", getattr(self, name), self.n, low, high)
            object.__setattr__(self, name, value)
        if self.reset not in get_args(Reset):
            raise UnknownNameError(f"{label}.reset", str(self.reset), get_args(Reset))
        if not isinstance(self.readout, bool):
            raise ValidationError(f"{label}.readout: must be True or False, got {self.readout!r}")

    @property
    def has_current(self) -> bool:
        """Whether any neuron has a synaptic current that outlives its step (`CubaLIF`)."""
        return bool((self.du != z.NO_CURRENT).any())

    def initial_state(self, shape: tuple[int, ...], dtype: Any = np.int64) -> IntegerState:
        """Return the state at rest: zeros of `shape` for the current u, the voltage v and the last spikes s."""
        return {name: np.zeros(shape, dtype) for name in ("u", "v", "s")}

    def unwrapped_current(self, state: IntegerState, activation: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the current u after the sum ``a`` has been added, before it is cut to 24 bits."""
        u = activation << z.ALIGNMENT_BITS
        return u + z.decay(state["u"], z.DECAY_UNITY - (self.du + 1)) if self.has_current else u

    def step(self, state: IntegerState, activation: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Advance `state` by one step under the complete sum ``a`` (batch, n); return the spikes (batch, n)."""
        state["u"] = z.wrap_current(self.unwrapped_current(state, activation))
        v = z.decay(state["v"], z.DECAY_UNITY - self.dv) + state["u"]
        v += z.effective_bias(self.bias, self.bias_exponent)
        threshold = self.v_threshold.astype(np.int64) << z.ALIGNMENT_BITS
        if self.reset == "subtract" and not self.readout:
            v -= state["s"] * threshold
        v = z.clip_voltage(v)
        spikes = np.zeros(v.shape, bool) if self.readout else v > threshold
        if self.reset == "zero":
            v = np.where(spikes, 0, v)
        state["v"], state["s"] = v, spikes.astype(np.int64)
        return spikes


@dataclass(frozen=True, eq=False, repr=False)
class QuantizedProjection(Synapses):
    """Sparse integer weights from `source` to `target`: a spike adds ``weight << exponent`` to the target's sum.

    Parameters
    ----------
    source, target, indptr, indices, n_source, delay
        As in `Projection`.
    weights : int16 array, shape (K,)
        Mantissas as the chip uses them: in `weight_range` and multiples of `weight_step`, hence even where 8 bits hold
        both signs.
    exponent : int, in [0, 7]
        One for all synapses. Below 0 the chip and Lava would round differently.
    bits : int, in [1, 8]
        Bits per weight, which is what a synapse costs in memory.
    sign_mode : {"mixed", "excitatory", "inhibitory"}
    """

    source: str
    target: str
    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    weights: NDArray[np.int16]
    n_source: int
    exponent: int = 0
    bits: int = z.WEIGHT_BITS
    sign_mode: SignMode = "mixed"
    delay: int = 0

    def __post_init__(self) -> None:
        self._check_structure((np.int16,))
        label = f"Projection {self.source}->{self.target}"
        for name, low, high in (("exponent", 0, z.MAX_WEIGHT_EXPONENT), ("bits", 1, z.WEIGHT_BITS)):
            object.__setattr__(self, name, int(_integers(f"{label}.{name}", getattr(self, name), 1, low, high)[0]))
        if self.sign_mode not in get_args(SignMode):
            raise UnknownNameError(f"{label}.sign_mode", str(self.sign_mode), get_args(SignMode))
        step, (low, high) = z.weight_step(self.bits, self.sign_mode), z.weight_range(self.bits, self.sign_mode)
        wrong = np.flatnonzero((self.weights < low) | (self.weights > high) | (self.weights % step != 0))
        if wrong.size:
            raise ValidationError(
                f"{label}.weights: {self.bits}-bit {self.sign_mode} mantissas are multiples of {step} in "
                f"[{low}, {high}], got {self.weights[wrong[0]]} at synapse {wrong[0]}"
            )

    def largest_sums(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the most negative and the most positive sum ``a`` that spikes can cause, two arrays (n_target,)."""
        weights = self.weights.astype(np.int64) << self.exponent
        totals = []
        for part in (np.minimum(weights, 0), np.maximum(weights, 0)):
            ends = np.append(0, np.cumsum(part))
            totals.append(ends[self.indptr[1:]] - ends[self.indptr[:-1]])
        return totals[0], totals[1]


@dataclass(frozen=True, eq=False, repr=False)
class QuantizedNetwork(Graph[QuantizedPopulation, QuantizedProjection]):
    """A spiking network in the integers of Loihi, with the same nouns as `Network` and the same `simulate`.

    Parameters
    ----------
    input : Input
        ``spikes`` or ``graded``: a payload p multiplies the weights of its line.
    populations, projections : sequences
    dt : float
        Duration of a time step in seconds.
    scales : mapping of population name to float
        What one unit of the states u and v stands for in the float network: a voltage register v means ``v * scale``,
        a weight from a spike ``(weight << exponent) * 64 * scale`` and 256 times that from a graded input line, the
        threshold ``v_threshold * 64 * scale``, a bias ``(bias << bias_exponent) * scale``. Default 1.
    chip : str, optional
        The chip this was made for, as named in ``hardware/``.
    report : QuantizationReport, optional
        What `quantize` has to say about the conversion; not saved.

    Raises
    ------
    ValidationError, UnknownNameError, UnsupportedError
        Naming the field, for whatever could not be simulated.

    Examples
    --------
    >>> import numpy as np
    >>> synapse = QuantizedProjection("input", "out", [0, 1], [0], np.int16([10]), 1)
    >>> population = QuantizedPopulation("out", 1, dv=163, v_threshold=25)
    >>> QuantizedNetwork(Input(1), [population], [synapse])
    QuantizedNetwork(1->1, 1 synapses, density 1)
    """

    input: Input
    populations: Sequence[QuantizedPopulation]
    projections: Sequence[QuantizedProjection]
    dt: float = 1e-3
    scales: Mapping[str, float] = field(default_factory=dict)
    chip: str | None = None
    report: Any = field(default=None, repr=False)
    order: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        owner = type(self).__name__
        for name, kind in (("populations", QuantizedPopulation), ("projections", QuantizedProjection)):
            object.__setattr__(self, name, members(f"{owner}.{name}", getattr(self, name), kind))
        object.__setattr__(self, "order", self.check_graph())
        if self.input.kind == "analog":
            raise UnsupportedError(
                f"{owner}.input: integers cannot take analog values; use 'graded' (8-bit payloads) or encode as spikes"
            )
        object.__setattr__(self, "dt", check_duration(f"{owner}.dt", self.dt))
        object.__setattr__(self, "scales", self._checked_scales())
        if self.chip is not None and not (isinstance(self.chip, str) and self.chip):
            raise ValidationError(f"{owner}.chip: must be the name of a chip or None, got {self.chip!r}")

    def _checked_scales(self) -> dict[str, float]:
        names = [p.name for p in self.populations]
        if not isinstance(self.scales, Mapping):
            raise ValidationError(f"QuantizedNetwork.scales: must map population names to floats, got {self.scales!r}")
        for name in self.scales:
            if name not in names:
                raise UnknownNameError("QuantizedNetwork.scales", str(name), names)
        scales = {}
        for name in names:
            value = self.scales.get(name, 1.0)
            number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
            if not number or not 0 < value < np.inf:
                raise ValidationError(f"QuantizedNetwork.scales[{name!r}]: must be a finite number > 0, got {value!r}")
            scales[name] = float(value)
        return scales

    def largest_sums(self, name: str) -> NDArray[np.int64]:
        """Return the largest ``abs(a)`` that any spikes, and the largest payloads, can cause, shape (n,).

        Positive and negative weights cannot add up, and a register that wraps in between is right again at the end.
        """
        n = self[name].n
        low, high = np.zeros(n, np.int64), np.zeros(n, np.int64)
        for projection in self.projections_into(name):
            factor = z.MAX_PAYLOAD if projection.source == INPUT and self.input.kind == "graded" else 1
            sums = projection.largest_sums()
            low += factor * sums[0]
            high += factor * sums[1]
        return np.maximum(-low, high)

    def save(self, path: str | Path) -> None:
        """Write this network to one ``.safetensors`` file, atomically (`neurosparse.core.quantized_io`)."""
        from neurosparse.core.quantized_io import save_quantized

        save_quantized(self, path)

    @staticmethod
    def load(path: str | Path) -> QuantizedNetwork:
        """Read a network written by `save`. Raises `ArtifactError` or `ValidationError`, never half a network."""
        from neurosparse.core.quantized_io import load_quantized

        return load_quantized(path)


def _integers(label: str, values: ArrayLike, n: int, low: int, high: int) -> NDArray[np.int32]:
    """Return `values` as a read-only int32 array of shape (n,) if they are integers in [low, high]."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValidationError(f"{label}: must be one integer or one per neuron, got ragged rows") from error
    if array.dtype.kind not in "iu":
        raise ValidationError(f"{label}: must be an integer or one per neuron, got {array.dtype} {str(values)[:40]}")
    if array.shape not in ((), (n,)):
        raise ValidationError(f"{label}: must be one integer or {n}, got shape {array.shape}")
    wrong = np.flatnonzero((array < low) | (array > high))
    if wrong.size:
        raise ValidationError(f"{label}: must lie in [{low}, {high}], got {array.reshape(-1)[wrong[0]]}")
    result = np.broadcast_to(array, (n,)).astype(np.int32)
    result.flags.writeable = False
    return result
