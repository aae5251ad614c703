"""How a `SparseLinear` starts: how many synapses, on which sites, with which weights."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from neurosparse.core.rng import stream
from neurosparse.errors import ValidationError
from neurosparse.kernels.topology import draw_dormant

__all__ = ["checked_size", "initial_sites", "initial_weights", "numpy_generator", "synapse_count"]

MAX_SYNAPSES = 2**31 - 1
"""Slots are int32, as in scipy, MKL and cuSPARSE."""


def initial_sites(in_features: int, out_features: int, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return `count` distinct sites, sorted: one random source per target neuron, the others uniform over what is left.

    A site is the key ``target * in_features + source``. Needs ``out_features <= count <= in_features * out_features``.
    """
    first = np.arange(out_features, dtype=np.int64) * in_features + rng.integers(in_features, size=out_features)
    others = draw_dormant(first, in_features * out_features, count - out_features, rng)
    return np.sort(np.concatenate([first, others]))


def initial_weights(fan_in: NDArray[np.integer], gain: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return weights N(0, gain**2 / fan_in) in CSR order, by each neuron's *actual* fan-in; shape (sum(fan_in),)."""
    scale = np.repeat(gain / np.sqrt(np.maximum(fan_in, 1)), fan_in)
    return rng.standard_normal(scale.size) * scale


def synapse_count(in_features: int, out_features: int, density: float | None, n_synapses: int | None) -> int:
    """Return K from the one of `density` and `n_synapses` that is given. Raises `ValidationError`."""
    sites = in_features * out_features
    if (density is None) == (n_synapses is None):
        raise ValidationError(
            f"SparseLinear: give density or n_synapses, one of the two; got density={density}, n_synapses={n_synapses}"
        )
    if density is not None:
        if not 0 < density <= 1:
            raise ValidationError(f"SparseLinear.density: must lie in (0, 1], got {density}")
        count = round(density * sites)
        given = f"density {density:g} gives {count}"
    else:
        if isinstance(n_synapses, bool) or not isinstance(n_synapses, (int, np.integer)):
            raise ValidationError(f"SparseLinear.n_synapses: must be an integer, got {n_synapses!r}")
        count, given = int(n_synapses), f"got {n_synapses}"
    most = min(sites, MAX_SYNAPSES)
    if not out_features <= count <= most:
        raise ValidationError(
            f"SparseLinear.n_synapses: must lie in [{out_features}, {most}] "
            f"(every one of the {out_features} neurons needs an incoming synapse), {given}"
        )
    return count


def checked_size(name: str, value: int) -> int:
    """Return `value` as an int in [1, 2**31), or raise `ValidationError` naming ``SparseLinear.<name>``."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 1 <= value < 2**31:
        raise ValidationError(f"SparseLinear.{name}: must be an integer in [1, 2**31), got {value!r}")
    return int(value)


def numpy_generator(generator: np.random.Generator | torch.Generator | None) -> np.random.Generator:
    """Return `generator`, or the stream "weights" of a seed drawn from a torch generator (None: torch's global one)."""
    if isinstance(generator, np.random.Generator):
        return generator
    if generator is not None and not isinstance(generator, torch.Generator):
        raise ValidationError(
            "SparseLinear.generator: must be a numpy.random.Generator or a torch.Generator, "
            f"got {generator!r}; for a seed, numpy.random.default_rng(seed)"
        )
    device = generator.device if generator is not None else "cpu"
    return stream(int(torch.randint(2**62, (), generator=generator, device=device)), "weights")
