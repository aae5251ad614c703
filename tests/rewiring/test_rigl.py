"""RigL by hand: whom it drops, what it grows, and the step it does not make."""

from __future__ import annotations

import math

import pytest
import torch
from fed import Fed
from torch import nn

from neurosparse import RigL, SparseLinear, SparseSNN, readout
from neurosparse.errors import UnknownNameError, ValidationError

GRADIENT = [[1, 2, 3, 4, 5], [-6, 7, 8, 9, 10]]


def fed(values: list[float], sites: list[int] | None = None, **options: object) -> Fed:
    """Two targets, five sources; of n_steps=8 a RigL with end=1 every 2 steps has events at 2, 4 and 6."""
    method = RigL(**{"fraction": 0.5, "every": 2, "end": 1.0} | options)
    return Fed(method, 5, 2, sites or [0, 1, 2, 3], values, lr=0.1, n_steps=8)


def test_the_smallest_weights_make_room_for_the_largest_gradients() -> None:
    run = fed([0.5, -0.1, 0.2, -0.9], skip_update=False)
    run.step()
    run.step(GRADIENT)
    # f(2) = 0.25 (1 + cos(pi / 4)) = 0.427: one of four. w - 0.1 * g = 0.4, -0.3, -0.1, -1.3: site 2 goes
    assert run.weights == pytest.approx({0: 0.4, 1: -0.3, 3: -1.3, 9: 0.0})
    assert run.turnover == (1, 1)


def test_an_event_takes_the_place_of_the_gradient_step() -> None:
    run = fed([0.5, -0.1, 0.2, -0.9])
    run.step()
    run.step(GRADIENT)
    assert run.weights == {0: 0.5, 2: 0.2, 3: -0.9, 9: 0.0}, "site 1 was the smallest, and nobody has moved"
    run.step([[1, 0, 0, 0, 0], [0, 0, 0, 0, -1]])
    assert run.weights == pytest.approx({0: 0.4, 2: 0.2, 3: -0.9, 9: 0.1})


def test_a_step_left_out_moves_nothing_decays_nothing_and_counts_nothing() -> None:
    method = RigL(fraction=0.5, every=2, end=1.0)
    run = Fed(
        method, 5, 2, [0, 1, 2, 3], [0.5, -0.1, 0.2, -0.9], lr=0.1, optimizer=torch.optim.AdamW,
        options={"weight_decay": 0.5}, n_steps=8,
    )  # fmt: skip
    run.step(GRADIENT)
    state = {k: v.clone() for k, v in run.optimizer.state[run.layer.values].items()}
    before = run.weights
    run.step(GRADIENT)
    after = run.optimizer.state[run.layer.values]
    assert after["step"] == state["step"] == 1
    kept = [site for site in before if site in run.weights]
    assert len(kept) == 3
    assert all(run.weights[site] == before[site] for site in kept)
    moments = dict(zip(before, state["exp_avg"].tolist(), strict=True))
    assert dict(zip(run.weights, after["exp_avg"].tolist(), strict=True)) == {
        site: moments.get(site, 0.0) for site in run.weights
    }


def test_all_parameters_wait_and_their_gradients_are_still_there_afterwards() -> None:
    model = nn.Sequential(SparseLinear(4, 3, density=0.5), nn.Linear(3, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    rewirer = RigL(every=1, end=1.0).attach(model, optimizer, n_steps=10)
    before = model[1].weight.detach().clone()
    model(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    assert torch.equal(model[1].weight, before)
    assert model[1].weight.grad is not None
    assert model[0].values.grad is not None
    rewirer.step()


def test_the_fraction_is_annealed_by_a_cosine_to_the_end() -> None:
    sites = list(range(100))
    method = RigL(fraction=0.4, every=10, end=0.5, skip_update=False)
    run = Fed(method, 1000, 1, sites, [1.0 + s for s in sites], n_steps=120)
    deaths = []
    for t in range(1, 121):
        new = 100 + t // 10 * 50  # sites nobody has had: none is dropped and grown at once
        run.step([[float(new <= site < new + 50) for site in range(1000)]])
        if run.turnover[0]:
            deaths.append((t, run.turnover[0]))
    # T_end = 60: 0.2 (1 + cos(pi t / 60)) of 100, rounded down
    expected = [(t, math.floor(20 * (1 + math.cos(math.pi * t / 60)) + 1e-9)) for t in (10, 20, 30, 40, 50)]
    assert expected == [(10, 37), (20, 30), (30, 20), (40, 10), (50, 2)]
    assert deaths == expected


def test_what_is_dropped_and_grown_at_once_keeps_its_weight_and_its_momentum() -> None:
    method = RigL(fraction=0.5, every=2, end=1.0, skip_update=False)
    options = {"momentum": 0.9}
    run = Fed(method, 5, 1, [0, 1, 2, 3], [0.5, -0.1, 0.2, -0.9], lr=0.1, options=options, n_steps=8)
    run.step([[0, 4, 0, 0, 0]])
    assert run.weights[1] == pytest.approx(-0.5)
    run.layer.values.data[1] = 0.02
    run.step([[0, -3.5, 0, 0, 1.0]])  # momentum 0.9 * 4 - 3.5 = 0.1, so its weight becomes 0.02 - 0.1 * 0.1
    assert run.weights == pytest.approx({0: 0.5, 1: 0.01, 2: 0.2, 3: -0.9})
    assert run.turnover == (0, 0), "it was the smallest, and its gradient the largest"
    assert run.optimizer.state[run.layer.values]["momentum_buffer"].tolist() == pytest.approx([0, 0.1, 0, 0])


def test_a_newborn_starts_at_zero_without_momentum() -> None:
    method = RigL(fraction=0.5, every=2, end=1.0, skip_update=False)
    run = Fed(method, 5, 1, [0, 1, 2, 3], [0.5, -0.1, 0.2, -0.9], lr=0.1, options={"momentum": 0.9}, n_steps=8)
    run.step([[1, 1, 1, 1, 9]])
    run.step([[0, 0, 0, 0, 9]])
    slot = run.layer.sites.tolist().index(4)
    assert run.layer.values[slot] == 0
    assert run.optimizer.state[run.layer.values]["momentum_buffer"][slot] == 0


def test_after_its_end_the_connectivity_is_final() -> None:
    run = fed([0.5, -0.1, 0.2, -0.9])
    for _ in range(8):
        run.step(GRADIENT)
    version = run.layer.topology_version
    before = run.weights
    run.step(GRADIENT)
    run.step(GRADIENT)
    assert run.layer.topology_version == version
    assert run.weights != before, "and every step is a gradient step again"


def test_gradients_are_recorded_only_for_the_steps_that_need_them() -> None:
    run = fed([0.5, -0.1, 0.2, -0.9])
    armed = []
    for _ in range(9):
        armed.append(run.layer.gradient_probe is not None)
        run.step(GRADIENT)
    assert armed == [False, True, False, True, False, True, False, False, False]


def test_another_rewirer_takes_over_completely() -> None:
    run = fed([0.5, -0.1, 0.2, -0.9])
    run.step()
    assert run.layer.gradient_probe is not None
    run.rewirer = RigL(every=7, end=1.0).attach(nn.Sequential(run.layer), run.optimizer, n_steps=8)
    assert run.layer.gradient_probe is None
    before = run.weights
    run.step(GRADIENT)
    assert run.weights != before, "the hooks of the first one are gone with it"


@pytest.mark.parametrize("engine", ["auto", "snntorch"])
def test_in_a_spiking_network_on_either_engine(engine: str) -> None:
    import numpy as np
    import snntorch as snn

    def layer(n_in: int, n_out: int, seed: int) -> SparseLinear:
        return SparseLinear(n_in, n_out, density=0.3, gain=2.0, generator=np.random.default_rng(seed))

    net = SparseSNN(layer(20, 15, 0), snn.Leaky(beta=0.9), layer(15, 4, 1), readout(), engine=engine)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    rewirer = RigL(every=3).attach(net, optimizer, n_steps=40)
    generator = torch.Generator().manual_seed(0)
    for _ in range(12):
        x = (torch.rand(8, 5, 20, generator=generator) < 0.3).float()
        optimizer.zero_grad()
        net(x).voltages.square().mean().backward()
        optimizer.step()
        rewirer.step()
    assert all(births > 0 for births in rewirer.stats.total_births.values())
    assert sum(layer.connection.n_synapses for layer in net.layers()) == 90 + 18


def test_it_asks_how_long_the_training_is() -> None:
    model = nn.Sequential(SparseLinear(4, 3, density=0.5))
    with pytest.raises(
        ValidationError, match=r"attach\.n_steps: .* give attach\(\.\.\., n_steps=epochs \* len\(loader"
    ):
        RigL().attach(model, torch.optim.SGD(model.parameters(), lr=0.1))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"fraction": 1.5}, ValidationError, r"fraction: must lie in \(0, 1\], got 1.5"),
        ({"every": 0}, ValidationError, "n: must be an integer number of optimizer steps >= 1, got 0"),
        ({"end": 0}, ValidationError, r"end: must lie in \(0, 1\], got 0"),
        ({"optimizer_state": "zeros"}, UnknownNameError, "RigL.optimizer_state: 'zeros' .* Did you mean 'zero'"),
    ],
)
def test_wrong_hyper_parameters_are_an_error_where_they_are_given(
    options: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        RigL(**options)
