"""What every registered pruning method promises; a new method is tested by being registered."""

from __future__ import annotations

import copy
import dataclasses
import json
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from allocation import LargeAllocation, nothing_larger
from plain_state import plain_state
from torch import Tensor, nn

from neurosparse import SparseLinear, SparseSNN, readout
from neurosparse.nn.engine import eligible
from neurosparse.nn.engine_neuron import Neurons
from neurosparse.pruning import PRUNING
from neurosparse.pruning.base import PruningMethod
from neurosparse.pruning.targets import Magnitude, total_count
from neurosparse.rewiring import METHODS
from neurosparse.rewiring.distribution import distribute

N_STEPS = 60
OPTIMIZERS: dict[str, Any] = {
    "momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.9),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.01),
}
# Hyper-parameters under which a training of 60 steps sees a method at work; all others are the defaults.
QUICK: dict[str, dict[str, Any]] = {
    "sparse_momentum": {"every": 10},
    "stds": {"threshold": 0.2},
    "grad_r": {"alpha": 0.1, "density": 0.2},
    "soft_deep_r": {"alpha": 0.1, "temperature": 1e-3, "density": 0.3},
    "upr": {"penalty": 0.05, "gate_rate": 0.01},
    "lottery_ticket": {"rewind": 0.2},
}
SHAPES = [(9, 12), (6, 9), (2, 6)]

every_method = pytest.mark.parametrize("name", PRUNING.names())
every_optimizer = pytest.mark.parametrize("optimizer", list(OPTIMIZERS))


def quick(name: str) -> PruningMethod:
    method = PRUNING.get(name)(**QUICK.get(name, {}))
    # 5 % of so small a network would leave fewer synapses than neurons
    return dataclasses.replace(method, density=0.3) if isinstance(method, Magnitude) else method


class Run:
    """A small network in training whose validation loss falls, and then rises for good."""

    def __init__(
        self, method: PruningMethod, optimizer: str, *, seed: int = 0, weights: int = 0,
        dtype: torch.dtype = torch.float64,
    ) -> None:  # fmt: skip
        rng = np.random.default_rng(weights)
        self.model = nn.Sequential(nn.Linear(12, 9), nn.Tanh(), nn.Linear(9, 6), nn.Tanh(), nn.Linear(6, 2)).to(dtype)
        for parameter in self.model.parameters():
            scale = 1 / np.sqrt(parameter.shape[-1]) if parameter.dim() == 2 else 0.1
            parameter.data = torch.from_numpy(rng.standard_normal(parameter.shape) * scale).to(dtype)
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())
        self.pruner = method.attach(self.model, self.optimizer, n_steps=N_STEPS, steps_per_epoch=10, seed=seed)
        self.dtype, self.n_steps = dtype, 0

    def data(self) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([7, self.n_steps])
        x, y = rng.standard_normal((8, 12)), rng.standard_normal((8, 2))
        return torch.from_numpy(x).to(self.dtype), torch.from_numpy(y).to(self.dtype)

    def step(self) -> None:
        x, y = self.data()
        self.n_steps += 1
        self.optimizer.zero_grad()
        (self.model(x) - y).square().mean().backward()
        self.optimizer.step()
        self.pruner.step()
        if self.n_steps % 10 == 0:
            self.pruner.observe(validation_loss=1.0 + abs(self.n_steps - 20) / 10)

    def train(self, n_steps: int = N_STEPS) -> None:
        for _ in range(n_steps):
            self.step()

    def everything(self) -> list[Any]:
        """All that training depends on, as plain numbers that compare exactly."""
        return plain_state(self.model, self.optimizer, self.pruner.state_dict())


@every_method
@every_optimizer
def test_the_promised_density_is_reached_exactly(name: str, optimizer: str) -> None:
    method = quick(name)
    run = Run(method, optimizer)
    run.train()
    run.pruner.finish()
    live = list(run.pruner.stats.live.values())
    if not method.ends_sparse:
        assert live == [n * m for n, m in SHAPES]
    elif isinstance(method, Magnitude) and method.scope == "global":
        assert sum(live) == total_count(run.pruner.layers, method.density)
    elif isinstance(method, Magnitude) and name != "sparse_momentum":
        assert live == distribute(SHAPES, method.density)
    elif isinstance(method, Magnitude):
        assert sum(live) == sum(distribute(SHAPES, method.density))
    else:  # the density is a result, and this run sees the method at work
        assert 0 < sum(live) < sum(n * m for n, m in SHAPES)
    assert not isinstance(method, Magnitude) or min(live) >= 1


@every_method
@every_optimizer
def test_the_finished_network_computes_what_the_masked_dense_one_did(name: str, optimizer: str) -> None:
    run = Run(quick(name), optimizer)
    run.train()
    run.pruner.method.conclude(run.pruner)
    x, _ = run.data()
    for layer in run.pruner.layers:
        assert bool((layer.effective[~layer.mask] == 0).all())
        layer.show(layer.effective)
    before = run.model(x).detach()
    weights = [(layer.effective.clone(), layer.mask.clone()) for layer in run.pruner.layers]
    model = run.pruner.finish()
    assert model is run.model
    torch.testing.assert_close(model(x).detach(), before)
    for layer, (effective, mask) in zip((model[0], model[2], model[4]), weights, strict=True):
        if not run.pruner.method.ends_sparse:
            assert torch.equal(layer.weight, effective)
            continue
        assert isinstance(layer, SparseLinear)
        assert torch.equal(layer.to_dense(), effective)
        sites = layer.sites
        assert (np.diff(sites) > 0).all(), "no site twice"
        assert sites.tolist() == np.flatnonzero(mask.numpy()).tolist()


@every_method
def test_between_two_steps_the_network_computes_with_the_live_weights_only(name: str) -> None:
    run = Run(quick(name), "adamw")
    for _ in range(N_STEPS):
        run.step()
        for layer in run.pruner.layers:
            assert layer.module.weight.data_ptr() == layer.effective.data_ptr()
            if name != "learning_compression":  # which computes with dense weights until the end
                assert bool((layer.module.weight[~layer.mask] == 0).all())


@every_method
@every_optimizer
def test_training_goes_on_with_the_same_optimizer_after_finish(name: str, optimizer: str) -> None:
    run = Run(quick(name), optimizer)
    run.train()
    dense = [(layer.module.weight, layer.mask.clone()) for layer in run.pruner.layers]
    run.pruner.method.conclude(run.pruner)
    masks = [layer.mask for layer in run.pruner.layers]
    moments = [dict(run.optimizer.state.get(weight, {})) for weight, _ in dense]
    run.pruner.finish()
    if run.pruner.method.ends_sparse:
        for layer, mask, state in zip((run.model[0], run.model[2], run.model[4]), masks, moments, strict=True):
            for key, value in state.items():
                if isinstance(value, Tensor) and value.shape == mask.shape:
                    assert torch.equal(run.optimizer.state[layer.values][key], value[mask])
    known = {id(p) for group in run.optimizer.param_groups for p in group["params"]}
    assert known == {id(p) for p in run.model.parameters()}
    before = [p.detach().clone() for p in run.model.parameters()]
    x, y = run.data()
    run.optimizer.zero_grad()
    (run.model(x) - y).square().mean().backward()
    run.optimizer.step()
    assert any(not torch.equal(p, old) for p, old in zip(run.model.parameters(), before, strict=True))


@every_method
@every_optimizer
def test_the_seed_decides_everything(name: str, optimizer: str) -> None:
    runs = [Run(quick(name), optimizer, seed=seed) for seed in (1, 1, 2)]
    for run in runs:
        run.train(25)
    assert runs[0].everything() == runs[1].everything()
    if name in ("sparse_momentum", "soft_deep_r"):  # those that draw
        assert runs[0].everything() != runs[2].everything()


@every_method
@every_optimizer
def test_training_goes_on_bit_for_bit_after_loading(name: str, optimizer: str) -> None:
    at = 3 if optimizer == "momentum" else 33
    straight = Run(quick(name), optimizer, dtype=torch.float32)
    straight.train(at)
    model = copy.deepcopy(straight.model.state_dict())
    moments = copy.deepcopy(straight.optimizer.state_dict())
    state = straight.pruner.state_dict()
    state = {"arrays": state["arrays"], "meta": json.loads(json.dumps(state["meta"]))}

    resumed = Run(quick(name), optimizer, weights=99, dtype=torch.float32)
    resumed.model.load_state_dict(model)
    resumed.optimizer.load_state_dict(moments)
    resumed.pruner.load_state_dict(state)
    resumed.n_steps = straight.n_steps
    assert resumed.everything() == straight.everything()
    for _ in range(N_STEPS - at):
        straight.step()
        resumed.step()
    assert resumed.everything() == straight.everything()
    for run in (straight, resumed):
        run.pruner.finish()
    finished = [{k: v.tolist() for k, v in run.model.state_dict().items()} for run in (straight, resumed)]
    assert finished[0] == finished[1]


@every_method
def test_it_holds_a_dense_matrix_as_it_declares(name: str) -> None:
    """The other side of the rewiring methods' eighth test, with the same guard."""
    method = quick(name)
    assert method.holds_dense
    assert "dense matri" in (type(method).__doc__ or "")

    def train() -> None:
        model = nn.Sequential(nn.Linear(400, 300, bias=False))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        pruner = method.attach(model, optimizer, n_steps=8, steps_per_epoch=2)
        model(torch.ones(2, 400)).square().sum().backward()
        optimizer.step()
        pruner.step()

    with pytest.raises(LargeAllocation), nothing_larger(400 * 300):
        train()


def test_no_rewiring_method_declares_a_dense_matrix() -> None:
    assert not any(METHODS.get(name).holds_dense for name in METHODS)  # which their contract's eighth test checks


@every_method
def test_a_spiking_network_keeps_the_fused_engine_and_ends_sparse(name: str) -> None:
    torch.manual_seed(0)
    net = SparseSNN(nn.Linear(12, 9), snn.Leaky(beta=0.9), nn.Linear(9, 4, bias=False), readout(), input="analog")
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    pruner = quick(name).attach(net, optimizer, n_steps=8, steps_per_epoch=2)
    for step in range(8):
        assert all(isinstance(eligible(layer.connection, layer.neuron), Neurons) for layer in net.layers())
        loss = net(torch.rand(6, 5, 12) + 0.5).voltages.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        pruner.step()
        if step % 2:
            pruner.observe(validation_loss=1.0 + step)
    pruner.finish()
    kinds = {type(layer.connection) for layer in net.layers()}
    assert kinds == ({SparseLinear} if quick(name).ends_sparse else {nn.Linear})
    if quick(name).ends_sparse:
        assert net.to_network(exact=False).n_synapses == sum(pruner.stats.live.values())


@every_method
def test_a_method_is_a_frozen_object_that_prints_its_hyper_parameters(name: str) -> None:
    method = PRUNING.get(name)()
    assert dataclasses.is_dataclass(method)
    assert type(method).__name__ in repr(method)
    assert method == PRUNING.get(name)()
    with pytest.raises(dataclasses.FrozenInstanceError):
        method.anything = 1
