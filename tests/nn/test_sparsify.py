"""`sparsify`: dense layers of an existing model become sparse ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from neurosparse import SparseLinear, sparsify
from neurosparse.errors import UnknownNameError, ValidationError


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(8, 6)
        self.block = nn.Sequential(nn.Linear(6, 5, bias=False), nn.ReLU())
        self.out = nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.block(self.fc1(x)))


def test_every_linear_layer_is_replaced_in_place() -> None:
    net = Net()
    bias = net.fc1.bias.detach().clone()
    assert sparsify(net, density=0.5, generator=np.random.default_rng(0)) is net
    assert [type(m) for m in (net.fc1, net.block[0], net.out)] == [SparseLinear] * 3
    assert [m.n_synapses for m in (net.fc1, net.block[0], net.out)] == [24, 15, 5]
    assert torch.equal(net.fc1.bias, bias)
    assert net.block[0].bias is None
    assert net(torch.zeros(3, 8)).shape == (3, 2)


def test_a_pattern_chooses_layers_by_name() -> None:
    net = sparsify(Net(), density=0.5, include="block*")
    assert isinstance(net.block[0], SparseLinear)
    assert isinstance(net.fc1, nn.Linear)
    assert isinstance(net.out, nn.Linear)


def test_magnitude_keeps_the_largest_weights_where_they_are() -> None:
    net = nn.Sequential(nn.Linear(4, 2, bias=False))
    net[0].weight.data = torch.tensor([[0.1, -0.9, 0.2, 0.3], [0.8, 0.0, -0.7, 0.05]])
    sparsify(net, density=0.5, select="magnitude")
    expected = torch.tensor([[0.0, -0.9, 0.0, 0.3], [0.8, 0.0, -0.7, 0.0]])
    assert torch.equal(net[0].to_dense(), expected)


def test_full_density_by_magnitude_changes_nothing() -> None:
    net = nn.Sequential(nn.Linear(4, 3)).double()
    x = torch.randn(2, 4, dtype=torch.float64)
    before = net(x)
    torch.testing.assert_close(sparsify(net, density=1.0, select="magnitude")(x), before)


def test_the_same_generator_gives_the_same_synapses() -> None:
    first = sparsify(Net(), density=0.4, generator=torch.Generator().manual_seed(1))
    second = sparsify(Net(), density=0.4, generator=torch.Generator().manual_seed(1))
    assert first.fc1.sites.tolist() == second.fc1.sites.tolist()
    assert first.out.values.tolist() == second.out.values.tolist()


def test_what_cannot_be_replaced_is_refused_and_the_model_stays() -> None:
    net = Net()
    with pytest.raises(
        ValidationError, match=r"include: 'conv\*' matches no nn.Linear; the model has fc1, block\.0, out"
    ):
        sparsify(net, density=0.5, include="conv*")
    with pytest.raises(ValidationError, match="the model has none"):
        sparsify(nn.ReLU(), density=0.5)
    with pytest.raises(ValidationError, match=r"is itself an nn\.Linear"):
        sparsify(nn.Linear(2, 2), density=0.5)
    with pytest.raises(UnknownNameError, match=r"sparsify\.select: .magnitde. is not known\. Did you mean 'magnitude'"):
        sparsify(net, density=0.5, select="magnitde")
    with pytest.raises(ValidationError, match=r"must lie in \[5, 30\].*density 0\.14 gives 4"):
        sparsify(net, density=0.14)  # 7 of 48 sites do for the 6 neurons of fc1, 4 of 30 not for the 5 of the block
    assert isinstance(net.fc1, nn.Linear), "the first layer fits, and is still not replaced alone"
