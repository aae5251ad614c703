"""Placements: small ones by hand, random ones by what must always hold, tiny ones against all there are."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wired import chain, random_matrix, small_chip

from neurosparse.core.network import INPUT, Input, Network, Population, Projection
from neurosparse.core.neurons import LIF
from neurosparse.core.quantized import QuantizedNetwork, QuantizedPopulation, QuantizedProjection
from neurosparse.deploy.chip import ChipSpec
from neurosparse.deploy.demand import limits_of
from neurosparse.deploy.placement import Placement, place
from neurosparse.errors import CapacityError, UnsupportedError, ValidationError


def test_a_network_of_two_neurons_by_hand() -> None:
    placement = place(chain(np.float32([[1, 0.5, 0], [0, 1, 0]])), small_chip())
    (core,) = placement.cores
    # lists of 1 and of 2 synapses with 8 + 6 bits: 24 -> 64 and 38 -> 64
    expected = {"neurons": 2, "synapse_bits": 128, "in_axons": 2, "out_axons": 0}
    assert core.usage == {**expected, "decay_sets": 1, "threshold_sets": 1}
    (block,) = core.blocks
    assert (block.memory.coding, block.n_synapses, block.lengths.tolist()) == ("sparse", 3, [1, 2, 0])
    assert placement.lower_bound == placement.n_cores == placement.chips_used == 1
    assert placement.violations == ()


def test_neurons_bind() -> None:
    placement = place(chain(np.ones((9, 1), np.float32)), small_chip())
    assert [core.usage["neurons"] for core in placement.cores] == [4, 4, 1]
    assert placement.bounds["neurons"] == placement.n_cores == 3
    assert placement.core_of["p1"].tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2]
    # all four neurons hear the one input: a dense list of 4 * 8 + 10 bits is a word
    assert [core.blocks[0].memory.coding for core in placement.cores] == ["dense", "dense", "sparse"]


def test_synapse_memory_binds() -> None:
    # one neuron with 6 sources: 6 words; two share no source, so 384 bits each
    matrix = np.kron(np.eye(3), np.ones((1, 6)))
    placement = place(chain(np.float32(matrix)), small_chip(synapse_bits=768, in_axons=100))
    assert [core.usage["synapse_bits"] for core in placement.cores] == [768, 384]


def test_in_axons_bind() -> None:
    matrix = np.kron(np.eye(3), np.ones((1, 6)))
    placement = place(chain(np.float32(matrix)), small_chip(in_axons=12))
    assert [core.usage["in_axons"] for core in placement.cores] == [12, 6]
    assert placement.bounds["in_axons"] == 2


def test_out_axons_bind_and_count_cores_not_synapses() -> None:
    # each of 4 neurons reaches 8 others, which lie on 2 cores: 2 axons each, and a core has 4
    network = chain(np.ones((4, 1), np.float32), np.ones((8, 4), np.float32))
    placement = place(network, small_chip(out_axons=4, cores=8))
    assert placement.out_degrees["p1"].tolist() == [2, 2, 2, 2]
    first = [core for core in placement.cores if "p1" in core.neurons]
    assert [core.usage["out_axons"] for core in first] == [4, 4]
    assert placement.n_cores == 4


def test_a_core_may_hold_the_ends_of_two_populations() -> None:
    network = chain(np.ones((5, 1), np.float32), np.eye(3, 5, dtype=np.float32))
    placement = place(network, small_chip())
    assert placement.n_cores == 2
    assert [sorted(core.neurons) for core in placement.cores] == [["p1"], ["p1", "p2"]]


def test_one_source_in_two_projections_is_one_in_axon() -> None:
    weights = np.float32([[1.0]])
    projections = [Projection.from_dense("input", "out", weights, delay=d) for d in (0, 1)]
    network = Network(Input(1), [Population("out", 1, LIF(reset="zero"))], projections)
    (core,) = place(network, small_chip()).cores
    assert core.usage["in_axons"] == 1
    assert len(core.blocks) == 2
    # the delay of one step takes one bit: 8 + 1 + 6 + 10 bits are still a word
    assert [block.connection.own_bits for block in core.blocks] == [8, 9]


def test_two_projections_that_look_alike_are_counted_once_each() -> None:
    base = chain(np.ones((2, 1), np.float32))
    use = place(Network(base.input, base.populations, [*base.projections] * 2), small_chip()).utilization()
    assert [p.bits for p in use.projections] == [64, 64]
    assert use.used["synapse_bits"] == 128


def test_a_skipped_population_costs_delay_bits() -> None:
    # input -> a -> b -> c and input -> c: the direct way waits two steps for the other
    ones = np.float32([[1.0]])
    pairs = [("input", "a"), ("a", "b"), ("b", "c"), ("input", "c")]
    network = Network(
        Input(1),
        [Population(name, 1, LIF(reset="zero")) for name in "abc"],
        [Projection.from_dense(source, target, ones) for source, target in pairs],
    )
    use = place(network, small_chip()).utilization()
    assert {p.name: p.chip_delay for p in use.projections} == {"input->a": 0, "a->b": 0, "b->c": 0, "input->c": 2}
    assert use.hops == 3


def test_a_recurrent_loop_is_placed() -> None:
    loop = Projection.from_dense("p1", "p1", np.ones((6, 6), np.float32), delay=1)
    base = chain(np.ones((6, 1), np.float32))
    placement = place(Network(base.input, base.populations, [*base.projections, loop]), small_chip())
    assert placement.n_cores == 2
    assert placement.out_degrees["p1"].tolist() == [2] * 6
    assert [core.usage["in_axons"] for core in placement.cores] == [7, 7]


def test_neurons_are_reordered_only_where_that_saves_cores() -> None:
    # neurons 0, 2 and 1, 3 share all six sources; side by side two of them need only six axons
    rows = np.kron(np.eye(2), np.ones((1, 6)))
    mixed = np.float32(rows[[0, 1, 0, 1]])
    placement = place(chain(mixed), small_chip(in_axons=6))
    assert placement.n_cores == 2
    assert placement.reordered
    assert {tuple(sorted(core.neurons["p1"].tolist())) for core in placement.cores} == {(0, 2), (1, 3)}
    assert not place(chain(np.float32(rows[[0, 0, 1, 1]])), small_chip(in_axons=6)).reordered


def test_different_decays_and_thresholds_take_a_place_each() -> None:
    neuron = LIF(beta=[0.5, 0.5, 0.6, 0.7], v_threshold=[1, 2, 1, 1], reset="zero")
    network = chain(np.ones((4, 1), np.float32), neuron=neuron)
    placement = place(network, small_chip(decay_sets=2, threshold_sets=2))
    assert [core.usage["decay_sets"] for core in placement.cores] == [2, 1]
    assert [core.usage["threshold_sets"] for core in placement.cores] == [2, 1]
    assert placement.bounds["decay_sets"] == 2


@pytest.mark.parametrize(("bits", "stored"), [(1, 1), (3, 4), (8, 8)])
def test_fewer_bits_per_weight_take_less_memory(bits: int, stored: int) -> None:
    network = chain(np.ones((4, 2), np.float32))
    block = place(network, small_chip(), bits=bits).cores[0].blocks[0]
    assert (block.connection.weight_bits, block.connection.own_bits) == (bits, stored)


def test_a_quantised_network_knows_its_bits() -> None:
    weights = QuantizedProjection("input", "out", [0, 1], [0], np.int16([32]), 1, bits=4)
    network = QuantizedNetwork(Input(1), [QuantizedPopulation("out", 1, dv=100, v_threshold=9)], [weights])
    placement = place(network, small_chip())
    assert placement.cores[0].blocks[0].connection.own_bits == 4
    with pytest.raises(ValidationError, match=r"place.bits: a QuantizedNetwork says itself"):
        place(network, small_chip(), bits=8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chips": 0}, "place.chips: must be a number of chips >= 1, got 0"),
        ({"chips": True}, "got True"),
        ({"bits": 0}, r"place.bits: must be a number of bits per weight in \[1, 64\], got 0"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        place(chain(np.ones((1, 1), np.float32)), small_chip(), **options)


def test_a_chip_without_such_cores_cannot_be_placed_on() -> None:
    with pytest.raises(UnsupportedError, match=r"chip 'speck': is of kind 'convolutional', which has no cores"):
        place(chain(np.ones((1, 1), np.float32)), ChipSpec.load("speck"))


def usage_by_hand(network: Network, cores: dict[str, list[int]], n_cores: int) -> list[dict[str, int]]:
    """What every core needs, written down a second time, synapse by synapse."""
    found = []
    for core in range(n_cores):
        sources, sent, bits = set(), set(), 0
        for p in network.projections:
            rows = [i for i, where in enumerate(cores[p.target]) if where == core]
            lists: dict[int, int] = {}
            for row in range(p.shape[0]):
                for source in p.indices[p.indptr[row] : p.indptr[row + 1]].tolist():
                    if row in rows:
                        sources.add((p.source, source))
                        lists[source] = lists.get(source, 0) + 1
                    if p.source != INPUT and cores[p.source][source] == core:
                        sent.add((p.source, source, cores[p.target][row]))
            own = 8 + max(0, p.delay - (p.source == p.target)).bit_length()
            sparse = sum(-(-(n * (own + 6) + 10) // 64) * 64 for n in lists.values())
            dense = len(lists) * (-(-(len(rows) * own + 10) // 64) * 64)
            bits += min(sparse, dense)
        neurons = sum(where == core for places in cores.values() for where in places)
        found.append({"neurons": neurons, "synapse_bits": bits, "in_axons": len(sources), "out_axons": len(sent)})
    return found


def partitions(n: int) -> Iterator[list[int]]:
    """All ways to put n neurons on cores, cores being alike."""
    for choice in itertools.product(*(range(i + 1) for i in range(n))):
        if all(c <= max(choice[:i], default=-1) + 1 for i, c in enumerate(choice)):
            yield list(choice)


def split(choice: list[int], network: Network) -> dict[str, list[int]]:
    parts = iter(choice)
    return {p.name: [next(parts) for _ in range(p.n)] for p in network.populations}


@st.composite
def tiny(draw: st.DrawFn) -> tuple[Network, ChipSpec]:
    n, density = draw(st.tuples(st.integers(1, 3), st.integers(1, 3))), draw(st.sampled_from([0.4, 0.7, 1.0]))
    seed = draw(st.integers(0, 10**6))
    matrices = [random_matrix(seed, (n[0], 4), density), random_matrix(seed + 1, (n[1], n[0]), density)]
    network = chain(*matrices)
    if draw(st.booleans()):
        loop = Projection.from_dense("p1", "p1", random_matrix(seed + 2, (n[0], n[0]), density), delay=1)
        network = Network(network.input, network.populations, [*network.projections, loop])
    limits = {
        "neurons": draw(st.integers(1, 4)),
        "synapse_bits": draw(st.sampled_from([512, 640, 1024])),
        "in_axons": draw(st.integers(7, 9)),
        "out_axons": draw(st.integers(2, 6)),
        "cores": 16,
    }
    return network, small_chip(**limits)


@given(tiny())
@settings(max_examples=40)
def test_tiny_networks_lie_between_the_lower_bound_and_the_best_there_is(drawn: tuple[Network, ChipSpec]) -> None:
    network, chip = drawn
    limits = limits_of(chip)
    placement = place(network, chip, strict=False)
    fitting = [
        max(choice) + 1
        for choice in partitions(network.n_neurons)
        if all(
            usage[name] <= limit
            for usage in usage_by_hand(network, split(choice, network), max(choice) + 1)
            for name, limit in limits.items()
        )
    ]
    by_hand = usage_by_hand(network, {n: c.tolist() for n, c in placement.core_of.items()}, placement.n_cores)
    assert [{name: core.usage[name] for name in by_hand[0]} for core in placement.cores] == by_hand
    impossible = {violation.resource for violation in placement.violations} & {"synapse_bits", "in_axons"}
    if impossible:  # a neuron that exceeds a core all alone fits nowhere
        assert not fitting
    elif not placement.violations:
        assert placement.lower_bound <= min(fitting) <= placement.n_cores


def check(placement: Placement) -> None:
    """What holds for every placement that fits."""
    limits = limits_of(placement.chip)
    for name, n in placement.wiring.sizes.items():
        places = [core.neurons.get(name, np.zeros(0, int)) for core in placement.cores]
        assert sorted(np.concatenate(places).tolist()) == list(range(n))  # every neuron once
        for i, part in enumerate(places):
            assert (placement.core_of[name][part] == i).all()
    for core in placement.cores:
        assert all(core.usage[name] <= limit for name, limit in limits.items())
        assert core.usage["neurons"] == sum(part.size for part in core.neurons.values()) > 0
    stored = sum(block.n_synapses for core in placement.cores for block in core.blocks)
    assert stored == placement.wiring.n_synapses
    assert 1 <= placement.lower_bound <= placement.n_cores


@given(
    sizes=st.lists(st.integers(1, 40), min_size=2, max_size=4),
    density=st.sampled_from([0.05, 0.3, 1.0]),
    seed=st.integers(0, 10**6),
    neurons=st.sampled_from([3, 8, 50]),
    in_axons=st.sampled_from([45, 100]),
    loop=st.booleans(),
)
@settings(max_examples=60)
def test_every_placement_keeps_every_limit(
    sizes: list[int], density: float, seed: int, neurons: int, in_axons: int, loop: bool
) -> None:
    matrices = [random_matrix(seed + i, (n, m), density) for i, (m, n) in enumerate(itertools.pairwise(sizes))]
    network = chain(*matrices)
    limits = {"cores": 200, "neurons": neurons, "in_axons": in_axons, "out_axons": 60, "synapse_bits": 4096}
    if loop:
        back = Projection.from_dense("p1", "p1", random_matrix(seed, (sizes[1], sizes[1]), 0.1), delay=2)
        network = Network(network.input, network.populations, [*network.projections, back])
    placement = place(network, small_chip(**limits), strict=False)
    if not placement.violations:
        check(placement)
    again = place(network, small_chip(**limits), strict=False)
    assert all((again.core_of[name] == cores).all() for name, cores in placement.core_of.items())


def test_a_network_of_many_cores_keeps_every_limit_and_halving_takes_more() -> None:
    matrices = [random_matrix(i, shape, 0.05) for i, shape in enumerate([(600, 100), (600, 600), (10, 600)])]
    chip = small_chip(cores=100, neurons=200, synapse_bits=1 << 16, in_axons=600, out_axons=600)
    placement = place(chain(*matrices), chip)
    check(placement)
    assert placement.lower_bound < placement.n_cores < placement.halving
    use = placement.utilization()
    assert use.used["neurons"] == 1210
    assert use.share("neurons") == pytest.approx(1210 / (200 * placement.n_cores))
    assert sum(p.bits for p in use.projections) == use.used["synapse_bits"]
    assert use.binding in {core.binding for core in use.cores}
    assert use.to_dict()["cores"][0]["usage"]["neurons"] > 0


def test_a_utilization_prints_a_line_per_core() -> None:
    text = str(place(chain(np.ones((9, 1), np.float32)), small_chip()).utilization())
    assert "core   0  4 p1: 100.0% neurons" in text
    assert "average: 75.0% neurons" in text
    assert "input->p1: 9 synapses, 2 dense and 1 sparse blocks, 21.3 bits per synapse" in text
    assert "3 cores of 1 x 4" in text


def test_the_estimates_of_a_chip_are_listed_with_its_utilization() -> None:
    network = chain(np.ones((2, 1), np.float32))
    assert "estimates, not official: core.cores" in str(place(network, ChipSpec.load("loihi2")).utilization())
    assert "estimates" not in str(place(network, ChipSpec.load("loihi1")).utilization())


def test_what_does_not_fit_is_raised_and_may_be_looked_at() -> None:
    network = chain(np.ones((17, 1), np.float32))
    with pytest.raises(CapacityError, match=r"does not fit Small chip, 1 violation:\n  network.cores: needs 5"):
        place(network, small_chip())
    placement = place(network, small_chip(), strict=False)
    assert (placement.n_cores, placement.chips_used, len(placement.violations)) == (5, 2, 1)
    assert place(network, small_chip(), chips=2).violations == ()
