"""`SparseSNN` to `Network` and back without loss, and the same spikes and voltages on both sides."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import snntorch as snn
import torch
from drawn import assert_same_network, assert_same_run, inputs_for, networks, tensor_of
from hypothesis import given, settings
from torch import nn

import neurosparse as ns
from neurosparse.errors import UnknownNameError, UnsupportedError, ValidationError

ENGINES = ["snntorch", "auto"]


@given(network=networks(on_grid=False))
def test_a_network_survives_the_way_to_torch_and_back(network: ns.Network) -> None:
    twin = ns.SparseSNN.from_network(network)
    assert twin.names == network.order
    assert_same_network(twin.to_network(exact=False), network)


@given(network=networks())
def test_a_network_on_the_grid_stays_there_unchanged(network: ns.Network) -> None:
    twin, report = ns.SparseSNN.from_network(network).to_network_with_report()
    assert_same_network(twin, network)
    assert report.largest_change == 0
    assert twin.grid == network.grid


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=60)
@given(network=networks())
def test_spikes_and_voltages_are_those_of_the_reference(engine: str, network: ns.Network) -> None:
    assert_same_run(ns.SparseSNN.from_network(network, engine=engine), network, inputs_for(network))


def mixed(reset: str, dtype: torch.dtype, **options: Any) -> ns.SparseSNN:
    """A network as a user writes it: sparse and dense, biases everywhere, a recurrent layer, a read-out."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    delay = reset != "zero"
    return ns.SparseSNN(
        ns.SparseLinear(20, 16, density=0.3, bias=True, gain=2.0, generator=rng),
        ns.Recurrent(snn.Leaky(beta=0.9, reset_mechanism=reset, reset_delay=delay, learn_beta=True), nn.Linear(16, 16)),
        nn.Linear(16, 12),
        ns.Recurrent(
snn.Synaptic(0.7, torch.linspace(0.5, 0.99, 12), threshold=0.4, reset_mechanism=reset, reset_delay=delay),
            ns.SparseLinear(12, 12, density=0.2, generator=rng),
        ),
        ns.SparseLinear(12, 5, density=0.5, generator=rng),
        ns.readout(0.8),
        **options,
    ).to(dtype)  # fmt: skip


def randomise_biases(net: nn.Module) -> nn.Module:
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith("bias"):
                parameter.uniform_(-0.2, 0.3, generator=torch.Generator().manual_seed(1))
    return net


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
@pytest.mark.parametrize("kind", ["spikes", "graded"])
def test_the_deployed_network_is_the_one_on_the_grid(kind: str, reset: str, dtype: torch.dtype, engine: str) -> None:
    net = randomise_biases(mixed(reset, dtype, input=kind, engine=engine))
    network = net.to_network()
    inputs = inputs_for(network, n_steps=20)
    assert_same_run(net.on_grid(), network, inputs)
    assert ns.simulate(network, inputs).spikes["hidden1"].any()
    assert ns.simulate(network, inputs).spikes["hidden2"].any()


def test_on_grid_is_a_copy_that_changes_the_original_in_nothing() -> None:
    net = randomise_biases(mixed("zero", torch.float32))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    twin = net.on_grid()
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_the_biases_of_a_connection_and_of_its_recurrence_add_up() -> None:
    def net(first: list[float] | None, second: list[float] | None) -> ns.SparseSNN:
        forward, recurrent = nn.Linear(1, 2, bias=first is not None), nn.Linear(2, 2, bias=second is not None)
        for layer, bias in ((forward, first), (recurrent, second)):
            if bias is not None:
                layer.bias.data = torch.tensor(bias)
        return ns.SparseSNN(forward, ns.Recurrent(snn.Leaky(beta=0.5), recurrent))

    for first, second in (([0.5, 1.0], [0.25, -2.0]), ([0.75, -1.0], None), (None, [0.75, -1.0])):
        made = net(first, second)
        assert made.to_network()["output"].neuron.bias.tolist() == [0.75, -1.0]
        twin = made.on_grid().layers()[0]
        total = sum(c.bias for c in (twin.connection, twin.recurrent) if c.bias is not None)
        assert total.tolist() == [0.75, -1.0]
        assert_same_run(made.on_grid(), made.to_network(), np.ones((5, 1, 1), bool))


@pytest.mark.parametrize("engine", ENGINES)
def test_the_report_names_the_largest_change(engine: str) -> None:
    net = mixed("zero", torch.float32, engine=engine)
    network, report = net.to_network_with_report()
    raw = net.to_network(exact=False)
    assert raw.grid is None
    assert report.largest_change > 0
    changes = [np.abs(a.weights - b.weights).max() for a, b in zip(network.projections, raw.projections, strict=True)]
    biases = [
        np.abs(a.neuron.bias - b.neuron.bias).max() for a, b in zip(network.populations, raw.populations, strict=True)
    ]
    assert report.largest_change == pytest.approx(max([*changes, *biases]))
    assert np.array_equal(raw.projections[0].weights, net.layers()[0].connection.values.detach().numpy())


def test_where_float32_has_no_grid_the_network_is_deployed_in_float64(caplog: pytest.LogCaptureFixture) -> None:
    layer = ns.SparseLinear(2, 1, density=1)
    layer.values.data = torch.tensor([5000.3, -0.1])  # row sums above 2**12
    net = ns.SparseSNN(layer, snn.Leaky(beta=0.9, threshold=1e4))
    with caplog.at_level(logging.INFO, "neurosparse.nn.convert"):
        network = net.to_network()
    assert network.dtype == np.float64
    assert "float32 leaves no exact grid" in caplog.text
    inputs = inputs_for(network, n_steps=30)
    assert_same_run(net.on_grid(), network, inputs)
    assert ns.simulate(network, inputs).spikes["output"].any()
    with pytest.raises(ValidationError, match=r"row sums .* use dtype='float64', or exact=False"):
        net.to_network(dtype="float32")


def test_the_precision_can_be_asked_for() -> None:
    net = mixed("zero", torch.float32)
    assert net.to_network(dtype="float64").dtype == np.float64
    assert net.to_network(dtype="float64", exact=False).dtype == np.float64
    assert net.double().to_network().dtype == np.float64
    with pytest.raises(UnknownNameError, match=r"to_network\.dtype: 'float16' is not known"):
        net.to_network(dtype="float16")


def test_the_input_kind_can_be_overridden() -> None:
    net = mixed("zero", torch.float32, input="spikes")
    assert net.to_network().input.kind == "spikes"
    assert net.to_network(input="graded").input.kind == "graded"
    with pytest.raises(ValidationError, match="analog inputs lie on no grid"):
        net.to_network(input="analog")
    assert net.to_network(input="analog", exact=False).input.kind == "analog"
    with pytest.raises(UnknownNameError, match="'grade' is not known"):
        net.to_network(input="grade")


def test_decays_are_clamped_as_snntorch_clamps_them() -> None:
    net = ns.SparseSNN(nn.Linear(2, 3), snn.Synaptic(alpha=1.5, beta=torch.tensor([-0.2, 0.5, 1.1]), learn_beta=True))
    neuron = net.to_network()["output"].neuron
    assert neuron.beta.tolist() == [0.0, 0.5, 1.0]
    assert neuron.alpha.tolist() == [1.0, 1.0, 1.0]
    assert_same_run(net.on_grid(), net.to_network(), inputs_for(net.to_network()))


def test_a_threshold_with_more_digits_than_float32_is_subtracted_whole() -> None:
    # snnTorch multiplies its float32 reset by the threshold; a 0-dimensional one would be rounded to float32
    threshold = torch.tensor(0.1, dtype=torch.float64)
    layer = ns.SparseLinear.from_scipy(sp.csr_array(np.array([[0.375]])))
    net = ns.SparseSNN(layer, snn.Leaky(beta=0.9, threshold=threshold), engine="snntorch").double()
    network = net.to_network()
    assert network["output"].neuron.v_threshold.tolist() == [0.1]
    assert_same_run(net.on_grid(), network, np.ones((9, 1, 1), bool))


@pytest.mark.parametrize("engine", ENGINES)
def test_leaky_with_a_delayed_zero_reset_has_the_same_spikes_and_shows_the_voltage_before_it(engine: str) -> None:
    net = ns.SparseSNN(
        ns.SparseLinear(6, 8, density=0.5, gain=2.0, generator=np.random.default_rng(1)),
        snn.Leaky(beta=0.9, reset_mechanism="zero", reset_delay=True),
        engine=engine,
    ).on_grid()
    network = net.to_network()
    inputs = inputs_for(network, n_steps=30)
    expected = ns.simulate(network, inputs, record="voltages")
    output = net(tensor_of(network, inputs))
    spikes = output.spikes.detach().numpy().astype(bool)
    assert spikes.any()
    np.testing.assert_array_equal(spikes, expected.spikes["output"])
    np.testing.assert_array_equal(np.where(spikes, 0, output.voltages.detach().numpy()), expected.voltages["output"])


def test_a_weight_of_zero_stays_a_synapse_in_a_sparse_layer_and_is_none_in_a_dense_one() -> None:
    sparse = ns.SparseLinear.from_scipy(sp.coo_array((np.float32([0, 1]), ([0, 0], [0, 1])), shape=(1, 2)))
    dense = nn.Linear(2, 1, bias=False)
    dense.weight.data = torch.tensor([[0.0, 1.0]])
    assert ns.SparseSNN(sparse, snn.Leaky(beta=0.5)).to_network().n_synapses == 2
    assert ns.SparseSNN(dense, snn.Leaky(beta=0.5)).to_network().n_synapses == 1


def test_a_network_goes_on_training_after_the_way_back() -> None:
    net = ns.SparseSNN.from_network(
        mixed("subtract", torch.float32).to_network(), spike_grad=snn.surrogate.fast_sigmoid()
    )
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    rewirer = ns.DeepR().attach(net, optimizer)
    x = (torch.rand(10, 4, 20) < 0.5).float()
    losses = []
    for _ in range(15):
        optimizer.zero_grad()
        loss = (net(x).voltages - 1).square().mean()
        loss.backward()
        optimizer.step()
        rewirer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def lif(name: str, n: int = 2) -> ns.Population:
    return ns.Population(name, n, ns.LIF())


def ones(source: str, target: str, delay: int = 0) -> ns.Projection:
    return ns.Projection.from_dense(source, target, np.ones((2, 2), np.float32), delay=delay)


@pytest.mark.parametrize(
    ("populations", "projections", "message"),
    [
        (["a", "b"], [ones("input", "a"), ones("input", "b")], "must be a stack"),
        (["a", "b"], [ones("input", "a"), ones("a", "b"), ones("input", "b")], "must be a stack"),
        (["a", "b"], [ones("input", "a")], "must be a stack"),
        (["a"], [ones("input", "a"), ones("input", "a")], "'a' needs one projection from 'input' and at most one from"),
        (["a"], [ones("input", "a"), ones("a", "a", 1), ones("a", "a", 1)], "at most one from itself"),
        (["a"], [ones("input", "a", 1)], "snnTorch has no delays; projections into 'a' need delay 0"),
        (["a"], [ones("input", "a"), ones("a", "a", 2)], r"need delay 0 \(feed-forward\) or 1 \(recurrent\)"),
        (["a", "b"], [ones("input", "a"), ones("a", "b"), ones("b", "a", 1)], "from_network"),
    ],
)
def test_networks_that_are_no_stack_are_refused(populations: list[str], projections: list, message: str) -> None:
    network = ns.Network(ns.Input(2), [lif(name) for name in populations], projections)
    with pytest.raises(UnsupportedError, match=message):
        ns.SparseSNN.from_network(network)


def test_the_order_of_the_populations_in_the_network_does_not_matter() -> None:
    network = ns.Network(ns.Input(2), [lif("last"), lif("first")], [ones("first", "last"), ones("input", "first")])
    net = ns.SparseSNN.from_network(network)
    assert net.names == ("first", "last")
    assert_same_run(net, network, inputs_for(network))
