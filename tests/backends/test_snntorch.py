"""The reference against snnTorch as its users write it, and the backend that runs snnTorch for any network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import snntorch
import torch

import neurosparse as ns
from neurosparse.core.grid import snap_to_grid
from neurosparse.core.network import INPUT, Input, Network, Population, Projection
from neurosparse.core.neurons import LI, LIF, CubaLIF

N_IN, N_HIDDEN, N_OUT, N_STEPS, N_SAMPLES = 20, 30, 10, 60, 4


def _network(neuron: type, reset: str, rng: np.random.Generator) -> Network:
    def dense(source: str, target: str, n_target: int, n_source: int, gain: float, delay: int = 0) -> Projection:
        weights = rng.normal(0.1, gain / np.sqrt(n_source), (n_target, n_source)).astype(np.float32)
        return Projection.from_dense(source, target, weights, delay=delay)

    # python floats mean float32 to snnTorch
    decays = {"beta": np.float32(0.9)} if neuron is LIF else {"alpha": np.float32(0.6), "beta": np.float32(0.8)}
    populations = [
        Population("hidden", N_HIDDEN, neuron(**decays, reset=reset, bias=rng.normal(0, 0.05, N_HIDDEN))),
        Population("out", N_OUT, neuron(**decays, reset=reset)),
    ]
    projections = [
        dense(INPUT, "hidden", N_HIDDEN, N_IN, 1.5),
        dense("hidden", "hidden", N_HIDDEN, N_HIDDEN, 0.4, delay=1),
        dense("hidden", "out", N_OUT, N_HIDDEN, 1.2),
    ]
    return snap_to_grid(Network(Input(N_IN), populations, projections))[0]


def _stock(neuron: type, reset: str, reset_delay: bool) -> Any:
    options = {"reset_mechanism": reset, "reset_delay": reset_delay}
    if neuron is LIF:
        return snntorch.Leaky(beta=0.9, **options)
    return snntorch.Synaptic(alpha=0.6, beta=0.8, **options)


def _as_users_write_it(network: Network, neuron: type, reset: str, reset_delay: bool, x: np.ndarray) -> dict[str, Any]:
    """Run dense torch.nn.Linear layers and stock snnTorch neurons with stock surrogates, step by step."""
    matrices = [torch.from_numpy(p.to_scipy().toarray()) for p in network.projections]
    bias = torch.from_numpy(network["hidden"].neuron.bias.copy())
    hidden, out = _stock(neuron, reset, reset_delay), _stock(neuron, reset, reset_delay)
    hidden_state: tuple[torch.Tensor, ...] = ()
    out_state: tuple[torch.Tensor, ...] = ()
    spikes = torch.zeros(N_SAMPLES, N_HIDDEN)
    steps = []
    with torch.no_grad():
        for row in torch.from_numpy(x.astype(np.float32)):
            current = torch.nn.functional.linear(row, matrices[0], bias) + torch.nn.functional.linear(
                spikes, matrices[1]
            )
            spikes, *rest = hidden(current, *hidden_state)
            hidden_state = tuple(rest)
            out_spikes, *rest = out(torch.nn.functional.linear(spikes, matrices[2]), *out_state)
            out_state = tuple(rest)
            steps.append((spikes, hidden_state[-1], out_spikes, out_state[-1]))
    columns = [torch.stack(column).numpy() for column in zip(*steps, strict=True)]
    return {"hidden": (columns[0] > 0, columns[1]), "out": (columns[2] > 0, columns[3])}


@pytest.mark.parametrize("neuron", [LIF, CubaLIF])
@pytest.mark.parametrize(("reset", "reset_delay"), [("subtract", True), ("zero", False), ("none", True)])
def test_the_reference_is_snntorch_in_every_spike_and_every_membrane(
    neuron: type, reset: str, reset_delay: bool
) -> None:
    rng = np.random.default_rng(3)
    network, x = _network(neuron, reset, rng), rng.random((N_STEPS, N_SAMPLES, N_IN)) < 0.15
    recording = ns.simulate(network, x, backend="reference", record="voltages")
    for name, (spikes, membranes) in _as_users_write_it(network, neuron, reset, reset_delay, x).items():
        assert spikes.any(), "a silent network shows nothing"
        np.testing.assert_array_equal(recording.spikes[name], spikes)
        np.testing.assert_array_equal(recording.voltages[name].view(np.int32), membranes.view(np.int32))


def test_leaky_with_a_delayed_reset_to_zero_spikes_the_same() -> None:
    # It zeroes the membrane a step later, before the decay, so its recorded membranes differ and its spikes do not.
    rng = np.random.default_rng(4)
    network, x = _network(LIF, "zero", rng), rng.random((N_STEPS, N_SAMPLES, N_IN)) < 0.15
    recording = ns.simulate(network, x, backend="reference")
    for name, (spikes, _) in _as_users_write_it(network, LIF, "zero", True, x).items():
        np.testing.assert_array_equal(recording.spikes[name], spikes)


def test_synaptic_with_a_delayed_reset_to_zero_is_another_neuron() -> None:
    # It throws the input of the reset step away. This is why only reset_delay=False is the project's "zero".
    rng = np.random.default_rng(4)
    network, x = _network(CubaLIF, "zero", rng), rng.random((N_STEPS, N_SAMPLES, N_IN)) < 0.15
    recording = ns.simulate(network, x, backend="reference")
    stock = _as_users_write_it(network, CubaLIF, "zero", True, x)
    assert (recording.spikes["hidden"] != stock["hidden"][0]).any()


def test_the_backend_leaves_nothing_in_snntorchs_list_of_neurons() -> None:
    network = Network(Input(1), [Population("a", 1, LIF()), Population("b", 1, LI())], [])
    mine = snntorch.Leaky(beta=0.5)
    before = list(snntorch.SpikingNeuron.instances)
    ns.simulate(network, np.ones((2, 1), bool), backend="snntorch")
    assert len(snntorch.SpikingNeuron.instances) == len(before)
    assert any(instance is mine for instance in snntorch.SpikingNeuron.instances)


def test_the_backend_keeps_float64_from_end_to_end() -> None:
    weights = np.array([[1 + 2**-30]])
    network = Network(
        Input(1), [Population("a", 1, LIF(beta=1.0, v_threshold=1.0))], [Projection.from_dense(INPUT, "a", weights)]
    )
    recording = ns.simulate(network, np.ones((1, 1), bool), backend="snntorch", record="voltages")
    assert recording.voltages["a"].tolist() == [[[1 + 2**-30]]]
    assert recording.spikes["a"].all()
