"""Lifetimes, ages and visited sites of a rewired layer, by hand and against all that has happened."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scripted import Script, one_layer, scripted
from torch import nn

from neurosparse import DeepR, SparseLinear, Static
from neurosparse.errors import ValidationError
from neurosparse.rewiring.history import History


def test_lifetimes_and_sites_by_hand() -> None:
    layer = one_layer(3, 2, [0, 1, 4], [0.5, -0.25, 2.0])
    script = Script(dies={2: [1], 3: [5], 5: [0, 2]}, born={2: [5], 3: [2], 5: [1, 3]})
    rewirer = scripted(layer, torch.optim.SGD(layer.parameters(), lr=0.1), script)
    for _ in range(6):
        rewirer.step()
    found = rewirer.history()["0"]
    # site 1 lived 2 steps, site 5 one, site 0 five, site 2 two; sites 0 to 5 were all visited, site 1 twice
    assert found.deaths == 4
    assert found.mean_lifetime == (2 + 1 + 5 + 2) / 4
    assert found.lifetimes == (1, 2, 1)  # 1 | 2 to 3 | 4 to 7
    assert (found.visited, found.visited_error, found.n_sites) == (6.0, 0.0, 6)
    assert found.ages == (2, 0, 1)  # two of one step, one of six


def test_nothing_rewired_has_no_lifetime() -> None:
    layer = one_layer(3, 2, [0, 1, 4], [0.5, -0.25, 2.0])
    rewirer = Static().attach(nn.Sequential(layer), torch.optim.SGD(layer.parameters(), lr=0.1))
    assert rewirer.history()["0"].ages == (3,)
    for _ in range(9):
        rewirer.step()
    found = rewirer.history()["0"]
    assert (found.deaths, found.mean_lifetime, found.lifetimes, found.visited) == (0, None, (), 3.0)
    assert found.ages == (0, 0, 0, 3)


@pytest.mark.parametrize("n_in", [40, 3000])
def test_a_training_is_counted_as_everything_that_happened(n_in: int) -> None:
    torch.manual_seed(0)
    layer = SparseLinear(n_in, 30, n_synapses=600, generator=np.random.default_rng(0))
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)
    rewirer = DeepR(alpha=0.3).attach(nn.Sequential(layer), optimizer, seed=5)
    visited, born, lifetimes = set(layer.sites.tolist()), dict.fromkeys(layer.sites.tolist(), 0), []
    for step in range(1, 41):
        optimizer.zero_grad()
        (layer(torch.randn(4, n_in)) - torch.randn(4, 30)).square().mean().backward()
        optimizer.step()
        before = rewirer.layers[0].born_at.copy(), layer.sites
        rewirer.step()
        now = dict(zip(layer.sites.tolist(), rewirer.layers[0].born_at.tolist(), strict=True))
        for site, at in zip(before[1].tolist(), before[0].tolist(), strict=True):
            if now.get(site) != at:
                lifetimes.append(step - at)
        visited |= set(now)
        born = now
    found = rewirer.history()["0"]
    assert found.deaths == len(lifetimes) > 500
    assert found.mean_lifetime == pytest.approx(np.mean(lifetimes))
    assert sum(found.lifetimes) == found.deaths
    assert found.lifetimes[0] == lifetimes.count(1)
    assert found.lifetimes[2] == sum(4 <= steps < 8 for steps in lifetimes)
    assert sum(found.ages) == 600
    assert found.ages[0] == sum(at >= 39 for at in born.values())
    assert (found.visited_error == 0) == (n_in == 40)
    assert found.visited == pytest.approx(len(visited), abs=4 * found.visited_error)
    json.dumps(found.to_dict())


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({"lifetimes": [1] * 49, "total": 60}, "at most 48 numbers of deaths"),
        ({"lifetimes": [-1], "total": 1}, "history: must be"),
        ({"lifetimes": [1.5], "total": 1}, "history: must be"),
        ({"lifetimes": "1", "total": 1}, "history: must be"),
        ({"lifetimes": [1], "total": 2**63}, "history: must be"),
    ],
)
def test_a_history_that_cannot_be_is_refused(meta: dict, message: str) -> None:
    history = History(np.arange(3), 10, seed=0, name=0)
    with pytest.raises(ValidationError, match=message):
        history.restored(meta, history.visited.state())
