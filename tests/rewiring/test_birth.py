"""Where synapses are born, with which sign, and what becomes of those nothing pulls at."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import snntorch as snn
import torch
from hypothesis import given
from hypothesis import strategies as st
from scripted import one_layer
from torch import nn

import neurosparse as ns
from neurosparse import DeepR, SparseLinear
from neurosparse.errors import ValidationError
from neurosparse.rewiring.base import Rewirer
from neurosparse.rewiring.birth import (
    DaleSigns,
    FixedSigns,
    FreeSigns,
    NormalValues,
    RedrawnSigns,
    UniformDormant,
    ZeroValues,
)
from neurosparse.rewiring.layer import SparseLayer


def view(module: SparseLinear, index: int = 0, source: str = "input") -> SparseLayer:
    sites = module.sites
    return SparseLayer("layer", index, source, module, module.density, sites, None, np.zeros(sites.size, np.int64))


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1)


@given(
    n_in=st.integers(1, 8),
    n_out=st.integers(1, 8),
    dead=st.floats(0, 1),
    share=st.floats(0, 1),
    seed=st.integers(0, 999),
)
def test_births_are_distinct_sorted_and_dormant(n_in: int, n_out: int, dead: float, share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    layer = view(SparseLinear(n_in, n_out, n_synapses=int(rng.integers(n_out, n_in * n_out + 1)), generator=rng))
    slots = np.flatnonzero(rng.random(layer.n_live) < dead)
    survivors = np.delete(layer.sites, slots)
    n = round(share * (layer.n_sites - survivors.size))
    born = UniformDormant().choose(layer, slots, n, rng)
    assert born.size == n
    assert (np.diff(born) > 0).all()
    assert not np.isin(born, survivors).any()
    assert ((born >= 0) & (born < layer.n_sites)).all()


def test_a_site_that_has_just_died_may_be_drawn_again() -> None:
    layer = view(one_layer(2, 1, [0, 1], [1.0, 1.0]))
    assert UniformDormant().choose(layer, np.array([1]), 1, np.random.default_rng(0)).tolist() == [1]


def test_free_signs_are_none() -> None:
    layer = view(SparseLinear(4, 3, density=1))
    assert FreeSigns().of(layer, layer.sites, 0, np.random.default_rng(0)) is None


def test_fixed_signs_belong_to_the_site_for_life() -> None:
    layer = view(SparseLinear(50, 40, density=1))
    rng = np.random.default_rng(0)
    signs = FixedSigns().of(layer, layer.sites, 7, rng)
    some = layer.sites[::3]
    assert FixedSigns().of(layer, some, 7, rng).tolist() == signs[::3].tolist()
    assert abs(signs.mean()) < 4 / math.sqrt(2000), "half of each"
    assert FixedSigns().of(layer, layer.sites, 8, rng).tolist() != signs.tolist()
    other = FixedSigns().of(view(layer.module, index=1), layer.sites, 7, rng)
    assert other.tolist() != signs.tolist(), "layers have signs of their own"


def test_redrawn_signs_are_fresh_at_birth_and_those_of_the_weights_at_the_start() -> None:
    module = one_layer(4, 1, [0, 1, 2], [0.5, -0.5, 0.2])
    rewirer = DeepR(alpha=0.0, signs="redrawn").attach(nn.Sequential(module), sgd(module), seed=0)
    assert module.values.tolist() == [0.5, -0.5, 0.2], "attach() changes no weight"
    layer = rewirer.layers[0]
    drawn = np.concatenate([RedrawnSigns().of(layer, layer.sites, 0, rewirer.generator) for _ in range(500)])
    assert abs(drawn.mean()) < 4 / math.sqrt(1500)


def test_fixed_signs_are_given_to_the_weights_once_at_attachment() -> None:
    module = SparseLinear(6, 5, density=1, generator=np.random.default_rng(0))
    before = module.values.detach().clone()
    rewirer = DeepR().attach(nn.Sequential(module), sgd(module), seed=0)
    assert torch.equal(module.values.abs(), before.abs())
    assert (module.values.detach().sign().numpy() == rewirer.layers[0].signs).all()
    once = module.values.detach().clone()
    DeepR().attach(nn.Sequential(module), sgd(module), seed=0)
    assert torch.equal(module.values, once)


def test_under_dales_law_all_synapses_of_a_neuron_have_its_sign() -> None:
    model = nn.Sequential(SparseLinear(30, 20, density=0.5, generator=np.random.default_rng(0)))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    rewirer = DeepR(signs="dale").attach(model, optimizer, seed=1)
    for _ in range(5):
        columns = model[0].indices.numpy()
        signs = rewirer.layers[0].signs
        for neuron in range(30):
            assert len(set(signs[columns == neuron].tolist())) <= 1
        assert (signs * model[0].values.detach().numpy() >= 0).all()
        optimizer.zero_grad()
        model(torch.randn(4, 30)).square().sum().backward()
        optimizer.step()
        rewirer.step()
    assert sum(rewirer.stats.total_births.values()) > 0


@pytest.mark.parametrize("excitatory", [0.0, 0.75, 1.0])
def test_a_fraction_of_the_neurons_excites(excitatory: float) -> None:
    layer = view(SparseLinear(4000, 1, density=1))
    signs = DaleSigns(excitatory).of(layer, layer.sites, 0, np.random.default_rng(0))
    deviation = 4 * math.sqrt(excitatory * (1 - excitatory) / 4000)
    assert (signs == 1).mean() == pytest.approx(excitatory, abs=deviation + 1e-12)


def test_in_a_network_a_neuron_excites_or_inhibits_through_all_its_projections() -> None:
    rng = np.random.default_rng(0)
    net = ns.SparseSNN(
        ns.SparseLinear(10, 25, density=1, generator=rng),
        ns.Recurrent(snn.Leaky(beta=0.9), ns.SparseLinear(25, 25, density=1, generator=rng)),
        ns.SparseLinear(25, 5, density=1, generator=rng),
        ns.readout(),
    )
    rewirer = DeepR(signs="dale").attach(nn.ModuleDict({"net": net}), sgd(net), seed=0)
    first, recurrent, last = rewirer.layers
    assert [layer.source for layer in (first, recurrent, last)] == ["net.input", "net.hidden1", "net.hidden1"]
    hidden = recurrent.signs.reshape(25, 25)[0]
    assert {-1, 1} == set(hidden.tolist())
    assert (recurrent.signs.reshape(25, 25) == hidden).all()
    assert (last.signs.reshape(5, 25) == hidden).all()
    assert first.signs.reshape(25, 10)[0].tolist() != hidden[:10].tolist()


def test_births_where_nothing_pulls_are_drawn_again_until_something_does() -> None:
    # inputs 0..4 are dead pixels; on the others every gradient favours the sign of the synapse
    model = nn.Sequential(SparseLinear(10, 4, n_synapses=12, generator=np.random.default_rng(0)))
    layer = model[0]
    optimizer = sgd(model)
    rewirer = DeepR(alpha=0.0).attach(model, optimizer, seed=0)
    view_ = rewirer.layers[0]
    view_.values.zero_()  # newborns all of them
    x = torch.cat([torch.zeros(3, 5), torch.ones(3, 5)], dim=1)
    for t in range(40):
        optimizer.zero_grad()
        layer(x).sum().backward()
        layer.values.grad *= -torch.from_numpy(view_.signs)
        optimizer.step()
        rewirer.step()
        on_dead_pixels = layer.indices.numpy() < 5
        assert (view_.born_at[on_dead_pixels] == t + 1).all(), "nobody there is older than this step"
    assert not on_dead_pixels.any(), "12 of the 20 useful sites are taken"
    assert rewirer.stats.total_births["0"] > 0


def test_on_the_wrong_side_a_newborn_dies_at_once() -> None:
    module = one_layer(4, 1, [0, 1], [1.0, 1.0])
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    rewirer = DeepR(alpha=0.0).attach(nn.Sequential(module), optimizer, seed=0)
    layer = rewirer.layers[0]
    layer.values.zero_()
    module.values.grad = torch.from_numpy(np.array([-1.0, 1.0]) * layer.signs)  # towards its sign; away from it
    optimizer.step()
    rewirer.step()
    assert rewirer.stats.deaths == {"0": 1}
    assert 0 in module.sites
    assert abs(module.values[module.sites.tolist().index(0)].item()) == pytest.approx(0.1)


def test_impossible_fractions_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"DaleSigns.excitatory: must lie in \[0, 1\], got 1.2"):
        DaleSigns(1.2)


@given(dead=st.integers(0, 6), n=st.integers(0, 12), seed=st.integers(0, 99))
def test_sites_that_have_just_died_can_be_left_out_as_long_as_there_are_others(dead: int, n: int, seed: int) -> None:
    layer = view(one_layer(12, 1, list(range(6)), [1.0] * 6))
    survivors = layer.sites[dead:]
    n = min(n, 12 - survivors.size)
    born = UniformDormant(exclude_just_dead=True).choose(layer, np.arange(dead), n, np.random.default_rng(seed))
    assert (np.diff(born) > 0).all()
    assert born.size == n
    assert not np.isin(born, survivors).any()
    assert (born < 6).sum() == max(0, n - 6), "only when the six others are taken"


def test_newborns_of_a_signed_method_take_only_the_size_of_their_random_weight() -> None:
    module = one_layer(400, 1, list(range(100)), [1.0] * 100)
    parts = dataclasses.replace(DeepR(alpha=0.0).parts(), values=NormalValues(0.5))
    rewirer = Rewirer(parts, nn.Sequential(module), sgd(module))
    rewirer.layers[0].values.zero_()
    rewirer.step()
    assert (module.values != 0).all()
    assert (np.sign(module.values.detach().numpy()) == rewirer.layers[0].signs).all()
    assert rewirer.stats.births == {"0": 100}


def test_zero_values_draw_nothing() -> None:
    layer = view(one_layer(4, 1, [0], [1.0]))
    generator = np.random.default_rng(0)
    before = generator.bit_generator.state
    assert ZeroValues().of(layer, layer.sites, generator) is None
    assert NormalValues(0.0).of(layer, layer.sites, generator) is None
    assert generator.bit_generator.state == before
    with pytest.raises(ValidationError, match=r"NormalValues\.std: must be finite and >= 0, got -1"):
        NormalValues(-1.0)
