"""A hash of every possible synapse: what must be the same for a site at each of its births, without memory for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurosparse.core.rng import entropy
from neurosparse.kernels.checks import check_array
from neurosparse.kernels.jit import jit

__all__ = ["hash_sites", "signs_from_hash"]


def hash_sites(sites: NDArray[np.int64], seed: int, *names: str | int) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each of `sites` (n,): a pure function of seed, names and site.

    The splitmix64 finaliser (Steele, Lea and Flood, *Fast splittable pseudorandom number generators*, 2014).
    """
    sites = np.ascontiguousarray(sites)
    check_array("hash_sites", "sites", sites, np.int64, (None,))
    hashed = np.empty(sites.size, np.uint64)
    _hash_sites(sites, _key(seed, *names), hashed)
    return hashed


def signs_from_hash(sites: NDArray[np.int64], seed: int, *names: str | int) -> NDArray[np.int8]:
    """Return the fixed sign, +1 or -1, of each potential synapse `sites` (n,) = i * n_source + j.

    A pure function of seed, names and site (`hash_sites`), so that the sign matrix of Bellec et al. 2018 needs no
    memory.
    """
    sites = np.ascontiguousarray(sites)
    check_array("signs_from_hash", "sites", sites, np.int64, (None,))
    signs = np.empty(sites.size, np.int8)
    _signs_from_hash(sites, _key(seed, "signs", *names), signs)
    return signs


def _key(seed: int, *names: str | int) -> np.uint64:
    return np.uint64(entropy(seed, *names) & (2**64 - 1))


@jit
def _hash(site, key):
    z = np.uint64(site) * np.uint64(0x9E3779B97F4A7C15) + key
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@jit
def _hash_sites(sites, key, hashed):
    for k in range(sites.size):
        hashed[k] = _hash(sites[k], key)


@jit
def _signs_from_hash(sites, key, signs):
    for k in range(sites.size):
        signs[k] = -1 if _hash(sites[k], key) >> np.uint64(63) else 1
