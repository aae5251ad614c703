"""`SparseLinear`: construction, the product and its gradients, state, conversions."""

from __future__ import annotations

import copy
import re

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from neurosparse import SparseLinear
from neurosparse.errors import ValidationError

shapes = st.tuples(st.integers(1, 12), st.integers(1, 12))  # (n_in, n_out)


@st.composite
def layers(draw: st.DrawFn, bias: bool = False) -> SparseLinear:
    """Float64 layers of every density, from one synapse per neuron (K = n_out) to full."""
    n_in, n_out = draw(shapes)
    count = draw(st.one_of(st.just(n_out), st.just(n_in * n_out), st.integers(n_out, n_in * n_out)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return SparseLinear(n_in, n_out, n_synapses=count, bias=bias, generator=rng, dtype=torch.float64)


def dense_gradients(layer: SparseLinear, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Product and gradients of a masked dense layer under the loss sum(y * y_weight): y, dx, dvalues."""
    dense = layer.to_dense().requires_grad_()
    x = x.detach().requires_grad_()
    y = x @ dense.t()
    (y * weight).sum().backward()
    sites = torch.from_numpy(layer.sites)
    assert dense.grad is not None
    return y.detach(), x.grad, dense.grad.reshape(-1)[sites]


@given(layer=layers(), batch=st.integers(0, 5), seed=st.integers(0, 2**32))
def test_product_and_both_gradients_equal_those_of_the_masked_dense_layer(
    layer: SparseLinear, batch: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, layer.in_features, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(batch, layer.out_features, generator=generator, dtype=torch.float64)
    y = layer(x)
    (y * weight).sum().backward()
    expected_y, expected_x, expected_values = dense_gradients(layer, x, weight)
    torch.testing.assert_close(y.detach(), expected_y)
    torch.testing.assert_close(x.grad, expected_x)
    torch.testing.assert_close(layer.values.grad, expected_values)


def test_gradients_agree_with_finite_differences() -> None:
    layer = SparseLinear(7, 5, density=0.4, bias=True, generator=np.random.default_rng(0), dtype=torch.float64)
    x = torch.randn(3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)

    def product(x: Tensor, values: Tensor, bias: Tensor) -> Tensor:
        return torch.func.functional_call(layer, {"values": values, "bias": bias}, (x,))

    assert torch.autograd.gradcheck(product, (x, layer.values, layer.bias))


def test_an_empty_batch_gives_an_empty_product_and_zero_gradients() -> None:
    layer = SparseLinear(4, 3, density=0.5)
    x = torch.zeros(0, 4, requires_grad=True)
    y = layer(x)
    assert y.shape == (0, 3)
    y.sum().backward()
    assert layer.values.grad is not None
    assert not layer.values.grad.any()
    assert x.grad is not None
    assert x.grad.shape == (0, 4)


def test_leading_axes_and_strides_of_the_input_do_not_matter() -> None:
    layer = SparseLinear(4, 3, density=0.5, bias=True)
    x = torch.randn(2, 4, 5).transpose(1, 2)  # (2, 5, 4), not contiguous
    y = layer(x)
    assert y.shape == (2, 5, 3)
    torch.testing.assert_close(y, x.contiguous() @ layer.to_dense().t() + layer.bias)
    assert layer(x[0, 0]).shape == (3,)


def test_the_bias_is_added_and_learned() -> None:
    layer = SparseLinear(2, 2, density=1, bias=True)
    layer.bias.data = torch.tensor([1.0, -2.0])
    y = layer(torch.zeros(3, 2))
    assert y.tolist() == [[1.0, -2.0]] * 3
    y.sum().backward()
    assert layer.bias.grad.tolist() == [3.0, 3.0]


def test_three_synapses_by_hand() -> None:
    layer = SparseLinear.from_scipy(sp.csr_array(np.float32([[0, 2, 0], [0.5, 0, -1]])))
    x = torch.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    y = layer(x)
    assert y.tolist() == [[4.0, -2.5]]  # 2*2 ; 0.5*1 - 1*3
    (y * torch.tensor([[10.0, 100.0]])).sum().backward()
    assert x.grad.tolist() == [[50.0, 20.0, -100.0]]
    assert layer.values.grad.tolist() == [20.0, 100.0, 300.0]  # 10*x1 ; 100*x0 ; 100*x2


def test_rewiring_between_forward_and_backward_is_refused() -> None:
    layer = SparseLinear(3, 2, density=1)
    y = layer(torch.ones(1, 3)).sum()
    layer.set_topology(np.array([0, 5]), torch.ones(2))
    with pytest.raises(ValidationError, match="its synapses changed between forward and backward"):
        y.backward()


def test_another_number_of_synapses_works_while_the_last_graph_is_alive() -> None:
    layer = SparseLinear(3, 2, density=1)
    parameter = layer.values
    optimizer = torch.optim.Adam(layer.parameters())
    alive = layer(torch.ones(1, 3)).sum()
    alive.backward()
    layer.set_topology(np.array([1, 3, 4]), torch.ones(3))
    assert layer.values is parameter, "the optimizer knows the parameter by identity"
    optimizer.zero_grad()
    layer(torch.tensor([[1.0, 2.0, 3.0]])).sum().backward()
    assert layer.values.grad.tolist() == [2.0, 1.0, 2.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_set_topology_keeps_the_type(dtype: torch.dtype) -> None:
    layer = SparseLinear(3, 2, density=1, dtype=dtype)
    layer.set_topology(np.array([1, 3, 4]), torch.ones(3, dtype=dtype))
    assert layer.values.dtype == dtype
    assert layer.values.requires_grad


# initialisation


@given(layer=layers())
def test_every_neuron_starts_with_a_synapse_and_no_site_twice(layer: SparseLinear) -> None:
    assert layer.values.numel() == layer.indices.numel() == layer.n_synapses
    assert (np.diff(layer.indptr.numpy()) >= 1).all()
    assert (np.diff(layer.sites) > 0).all()
    assert layer.sites[0] >= 0
    assert layer.sites[-1] < layer.in_features * layer.out_features


def test_initial_sites_beyond_the_guaranteed_ones_are_uniform() -> None:
    # 4 x 3 sites, K = 5 in 3 rows: by symmetry every site lives with probability 5/12.
    rng = np.random.default_rng(1)
    n_draws = 4000
    counts = np.zeros(12)
    for _ in range(n_draws):
        counts[SparseLinear(4, 3, n_synapses=5, generator=rng).sites] += 1
    p = 5 / 12
    z = (counts - n_draws * p) / np.sqrt(n_draws * p * (1 - p))
    assert np.abs(z).max() < 4.5, z


def test_weights_are_scaled_by_the_actual_fan_in_of_each_neuron() -> None:
    layer = SparseLinear(5000, 5000, n_synapses=25_000, gain=3.0, generator=np.random.default_rng(0))
    fan_in = np.diff(layer.indptr.numpy())
    normalised = layer.values.detach().numpy() * np.repeat(np.sqrt(fan_in), fan_in) / 3.0
    assert abs(normalised.mean()) < 4 / np.sqrt(25_000)
    # under unit input every neuron's current has variance gain**2, those with few synapses as those with many
    for few_to_many in ((1, 3), (4, 5), (6, 8), (9, 20)):
        group = np.repeat((fan_in >= few_to_many[0]) & (fan_in <= few_to_many[1]), fan_in)
        n = int(group.sum())
        assert n > 1000
        assert abs(normalised[group].var() - 1) < 4 * np.sqrt(2 / n)


@pytest.mark.parametrize("density", [0.1, 1.0])
def test_density_gives_its_number_of_synapses(density: float) -> None:
    layer = SparseLinear(30, 20, density=density)
    assert layer.n_synapses == round(density * 600)
    assert layer.density == pytest.approx(density)


def test_the_same_numpy_or_torch_generator_gives_the_same_layer() -> None:
    def of(seed: int, kind: str) -> tuple[list[int], list[float]]:
        generator = np.random.default_rng(seed) if kind == "numpy" else torch.Generator().manual_seed(seed)
        layer = SparseLinear(20, 10, density=0.2, generator=generator)
        return layer.sites.tolist(), layer.values.tolist()

    for kind in ("numpy", "torch"):
        assert of(0, kind) == of(0, kind)
        assert of(0, kind) != of(1, kind)


def test_without_a_generator_torchs_global_one_decides() -> None:
    torch.manual_seed(3)
    first = SparseLinear(20, 10, density=0.2)
    second = SparseLinear(20, 10, density=0.2)
    torch.manual_seed(3)
    again = SparseLinear(20, 10, density=0.2)
    assert first.sites.tolist() == again.sites.tolist()
    assert first.values.tolist() == again.values.tolist()
    assert first.sites.tolist() != second.sites.tolist()


@pytest.mark.parametrize(
    ("n_in", "n_out", "options", "message"),
    [
        (0, 2, {"density": 1}, "SparseLinear.in_features: must be an integer in [1, 2**31), got 0"),
        (2, 2.0, {"density": 1}, "SparseLinear.out_features: must be an integer in [1, 2**31), got 2.0"),
        (2, True, {"density": 1}, "SparseLinear.out_features: must be an integer in [1, 2**31), got True"),
        (2, 2, {}, "give density or n_synapses, one of the two; got density=None, n_synapses=None"),
        (2, 2, {"density": 1, "n_synapses": 4}, "one of the two; got density=1, n_synapses=4"),
        (2, 2, {"density": 0}, "SparseLinear.density: must lie in (0, 1], got 0"),
        (2, 2, {"density": 1.5}, "SparseLinear.density: must lie in (0, 1], got 1.5"),
        (2, 2, {"density": float("nan")}, "SparseLinear.density: must lie in (0, 1], got nan"),
        (2, 2, {"n_synapses": 2.5}, "SparseLinear.n_synapses: must be an integer, got 2.5"),
        (10, 5, {"density": 0.02}, "must lie in [5, 50] (every one of the 5 neurons needs an incoming synapse)"),
        (10, 5, {"density": 0.02}, "density 0.02 gives 1"),
        (2, 2, {"n_synapses": 5}, "SparseLinear.n_synapses: must lie in [2, 4]"),
        (2, 2, {"density": 1, "generator": 7}, "SparseLinear.generator: must be a numpy.random.Generator"),
    ],
)
def test_impossible_layers_are_refused_with_the_reason(n_in: int, n_out: int, options: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        SparseLinear(n_in, n_out, **options)


def test_inputs_of_the_wrong_shape_or_type_are_refused() -> None:
    layer = SparseLinear(4, 3, density=0.5)
    with pytest.raises(ValidationError, match=re.escape("input has shape (2, 5), expected (..., 4)")):
        layer(torch.zeros(2, 5))
    with pytest.raises(ValidationError, match=r"expected \(\.\.\., 4\)"):
        layer(torch.tensor(1.0))
    with pytest.raises(ValidationError, match=r"input is torch.float64, the weights are torch.float32; .*x.to"):
        layer(torch.zeros(2, 4, dtype=torch.float64))
    with pytest.raises(ValidationError, match=r"input is torch\.bool"):
        layer(torch.zeros(2, 4, dtype=torch.bool))


# state


def test_a_state_with_another_number_of_synapses_loads() -> None:
    source = SparseLinear(6, 4, density=0.5, bias=True, generator=np.random.default_rng(0))
    target = SparseLinear(6, 4, density=0.9, bias=True, generator=np.random.default_rng(1))
    version = target.topology_version
    target.load_state_dict(source.state_dict())
    assert target.n_synapses == 12
    assert target.sites.tolist() == source.sites.tolist()
    assert torch.equal(target.to_dense(), source.to_dense())
    assert target.topology_version > version, "derived indices are stale now"
    x = torch.randn(2, 6)
    assert torch.equal(target(x), source(x))


def test_the_gradient_of_the_input_uses_the_index_that_was_loaded() -> None:
    source = SparseLinear(6, 4, density=0.5, generator=np.random.default_rng(0))
    target = SparseLinear(6, 4, density=0.5, generator=np.random.default_rng(1))
    x = torch.ones(1, 6, requires_grad=True)
    target(x).sum().backward()  # caches the transposed index
    target.load_state_dict(source.state_dict())
    x = torch.ones(1, 6, requires_grad=True)
    target(x).sum().backward()
    torch.testing.assert_close(x.grad[0], source.to_dense().sum(0))


@pytest.mark.parametrize("density", [0.5, 0.9])
def test_training_on_after_loading_leaves_the_loaded_state_alone(density: float) -> None:
    source = SparseLinear(6, 4, density=0.5, generator=np.random.default_rng(0))
    state = source.state_dict()
    before = {name: tensor.clone() for name, tensor in state.items()}
    target = SparseLinear(6, 4, density=density, generator=np.random.default_rng(1))
    target.load_state_dict(state)
    with torch.no_grad():
        target.values += 1
        target.indices += 1
    assert all(torch.equal(state[name], before[name]) for name in state)


def test_a_state_loads_inside_a_model_with_its_optimizer() -> None:
    def model() -> nn.Sequential:
        return nn.Sequential(SparseLinear(6, 4, density=0.5), nn.Linear(4, 2))

    first, second = model(), model()
    optimizer = torch.optim.SGD(second.parameters(), lr=0.1)
    second.load_state_dict(first.state_dict())
    second(torch.ones(1, 6)).sum().backward()
    optimizer.step()
    assert not torch.equal(second[0].values, first[0].values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"indices": [0, 9]}, "load_state_dict of 0: .*indices: .*got 9"),
        ({"indptr": [0, 1, 5]}, "load_state_dict of 0: .*indptr: "),
        ({"indptr": [0, 1, 1, 2]}, "load_state_dict of 0.indptr: has 3 rows, the layer has 2"),
        ({"indptr": [0, 2, 2], "indices": [1, 1]}, "load_state_dict of 0: .*duplicate synapse"),
        ({"values": [1.0, 1.0, 1.0]}, "load_state_dict of 0: .*3 weights"),
    ],
)
def test_a_state_that_is_no_index_is_refused_and_nothing_changes(change: dict, message: str) -> None:
    model = nn.Sequential(SparseLinear(3, 2, n_synapses=2, generator=np.random.default_rng(0)))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = dict(before) | {f"0.{name}": torch.tensor(new).to(before[f"0.{name}"]) for name, new in change.items()}
    with pytest.raises(ValidationError, match=message):
        model.load_state_dict(state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_state_without_its_index_is_missing_keys() -> None:
    layer = SparseLinear(3, 2, n_synapses=2)
    with pytest.raises(RuntimeError, match=r"Missing key.*indices"):
        layer.load_state_dict({"values": torch.ones(2), "indptr": layer.indptr})


def test_a_deep_copy_is_independent_and_keeps_its_cache_right() -> None:
    layer = SparseLinear(5, 4, density=0.5, bias=True)
    x = torch.ones(1, 5, requires_grad=True)
    layer(x).sum().backward()
    twin = copy.deepcopy(layer)
    layer.set_topology(np.array([0, 7]), torch.ones(2))
    assert twin.n_synapses == 10
    x = torch.ones(1, 5, requires_grad=True)
    twin(x).sum().backward()
    torch.testing.assert_close(x.grad[0], twin.to_dense().sum(0))


# conversions


@given(layer=layers(bias=True))
def test_scipy_and_back_is_the_same_layer(layer: SparseLinear) -> None:
    twin = SparseLinear.from_scipy(layer.to_scipy(), bias=layer.bias)
    assert twin.sites.tolist() == layer.sites.tolist()
    assert torch.equal(twin.values, layer.values)
    assert twin.values.dtype == twin.bias.dtype == torch.float64
    assert torch.equal(twin.bias, layer.bias)
    assert np.array_equal(layer.to_scipy().toarray(), layer.to_dense().numpy())


def test_from_scipy_keeps_explicit_zeros_and_empty_rows() -> None:
    matrix = sp.coo_array((np.float32([3, 0]), ([1, 1], [0, 2])), shape=(3, 4))
    layer = SparseLinear.from_scipy(matrix)
    assert layer.sites.tolist() == [4, 6]
    assert layer.values.tolist() == [3.0, 0.0]
    assert layer(torch.ones(1, 4)).tolist() == [[0.0, 3.0, 0.0]]


def test_a_layer_without_synapses_gives_zero_current() -> None:
    layer = SparseLinear.from_scipy(sp.csr_array((2, 3), dtype=np.float32))
    x = torch.ones(1, 3, requires_grad=True)
    y = layer(x)
    y.sum().backward()
    assert y.tolist() == [[0.0, 0.0]]
    assert x.grad.tolist() == [[0.0, 0.0, 0.0]]
    assert layer.values.grad.shape == (0,)


def test_integer_matrices_become_floats() -> None:
    layer = SparseLinear.from_scipy(sp.csr_array(np.array([[0, 2], [3, 0]])))
    assert layer.values.dtype == torch.float32
    assert layer.values.tolist() == [2.0, 3.0]


def test_conversions_are_copies() -> None:
    matrix = sp.csr_array(np.float32([[1, 2]]))
    bias = torch.ones(1)
    layer = SparseLinear.from_scipy(matrix, bias=bias)
    with torch.no_grad():
        layer.values.mul_(0)
        layer.bias.mul_(0)
    assert matrix.toarray().tolist() == [[1.0, 2.0]]
    assert bias.tolist() == [1.0]
    exported = layer.to_scipy()
    exported.data[:] = 7
    assert layer.values.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("matrix", "bias", "message"),
    [
        (sp.coo_array((np.ones(2), ([0, 0], [1, 1])), shape=(1, 2)), None, "duplicate entries; call sum_duplicates"),
        (sp.csr_array(np.array([[np.nan]])), None, "weights must be finite real numbers, got float64"),
        (sp.csr_array(np.array([[1j]])), None, "weights must be finite real numbers, got complex128"),
        (sp.csr_array(np.ones((2, 3))), np.ones(3), r"bias: has shape \(3,\), the matrix has 2 rows"),
        (sp.coo_array(np.ones(3)), None, r"needs a matrix \(out_features, in_features\), got shape \(3,\)"),
    ],
)
def test_matrices_that_are_no_layer_are_refused(matrix: sp.sparray, bias: np.ndarray | None, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SparseLinear.from_scipy(matrix, bias=bias)


def test_set_topology_refuses_values_of_another_number() -> None:
    layer = SparseLinear(3, 2, density=1)
    with pytest.raises(ValidationError, match=re.escape("SparseLinear.values: (3,) values for (2,) sites")):
        layer.set_topology(np.array([0, 1]), torch.ones(3))


def test_it_says_what_it_is() -> None:
    layer = SparseLinear(784, 300, density=0.01, bias=True)
    assert repr(layer) == ("SparseLinear(in_features=784, out_features=300, n_synapses=2352, density=0.01, bias=True)")


@settings(max_examples=20)
@given(layer=layers())
def test_the_transposed_index_lists_every_synapse_once(layer: SparseLinear) -> None:
    pointers, rows, slots = (part.numpy() for part in layer.csc())
    columns = np.repeat(np.arange(layer.in_features), np.diff(pointers))
    assert sorted(slots.tolist()) == list(range(layer.n_synapses))
    assert (rows.astype(np.int64) * layer.in_features + columns == layer.sites[slots]).all()
