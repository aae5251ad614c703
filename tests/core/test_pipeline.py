"""Offsets and engine delays of engines that cost a step per hop, by hand and as a property."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurosparse.core.network import INPUT, Input, Network, Population, Projection
from neurosparse.core.neurons import LIF
from neurosparse.core.pipeline import impossible_loops, pipeline
from neurosparse.errors import UnsupportedError


def _network(*edges: tuple[str, str, int]) -> Network:
    names = sorted({name for edge in edges for name in edge[:2]} - {INPUT})
    projections = [Projection.from_dense(a, b, np.float32([[1]]), delay=d) for a, b, d in edges]
    return Network(Input(1), [Population(name, 1, LIF()) for name in names], projections)


def test_every_layer_of_a_chain_lags_one_more_step() -> None:
    plan = pipeline(_network((INPUT, "a", 0), ("a", "b", 0), ("b", "c", 0)))
    assert plan.offsets == {INPUT: 0, "a": 1, "b": 2, "c": 3}
    assert plan.delays == (1, 1, 1)
    assert plan.n_extra == 3


def test_a_shortcut_waits_for_the_longer_path() -> None:
    plan = pipeline(_network((INPUT, "a", 0), ("a", "b", 0), (INPUT, "b", 0)))
    assert plan.offsets == {INPUT: 0, "a": 1, "b": 2}
    assert plan.delays == (1, 1, 2)


def test_a_delay_pays_for_its_hop() -> None:
    plan = pipeline(_network((INPUT, "a", 0), ("a", "b", 1), ("a", "a", 1)))
    assert plan.offsets == {INPUT: 0, "a": 1, "b": 1}
    assert plan.delays == (1, 1, 1)


def test_a_loop_as_long_as_its_hops_is_possible_and_a_shorter_one_is_refused_with_its_reason() -> None:
    possible = _network((INPUT, "a", 0), ("a", "b", 0), ("b", "a", 2))
    plan = pipeline(possible)
    assert plan.delays == (1, 1, 1)
    assert impossible_loops(possible) == []
    short = _network((INPUT, "a", 0), ("a", "b", 0), ("b", "a", 1))
    with pytest.raises(UnsupportedError, match="loop through a"):
        pipeline(short)
    assert len(impossible_loops(short)) == 1


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 4), st.integers(0, 6)), min_size=1, max_size=12))
def test_engine_delays_are_at_least_one_and_add_up(edges: list[tuple[int, int, int]]) -> None:
    names = [INPUT, "a", "b", "c", "d"]
    # only loops through delays as long as a loop can be, so that a plan exists
    network = _network(*((names[a], names[b], d if a < b else d + 4) for a, b, d in edges))
    plan = pipeline(network)
    assert plan.offsets[INPUT] == 0
    assert plan.n_extra == max(plan.offsets.values())
    for projection, delay in zip(network.projections, plan.delays, strict=True):
        assert delay >= 1
        assert delay == projection.delay + plan.offsets[projection.target] - plan.offsets[projection.source]
