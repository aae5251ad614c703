"""Networks and recordings as files: bit-identical, reproducible, and refused in words when they cannot be right."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurosparse.core.network import INPUT, Input, Network, Population
from neurosparse.core.neurons import LI, LIF, CubaLIF
from neurosparse.core.projection import Projection

from .examples import assert_same_network, one_of_everything
from .forgery import parse


@st.composite
def networks(draw):
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    populations = []
    for i, n in enumerate(sizes):
        model = draw(st.sampled_from([LIF, CubaLIF, LI]))
        parameters = {name: rng.random(n if rng.random() < 0.5 else None) + 1e-3 for name in model.parameters}
        parameters |= {name: np.minimum(parameters[name], 1) for name in ("alpha", "beta") if name in parameters}
        reset = {} if model is LI else {"reset": draw(st.sampled_from(["subtract", "zero", "none"]))}
        populations.append(Population(f"p{i}", n, model(**parameters, **reset)))
    n_inputs = draw(st.integers(1, 5))
    size = {INPUT: n_inputs, **{p.name: p.n for p in populations}}
    projections = []
    for _ in range(draw(st.integers(0, 4))):
        source, target = draw(st.sampled_from(list(size))), draw(st.sampled_from(list(size)[1:]))
        dense = rng.normal(size=(size[target], size[source])) * (rng.random((size[target], size[source])) < 0.5)
        delay = draw(st.integers(0, 3)) if source == INPUT else draw(st.integers(1, 70))
        projections.append(Projection.from_dense(source, target, dense.astype(dtype), delay=delay))
    kind = draw(st.sampled_from(["spikes", "graded", "analog"]))
    return Network(Input(n_inputs, kind), populations, projections, dt=draw(st.floats(1e-9, 10)))


@given(network=networks())
def test_saving_and_loading_changes_no_bit(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("io")
    network.save(folder / "a.safetensors")
    loaded = Network.load(folder / "a.safetensors")
    assert_same_network(loaded, network)
    loaded.save(folder / "b.safetensors")
    assert (folder / "a.safetensors").read_bytes() == (folder / "b.safetensors").read_bytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_network_with_a_grid_comes_back_with_it(tmp_path, dtype):
    one_of_everything(dtype).save(str(tmp_path / "a"))
    assert_same_network(Network.load(str(tmp_path / "a")), one_of_everything(dtype))


def test_what_is_loaded_is_frozen_too(tmp_path):
    one_of_everything().save(tmp_path / "a")
    with pytest.raises(ValueError, match="read-only"):
        Network.load(tmp_path / "a").projections[0].weights[0] = 1


def test_saving_over_a_network_that_is_in_use_does_not_change_it(tmp_path):
    one_of_everything().save(tmp_path / "a")
    loaded = Network.load(tmp_path / "a")
    halved = [dataclasses.replace(p, weights=p.weights / 2) for p in loaded.projections]
    dataclasses.replace(loaded, projections=halved, grid=None).save(tmp_path / "a")
    assert_same_network(loaded, one_of_everything())


def test_a_network_whose_sizes_came_from_numpy_can_be_saved(tmp_path):
    weights = Projection("input", "a", [0, 1], [0], np.float32([1]), np.int64(2), np.int64(3))
    Network(
        Input(np.int32(2)), [Population("a", np.int64(1), LIF())], [weights], np.float64(1e-3), {"a": np.int8(12)}
    ).save(tmp_path / "a")
    assert repr(Network.load(tmp_path / "a")) == "Network(2->1, 1 synapses, density 0.5)"


def test_many_small_parts_take_time_in_proportion(tmp_path):
    # a chain of populations: quadratic checks would turn a small file into minutes of work
    n = 3000
    names = [f"p{i}" for i in range(n)]
    one = np.ones((1, 1), np.float32)
    network = Network(
        Input(1),
        [Population(name, 1, LI()) for name in names],
        [Projection.from_dense(a, b, one) for a, b in zip(["input", *names], names, strict=False)],
    )
    assert network.order == tuple(names)
    network.save(tmp_path / "a")
    assert Network.load(tmp_path / "a").order == tuple(names)


def test_the_header_of_a_network_is_small_and_readable(tmp_path):
    one_of_everything().save(tmp_path / "a")
    _, header, _ = parse((tmp_path / "a").read_bytes())
    assert header["kind"] == "network"
    assert header["version"] == 1
    assert header["populations"][1] == {"name": "second.layer", "n": 2, "model": "CubaLIF", "reset": "subtract"}
    assert header["projections"][2] == {"source": "second.layer", "target": "second.layer", "n_source": 2, "delay": 1}
