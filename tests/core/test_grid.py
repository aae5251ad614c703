"""The exact grid: the row-sum condition by hand, and that sums on it do not depend on their order."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurosparse.core.grid import MIN_EXPONENT, cast, snap_to_grid
from neurosparse.core.network import INPUT, Input, Network, Population
from neurosparse.core.neurons import LIF
from neurosparse.core.projection import Projection
from neurosparse.errors import ValidationError

from .examples import assert_same_network, one_of_everything


def one_row(weights, *, bias=0.0, kind="spikes", dtype=np.float32, grid=None):
    """A network of one neuron whose incoming weights are `weights`."""
    projection = Projection.from_dense(INPUT, "a", np.array([weights], dtype))
    exponents = None if grid is None else {"a": grid}
    return Network(Input(len(weights), kind), [Population("a", 1, LIF(bias=bias))], [projection], grid=exponents)


def exponent(network):
    return snap_to_grid(network)[1].exponents["a"]


def test_the_finest_exponent_that_the_row_sum_allows_by_hand():
    # float32 has 24 significand bits: the sum of magnitudes must not exceed 2**(24 - q)
    assert exponent(one_row([0.5, -0.5])) == 24  # 1 <= 2**0
    assert exponent(one_row([0.5, -0.5, 0.25])) == 23  # 1.25 <= 2**1
    assert exponent(one_row([1.0, -1.0])) == 23  # 2 <= 2**1
    assert exponent(one_row([100.0, 156.0])) == 16  # 256 <= 2**8
    assert exponent(one_row([100.0, 157.0])) == 15  # 257 <= 2**9
    assert exponent(one_row([4096.0])) == 12  # 4096 <= 2**12


def test_the_bias_counts():
    assert exponent(one_row([0.5], bias=0.5)) == 24
    assert exponent(one_row([0.5], bias=-0.75)) == 23


def test_the_largest_row_decides():
    weights = Projection.from_dense(INPUT, "a", np.float32([[0.5, 0.0], [3.0, 1.0], [0.25, 0.25]]))
    network = Network(Input(2), [Population("a", 3, LIF())], [weights])
    assert exponent(network) == 22  # 4 <= 2**2


def test_all_projections_into_a_population_count_together():
    first = Projection.from_dense(INPUT, "a", np.float32([[1.0]]))
    loop = Projection.from_dense("a", "a", np.float32([[-3.0]]), delay=1)
    assert exponent(Network(Input(1), [Population("a", 1, LIF())], [first])) == 24
    assert exponent(Network(Input(1), [Population("a", 1, LIF())], [first, loop])) == 22


def test_a_graded_payload_takes_eight_bits_and_is_below_one():
    # |I| <= 255/256 |w| + |b| in units of 2**-(q + 8) must not exceed 2**24: 255/256 |w| + |b| <= 2**(16 - q)
    assert exponent(one_row([1.0], kind="graded")) == 16  # 255/256 <= 1
    assert exponent(one_row([1.004], kind="graded")) == 15
    assert exponent(one_row([1.0], kind="graded", bias=1 / 256)) == 16  # exactly 1
    assert exponent(one_row([1.0], kind="graded", bias=1 / 128)) == 15
    assert exponent(one_row([16.0], kind="graded")) == 12


def test_a_payload_costs_only_the_population_that_receives_it():
    populations = [Population("a", 1, LIF()), Population("b", 1, LIF())]
    projections = [
        Projection.from_dense(INPUT, "a", np.float32([[1.0]])),
        Projection.from_dense("a", "b", np.float32([[1.0]])),
    ]
    _, report = snap_to_grid(Network(Input(1, "graded"), populations, projections))
    assert report.exponents == {"a": 16, "b": 24}


def test_float64_uses_thirty_bits_and_has_room_for_eight_million():
    network = one_row([0.1, 1e6], dtype=np.float64)
    snapped, report = snap_to_grid(network)
    assert report.exponents == {"a": 30}
    assert report.largest_change <= 2.0**-31
    assert report.dtype == "float64"
    assert snapped.dtype == np.float64
    assert exponent(one_row([2.0**23 - 1], dtype=np.float64)) == 30
    assert exponent(one_row([2.0**23], dtype=np.float64)) == 29  # the bound itself is left out: see _holds


def test_a_float64_sum_just_beyond_the_bound_is_not_rounded_into_it():
    # 2**53 + 1 grid units: a float64 sum of the magnitudes gives 2**53, which must not pass
    q = 30
    weights = [float(2.0**23), 2.0**-q]
    with pytest.raises(ValidationError, match=r"too large for exact sums at 2\*\*-30"):
        one_row(weights, dtype=np.float64, grid=q)


def test_rounding_is_to_the_nearest_with_ties_to_even():
    # row sums above 8 and below 16 force 2**-20
    step = 2.0**-20
    weights = [10.0, 0.5 * step, 1.5 * step, 0.75 * step, -0.25 * step]
    network = one_row(weights)
    snapped, report = snap_to_grid(network)
    assert report.exponents == {"a": 20}
    assert snapped.projections[0].weights.tolist() == [10.0, 0.0, 2 * step, step, 0.0]
    assert report.largest_change == step / 2


def test_synapses_that_round_to_zero_stay_and_zero_has_no_sign():
    snapped, _ = snap_to_grid(one_row([1000.0, -1e-9]))
    assert snapped.n_synapses == 2
    assert snapped.projections[0].weights.tolist() == [1000.0, 0.0]
    assert not np.signbit(snapped.projections[0].weights[1])


def test_the_bias_is_rounded_too_and_the_change_reported():
    network = one_row([10.0], bias=0.1)
    snapped, report = snap_to_grid(network)
    (bias,) = snapped["a"].neuron.bias
    assert bias == np.round(np.float32(0.1) * 2**20) / 2**20
    assert report.largest_change == abs(float(bias) - float(np.float32(0.1))) > 0
    assert str(report).startswith("exact grid (float32): a 2^-20; largest change ")


def test_everything_else_is_kept():
    network = one_of_everything(grid=False)
    snapped, _ = snap_to_grid(network)
    assert snapped.grid is not None
    assert_same_network(dataclasses.replace(snapped, grid=None), network)  # its numbers are dyadic: nothing to round


@given(
    weights=st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=20),
    bias=st.floats(-5, 5, width=32),
    kind=st.sampled_from(["spikes", "graded"]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_snapping_moves_by_at_most_half_a_step_and_twice_is_once(weights, bias, kind, dtype):
    try:
        snapped, report = snap_to_grid(one_row(weights, bias=bias, kind=kind, dtype=dtype))
    except ValidationError:
        assert dtype == np.float32
        assert sum(map(abs, weights)) * 255 / 256 + abs(bias) > 2 ** (16 - MIN_EXPONENT) - 0.01
        return
    assert report.largest_change <= 2.0 ** -(report.exponents["a"] + 1)
    again, second = snap_to_grid(snapped)
    assert second.largest_change == 0
    assert again.projections[0].weights.tobytes() == snapped.projections[0].weights.tobytes()


def sums_in_any_order(terms, dtype, rng):
    """The sum of `terms` one after the other, pairwise, and from both ends, each in a random order."""
    terms = rng.permutation(terms).astype(dtype)
    sequential = dtype(0)
    for term in terms:
        sequential = dtype(sequential + term)
    layers = list(terms)
    while len(layers) > 1:
        layers = [dtype(sum(layers[i : i + 2], start=dtype(0))) for i in range(0, len(layers), 2)]
    cut = int(rng.integers(len(terms) + 1))
    halves = dtype(terms[:cut].sum(dtype=dtype) + terms[cut:].sum(dtype=dtype))
    return {sequential.tobytes(), layers[0].tobytes(), halves.tobytes()}


@given(
    weights=st.lists(st.floats(-30, 30, width=32), min_size=2, max_size=64),
    bias=st.floats(-4, 4, width=32),
    graded=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 2**32 - 1),
)
def test_on_the_grid_sums_have_the_same_bits_in_every_order(weights, bias, graded, dtype, seed):
    scale = 15 / max(sum(map(abs, weights)) + abs(bias), 1.0)  # within what graded float32 inputs allow
    network = one_row(
        [w * scale for w in weights], bias=bias * scale, kind="graded" if graded else "spikes", dtype=dtype
    )
    snapped, _ = snap_to_grid(network)
    rng = np.random.default_rng(seed)
    row = snapped.projections[0].to_scipy().toarray()[0]
    lines = rng.integers(256, size=len(weights)) / 256 if graded else rng.integers(2, size=len(weights))
    terms = np.append(row * lines.astype(dtype), snapped["a"].neuron.bias)
    results = set()
    for _ in range(4):
        results |= sums_in_any_order(terms, dtype, rng)
    # a matrix product may use a fused multiply-add: exact products and an exact sum, rounded once
    exact = sum(float(w) * float(x) for w, x in zip(row, lines, strict=True)) + float(snapped["a"].neuron.bias[0])
    results.add(dtype(exact).tobytes())
    assert len(results) == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blas_sparse_products_and_events_agree_bit_for_bit_on_the_grid(dtype):
    rng = np.random.default_rng(1)
    dense = (0.05 * rng.normal(size=(30, 500)) * (rng.random((30, 500)) < 0.4)).astype(dtype)
    network = Network(Input(500, "graded"), [Population("a", 30, LIF())], [Projection.from_dense(INPUT, "a", dense)])
    snapped, _ = snap_to_grid(network)
    matrix = snapped.projections[0].to_scipy()
    x = (rng.integers(256, size=(500, 7)) / 256).astype(dtype)
    events = np.zeros((30, 7), dtype)
    on_grid = matrix.toarray()
    for j in rng.permutation(500):
        events += on_grid[:, [j]] * x[[j]]
    for other in (on_grid @ x, matrix @ x, np.einsum("ij,jb->ib", on_grid, x)):
        assert other.tobytes() == events.tobytes()
    assert (dense @ x).tobytes() != (dense[:, ::-1].copy() @ x[::-1].copy()).tobytes()  # the same without the grid


def test_off_the_grid_the_order_shows():
    terms = np.float32([0.1, 0.2, 0.3, 0.4, 0.7, -0.6])
    rng = np.random.default_rng(0)
    results = set()
    for _ in range(20):
        results |= sums_in_any_order(terms, np.float32, rng)
    assert len(results) > 1
    snapped, _ = snap_to_grid(one_row(terms))
    on_grid = snapped.projections[0].weights
    results = set()
    for _ in range(20):
        results |= sums_in_any_order(on_grid, np.float32, rng)
    assert len(results) == 1


def test_just_beyond_the_row_sum_the_order_shows():
    # multiples of 1 whose sum is 2**24 + 2: the condition is not only sufficient
    terms = np.float32([2**24, 1, 1])
    assert np.float32(np.float32(terms[0] + terms[1]) + terms[2]) != np.float32(
        terms[0] + np.float32(terms[1] + terms[2])
    )
    with pytest.raises(
        ValidationError, match=r"Network.grid: the row sums into 'a' are too large for exact sums at 2\*\*-0"
    ):
        one_row(terms, grid=0)
    one_row([2**24 - 2, 1, 1], grid=0)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            one_row([4096.0, 1.0]),
            r"exact grid: the row sums of \|weights\| and \|bias\| into 'a' reach 4097, float32 sums at 2\*\*-12 allow "
            r"4096; use dtype='float64', or exact=False",
        ),
        (
            one_row([17.0], kind="graded"),
            r"into 'a' reach 16.93, float32 sums at 2\*\*-12 allow 16; use dtype='float64'",
        ),
        (
            one_row([1e300], dtype=np.float64),
            r"reach 1e\+300, float64 sums at 2\*\*-12 allow 2.19902e\+12; use exact=False$",
        ),
        (
            one_row([1.0], kind="analog"),
            r"Network.input: analog inputs lie on no grid; use kind='graded' or 'spikes', or ex",
        ),
    ],
)
def test_what_fits_no_grid_is_refused_with_the_way_out(network, message):
    with pytest.raises(ValidationError, match=message):
        snap_to_grid(network)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({}, r"Network.grid: needs one exponent in \[0, 60\] for each of a, got \{\}"),
        ({"a": 12, "b": 12}, r"Network.grid: needs one exponent .* got \{'a': 12, 'b': 12\}"),
        ({"a": -1}, r"Network.grid: needs one exponent"),
        ({"a": 61}, r"Network.grid: needs one exponent"),
        ({"a": 12.0}, r"Network.grid: needs one exponent"),
        ({"a": True}, r"Network.grid: needs one exponent"),
        ({3: 12, "a": 12}, r"Network.grid: needs one exponent"),
        (12, r"Network.grid: needs one exponent .* got 12"),
        ({"a": 1}, r"Network.grid: a weight or bias into 'a' is no multiple of 2\*\*-1"),
        ({"a": 24}, r"Network.grid: the row sums into 'a' are too large for exact sums at 2\*\*-24"),
    ],
)
def test_a_network_cannot_claim_a_grid_it_is_not_on(grid, message):
    good = one_row([0.5, -1.25])
    dataclasses.replace(good, grid={"a": np.int64(2)})
    with pytest.raises(ValidationError, match=message):
        dataclasses.replace(good, grid=grid)


def test_a_bias_off_the_grid_is_noticed():
    with pytest.raises(ValidationError, match=r"a weight or bias into 'a' is no multiple"):
        one_row([0.5], bias=0.1, grid=12)


def test_an_analog_input_has_no_grid():
    with pytest.raises(ValidationError, match=r"Network.grid: analog inputs lie on no grid; grid must be None"):
        one_row([0.5], kind="analog", grid=12)


def test_cast_changes_every_number_and_drops_the_grid():
    network = one_of_everything()
    double = cast(network, "float64")
    assert double.dtype == np.float64
    assert double.grid is None
    assert all(getattr(p.neuron, n).dtype == np.float64 for p in double.populations for n in p.neuron.parameters)
    assert_same_network(cast(double, np.float32), dataclasses.replace(network, grid=None))


def test_cast_refuses_what_the_type_cannot_hold():
    with pytest.raises(ValidationError, match=r"Projection input->a.weights: must be finite, got inf at synapse 0"):
        cast(one_row([1e300], dtype=np.float64), np.float32)
    with pytest.raises(ValidationError, match=r"Projection input->a.weights: must be float32 or float64, got float16"):
        cast(one_row([1.0]), np.float16)
