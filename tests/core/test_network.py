"""What a network accepts, what it refuses and in which words, and what it says about itself."""

import copy
import dataclasses
import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurosparse.core.network import INPUT, Input, Network, Population, Projection, is_readout
from neurosparse.core.neurons import LI, LIF, CubaLIF
from neurosparse.errors import UnknownNameError, ValidationError

from .examples import assert_same_network, one_of_everything


def chain(*names, n=2, delays=None):
    """A projection from each name to the next, all of `n` neurons; delays default to 0."""
    ends = list(itertools.pairwise(names))
    eye = np.eye(n, dtype=np.float32)
    return [
        Projection.from_dense(a, b, eye, delay=d) for (a, b), d in zip(ends, delays or [0] * len(ends), strict=True)
    ]


def populations(*names, n=2):
    return [Population(name, n, LIF()) for name in names]


def test_a_network_says_what_it_is():
    network = one_of_everything()
    assert repr(network) == "Network(4->3->2->2, 10 synapses, density 0.312)"
    assert (network.n_neurons, network.n_synapses) == (7, 10)
    assert network.density == 10 / (12 + 6 + 4 + 6 + 4)
    assert network.outputs == ("out",)
    assert network.order == ("hidden", "second.layer", "out")
    assert network.dtype == np.float32
    assert network.size_of(INPUT) == 4
    assert network.size_of("out") == 2
    assert network["hidden"] is network.populations[0]
    assert [p.source for p in network.projections_into("out")] == ["hidden", "second.layer"]
    assert network.projections_into("input") == ()
    assert [is_readout(p) for p in network.populations] == [False, False, True]


def test_a_recurrent_population_at_the_end_is_an_output():
    network = Network(Input(2), populations("a", "b"), [*chain(INPUT, "a", "b"), *chain("b", "b", delays=[1])])
    assert network.outputs == ("b",)
    looped = Network(Input(2), populations("a", "b"), [*chain(INPUT, "a", "b"), *chain("b", "a", delays=[1])])
    assert looped.outputs == ()


def test_large_counts_are_printed_in_groups_of_three():
    weights = Projection.from_dense(INPUT, "a", np.ones((50, 100), np.float32))
    assert repr(Network(Input(100), populations("a", n=50), [weights])).startswith("Network(100->50, 5 000 synapses")


def test_a_network_without_projections_is_one_of_biases():
    network = Network(Input(1), [Population("a", 2, LIF(bias=0.5))], [])
    assert (network.density, network.n_synapses, network.dtype) == (0.0, 0, np.float32)
    assert network.outputs == ("a",)


def test_neuron_parameters_become_arrays_of_the_type_of_the_weights():
    for dtype in (np.float32, np.float64):
        network = one_of_everything(dtype)
        for population in network.populations:
            for name in population.neuron.parameters:
                array = getattr(population.neuron, name)
                assert (array.shape, array.dtype) == ((population.n,), dtype)
                assert not array.flags.writeable


def test_iterables_are_kept_as_tuples():
    network = Network(Input(2), iter(populations("a")), iter(chain(INPUT, "a")))
    assert isinstance(network.populations, tuple)
    assert isinstance(network.projections, tuple)


def test_nothing_in_a_network_can_be_replaced():
    network = one_of_everything()
    for owner, name in ((network, "dt"), (network.populations[0], "n"), (network.projections[0], "delay")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(owner, name, 2)
    grid = {"a": 12}
    network = Network(Input(2), populations("a"), chain(INPUT, "a"), grid=grid)
    grid["a"] = 60
    assert network.grid == {"a": 12}


def test_networks_can_be_copied_and_sent_to_another_process():
    network = one_of_everything()
    assert_same_network(copy.deepcopy(network), network)
    assert_same_network(pickle.loads(pickle.dumps(network)), network)


def test_replacing_a_field_checks_the_whole_again():
    network = one_of_everything()
    assert dataclasses.replace(network, dt=1e-3).dt == 1e-3
    with pytest.raises(
        ValidationError, match=r"Projection input->hidden: weights .* have shape \(3, 4\), .* need \(3, 5\)"
    ):
        dataclasses.replace(network, input=Input(5, "graded"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input": 4}, r"Network.input: must be an Input such as Input\(784\), got 4"),
        ({"populations": []}, r"Network.populations: a network has at least one population, got none"),
        ({"populations": 3}, r"Network.populations: must be a sequence of Population, got 3"),
        (
            {"populations": Population("a", 2, LIF())},
            r"Network.populations: must be a sequence of Population, got Popul",
        ),
        ({"populations": [LIF()]}, r"Network.populations: must be a sequence of Population, got LIF\(.*\) in it"),
        ({"projections": [None]}, r"Network.projections: must be a sequence of Projection, got None in it"),
        ({"populations": populations("a", "b", "a")}, r"Network.populations: names must differ, got a, b, a"),
        ({"dt": 0}, r"Network.dt: must be a duration in seconds > 0, got 0"),
        ({"dt": -1e-3}, r"Network.dt: must be a duration in seconds > 0, got -0.001"),
        ({"dt": float("inf")}, r"Network.dt: must be a duration in seconds > 0, got inf"),
        ({"dt": float("nan")}, r"Network.dt: must be a duration in seconds > 0, got nan"),
        ({"dt": True}, r"Network.dt: must be a duration in seconds > 0, got True"),
        ({"dt": "1 ms"}, r"Network.dt: must be a duration in seconds > 0, got '1 ms'"),
        ({"projections": chain("a", INPUT)}, r"Projection a->input: the input cannot be a target"),
    ],
)
def test_impossible_networks_are_refused(arguments, message):
    good = {"input": Input(2), "populations": populations("a"), "projections": chain(INPUT, "a")}
    Network(**good)
    with pytest.raises(ValidationError, match=message):
        Network(**{**good, **arguments})


def test_a_duration_may_be_any_real_number():
    for dt in (1, 0.001, np.float32(0.5), np.int64(2)):
        network = Network(Input(2), populations("a"), chain(INPUT, "a"), dt=dt)
        assert type(network.dt) is float
        assert network.dt == dt


def test_a_projection_from_or_to_nowhere_gets_the_near_miss():
    known = populations("hidden", "out")
    with pytest.raises(
        UnknownNameError,
        match=r"Projection hiden->out: 'hiden' is not known. Did you mean 'hidden'\? Known: hidden, input, out",
    ):
        Network(Input(2), known, [*chain(INPUT, "hidden"), *chain("hiden", "out")])
    with pytest.raises(UnknownNameError, match=r"Projection hidden->outt: 'outt' is not known. Did you mean 'out'\?"):
        Network(Input(2), known, chain("hidden", "outt"))


def test_looking_up_an_unknown_population_gets_the_near_miss():
    with pytest.raises(
        UnknownNameError, match=r"population: 'secnd.layer' is not known. Did you mean 'second.layer'\?"
    ):
        one_of_everything()["secnd.layer"]
    with pytest.raises(UnknownNameError, match=r"population: 'xyz' is not known. Known: hidden, out, second.layer"):
        one_of_everything().size_of("xyz")


def test_weights_must_fit_the_populations():
    weights = Projection.from_dense(INPUT, "a", np.ones((3, 2), np.float32))
    with pytest.raises(
        ValidationError,
        match=r"Projection input->a: weights \(n_target, n_source\) have shape \(3, 2\), the populations need \(2, 2\)",
    ):
        Network(Input(2), populations("a"), [weights])


def test_weights_share_one_type():
    mixed = [
        Projection.from_dense(INPUT, "a", np.ones((2, 2), np.float32)),
        Projection.from_dense("a", "a", np.ones((2, 2), np.float64), delay=1),
    ]
    with pytest.raises(
        ValidationError, match=r"Network.projections: weights must share one type, got float32 and float64"
    ):
        Network(Input(2), populations("a"), mixed)


def test_populations_are_ordered_by_what_acts_in_the_same_step():
    network = Network(Input(2), populations("c", "b", "a"), chain(INPUT, "a", "b", "c"))
    assert network.order == ("a", "b", "c")


def test_a_delay_breaks_a_loop():
    network = Network(Input(2), populations("a", "b"), chain("a", "b", "a", delays=[0, 1]))
    assert network.order == ("a", "b")
    network = Network(Input(2), populations("a", "b"), chain("a", "b", "a", delays=[1, 0]))
    assert network.order == ("b", "a")


def test_a_loop_without_delay_is_refused():
    with pytest.raises(
        ValidationError,
        match=r"Network.projections: a, b, c form a loop without delay, or follow one; at least one .* delay >= 1",
    ):
        Network(Input(2), populations("first", "a", "b", "c"), chain(INPUT, "first", "a", "b", "a", "c"))


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 12), density=st.floats(0, 1))
def test_the_order_respects_every_projection_without_delay(seed, n, density):
    rng = np.random.default_rng(seed)
    names = [f"p{i}" for i in range(n)]
    place = rng.permutation(n)
    projections = []
    for i in range(n):
        for j in range(n):
            if rng.random() < density:
                forward = place[i] < place[j]
                projections += chain(names[i], names[j], n=1, delays=[0 if forward else 1])
    network = Network(Input(1), populations(*names, n=1), projections)
    assert sorted(network.order) == sorted(names)
    position = {name: i for i, name in enumerate(network.order)}
    assert all(position[p.source] < position[p.target] for p in projections if p.delay == 0)


@pytest.mark.parametrize("name", ["", "input", "a b", "-a", ".a", "a/b", "ä", "a\n", 3, None])
def test_impossible_population_names_are_refused(name):
    with pytest.raises(
        ValidationError, match=r"Population.name: must be letters, digits, '_', '.' or '-' and not 'input', got"
    ):
        Population(name, 1, LIF())


@pytest.mark.parametrize("name", ["a", "_", "0", "layer.1-b", "Input"])
def test_possible_population_names(name):
    assert Population(name, 1, LIF()).name == name


@pytest.mark.parametrize("owner", ["Input.n", "Population 'a'.n"])
@pytest.mark.parametrize(
    ("n", "message"),
    [
        (0, r"must lie in \[1, 2\*\*31\), got 0"),
        (-3, r"must lie in \[1, 2\*\*31\), got -3"),
        (2**31, r"must lie in \[1, 2\*\*31\), got 2147483648"),
        (2.0, r"must be an integer, got 2.0"),
        (True, r"must be an integer, got True"),
        ("2", r"must be an integer, got '2'"),
        (None, r"must be an integer, got None"),
    ],
)
def test_impossible_sizes_are_refused(owner, n, message):
    with pytest.raises(ValidationError, match=f"{owner}: {message}"):
        Input(n) if owner == "Input.n" else Population("a", n, LIF())


def test_sizes_are_plain_integers():
    assert type(Input(np.int64(3)).n) is int
    assert type(Population("a", np.uint8(3), LIF()).n) is int


def test_a_population_needs_a_neuron_model():
    with pytest.raises(ValidationError, match=r"Population 'a'.neuron: must be one of LIF, CubaLIF, LI, got 'LIF'"):
        Population("a", 1, "LIF")
    with pytest.raises(ValidationError, match=r"Population 'a'.neuron: must be one of LIF, CubaLIF, LI, got <class"):
        Population("a", 1, LI)


def test_neuron_parameters_must_fit_the_population():
    with pytest.raises(ValidationError, match=r"CubaLIF.alpha: has 2 values, population 'a' has 3 neurons"):
        Population("a", 3, CubaLIF(alpha=[0.5, 0.5]))
