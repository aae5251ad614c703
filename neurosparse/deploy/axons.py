"""What the synapses of one in-axon cost in memory, and whether they are better stored densely or sparsely.

A core keeps, for every source neuron that reaches it, one list of synapses. The list is cut into blocks of at most 64;
a block takes ``ceil64(n * (weight + delay + tag + index bits) + 10)`` bits (nengo-loihi, ``bits_per_axon``). *Sparse*
coding lists the synapses that exist, each with the index of its target; *dense* coding lists a weight for every neuron
of the slice, in order, and needs no index.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neurosparse.deploy.chip import Synapses

__all__ = ["Coding", "Memory", "fitting", "index_bits", "list_bits", "synapse_memory"]

Coding = Literal["dense", "sparse"]


@dataclass(frozen=True)
class Memory:
    """The synapse memory of one projection on one core: `bits` with the cheaper coding, and how they come about."""

    bits: int
    coding: Coding
    dense_bits: int
    sparse_bits: int
    index_bits: int


def list_bits(lengths: NDArray[np.int64] | int, bits_per_synapse: int, synapses: Synapses) -> NDArray[np.int64]:
    """Return the bits of lists of `lengths` synapses; an empty list takes none.

    >>> from neurosparse.deploy.chip import ChipSpec
    >>> list_bits(np.array([0, 1, 64, 65]), 18, ChipSpec.load("loihi1").synapses)
    array([   0,   64, 1216, 1280])
    """
    n, block = np.asarray(lengths, np.int64), synapses.list_length.value
    full, rest = np.divmod(n, block)
    header, word = synapses.header_bits.value, synapses.word_bits.value
    whole = -(-(block * bits_per_synapse + header) // word) * word
    part = -(-(rest * bits_per_synapse + header) // word) * word
    return np.asarray(full * whole + np.where(rest > 0, part, 0))


def fitting(needed: int, allowed: list[int]) -> int:
    """Return the smallest of the `allowed` numbers of bits that holds `needed`, or the largest if none does."""
    return next((bits for bits in allowed if bits >= needed), allowed[-1])


def index_bits(n_neurons: int, synapses: Synapses) -> int:
    """Return the bits that tell `n_neurons` neurons of a core apart."""
    return fitting(max(n_neurons - 1, 0).bit_length(), synapses.index_bits.value)


def synapse_memory(lengths: NDArray[np.int64], width: int, position: int, own_bits: int, synapses: Synapses) -> Memory:
    """Return the memory of a projection on a core, in the cheaper of both codings.

    Parameters
    ----------
    lengths : int array, shape (n_source,)
        Synapses that each source neuron has onto the core.
    width : int
        Neurons of the target population on this core.
    position : int
        Neurons that lie on the core before them: indices count from the first neuron of the core.
    own_bits : int
        Bits of a synapse without its index: weight, delay and tag.
    """
    bits = index_bits(position + width, synapses)
    sparse = int(list_bits(lengths, own_bits + bits, synapses).sum())
    dense = int(np.count_nonzero(lengths)) * int(list_bits(width, own_bits, synapses))
    coding: Coding = "dense" if dense < sparse else "sparse"
    return Memory(min(dense, sparse), coding, dense, sparse, bits)
