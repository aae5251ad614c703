"""DSR by hand: one threshold that controls itself, and synapses that go where synapses stay."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from fed import Fed
from torch import nn

from neurosparse import DSR, SparseLinear
from neurosparse.errors import ValidationError


def two_layers(large: float, small: float) -> tuple[nn.Sequential, torch.optim.Optimizer]:
    """A layer of 30 weights of size `large` and one of 10 of which half are `small`."""
    rng = np.random.default_rng(0)
    model = nn.Sequential(
        SparseLinear(20, 10, n_synapses=30, generator=rng), SparseLinear(10, 10, n_synapses=10, generator=rng)
    )
    model[0].values.data[:] = large
    model[1].values.data[:] = large
    model[1].values.data[:5] = small
    return model, torch.optim.SGD(model.parameters(), lr=0.0)


def test_births_go_to_the_layers_in_proportion_to_their_survivors() -> None:
    model, optimizer = two_layers(1.0, 0.01)
    rewirer = DSR(threshold=0.1, every=1, fraction=0.125).attach(model, optimizer)
    rewirer.step()
    # 5 die in the second layer; survivors 30 and 5: floor(5 * 30 / 35) = 4, floor(5 * 5 / 35) = 0, one left over
    assert rewirer.stats.deaths == {"0": 0, "1": 5}
    assert rewirer.stats.births in ({"0": 5, "1": 0}, {"0": 4, "1": 1})
    assert model[0].n_synapses + model[1].n_synapses == 40
    assert rewirer.parts.death.threshold == 0.1, "5 of 40 is what was wanted"


def test_the_threshold_doubles_until_enough_die() -> None:
    model, optimizer = two_layers(1.0, 0.01)
    rewirer = DSR(threshold=0.003, every=2, fraction=0.125).attach(model, optimizer)
    seen = []
    for _ in range(8):
        seen.append((rewirer.parts.death.threshold, sum(rewirer.stats.deaths.values())))
        rewirer.step()
    assert seen == [(0.003, 0), (0.003, 0), (0.006, 0), (0.006, 0), (0.012, 0), (0.012, 0), (0.012, 5), (0.012, 0)]


def test_what_has_just_died_is_not_born_again() -> None:
    for _ in range(20):
        run = Fed(DSR(threshold=0.1, every=1, fraction=0.5), 6, 1, [0, 1, 2, 3], [1.0, 0.01, 0.01, 1.0])
        run.step()
        assert set(run.weights) == {0, 3, 4, 5}


def test_in_a_full_layer_there_is_nowhere_else_to_go() -> None:
    run = Fed(DSR(threshold=0.1, every=1, fraction=0.5), 4, 1, [0, 1, 2, 3], [1.0, 0.01, 0.01, 1.0])
    run.step()
    assert run.weights == {0: 1.0, 1: 0.0, 2: 0.0, 3: 1.0}
    assert run.turnover == (2, 2)


def test_the_threshold_travels_in_the_saved_state() -> None:
    model, optimizer = two_layers(1.0, 0.01)
    rewirer = DSR(every=1).attach(model, optimizer)
    rewirer.step()
    state = rewirer.state_dict()
    assert state["meta"]["parts"] == {"death": {"threshold": 2e-3}}
    state["meta"] = json.loads(json.dumps(state["meta"]))
    other = DSR(every=1).attach(model, optimizer)
    other.load_state_dict(state)
    assert other.parts.death.threshold == 2e-3


@pytest.mark.parametrize("memory", [{}, {"death": {}}, {"death": {"threshold": -1}}, {"death": {"threshold": "x"}}])
def test_a_state_without_a_good_threshold_is_refused_and_nothing_changes(memory: dict) -> None:
    model, optimizer = two_layers(1.0, 0.01)
    rewirer = DSR(every=1).attach(model, optimizer)
    state = rewirer.state_dict()
    state["meta"]["parts"] = memory
    rewirer.step()
    with pytest.raises(ValidationError, match="rewirer state: memory of the part 'death'"):
        rewirer.load_state_dict(state)
    assert (rewirer.n_steps, rewirer.parts.death.threshold) == (1, 2e-3)


def test_every_attachment_starts_with_its_own_threshold() -> None:
    method = DSR(every=1)
    first = method.attach(*two_layers(1.0, 0.01))
    first.step()
    assert method.attach(*two_layers(1.0, 0.01)).parts.death.threshold == 1e-3


def test_periods_lengthen_and_end() -> None:
    method = DSR(every=2, doublings=[0.25, 0.5], end=0.9)
    assert method.doublings == (0.25, 0.5), "TOML gives a list; the method is hashable"
    model, optimizer = two_layers(1.0, 0.01)
    schedule = method.attach(model, optimizer, n_steps=40).parts.schedule
    assert [t for t in range(1, 41) if schedule.foresees(t)] == [2, 4, 6, 8, 10, 14, 18, 28]
    with pytest.raises(ValidationError, match=r"attach\.n_steps"):
        method.attach(model, optimizer)


@pytest.mark.parametrize(("options", "message"), [({"fraction": 1.0}, "fraction"), ({"threshold": 0.0}, "threshold")])
def test_wrong_hyper_parameters_are_an_error_where_they_are_given(options: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DSR(**options)
