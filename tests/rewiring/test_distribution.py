"""How a density is shared out over layers; numbers from the literature and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurosparse.errors import UnknownNameError, ValidationError
from neurosparse.rewiring.distribution import distribute

LENET = [(300, 784), (100, 300), (10, 100)]


def percent(shapes: list[tuple[int, int]], density: float) -> list[float]:
    return [100 * k / (n * m) for k, (n, m) in zip(distribute(shapes, density), shapes, strict=True)]


@pytest.mark.parametrize(
    ("density", "expected"),
    [
        (0.05, [3.85, 11.1, 91.9]),
        (0.02, [1.54, 4.45, 36.7]),
        (0.0133, [1.02, 2.96, 24.4]),
        (0.01, [0.77, 2.23, 18.4]),
        (0.005, [0.38, 1.11, 9.2]),
    ],
)
def test_erdos_renyi_on_784_300_100_10(density: float, expected: list[float]) -> None:
    assert percent(LENET, density) == pytest.approx(expected, rel=0.015)


@pytest.mark.parametrize(("density", "expected"), [(0.05, [3.79, 100.0]), (0.01, [0.67, 26.9])])
def test_a_layer_that_would_overflow_is_full_and_the_others_share_the_rest(
    density: float, expected: list[float]
) -> None:
    assert percent([(800, 784), (10, 800)], density) == pytest.approx(expected, rel=0.01)


def test_erdos_renyi_by_hand() -> None:
    # K_l = eps (n + m): sizes 4 and 6 share 25 % of 3 + 9 sites, 3 synapses, as 4 : 6
    assert distribute([(1, 3), (3, 3)], 3 / 12) == [1, 3]  # 1.2 and 1.8, and every neuron of 3 needs one


def test_uniform_is_the_same_density_everywhere() -> None:
    assert distribute(LENET, 0.1, "uniform") == [23520, 3000, 100]


def test_a_density_per_layer_is_taken_as_it_is() -> None:
    # the budget Bellec et al. 2018 set by hand: 3552 synapses
    assert distribute(LENET, [0.01, 0.03, 0.3]) == [2352, 900, 300]
    assert distribute(LENET, np.array([0.01, 0.03, 0.3])) == [2352, 900, 300]


@pytest.mark.parametrize("distribution", ["uniform", "erdos_renyi"])
def test_density_one_is_full(distribution: str) -> None:
    assert distribute(LENET, 1.0, distribution) == [235200, 30000, 1000]
    assert distribute(LENET, 1, distribution) == [235200, 30000, 1000]


@given(
    shapes=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=5),
    density=st.floats(1e-4, 1),
)
def test_the_total_is_kept_wherever_no_layer_needs_its_minimum(shapes: list[tuple[int, int]], density: float) -> None:
    counts = distribute(shapes, density)
    total = density * sum(n * m for n, m in shapes)
    for count, (n, m) in zip(counts, shapes, strict=True):
        assert n <= count <= n * m
    if all(count > n for count, (n, _) in zip(counts, shapes, strict=True)):
        assert abs(sum(counts) - total) <= len(shapes) / 2 + 1e-6  # half a synapse of rounding each


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((LENET, 0.0), ValidationError, r"density: must lie in \(0, 1\], got 0"),
        ((LENET, 1.01), ValidationError, r"density: must lie in \(0, 1\], got 1.01"),
        ((LENET, float("nan")), ValidationError, r"density: must lie in \(0, 1\], got nan"),
        ((LENET, [0.1, 0.2]), ValidationError, "density: 2 values for 3 layers"),
        ((LENET, [0.1, 0.2, 2.0]), ValidationError, r"density: must lie in \(0, 1\], got 2"),
        (([], 0.5), ValidationError, "shapes: needs .* of at least one layer"),
        (([(0, 3)], 0.5), ValidationError, "shapes: needs"),
        ((LENET, 0.1, "erdos-renyi"), UnknownNameError, "'erdos-renyi' is not known. Did you mean 'erdos_renyi'"),
    ],
)  # fmt: skip
def test_impossible_requests_are_refused(arguments: tuple, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        distribute(*arguments)
