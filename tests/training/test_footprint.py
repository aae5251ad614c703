"""Bytes that a training holds, counted on objects whose sizes are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from neurosparse.nn.sparse import SparseLinear
from neurosparse.training.config import RunConfig
from neurosparse.training.footprint import held_bytes, training_bytes

DENSE = 64 * 20 + 20 * 10


def test_memory_that_is_shared_counts_once_and_a_view_counts_what_it_holds() -> None:
    array = np.zeros(100)
    assert held_bytes(array, array[10:20], {"same": [torch.from_numpy(array)]}) == 800
    assert held_bytes(array[:1]) == 800
    assert held_bytes(torch.zeros(8)[:2]) == 32


def test_parameters_count_with_their_gradients_and_the_optimizers_moments() -> None:
    layer = nn.Linear(5, 3)
    optimizer = torch.optim.Adam(layer.parameters())
    assert held_bytes(layer, optimizer) == 4 * 18
    layer(torch.ones(1, 5)).sum().backward()
    assert held_bytes(layer, optimizer) == 8 * 18
    optimizer.step()
    assert held_bytes(layer, optimizer) == 16 * 18 + 2 * 4  # and one count of steps for each of the two parameters


def test_a_sparse_layer_counts_its_values_and_its_index() -> None:
    assert held_bytes(SparseLinear(50, 10, n_synapses=40)) == 40 * (4 + 4) + 11 * 4


@pytest.mark.parametrize(
    ("content", "low", "high"),
    [
        ({"network": {"connections": "dense"}, "method": {"name": "static"}}, 16, 16.1),
        ({"pruning": {"method": "one_shot"}}, 17, 17.1),
        ({"pruning": {"method": "dnw"}}, 21, 21.1),  # effective weights beside the latent ones
    ],
)
def test_dense_trainings_hold_so_many_bytes_per_possible_synapse(content: dict, low: float, high: float) -> None:
    network = {"hidden": [20], **content.get("network", {})}
    config = RunConfig.load({"data": {"n_steps": 3}, **content, "network": network})
    assert low * DENSE <= training_bytes(config) <= high * DENSE


@pytest.mark.parametrize("method", ["static", "deep_r", "set"])
def test_a_sparse_training_holds_bytes_in_proportion_to_its_synapses(method: str) -> None:
    bytes_at = {}
    for density in (0.2, 0.4):
        network = {"hidden": [20], "density": density}
        content = {"data": {"n_steps": 3}, "network": network, "method": {"name": method}}
        bytes_at[density] = training_bytes(RunConfig.load(content))
    per_synapse = (bytes_at[0.4] - bytes_at[0.2]) / (0.2 * DENSE)
    assert 20 <= per_synapse <= 48
    assert bytes_at[0.2] < 0.2 * DENSE * per_synapse + 16 * (64 + 2 * 20 + 10)
