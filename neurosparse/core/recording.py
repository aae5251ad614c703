"""`Recording`: what a network did: spikes and, where asked for, voltages of every population over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.core.checks import check_duration
from neurosparse.errors import UnknownNameError, ValidationError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Events", "Recording", "events_to_raster"]


_AXES = {"spikes": 3, "voltages": 3, "currents": 3, "v_thresholds": 1}


@dataclass(frozen=True)
class Events:
    """Spikes as a list, ordered by step, then sample, then neuron; three int64 arrays of shape (n_spikes,)."""

    steps: NDArray[np.int64]
    samples: NDArray[np.int64]
    neurons: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Recording:
    """Spikes and voltages of a simulation.

    Parameters
    ----------
    spikes : mapping of population name to bool array, shape (time, batch, n)
    voltages : mapping of population name to float or int32 array, shape (time, batch, n)
        The voltage at the end of the step: after a "zero" reset, before a (delayed) "subtract" reset. Of a
        `QuantizedNetwork` the 24-bit register, as int32.
    v_thresholds : mapping of population name to float or int32 array, shape (n,)
        Thresholds of the populations that have one: the margin of a difference, and what tells an `LI` read-out. In
        units of the voltages.
    dt : float
        Duration of a step in seconds.
    backend : str
        Which engine ran.
    info : mapping
        What the engine has to say beyond that (seconds, events, ...); not saved.
    currents : mapping of population name to int32 array, shape (time, batch, n)
        The synaptic current u of a `QuantizedNetwork`, where asked for.

    Examples
    --------
    >>> raster = np.zeros((4, 1, 2), dtype=bool)
    >>> raster[1:3, 0, 1] = True
    >>> recording = Recording({"out": raster})
    >>> recording.firing_rates("out"), recording.decisions("out")
    (array([0. , 0.5]), array([1]))
    """

    spikes: Mapping[str, NDArray[np.bool_]]
    voltages: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    v_thresholds: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    dt: float = 1e-3
    backend: str = ""
    info: Mapping[str, Any] = field(default_factory=dict)
    currents: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "dt", check_duration("Recording.dt", self.dt))
        sizes: dict[str, int] = {}
        steps: set[tuple[int, ...]] = set()
        for kind, n_axes in _AXES.items():
            for name, array in getattr(self, kind).items():
                # A simulation may take little longer than these checks: words are made only for what does not pass.
                if not isinstance(array, np.ndarray) or array.ndim != n_axes:
                    expected = "(time, batch, n)" if n_axes == 3 else "(n,)"
                    given = np.shape(array)
                    raise ValidationError(f"{_label(kind, name)}: must be an array {expected}, got shape {given}")
                if kind == "spikes" and array.dtype.kind != "b":
                    raise ValidationError(f"{_label(kind, name)}: must be booleans, got {array.dtype}")
                if kind != "spikes" and array.dtype.kind != "f" and array.dtype != np.int32:
                    raise ValidationError(f"{_label(kind, name)}: must be floats or int32, got {array.dtype}")
                shape = array.shape
                if sizes.setdefault(name, shape[-1]) != shape[-1]:
                    size = f"has {shape[-1]} neurons, its other arrays {sizes[name]}"
                    raise ValidationError(f"{_label(kind, name)}: {size}")
                if n_axes == 3:
                    steps.add(shape[:2])
        if len(steps) > 1:
            raise ValidationError(f"Recording: all populations must share (time, batch), got {sorted(steps)}")

    @classmethod
    def unchecked(cls, **fields: Any) -> Recording:
        """Return a recording of all these fields (``currents`` may be missing), right by construction.

        For engines that run a sample in less time than ten checks take.
        """
        recording = object.__new__(cls)
        vars(recording).update(fields)
        vars(recording).setdefault("currents", {})
        return recording

    @property
    def n_steps(self) -> int:
        """Number of time steps."""
        return self._shape[0]

    @property
    def n_samples(self) -> int:
        """Number of samples in the batch."""
        return self._shape[1]

    @property
    def _shape(self) -> tuple[int, int]:
        for array in (*self.spikes.values(), *self.voltages.values()):
            return array.shape[0], array.shape[1]
        return 0, 0

    @property
    def n_spikes(self) -> int:
        """Number of spikes of all populations, steps and samples."""
        return sum(int(np.count_nonzero(raster)) for raster in self.spikes.values())

    def events(self, population: str) -> Events:
        """Return the spikes of `population` as a list (inverse: `events_to_raster`)."""
        return Events(*(index.astype(np.int64) for index in np.nonzero(self._raster(population))))

    def firing_rates(self, population: str) -> NDArray[np.float64]:
        """Return spikes per step of each neuron, mean over time and batch, shape (n,); divide by `dt` for Hz."""
        raster = self._raster(population)
        if not self.n_steps * self.n_samples:
            raise ValidationError(
                f"Recording.firing_rates: {self.n_steps} steps x {self.n_samples} samples have no mean"
            )
        return np.asarray(raster.mean(axis=(0, 1), dtype=np.float64))

    def decisions(self, population: str) -> NDArray[np.int64]:
        """Return the class each sample is read as from `population`, shape (batch,).

        By the mean voltage where `population` has no threshold and never spikes (an `LI` read-out), else by the number
        of spikes. Ties go to the lower index.
        """
        raster, voltage = self.spikes.get(population), self.voltages.get(population)
        silent = raster is None or (population not in self.v_thresholds and not raster.any())
        if voltage is not None and silent:
            # float64 sums over a few thousand float32 steps err far below any difference of interest; of int32, nothing
            return voltage.sum(axis=0, dtype=np.float64).argmax(axis=1)
        return self._raster(population).sum(axis=0).argmax(axis=1)

    def _raster(self, population: str) -> NDArray[np.bool_]:
        if population not in self.spikes:
            raise UnknownNameError("Recording.spikes", population, self.spikes)
        return self.spikes[population]

    def __repr__(self) -> str:
        names = ", ".join(self.spikes) or ", ".join(self.voltages)
        size = f"{self.n_steps} steps x {self.n_samples} samples"
        return f"Recording({self.backend or 'unnamed'}: {names}; {size}, {self.n_spikes} spikes)"

    def save(self, path: str | Path) -> None:
        """Write this recording to one ``.safetensors`` file, atomically."""
        from neurosparse.core.io import save_recording

        save_recording(self, path)

    @staticmethod
    def load(path: str | Path) -> Recording:
        """Read a recording written by `save`. Raises `ArtifactError` or `ValidationError`."""
        from neurosparse.core.io import load_recording

        return load_recording(path)


def _label(kind: str, name: str) -> str:
    return f"Recording.{kind}[{name!r}]"


def events_to_raster(events: Events, shape: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Return the raster (time, batch, n) of `shape` with the given events (inverse of `Recording.events`).

    Raises `ValidationError` for an event outside `shape`, and for lists of different lengths.
    """
    fields = {name: np.asarray(getattr(events, name)) for name in ("steps", "samples", "neurons")}
    lengths = {name: values.shape for name, values in fields.items()}
    if len(set(lengths.values())) > 1:
        raise ValidationError(f"Events: the three lists must be equally long, got {lengths}")
    for (name, values), size in zip(fields.items(), shape, strict=True):
        if values.size and values.dtype.kind not in "iu":
            raise ValidationError(f"Events.{name}: must be integers, got {values.dtype}")
        if values.size and (values.min() < 0 or values.max() >= size):
            raise ValidationError(f"Events.{name}: must lie in [0, {size}), got {values.min()} to {values.max()}")
    raster = np.zeros(shape, dtype=bool)
    raster[tuple(values.astype(np.int64) for values in fields.values())] = True
    return raster
