"""The memory of synapses, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from neurosparse.deploy.axons import fitting, index_bits, list_bits, synapse_memory
from neurosparse.deploy.chip import ChipSpec, Synapses


@pytest.fixture
def synapses() -> Synapses:
    found = ChipSpec.load("loihi1").synapses
    if found is None:
        pytest.fail("Loihi 1 has no synapses")
    return found


def test_a_full_block_of_sparse_8_bit_synapses_takes_19_bits_each(synapses: Synapses) -> None:
    # 64 * (8 + 10) + 10 = 1162, in words of 64 bits 1216 = 64 * 19
    assert list_bits(64, 18, synapses) == 1216
    assert list_bits(65, 18, synapses) == 1216 + 64  # a second block of one synapse: 18 + 10 -> 64
    assert list_bits(128, 18, synapses) == 2 * 1216


def test_lists_are_rounded_up_to_words_and_an_empty_one_takes_nothing(synapses: Synapses) -> None:
    # 3 * 18 + 10 = 64 just fits a word, 4 * 18 + 10 = 82 does not
    np.testing.assert_array_equal(list_bits(np.array([0, 1, 3, 4]), 18, synapses), [0, 64, 64, 128])


def test_bits_are_rounded_up_to_what_the_chip_has(synapses: Synapses) -> None:
    assert [fitting(bits, synapses.weight_bits.value) for bits in (1, 6, 7, 8, 9)] == [1, 6, 8, 8, 8]
    assert [index_bits(n, synapses) for n in (1, 64, 65, 128, 1024, 4096)] == [6, 6, 7, 7, 10, 12]


def test_full_lists_are_stored_densely_and_thin_ones_sparsely(synapses: Synapses) -> None:
    # 4 targets: dense 4 * 8 + 10 = 42 -> 64; sparse 4 * (8 + 6) + 10 = 66 -> 128
    full = synapse_memory(np.array([4, 4]), 4, 0, 8, synapses)
    assert (full.coding, full.dense_bits, full.sparse_bits, full.bits) == ("dense", 128, 256, 128)
    # 64 targets, one synapse: dense 64 * 8 + 10 = 522 -> 576; sparse 14 + 10 -> 64
    thin = synapse_memory(np.array([1, 0]), 64, 0, 8, synapses)
    assert (thin.coding, thin.dense_bits, thin.sparse_bits, thin.bits) == ("sparse", 576, 64, 64)


def test_indices_count_from_the_first_neuron_of_the_core(synapses: Synapses) -> None:
    assert synapse_memory(np.array([1]), 10, 0, 8, synapses).index_bits == 6
    assert synapse_memory(np.array([1]), 10, 60, 8, synapses).index_bits == 7
