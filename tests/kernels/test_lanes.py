"""Layout of activity: packing, unpacking and padding lose nothing."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurosparse.errors import ValidationError
from neurosparse.kernels.buffers import borrow, idle_bytes, release_idle
from neurosparse.kernels.events import list_events, spikes_per_word
from neurosparse.kernels.lanes import Lanes, count_spikes, expand_spikes, pack_spikes, to_rows

extents = st.tuples(st.integers(0, 5), st.integers(0, 40), st.integers(1, 70))
floats = st.sampled_from([np.float32, np.float64])


@settings(deadline=None, max_examples=60)
@given(extents, st.sampled_from([np.float32, np.float64, np.uint8, np.bool_]), floats, st.integers(0, 2**32 - 1))
def test_packing_and_expanding_gives_the_same_spikes(
    extent: tuple[int, int, int], dtype: type, back: type, seed: int
) -> None:
    x = (np.random.default_rng(seed).random(extent) < 0.3).astype(dtype)
    words = pack_spikes(x)
    assert words is not None
    lanes = Lanes(*extent[:2])
    rows = expand_spikes(words, back)
    assert np.array_equal(lanes.as_time_batch_neuron(rows), x)
    assert rows.sum() == x.sum(), "padding bits must be zero"
    assert np.array_equal(count_spikes(words), x.sum(axis=(0, 1), dtype=np.int64))


@settings(deadline=None, max_examples=40)
@given(extents, floats, st.integers(0, 2**32 - 1))
def test_rows_hold_every_value_and_zero_padding(extent: tuple[int, int, int], dtype: type, seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal(extent).astype(dtype)
    rows = to_rows(x)
    lanes = Lanes(*extent[:2])
    assert np.array_equal(lanes.as_time_batch_neuron(rows), x)
    assert np.count_nonzero(rows) == np.count_nonzero(x)


@pytest.mark.parametrize("strange", [2.0, -1.0, 0.5, np.nan, np.inf])
def test_a_value_that_is_no_spike_is_noticed_wherever_it_is(strange: float) -> None:
    for where in [(0, 0, 0), (2, 16, 69), (1, 3, 64)]:
        x = np.zeros((3, 17, 70), np.float32)
        x[where] = strange
        assert pack_spikes(x) is None


def test_bit_i_of_word_w_is_sample_16_w_plus_i() -> None:
    x = np.zeros((2, 20, 1), np.uint8)
    x[0, 3, 0] = x[1, 17, 0] = 1
    words = pack_spikes(x)
    assert words is not None
    assert words.tolist() == [[1 << 3, 0, 0, 1 << 1]]


def test_events_list_exactly_the_lanes_that_spike() -> None:
    words = np.array([[0, 5, 0, 0, 9, 0], [0, 0, 0, 0, 0, 0x8001]], np.uint16)
    events, bounds = list_events(words, 4)
    nowhere = 64
    assert [events[first:last].tolist() for first, last in bounds] == [
        [16, 18, *[nowhere] * 6],
        [0, 3, *[nowhere] * 6],  # lanes are counted from the start of the chunk
        [],
        [16, 31, *[nowhere] * 6],
    ]
    assert spikes_per_word(words) == 6 / 12


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 3), st.integers(1, 30), st.integers(1, 40), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_events_are_the_spikes_of_any_words(n: int, n_words: int, per_chunk: int, rate: float, seed: int) -> None:
    bits = np.random.default_rng(seed).random((n, 16 * n_words)) < rate
    words = np.packbits(bits, axis=1, bitorder="little").view(np.uint16)
    events, bounds = list_events(words, per_chunk)
    n_chunks = -(-n_words // per_chunk)
    for i in range(n):
        for c in range(n_chunks):
            e = i * n_chunks + c
            chunk = bits[i, 16 * per_chunk * c : 16 * per_chunk * (c + 1)]
            listed = events[slice(*bounds[e])]
            assert listed.size % 8 == 0
            assert listed[listed != 16 * per_chunk].tolist() == np.flatnonzero(chunk).tolist()


def test_a_chunk_of_more_lanes_than_16_bits_can_count_is_listed_in_32() -> None:
    words = np.zeros((1, 5000), np.uint16)
    words[0, 4999] = 1
    events, _ = list_events(words, 5000)
    assert events.dtype == np.uint32
    assert events[0] == 4999 * 16


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: pack_spikes(np.zeros((2, 2, 2), np.int64)),
            r"pack_spikes\.x: has dtype int64, would have to be float32",
        ),
        (
            lambda: pack_spikes(np.zeros((2, 2))),
            r"pack_spikes\.x: has shape \(2, 2\), would have to be \(any, any, any\)",
        ),
        (lambda: to_rows(np.zeros((2, 2, 4))[:, :, ::2]), r"to_rows\.x: is not C-contiguous"),
        (lambda: to_rows([[[1.0]]]), r"to_rows\.x: is a list, would have to be a numpy array"),
        (lambda: Lanes(-1, 2), r"Lanes\.n_steps: is -1, would have to be in"),
        (lambda: Lanes(2**20, 2**20), r"Lanes\.n_lanes: is 1099511627776"),
        (lambda: list_events(np.zeros((1, 1), np.uint16), 0), r"list_events\.words_per_chunk: is 0"),
    ],
)
def test_what_the_kernels_cannot_take_is_refused_by_name(call: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        call()  # type: ignore[operator]


def test_a_large_buffer_goes_back_when_its_last_view_is_gone() -> None:
    release_idle()
    rows = borrow((1000, 1000), np.float32)
    view = rows[10:20].T
    del rows
    gc.collect()
    assert idle_bytes() == 0, "a view is alive"
    view[...] = 1
    del view
    gc.collect()
    held = idle_bytes()
    assert held >= 4_000_000
    again = borrow((1000, 1000), np.float32)
    assert idle_bytes() == 0
    assert again.ctypes.data % 64 == 0
    del again
    release_idle()
    assert idle_bytes() == 0


@pytest.mark.parametrize("shape", [(0, 5), (3,), (2, 3, 4), (70_000, 7)])
def test_borrowed_arrays_have_the_shape_and_type_asked_for(shape: tuple[int, ...]) -> None:
    array = borrow(shape, np.float64)
    assert array.shape == shape
    assert array.dtype == np.float64
    assert array.flags.c_contiguous
    assert array.flags.writeable
