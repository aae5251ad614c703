"""One seed, many independent named streams.

``stream(seed, "rewiring")`` and ``stream(seed, "shuffle", epoch)`` never share numbers, on any machine, in any order of
creation, so adding a consumer of randomness changes nothing for the others.
"""

from __future__ import annotations

import functools
import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.errors import ValidationError

__all__ = ["entropy", "generator_state", "restore_generator", "sample_distinct", "stream"]


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the generator of the stream called `names` under `seed` (PCG64).

    Parameters
    ----------
    seed : int
        At least 0, of any size.
    *names : str or int
        A path without ``"/"``, from the consumer to the detail; an integer means its decimal digits.

    >>> bool(stream(0, "weights").integers(100) == stream(0, "weights").integers(100))
    True
    >>> bool(stream(0, "weights").integers(2**62) == stream(0, "shuffle").integers(2**62))
    False
    """
    return np.random.Generator(np.random.PCG64(entropy(seed, *names)))


@functools.lru_cache(maxsize=1024, typed=True)  # a rewirer asks for the same few at every step
def entropy(seed: int, *names: str | int) -> int:
    """Return the 128 bits that the stream called `names` under `seed` starts from."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValidationError(f"seed: must be an integer >= 0, got {seed!r}")
    for name in names:
        if isinstance(name, bool) or not isinstance(name, (str, int, np.integer)) or "/" in str(name):
            # "/" separates names below: "a/b" must not be the stream ("a", "b")
            raise ValidationError(f"stream: a name is an integer or a text without '/', got {name!r}")
    text = "/".join([str(int(seed)), *(str(name) for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")


def generator_state(generator: np.random.Generator) -> dict[str, Any]:
    """Return the state of a PCG64 generator as integers and text, for a JSON file (inverse: `restore_generator`)."""
    state: dict[str, Any] = dict(generator.bit_generator.state)
    if state["bit_generator"] != "PCG64":
        raise ValidationError(f"generator: only PCG64 (as made by `stream`) can be saved, got {state['bit_generator']}")
    inner = state["state"]
    return {
        "bit_generator": state["bit_generator"],
        # 128-bit integers travel as text: JSON readers in other languages lose digits.
        "state": str(inner["state"]),
        "inc": str(inner["inc"]),
        "has_uint32": int(state["has_uint32"]),
        "uinteger": int(state["uinteger"]),
    }


def restore_generator(state: dict[str, Any]) -> np.random.Generator:
    """Return a generator that goes on exactly where `generator_state` was taken; `ValidationError` if it cannot."""
    try:
        kind = state["bit_generator"]
        values = {name: int(state[name]) for name in ("state", "inc", "has_uint32", "uinteger")}
    except (KeyError, TypeError, ValueError) as error:
        raise ValidationError(f"generator: not a saved generator state ({error!r})") from error
    if kind != "PCG64":
        raise ValidationError(f"generator: expected PCG64, got {kind!r}")
    for name, limit in (("state", 2**128), ("inc", 2**128), ("has_uint32", 2), ("uinteger", 2**32)):
        if not 0 <= values[name] < limit:
            raise ValidationError(f"generator.{name}: must lie in [0, {limit}), got {values[name]}")
    if values["inc"] % 2 == 0:  # an even increment would break the period of PCG64, and numpy does not check it
        raise ValidationError(f"generator.inc: must be odd, got {values['inc']}")
    bits = np.random.PCG64()
    bits.state = {
        "bit_generator": "PCG64",
        "state": {"state": values["state"], "inc": values["inc"]},
        "has_uint32": values["has_uint32"],
        "uinteger": values["uinteger"],
    }
    return np.random.Generator(bits)


def sample_distinct(generator: np.random.Generator, population: int, n: int) -> NDArray[np.int64]:
    """Draw `n` distinct integers from ``range(population)``, uniformly over all subsets, in O(n) memory.

    Returns int64 of shape (n,), sorted. Never allocates anything of size `population` unless `n` is of that size
    (``permutation`` and, for some sizes, ``Generator.choice`` do), so a layer of 60 000 x 60 000 sites costs what its
    synapses cost.
    """
    for label, value in (("population", population), ("n", n)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise ValidationError(f"{label}: must be an integer, got {value!r}")
    if not 0 <= n <= population < 2**63:
        raise ValidationError(f"n: cannot draw {n} distinct values from {population}")
    if n > population // 2:  # the complement is the smaller set, and drawing it is the same distribution
        mask = np.ones(population, dtype=bool)
        mask[sample_distinct(generator, population, population - n)] = False
        return np.flatnonzero(mask).astype(np.int64)
    if n == 0:
        return np.empty(0, dtype=np.int64)
    drawn = _some(generator, population, n)
    while True:
        ordered = np.sort(drawn[:n])
        if not np.count_nonzero(ordered[1:] == ordered[:-1]):  # by far the most frequent case of few from many
            return ordered
        # the first occurrences in order of drawing are sequential rejection sampling: all subsets are equally likely
        order = np.argsort(drawn, kind="stable")
        new = np.ones(drawn.size, dtype=bool)
        new[order[1:]] = drawn[order[1:]] != drawn[order[:-1]]
        drawn = drawn[new][:n]
        if drawn.size < n:
            drawn = np.concatenate([drawn, _some(generator, population, n - drawn.size)])


def _some(generator: np.random.Generator, population: int, n: int) -> NDArray[np.int64]:
    """Draw `n` integers from ``range(population)`` and, because some will be drawn twice, a few more."""
    return generator.integers(population, size=n + n // 4 + 4, dtype=np.int64)
