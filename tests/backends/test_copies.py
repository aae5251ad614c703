"""A batch as disjoint copies: indices by hand, chunks and event counts as properties."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import neurosparse as ns
from neurosparse.backends import copies
from neurosparse.core.network import INPUT, Input, Network, Population, Projection
from neurosparse.core.neurons import LIF
from neurosparse.core.pipeline import pipeline

NETWORK = Network(
    Input(2, "analog"),
    [Population("a", 2, LIF()), Population("b", 1, LIF())],
    [
        Projection.from_dense(INPUT, "a", np.float32([[1, 2], [0, 4]])),
        Projection.from_dense("a", "b", np.float32([[8, 16]])),
        Projection.from_dense(INPUT, "b", np.float32([[0, 32]]), delay=1),
    ],
)


def _triples(synapses: copies.Synapses) -> set[tuple[int, int, float, int]]:
    return set(zip(*(values.tolist() for values in vars(synapses).values()), strict=True))


def test_copies_repeat_every_synapse_at_shifted_indices() -> None:
    # three neurons per copy: a is 0 and 1, b is 2
    synapses = copies.recurrent_synapses(NETWORK, pipeline(NETWORK), 2)
    assert _triples(synapses) == {(0, 2, 8.0, 1), (1, 2, 16.0, 1), (3, 5, 8.0, 1), (4, 5, 16.0, 1)}


def test_every_distinct_input_value_of_a_line_is_a_generator_of_its_own() -> None:
    x = np.zeros((3, 2, 2), np.float32)
    x[0, 0, 0], x[2, 0, 0], x[1, 1, 1] = 0.5, 0.5, 0.25
    x[2, 1, 1] = 1.0
    inputs = copies.generators(x)
    assert inputs.samples.tolist() == [0, 1, 1]
    assert inputs.lines.tolist() == [0, 1, 1]
    assert inputs.values.tolist() == [0.5, 0.25, 1.0]
    assert list(zip(inputs.steps.tolist(), inputs.indices.tolist(), strict=True)) == [(0, 0), (1, 1), (2, 0), (2, 2)]


def test_a_generator_feeds_its_lines_synapses_times_its_value_into_its_samples_copy() -> None:
    x = np.zeros((1, 2, 2), np.float32)
    x[0, 0, 0], x[0, 1, 1] = 0.5, 0.25
    synapses = copies.input_synapses(NETWORK, pipeline(NETWORK), copies.generators(x))
    # line 1 into the copy at 3: a[0] = 3, a[1] = 4, b = 5 at one step of delay and one more of offset
    assert _triples(synapses) == {(0, 0, 0.5, 1), (1, 3, 0.5, 1), (1, 4, 1.0, 1), (1, 5, 8.0, 3)}


@given(st.integers(0, 7), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_chunks_cover_all_samples_once_and_keep_to_the_limit(n_samples: int, limit: int, seed: int) -> None:
    x = (np.random.default_rng(seed).random((4, n_samples, 2)) < 0.5).astype(np.float32)
    chunks = list(copies.batches(NETWORK, x, limit))
    assert [i for chunk in chunks for i in range(n_samples)[chunk]] == list(range(n_samples))
    plan = pipeline(NETWORK)
    for chunk in chunks:
        part = x[:, chunk]
        inner = copies.recurrent_synapses(NETWORK, plan, part.shape[1]).weights.size
        outer = copies.input_synapses(NETWORK, plan, copies.generators(part)).weights.size
        assert inner + outer <= limit or part.shape[1] == 1


def test_events_are_spikes_times_fan_out_that_arrive_in_time() -> None:
    x = np.zeros((3, 1, 2), np.float32)
    x[0, 0, 1] = x[2, 0, 1] = 1
    spikes = {"a": np.zeros((3, 1, 2), bool), "b": np.zeros((3, 1, 1), bool)}
    spikes["a"][1, 0, :] = True
    # line 1 twice into two neurons of a; once into b (its second is still under way at the end); two spikes of a into b
    assert copies.synaptic_events(NETWORK, x, spikes) == 2 * 2 + 1 + 2


def test_no_synapses_is_a_list_of_length_zero_in_the_networks_type() -> None:
    network = Network(Input(1), [Population("a", 1, LIF())], [Projection.from_dense(INPUT, "a", np.zeros((1, 1)))])
    synapses = copies.recurrent_synapses(network, pipeline(network), 3)
    assert synapses.weights.shape == (0,)
    assert synapses.weights.dtype == np.float64
    assert ns.simulate(network, np.ones((2, 1), bool)).n_spikes == 0
