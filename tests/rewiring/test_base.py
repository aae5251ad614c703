"""The loop: attachment, bookkeeping, saved state, and what it refuses."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import snntorch as snn
import torch
from scripted import Script, one_layer, scripted
from torch import nn

import neurosparse as ns
from neurosparse import DeepR, GlobalDeepR, SparseLinear, Static
from neurosparse.errors import NeurosparseError, UnknownNameError, ValidationError
from neurosparse.rewiring import METHODS
from neurosparse.rewiring.schedule import EveryStep, Never


def small(method: object, seed: int = 0) -> tuple[nn.Sequential, torch.optim.Optimizer, object]:
    model = nn.Sequential(SparseLinear(8, 6, density=0.5, generator=np.random.default_rng(0)))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    return model, optimizer, method.attach(model, optimizer, seed=seed)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, rewirer: object, n: int = 1) -> None:
    for _ in range(n):
        optimizer.zero_grad()
        model(torch.linspace(-1, 1, 16).reshape(2, 8)).square().sum().backward()
        optimizer.step()
        rewirer.step()


def test_one_rewire_by_hand() -> None:
    layer = one_layer(3, 2, [0, 1, 4], [0.5, -0.25, 2.0])
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    rewirer = scripted(layer, optimizer, Script(dies={2: [1]}, born={2: [5]}))
    rewirer.step()
    assert layer.sites.tolist() == [0, 1, 4]
    rewirer.step()
    assert layer.sites.tolist() == [0, 4, 5]
    assert layer.values.tolist() == [0.5, 2.0, 0.0]
    assert layer.indptr.tolist() == [0, 1, 3]
    assert layer.indices.tolist() == [0, 1, 2]
    assert rewirer.layers[0].born_at.tolist() == [0, 0, 2]
    stats = rewirer.stats
    assert (stats.step, stats.births, stats.deaths, stats.live) == (2, {"0": 1}, {"0": 1}, {"0": 3})
    rewirer.step()
    assert rewirer.stats.births == {"0": 0}
    assert rewirer.stats.total_births == rewirer.stats.total_deaths == {"0": 1}


def test_a_rewire_drops_the_gradient_and_keeps_the_parameter() -> None:
    layer = one_layer(3, 2, [0, 1, 4], [0.5, -0.25, 2.0])
    parameter = layer.values
    rewirer = scripted(layer, torch.optim.SGD(layer.parameters(), lr=0.1), Script(dies={1: [1]}, born={1: [5]}))
    parameter.grad = torch.ones(3, dtype=torch.float64)
    rewirer.step()
    assert layer.values is parameter
    assert parameter.grad is None, "its entries belonged to other synapses"


@pytest.mark.parametrize("every", [1, 3])
def test_a_method_rewires_every_nth_step(every: int) -> None:
    model, optimizer, rewirer = small(DeepR(alpha=0.5, every=every))
    for t in range(1, 10):
        version = model[0].topology_version
        train(model, optimizer, rewirer)
        if t % every:
            assert model[0].topology_version == version
    assert rewirer.stats.total_births["0"] > 0


def test_static_never_changes_a_synapse_or_a_weight() -> None:
    model, _, rewirer = small(Static())
    sites = model[0].sites.tolist()
    weights = model[0].values.tolist()
    for _ in range(5):
        rewirer.step()
    assert model[0].sites.tolist() == sites
    assert model[0].values.tolist() == weights
    assert rewirer.stats.live == {"0": 24}


def test_schedules() -> None:
    assert [t for t in range(1, 10) if EveryStep(3).due(t, {})] == [3, 6, 9]
    assert Never().due(1, {}) is None
    for bad in (0, 1.5, True):
        with pytest.raises(ValidationError, match=r"EveryStep\.n: must be an integer number of optimizer steps >= 1"):
            EveryStep(bad)


def test_metrics_reach_the_schedule() -> None:
    class Watching(EveryStep):
        def due(self, step: int, metrics: object) -> None:
            seen.append((step, dict(metrics)))

    seen: list[object] = []
    rewirer = small(Static())[2]
    rewirer.parts = type(rewirer.parts)(schedule=Watching())
    rewirer.step(validation_loss=0.25)
    assert seen == [(1, {"validation_loss": 0.25})]


def test_diverged_weights_are_an_error_and_not_a_rewire() -> None:
    model, _, rewirer = small(DeepR())
    model[0].values.data[3] = math.nan
    with pytest.raises(NeurosparseError, match=r"0\.values: 1 of 24 weights are NaN after the optimizer step"):
        rewirer.step()


def test_a_layer_shared_by_two_modules_is_rewired_once() -> None:
    shared = SparseLinear(4, 4, density=0.5)
    model = nn.ModuleDict({"a": shared, "b": shared})
    rewirer = DeepR().attach(model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert [layer.name for layer in rewirer.layers] == ["a"]


def test_a_model_without_sparse_layers_is_refused() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(ValidationError, match="attach: Sequential has no SparseLinear layer to rewire"):
        DeepR().attach(model, torch.optim.SGD(model.parameters(), lr=0.1))


def test_synapses_changed_behind_its_back_are_noticed() -> None:
    model, _, rewirer = small(DeepR())
    other = SparseLinear(8, 6, density=0.5, generator=np.random.default_rng(5))
    model[0].load_state_dict(other.state_dict())  # as many synapses, elsewhere
    with pytest.raises(ValidationError, match="0: its synapses are not those the rewirer left it with; attach"):
        rewirer.step()


def test_loading_weights_of_the_same_synapses_is_nobodys_business() -> None:
    model, optimizer, rewirer = small(DeepR())
    state = copy.deepcopy(model.state_dict())
    model[0].set_topology(model[0].sites, model[0].values.detach().clone())
    model.load_state_dict(state)
    train(model, optimizer, rewirer, 3)


def test_a_saved_state_is_a_copy() -> None:
    model, optimizer, rewirer = small(DeepR(alpha=0.5))
    train(model, optimizer, rewirer, 3)
    state = rewirer.state_dict()
    frozen = copy.deepcopy(state)
    train(model, optimizer, rewirer, 3)
    assert state["arrays"]["0.born_at"].tolist() == frozen["arrays"]["0.born_at"].tolist()
    assert state["meta"] == frozen["meta"]


def saved() -> dict:
    model, optimizer, rewirer = small(DeepR())
    train(model, optimizer, rewirer, 3)
    return rewirer.state_dict()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s["meta"].update(seed=3), "written with seed 3 for 1 layers, this one has seed 0 and 1 layers"),
        (lambda s: s["meta"].update(initial_density=[1, 1]), "for 2 layers"),
        (lambda s: s["meta"].update(total_births=[]), "rewirer state: written with seed 0"),
        (lambda s: s["meta"].pop("generator"), "rewirer state: 'generator' is missing"),
        (lambda s: s["meta"]["generator"].update(state="x"), "generator: not a saved generator state"),
        (lambda s: s["arrays"].pop("0.signs"), "has 0.born_at, 0.visited; this method keeps 0.born_at, 0.signs, 0.vis"),
        (lambda s: s["arrays"].update({"1.signs": np.ones(2)}), "0.signs, 0.visited, 1.signs; this method"),
        (lambda s: s["arrays"].update({"0.signs": np.ones(5)}), r"0.signs has shape \(5,\), 0 has 24 synapses"),
        (lambda s: s["arrays"].update({"0.signs": np.zeros(24)}), r"0.signs must be \+1 or -1"),
        (lambda s: s["arrays"].update({"0.visited": np.ones(6)}), "visited sites: must be bytes"),
        (lambda s: s["meta"].pop("histories"), "rewirer state: 'histories' is missing"),
        (lambda s: s["meta"].update(histories=[]), "rewirer state: written with seed 0"),
        (lambda s: s["meta"]["histories"][0].update(total=-1), "history: must be at most 48 numbers"),
    ],
)
def test_a_state_of_something_else_is_refused_and_nothing_changes(change: object, message: str) -> None:
    state = saved()
    change(state)
    rewirer = small(DeepR())[2]
    before = rewirer.state_dict()
    with pytest.raises(ValidationError, match=message):
        rewirer.load_state_dict(state)
    after = rewirer.state_dict()
    assert after["meta"] == before["meta"]
    assert all(np.array_equal(after["arrays"][name], array) for name, array in before["arrays"].items())


def test_the_state_of_another_method_is_refused() -> None:
    rewirer = small(Static())[2]
    with pytest.raises(ValidationError, match=r"this method keeps 0\.born_at"):
        rewirer.load_state_dict(saved())


def test_methods_are_known_by_name() -> None:
    assert METHODS.get("deep_r") is DeepR
    assert METHODS.get("deep_r_global") is GlobalDeepR
    assert METHODS.get("static") is Static
    with pytest.raises(UnknownNameError, match=r"'deep-r' is not known\. Did you mean 'deep_r'"):
        METHODS.get("deep-r")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"alpha": -1.0}, ValidationError, "alpha: the strength of L1 must be finite and >= 0, got -1"),
        ({"temperature": -1.0}, ValidationError, "temperature: must be finite and >= 0, got -1"),
        ({"every": 0}, ValidationError, "EveryStep.n: .* got 0"),
        ({"signs": "dales"}, UnknownNameError, "DeepR.signs: 'dales' is not known. Did you mean 'dale'"),
        ({"optimizer_state": "carrry"}, UnknownNameError, "'carrry' is not known. Did you mean 'carry'"),
    ],
)  # fmt: skip
def test_wrong_hyper_parameters_are_an_error_where_they_are_given(
    options: dict, error: type[Exception], message: str
) -> None:
    for method in (DeepR, GlobalDeepR):
        with pytest.raises(error, match=message):
            method(**options)


def test_in_a_spiking_network_layers_have_the_names_of_their_populations() -> None:
    net = ns.SparseSNN(
        SparseLinear(6, 5, density=0.5),
        ns.Recurrent(snn.Leaky(beta=0.9), SparseLinear(5, 5, density=0.5)),
        SparseLinear(5, 2, density=0.5),
        ns.readout(),
    )
    rewirer = DeepR().attach(net, torch.optim.SGD(net.parameters(), lr=0.1))
    assert list(rewirer.stats.live) == ["hidden1", "hidden1 (recurrent)", "output"]
    outer = nn.ModuleDict({"net": net, "head": SparseLinear(2, 2, density=1)})
    rewirer = DeepR().attach(outer, torch.optim.SGD(outer.parameters(), lr=0.1))
    assert list(rewirer.stats.live) == ["net.hidden1", "net.hidden1 (recurrent)", "net.output", "head"]
