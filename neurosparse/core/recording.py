"""`Recording`: what a network did: spikes and, where asked for, voltages of every population over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.errors import UnknownNameError, ValidationError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Events", "Recording", "events_to_raster"]


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
    voltages : mapping of population name to float array, shape (time, batch, n)
        The voltage at the end of the step: after a "zero" reset, before a (delayed) "subtract" reset.
    v_thresholds : mapping of population name to float array, shape (n,)
        Thresholds of the populations that have one; gives the margin of a difference.
    dt : float
        Duration of a step in seconds.
    backend : str
        Which engine ran.
    info : mapping
        What the engine has to say beyond that (seconds, events, ...); not saved.
    """

    spikes: Mapping[str, NDArray[np.bool_]]
    voltages: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    v_thresholds: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    dt: float = 1e-3
    backend: str = ""
    info: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        steps = set()
        for kind, arrays in (("spikes", self.spikes), ("voltages", self.voltages)):
            for name, array in arrays.items():
                if array.ndim != 3:
                    raise ValidationError(f"Recording.{kind}[{name!r}]: must be (time, batch, n), got shape {array.shape}")
                if kind == "spikes" and array.dtype != bool:
                    raise ValidationError(f"Recording.spikes[{name!r}]: must be booleans, got {array.dtype}")
                steps.add(array.shape[:2])
        if len(steps) > 1:
            raise ValidationError(f"Recording: all populations must share (time, batch), got {sorted(steps)}")

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
        """Return the spikes of `population` as a list."""
        if population not in self.spikes:
            raise UnknownNameError("Recording.spikes", population, self.spikes)
        return Events(*(index.astype(np.int64) for index in np.nonzero(self.spikes[population])))

    def firing_rates(self, population: str) -> NDArray[np.float64]:
        """Return spikes per step of each neuron, mean over time and batch, shape (n,); divide by `dt` for Hz."""
        if population not in self.spikes:
            raise UnknownNameError("Recording.spikes", population, self.spikes)
        return self.spikes[population].mean(axis=(0, 1))

    def decisions(self, population: str) -> NDArray[np.int64]:
        """Return the class each sample is read as from `population`, shape (batch,).

        By the mean voltage where `population` recorded no spikes at all (an `LI` read-out), else by the spike count; ties go to the
        lower index.
        """
        raster, voltage = self.spikes.get(population), self.voltages.get(population)
        if voltage is not None and (raster is None or population not in self.v_thresholds):
            # float64 sums over at most a few thousand float32 steps are exact to far below any difference of interest
            return voltage.sum(axis=0, dtype=np.float64).argmax(axis=1)
        if raster is None:
            raise UnknownNameError("Recording.spikes", population, self.spikes)
        return raster.sum(axis=0).argmax(axis=1)

    def __repr__(self) -> str:
        names = ", ".join(self.spikes) or ", ".join(self.voltages)
        return f"Recording({self.backend or 'unnamed'}: {names}; {self.n_steps} steps x {self.n_samples} samples, {self.n_spikes} spikes)"

    def save(self, path: str | Path) -> None:
        """Write this recording to one ``.safetensors`` file, atomically."""
        from neurosparse.core.io import save_recording

        save_recording(self, path)

    @staticmethod
    def load(path: str | Path) -> Recording:
        """Read a recording written by `save`. Raises `ArtifactError` or `ValidationError`."""
        from neurosparse.core.io import load_recording

        return load_recording(path)


def events_to_raster(events: Events, shape: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Return the raster (time, batch, n) of `shape` with the given events (inverse of `Recording.events`)."""
    raster = np.zeros(shape, dtype=bool)
    for name, values, size in zip(("steps", "samples", "neurons"), vars(events).values(), shape):
        if len(values) and not (0 <= values.min() and values.max() < size):
            raise ValidationError(f"Events.{name}: must lie in [0, {size}), got {values.min()} to {values.max()}")
    raster[events.steps, events.samples, events.neurons] = True
    return raster
