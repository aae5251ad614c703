"""`parity`: whether two engines did the same, and if not, where they first parted and how close that was.

Simulators of the same network differ by single spikes long before anyone notices: one neuron within a rounding error of
its threshold fires in one engine and not in the other, and in a recurrent network everything after that differs. So the
question is not how many spikes agree but whether all do, and, if not, which was the first that did not and by which
margin.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.core.recording import Recording
from neurosparse.errors import ValidationError

__all__ = ["FirstDifference", "Parity", "PopulationParity", "parity"]


@dataclass(frozen=True)
class PopulationParity:
    """One population in recordings `a` and `b`.

    Parameters
    ----------
    spikes_a, spikes_b : int
        Spikes in each recording.
    mismatches : int
        Sites (step, sample, neuron) where one recording has a spike and the other has none.
    voltage_mismatches : int or None
        Voltages that are not the same value (0.0 and -0.0 are, and so are two NaN); None where not both recorded them.
    largest_voltage_difference : float or None
        Largest ``|v_a - v_b|`` in float64, NaN where one of the two is no number; None where not both recorded them.
    """

    spikes_a: int
    spikes_b: int
    mismatches: int
    voltage_mismatches: int | None = None
    largest_voltage_difference: float | None = None


@dataclass(frozen=True)
class FirstDifference:
    """The earliest spike that only one recording has; ties in order of population, then sample, then neuron.

    Parameters
    ----------
    population, sample, neuron, step
        Where and when.
    only_in : {"a", "b"}
        The recording that has the spike.
    margin : float or None
        ``v - v_threshold`` in the recording that has no spike there (its voltage has seen no reset). At rounding level:
        the engines round differently. Large: they simulate something else. None where that voltage or threshold was not
        recorded.
    """

    population: str
    sample: int
    neuron: int
    step: int
    only_in: str
    margin: float | None


@dataclass(frozen=True)
class Parity:
    """The comparison of two recordings; true if they are identical, printable, and plain data by `to_dict`.

    Parameters
    ----------
    backends : tuple of two str
        Names of the engines of `a` and `b`.
    n_steps, n_samples : int
        Size of both recordings.
    populations : dict of population name to PopulationParity
    first_difference : FirstDifference or None
        None where all spikes agree.
    """

    backends: tuple[str, str]
    n_steps: int
    n_samples: int
    populations: dict[str, PopulationParity]
    first_difference: FirstDifference | None

    @property
    def mismatches(self) -> int:
        """Spikes that only one of the recordings has, over all populations."""
        return sum(p.mismatches for p in self.populations.values())

    @property
    def voltage_mismatches(self) -> int | None:
        """Voltages that differ, over all populations of which both recorded them; None if there is none."""
        counts = [p.voltage_mismatches for p in self.populations.values() if p.voltage_mismatches is not None]
        return sum(counts) if counts else None

    @property
    def identical(self) -> bool:
        """Whether all spikes, and all voltages that both recorded, are the same."""
        return not self.mismatches and not self.voltage_mismatches

    def __bool__(self) -> bool:
        return self.identical

    def __str__(self) -> str:
        n = len(self.populations)
        size = f"{n} population{'s' * (n != 1)} x {self.n_steps} steps x {self.n_samples} samples"
        if self.identical:
            spikes = sum(p.spikes_a for p in self.populations.values())
            voltages = "" if self.voltage_mismatches is None else ", voltages included"
            return f"identical: {_count(spikes)} spikes in {size}{voltages}"
        lines = [
            _first(self.first_difference, self.backends) if self.first_difference else f"all spikes identical in {size}"
        ]
        for name, p in self.populations.items():
            line = f"  {name}: {_count(p.spikes_a)} and {_count(p.spikes_b)} spikes, {_count(p.mismatches)} mismatches"
            if p.voltage_mismatches is not None:
                line += (
                    f"; {_count(p.voltage_mismatches)} voltages differ, by at most {p.largest_voltage_difference:.3g}"
                )
            lines.append(line)
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain types for JSON."""
        return {
            "identical": self.identical,
            "backends": list(self.backends),
            "n_steps": self.n_steps,
            "n_samples": self.n_samples,
            "mismatches": self.mismatches,
            "voltage_mismatches": self.voltage_mismatches,
            "populations": {name: asdict(p) for name, p in self.populations.items()},
            "first_difference": asdict(self.first_difference) if self.first_difference else None,
        }


def parity(a: Recording, b: Recording) -> Parity:
    """Compare two recordings of the same network on the same input, spike by spike and bit by bit.

    Parameters
    ----------
    a, b : Recording
        Usually of the ``reference`` and of another engine.

    Returns
    -------
    Parity
        ``bool(parity(a, b))`` says whether they are identical, ``print`` where they first differ.

    Raises
    ------
    ValidationError
        If populations or shapes differ: then they are not runs of the same thing.

    Examples
    --------
    >>> import numpy as np
    >>> a = Recording({"out": np.zeros((10, 2, 3), bool)}, backend="reference")
    >>> b = Recording({"out": a.spikes["out"].copy()}, backend="brian2")
    >>> print(parity(a, b))
    identical: 0 spikes in 1 population x 10 steps x 2 samples
    >>> b.spikes["out"][4, 1, 2] = True
    >>> print(parity(a, b))
    first difference: population 'out', step 4, sample 1, neuron 2: only brian2 spikes
      out: 0 and 1 spikes, 1 mismatches
    """
    _check_same_shape(a, b)
    populations, first = {}, None
    for name, raster in a.spikes.items():
        differs = raster != b.spikes[name]
        populations[name] = PopulationParity(
            int(np.count_nonzero(raster)),
            int(np.count_nonzero(b.spikes[name])),
            int(np.count_nonzero(differs)),
            *_compare_voltages(a.voltages.get(name), b.voltages.get(name)),
        )
        steps = np.flatnonzero(differs.any(axis=(1, 2)))
        if steps.size and (first is None or steps[0] < first.step):
            sample, neuron = (int(i[0]) for i in np.nonzero(differs[steps[0]]))
            first = _difference(a, b, name, sample, neuron, int(steps[0]))
    return Parity((a.backend or "a", b.backend or "b"), a.n_steps, a.n_samples, populations, first)


def _check_same_shape(a: Recording, b: Recording) -> None:
    if set(a.spikes) != set(b.spikes):
        missing = [
            f"{name!r} only in {which}"
            for which, x, y in (("a", a, b), ("b", b, a))
            for name in x.spikes
            if name not in y.spikes
        ]
        raise ValidationError(f"parity: the recordings have different populations: {', '.join(missing)}")
    for kind in ("spikes", "voltages"):
        for name, array in getattr(a, kind).items():
            other = getattr(b, kind).get(name)
            if other is not None and array.shape != other.shape:
                raise ValidationError(
                    f"parity: {kind} of {name!r} have shapes (time, batch, n) {array.shape} and {other.shape}"
                )


def _compare_voltages(a: NDArray[Any] | None, b: NDArray[Any] | None) -> tuple[int | None, float | None]:
    if a is None or b is None:
        return None, None
    differs = (a != b) & ~(np.isnan(a) & np.isnan(b))
    if not differs.any():
        return 0, 0.0
    difference = np.abs(a[differs].astype(np.float64) - b[differs].astype(np.float64))
    return int(np.count_nonzero(differs)), float(difference.max())


def _difference(a: Recording, b: Recording, name: str, sample: int, neuron: int, step: int) -> FirstDifference:
    only_in, silent = ("a", b) if a.spikes[name][step, sample, neuron] else ("b", a)
    margin = None
    thresholds = silent.v_thresholds.get(name)
    if name in silent.voltages and thresholds is not None:
        # in float64, where the difference of two float32 numbers this close is exact
        margin = float(silent.voltages[name][step, sample, neuron]) - float(thresholds[neuron])
    return FirstDifference(name, sample, neuron, step, only_in, margin)


def _first(first: FirstDifference, backends: tuple[str, str]) -> str:
    spiking, silent = backends if first.only_in == "a" else backends[::-1]
    where = f"population {first.population!r}, step {first.step}, sample {first.sample}, neuron {first.neuron}"
    margin = "" if first.margin is None else f"; in {silent} it was {first.margin:+.3g} from its threshold"
    return f"first difference: {where}: only {spiking} spikes{margin}"


def _count(n: int) -> str:
    return f"{n:,}".replace(",", " ")
