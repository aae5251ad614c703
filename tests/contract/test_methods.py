"""What every registered rewiring method promises, with every optimizer; a new method is tested by being registered."""

from __future__ import annotations

import copy
import dataclasses
import json
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.stats
import torch
from allocation import nothing_larger
from plain_state import plain_state
from torch import Tensor, nn

from neurosparse import SparseLinear
from neurosparse.core.rng import generator_state
from neurosparse.rewiring import METHODS
from neurosparse.rewiring.base import Method, Rewirer
from neurosparse.rewiring.birth import UniformDormant
from neurosparse.rewiring.death import SignCrossing
from neurosparse.rewiring.layer import SparseLayer
from neurosparse.rewiring.schedule import Never

OPTIMIZERS: dict[str, Any] = {
    "sgd": lambda parameters, lr: torch.optim.SGD(parameters, lr=10 * lr),
    "momentum": lambda parameters, lr: torch.optim.SGD(parameters, lr=3 * lr, momentum=0.9),
    "adam": lambda parameters, lr: torch.optim.Adam(parameters, lr=lr),
    "adamw": lambda parameters, lr: torch.optim.AdamW(parameters, lr=lr, weight_decay=0.01),
}

every_method = pytest.mark.parametrize("name", METHODS.names())
every_optimizer = pytest.mark.parametrize("optimizer", list(OPTIMIZERS))


PLAN = {"n_steps": 40, "steps_per_epoch": 10}


def quick(name: str) -> Method:
    """The method with its defaults, but rewiring at every step, so that a short run sees it at work.

    At every second one if an event takes the place of the optimizer's step: with no step at all nothing would change.
    """
    method = METHODS.get(name)()
    every = 2 if method.parts().skip_update else 1
    return dataclasses.replace(method, every=every) if hasattr(method, "every") else method


class Run:
    """A small network in training: two sparse layers and a dense one, on targets that ask for change."""

    def __init__(
        self, method: Method, optimizer: str, *, seed: int = 0, weights: int = 0, counts: tuple[int, int] = (30, 12),
        lr: float = 0.03, dtype: torch.dtype = torch.float64,
    ) -> None:  # fmt: skip
        rng = np.random.default_rng(weights)
        self.model = nn.Sequential(
            SparseLinear(12, 9, n_synapses=counts[0], generator=rng, dtype=dtype),
            nn.Tanh(),
            SparseLinear(9, 6, n_synapses=counts[1], bias=True, generator=rng, dtype=dtype),
            nn.Linear(6, 2, dtype=dtype),
        )
        self.model[3].weight.data = torch.from_numpy(rng.standard_normal((2, 6))).to(dtype)
        self.model[3].bias.data.zero_()
        self.sparse: list[SparseLinear] = [self.model[0], self.model[2]]
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters(), lr)
        self.rewirer = method.attach(self.model, self.optimizer, seed=seed, **PLAN)
        self.dtype, self.n_steps = dtype, 0

    def data(self) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([7, self.n_steps])
        x, y = rng.standard_normal((8, 12)), rng.standard_normal((8, 2))
        return torch.from_numpy(x).to(self.dtype), torch.from_numpy(y).to(self.dtype)

    def learn(self, scale: float = 1.0) -> None:
        x, y = self.data()
        self.n_steps += 1
        self.optimizer.zero_grad()
        (scale * (self.model(x) - y).square().mean()).backward()
        self.optimizer.step()

    def step(self, scale: float = 1.0) -> None:
        self.learn(scale)
        self.rewirer.step()

    def counts(self) -> list[int]:
        return [layer.n_synapses for layer in self.sparse]

    def everything(self) -> list[Any]:
        """All that training depends on, as plain numbers that compare exactly."""
        return plain_state(self.model, self.optimizer, self.rewirer.state_dict())


def check_index(run: Run) -> None:
    for module, layer in zip(run.sparse, run.rewirer.layers, strict=True):
        sites = module.sites
        assert module.values.shape == module.indices.shape == sites.shape
        assert (np.diff(sites) > 0).all(), "no site twice"
        assert sites.size == 0 or (sites[0] >= 0 and sites[-1] < module.n_sites)
        assert module.indptr[-1] == sites.size
        assert layer.sites.tolist() == sites.tolist()
        assert layer.born_at.shape == sites.shape
        assert torch.isfinite(module.values).all()


def check_counts(run: Run, initial: list[int]) -> None:
    keeps = run.rewirer.parts.budget.keeps
    if keeps == "layer":
        assert run.counts() == initial
    elif keeps == "total":
        assert sum(run.counts()) == sum(initial)
    elif keeps == "schedule":
        for count, start, layer in zip(run.counts(), initial, run.rewirer.layers, strict=True):
            assert count == ramped(run, layer, start)
    else:
        assert all(count <= start for count, start in zip(run.counts(), initial, strict=True))


def ramped(run: Run, layer: SparseLayer, initial: int) -> int:
    """How many synapses a layer is to have by its method's own ramp, at the last event so far."""
    parts = run.rewirer.parts
    events = [event for t in range(1, run.n_steps + 1) if (event := parts.schedule.due(t, {})) is not None]
    return parts.budget.ramp.target(layer, events[-1]) if events else initial


@every_method
@every_optimizer
def test_1_live_counts_are_exactly_as_promised_after_every_step(name: str, optimizer: str) -> None:
    run = Run(quick(name), optimizer)
    initial = run.counts()
    for _ in range(25):
        before = run.counts()
        run.step()
        check_index(run)
        check_counts(run, initial)
        stats = run.rewirer.stats
        names = [layer.name for layer in run.rewirer.layers]
        assert [stats.live[n] for n in names] == run.counts()
        balance = [b + stats.births[n] - stats.deaths[n] for b, n in zip(before, names, strict=True)]
        assert balance == run.counts()
    births = sum(run.rewirer.stats.total_births.values())
    if isinstance(run.rewirer.parts.schedule, Never):
        assert births == 0
    else:
        assert births > 0, "this run does not see the method at work"


@every_method
@every_optimizer
def test_2_survivors_keep_their_weights_bit_for_bit(name: str, optimizer: str) -> None:
    run = Run(quick(name), optimizer)
    # without drift and age correction, which move weights on purpose, nothing may move a survivor
    parts = dataclasses.replace(run.rewirer.parts, drift=(), optimizer_state="zero")
    run.rewirer = Rewirer(parts, run.model, run.optimizer, seed=0)
    for _ in range(15):
        run.learn()
        before = [dict(zip(m.sites.tolist(), m.values.tolist(), strict=True)) for m in run.sparse]
        run.rewirer.step()
        for module, layer, old in zip(run.sparse, run.rewirer.layers, before, strict=True):
            born = layer.born_at == layer.clock
            assert born.sum() == run.rewirer.stats.births[layer.name]
            for site, value, newborn in zip(module.sites.tolist(), module.values.tolist(), born, strict=True):
                assert newborn or old[site] == value


@every_method
@every_optimizer
def test_3_optimizer_state_moves_with_its_synapse(name: str, optimizer: str) -> None:
    run = Run(quick(name), optimizer)
    for _ in range(3):
        run.step()
    run.learn()
    for module in run.sparse:
        module.values.data[::2] *= -1  # some die now, whatever a method looks at
        state = run.optimizer.state.get(module.values, {})
        for key, value in state.items():
            if isinstance(value, Tensor) and value.shape == module.values.shape:
                state[key] = torch.from_numpy(module.sites + 1).to(value)  # every entry says whose it is
    planted = run.optimizer.state.get(run.sparse[0].values, {})
    assert (optimizer == "sgd") == all(v is None or v.shape != run.sparse[0].values.shape for v in planted.values())
    run.rewirer.step()
    for module, layer in zip(run.sparse, run.rewirer.layers, strict=True):
        born = layer.born_at == layer.clock
        for value in run.optimizer.state.get(module.values, {}).values():
            if isinstance(value, Tensor) and value.dim() == 1:
                expected = np.where(born, 0, module.sites + 1)
                assert value.tolist() == expected.tolist()


@every_method
@every_optimizer
def test_4_signs_are_kept_where_a_method_fixes_them(name: str, optimizer: str) -> None:
    run = Run(quick(name), optimizer)
    for _ in range(15):
        for layer in run.rewirer.layers:
            if layer.signs is not None:
                assert ((layer.signs == 1) | (layer.signs == -1)).all()
                assert (layer.signs * layer.values.numpy() >= 0).all()
        run.step()


@every_method
def test_5_dormant_sites_are_drawn_uniformly(name: str) -> None:
    sites = METHODS.get(name)().parts().sites
    if not isinstance(sites, UniformDormant):
        pytest.skip("this method does not draw sites at random")
    module = SparseLinear(4, 3, n_synapses=5, generator=np.random.default_rng(0))
    layer = SparseLayer("layer", 0, "input", module, module.density, module.sites, None, np.zeros(5, np.int64))
    dead = np.array([4])  # the fifth has just died: its site is dormant again
    dormant = np.setdiff1d(np.arange(12), module.sites if sites.exclude_just_dead else module.sites[:4])
    rng = np.random.default_rng(3)
    pairs = np.zeros((12, 12))
    for _ in range(20_000):
        first, second = sites.choose(layer, dead, 2, rng)
        pairs[first, second] += 1
    # every pair of the dormant sites equally likely: uniform, without replacement, and nothing else is ever drawn
    observed = pairs[np.ix_(dormant, dormant)][np.triu_indices(dormant.size, 1)]
    assert observed.sum() == 20_000
    assert scipy.stats.chisquare(observed).pvalue > 1e-4


@every_method
def test_6_gradients_are_those_of_the_masked_dense_layer(name: str) -> None:
    run = Run(quick(name), "adam")
    for _ in range(6):
        run.step()
    x, y = run.data()
    dense = [module.to_dense().requires_grad_() for module in run.sparse]
    hidden = torch.tanh(x @ dense[0].t())
    prediction = run.model[3](hidden @ dense[1].t() + run.model[2].bias)
    (prediction - y).square().mean().backward()
    run.optimizer.zero_grad()
    (run.model(x) - y).square().mean().backward()
    for module, matrix in zip(run.sparse, dense, strict=True):
        assert matrix.grad is not None
        expected = matrix.grad.reshape(-1)[torch.from_numpy(module.sites)]
        torch.testing.assert_close(module.values.grad, expected)


@every_method
@every_optimizer
def test_7_the_seed_decides_everything(name: str, optimizer: str) -> None:
    runs = [Run(quick(name), optimizer, seed=seed) for seed in (1, 1, 2)]
    untouched = generator_state(runs[0].rewirer.generator)
    for run in runs:
        for _ in range(10):
            run.step()
    assert runs[0].everything() == runs[1].everything()
    if generator_state(runs[0].rewirer.generator) != untouched or runs[0].rewirer.layers[0].signs is not None:
        assert runs[0].sparse[0].sites.tolist() != runs[2].sparse[0].sites.tolist()


@every_method
@every_optimizer
def test_7_training_goes_on_bit_for_bit_after_loading(name: str, optimizer: str) -> None:
    straight = Run(quick(name), optimizer, dtype=torch.float32)
    for _ in range(8):
        straight.step()
    model = copy.deepcopy(straight.model.state_dict())
    moments = copy.deepcopy(straight.optimizer.state_dict())
    rewiring = straight.rewirer.state_dict()
    rewiring = {"arrays": rewiring["arrays"], "meta": json.loads(json.dumps(rewiring["meta"]))}

    resumed = Run(quick(name), optimizer, weights=99, dtype=torch.float32)  # other weights, other synapses
    resumed.model.load_state_dict(model)
    resumed.optimizer.load_state_dict(moments)
    resumed.rewirer.load_state_dict(rewiring)
    resumed.n_steps = straight.n_steps
    assert resumed.everything() == straight.everything()
    for _ in range(8):
        straight.step()
        resumed.step()
        assert resumed.everything() == straight.everything()


@every_method
def test_8_nothing_of_the_size_of_the_dense_matrix_is_made(name: str) -> None:
    def live(n_in: int, n_out: int, n_synapses: int) -> None:
        model = nn.Sequential(SparseLinear(n_in, n_out, n_synapses=n_synapses, generator=np.random.default_rng(0)))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        rewirer = quick(name).attach(model, optimizer, seed=0, **PLAN)
        x = torch.ones(2, n_in)
        for _ in range(3):
            optimizer.zero_grad()
            model(x).square().sum().backward()
            optimizer.step()
            rewirer.step()
        rewirer.load_state_dict(rewirer.state_dict())

    live(10, 10, 20)
    with nothing_larger(8000 * 6000):
        live(8000, 6000, 7000)


@every_method
@every_optimizer
def test_9_without_deaths_nothing_happens_and_no_number_is_drawn(name: str, optimizer: str) -> None:
    run = Run(quick(name), optimizer, lr=0.0)
    crossing = isinstance(run.rewirer.parts.death, SignCrossing)
    for _ in range(6):
        versions = [module.topology_version for module in run.sparse]
        drawn = generator_state(run.rewirer.generator)
        run.learn()
        gradients = [module.values.grad for module in run.sparse]
        run.rewirer.step()
        stats = run.rewirer.stats
        quiet = not any(stats.deaths.values()) and not any(stats.births.values())
        assert quiet or not crossing, "weights that do not move cannot cross zero"
        if quiet:
            assert [module.topology_version for module in run.sparse] == versions
            assert generator_state(run.rewirer.generator) == drawn
            assert all(m.values.grad is g for m, g in zip(run.sparse, gradients, strict=True))


@every_method
@pytest.mark.parametrize("counts", [(9, 6), (108, 54), (9, 54)])
def test_10_the_emptiest_and_the_fullest_layers_work(name: str, counts: tuple[int, int]) -> None:
    run = Run(quick(name), "adam", counts=counts)
    for _ in range(10):
        run.step()
        check_index(run)
        check_counts(run, list(counts))


@every_method
@every_optimizer
def test_10_a_layer_that_dies_altogether_is_born_again(name: str, optimizer: str) -> None:
    run = Run(quick(name), optimizer)
    run.step()
    run.learn()
    layer = run.rewirer.layers[0]
    signs = 1 if layer.signs is None else torch.from_numpy(layer.signs)
    layer.values.copy_(-torch.ones(layer.n_live) * signs)
    before = run.counts()
    run.rewirer.step()
    check_index(run)
    check_counts(run, before)
    if isinstance(run.rewirer.parts.death, SignCrossing):
        assert run.rewirer.stats.deaths[layer.name] == before[0]
    for _ in range(3):
        run.step()
        check_index(run)


@every_method
@every_optimizer
def test_10_no_gradient_anywhere_is_no_accident(name: str, optimizer: str) -> None:
    run = Run(quick(name), optimizer)
    initial = run.counts()
    for _ in range(6):
        run.step(scale=0.0)
        check_index(run)
        check_counts(run, initial)


@every_method
def test_10_a_layer_without_synapses_stays_out_of_it(name: str) -> None:
    empty = SparseLinear.from_scipy(sp.csr_array((5, 4)))
    model = nn.Sequential(SparseLinear(6, 4, n_synapses=10, dtype=torch.float64), empty, nn.Linear(5, 1).double())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    rewirer = quick(name).attach(model, optimizer, seed=0, **PLAN)
    for _ in range(4):
        optimizer.zero_grad()
        model(torch.ones(3, 6, dtype=torch.float64)).sum().backward()
        optimizer.step()
        rewirer.step()
    n = model[0].n_synapses + model[1].n_synapses
    assert n == 10 if rewirer.parts.budget.keeps in ("layer", "total") else n <= 10


@every_method
def test_a_method_is_a_frozen_object_that_prints_its_hyper_parameters(name: str) -> None:
    method = METHODS.get(name)()
    assert dataclasses.is_dataclass(method)
    assert type(method).__name__ in repr(method)
    assert method == METHODS.get(name)()
    with pytest.raises(dataclasses.FrozenInstanceError):
        method.anything = 1
