"""Who dies: small weights by hand, counts exact, ties decided."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scripted import one_layer

from neurosparse.errors import NeurosparseError, UnknownNameError, ValidationError
from neurosparse.rewiring.budget import Ramp
from neurosparse.rewiring.death import AdaptiveThreshold, SmallestMagnitude, TwoTailed, share_of
from neurosparse.rewiring.layer import SparseLayer
from neurosparse.rewiring.schedule import Event


def view(weights: list[float], n_in: int = 0) -> SparseLayer:
    module = one_layer(n_in or len(weights), 1, list(range(len(weights))), weights)
    return SparseLayer("layer", 0, "input", module, module.density, module.sites, None, np.zeros(len(weights)))


def dead(death: object, *layers: SparseLayer, event: Event | None = None) -> list[list[int]]:
    return [np.flatnonzero(mask).tolist() for mask in death.select(list(layers), event or Event(0.5))]


def test_the_smallest_of_each_layer_die() -> None:
    small, large = view([0.1, -0.4, 0.2, -0.3]), view([9.0, -7.0])
    assert dead(SmallestMagnitude(), small, large) == [[0, 2], [1]]


def test_the_smallest_of_the_whole_network_die() -> None:
    small, large = view([0.1, -0.4, 0.2, -0.3]), view([9.0, -7.0])
    assert dead(SmallestMagnitude("network"), small, large) == [[0, 2, 3], []]


def test_counts_are_rounded_down_and_of_equal_weights_the_first_die() -> None:
    layer = view([1.0, -1.0, 1.0, 1.0, 1.0])
    assert dead(SmallestMagnitude(), layer, event=Event(0.59)) == [[0, 1]]
    assert dead(SmallestMagnitude(), layer, event=Event(0.1)) == [[]]


@given(st.integers(1, 1000), st.integers(1, 100))
def test_a_share_is_that_of_the_decimal_fraction(n: int, percent: int) -> None:
    assert share_of(percent / 100, n) == n * percent // 100


def test_a_ramp_kills_as_many_more_as_it_takes() -> None:
    layer = view([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    death = SmallestMagnitude(ramp=Ramp(0.25))  # 8 synapses at the start, 2 at the end
    assert dead(death, layer, event=Event(0.25, 0.0)) == [[0, 1]], "the fraction, nothing to shrink yet"
    assert dead(death, layer, event=Event(0.25, 0.5)) == [[0, 1, 2]], "to 5 of 8"
    assert dead(death, layer, event=Event(0.25, 1.0)) == [[0, 1, 2, 3, 4, 5]]


def test_set_takes_its_fraction_from_either_tail() -> None:
    # positive: 0.1 0.2 0.3 0.4 -> the 2 smallest; negative: -5 -6 -> the one closest to 0, though |-5| is large
    assert dead(TwoTailed(), view([0.1, -6.0, 0.4, 0.2, -5.0, 0.3])) == [[0, 3, 4]]


def test_a_quantile_of_the_magnitude_would_be_something_else() -> None:
    layer = view([0.1, -6.0, 0.4, 0.2, -5.0, 0.3])
    assert dead(SmallestMagnitude(), layer) == [[0, 3, 5]]


def test_an_exact_zero_is_the_first_of_the_positive_tail_to_die() -> None:
    assert dead(TwoTailed(), view([0.3, 0.0, -0.2, -0.1]), event=Event(0.5)) == [[1, 3]]
    assert dead(TwoTailed(), view([-0.0, 0.3])) == [[0]]


def test_everything_below_the_threshold_dies_but_the_last_of_a_layer() -> None:
    death = AdaptiveThreshold(fraction=0.5, threshold=0.25)
    assert dead(death, view([0.1, -0.2, 0.3]), view([-0.01, 0.02])) == [[0, 1], [0]]


def test_the_threshold_is_doubled_after_too_few_deaths_and_halved_after_too_many() -> None:
    weights = view([k / 100 for k in range(1, 101)])
    death = AdaptiveThreshold(fraction=0.1, threshold=0.015)  # wants 10 of 100, tolerates 9 to 11
    seen = []
    for _ in range(4):
        seen.append((death.threshold, len(dead(death, weights)[0])))
    assert seen == [(0.015, 1), (0.03, 2), (0.06, 5), (0.12, 11)]
    assert death.threshold == 0.12, "11 of 10 is within 10 %"
    death.threshold = 0.125
    assert len(dead(death, weights)[0]) == 12
    assert death.threshold == 0.0625


def test_the_threshold_is_remembered() -> None:
    death, other = AdaptiveThreshold(), AdaptiveThreshold()
    dead(death, view([1.0, 2.0]))
    assert death.state_dict() == {"threshold": 2e-3}
    other.load_state_dict(death.state_dict())
    assert other.threshold == 2e-3
    with pytest.raises(ValidationError, match="threshold: must be finite and > 0, got -1"):
        other.load_state_dict({"threshold": -1})


@pytest.mark.parametrize("death", [SmallestMagnitude(), SmallestMagnitude("network"), TwoTailed(), AdaptiveThreshold()])
def test_a_diverged_layer_is_an_error_and_an_empty_one_is_not(death: object) -> None:
    with pytest.raises(NeurosparseError, match=r"layer\.values: 1 of 3 weights are NaN after the optimizer step"):
        dead(death, view([1.0, math.nan, 2.0]))
    empty = view([1.0])
    empty.module.set_topology(np.zeros(0, np.int64), torch.zeros(0, dtype=torch.float64))
    empty.sites = empty.module.sites
    assert dead(death, empty, view([1.0, 2.0]))[0] == []


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SmallestMagnitude("layers"), UnknownNameError, "scope: 'layers' is not known. Did you mean 'layer'"),
        (lambda: SmallestMagnitude("network", Ramp(0.5)), ValidationError, "ramp: is per layer"),
        (lambda: AdaptiveThreshold(fraction=1.0), ValidationError, r"fraction: must lie in \(0, 1\), got 1"),
        (lambda: AdaptiveThreshold(threshold=0), ValidationError, "threshold: must be finite and > 0, got 0"),
        (lambda: dead(TwoTailed(), view([1.0]), event=Event()), ValidationError, "schedule: says when to rewire but"),
    ],
)
def test_impossible_settings_are_refused(make: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
