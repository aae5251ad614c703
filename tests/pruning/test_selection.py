"""Exact numbers of largest entries, whatever the ties."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neurosparse.errors import NeurosparseError
from neurosparse.pruning.selection import largest, largest_overall


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=30), st.integers(0, 35))
def test_exactly_k_are_chosen_none_smaller_than_one_left_out(values: list[int], k: int) -> None:
    scores = torch.tensor(values, dtype=torch.float64)
    mask = largest(scores, k)
    assert int(mask.sum()) == min(k, len(values))
    if mask.any() and not mask.all():
        assert scores[mask].min() >= scores[~mask].max()
        ties = scores == scores[mask].min()
        chosen = mask[ties].long()
        assert bool((chosen.diff() <= 0).all()), "among equals the first"


@given(st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=8), min_size=1, max_size=4), st.integers(0, 35))
def test_over_all_layers_exactly_k_are_chosen_and_no_layer_is_emptied(layers: list[list[int]], k: int) -> None:
    scores = [torch.tensor(values, dtype=torch.float64) for values in layers]
    masks = largest_overall(scores, k)
    n = sum(len(values) for values in layers)
    assert sum(int(mask.sum()) for mask in masks) == min(max(k, len(layers)), n)
    assert all(bool(mask.any()) for mask in masks)


def test_a_diverged_training_is_an_error() -> None:
    with pytest.raises(NeurosparseError, match="2 of 3 weights are NaN; the training diverged"):
        largest(torch.tensor([float("nan"), 1.0, float("nan")]), 2)
