"""The choice between masked additions, event lists and BLAS follows the costs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from neurosparse.errors import ValidationError
from neurosparse.kernels.choice import Costs, Plan, plan
from neurosparse.kernels.events import spikes_per_word

N, WORDS = 256, 200


def spikes(busy: float, each: int = 0xFFFF) -> np.ndarray:
    words = np.zeros((N, WORDS), np.uint16)
    words[:, : round(busy * WORDS)] = each
    return words


def choose(density: float, rows: np.ndarray, costs: Costs | None = None) -> Plan:
    return plan(N, N, round(density * N * N), rows, costs or Costs())


@pytest.mark.parametrize(
    ("density", "busy", "expected"),
    [
        (0.2, 0.01, Plan(False, True, True)),
        (0.2, 1.0, Plan(False, False, False)),
        (1.0, 1.0, Plan(True, False, False)),
    ],
)
def test_low_activity_takes_events_high_density_blas_and_the_rest_words(
    density: float, busy: float, expected: Plan
) -> None:
    assert choose(density, spikes(busy)) == expected


def test_the_costs_decide() -> None:
    free = dataclasses.replace(Costs(), dense=1e-6, stream=1e-6)
    assert choose(0.05, spikes(0.01), free).dense
    slow = dataclasses.replace(Costs(), dense=1e6)
    assert not choose(1.0, spikes(1.0), slow).dense


def test_events_are_for_spikes_only() -> None:
    assert choose(0.05, np.zeros((N, WORDS * 16), np.float32)) == Plan(False, False, False)


@pytest.mark.parametrize("strange", [np.nan, np.inf])
def test_rows_with_a_value_that_is_not_finite_never_meet_the_dense_product(strange: float) -> None:
    rows = np.zeros((N, WORDS * 16), np.float32)
    assert choose(1.0, rows).dense
    rows[3, 7] = strange
    assert not choose(1.0, rows).dense


def test_an_empty_layer_has_a_plan() -> None:
    assert plan(3, 4, 0, np.zeros((4, 0), np.uint16), Costs()) is not None
    assert spikes_per_word(np.zeros((4, 0), np.uint16)) == 0.0


def test_activity_is_estimated_from_a_sample_of_the_neurons() -> None:
    words = np.zeros((1000, 10), np.uint16)
    words[:, :3] = 7
    assert spikes_per_word(words) == pytest.approx(0.9)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), "fast"])
def test_a_cost_that_is_no_positive_number_is_refused(value: object) -> None:
    with pytest.raises(ValidationError, match=r"Costs\.dense: is .* would have to be a positive finite number of ns"):
        Costs(dense=value)  # type: ignore[arg-type]
