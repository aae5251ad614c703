"""Inputs, recording and network are of one size, or the error says which is not."""

from __future__ import annotations

import numpy as np
import pytest

from neurosparse.core.matching import matching_inputs
from neurosparse.core.network import Input, Network, Population
from neurosparse.core.neurons import LIF
from neurosparse.core.recording import Recording
from neurosparse.errors import ValidationError

NETWORK = Network(Input(3), [Population("a", 2, LIF())], [])


def recorded(n: int = 2, n_samples: int = 1) -> Recording:
    return Recording({"a": np.zeros((4, n_samples, n), bool)})


def test_inputs_without_a_batch_axis_get_one() -> None:
    assert matching_inputs("count", NETWORK, recorded(), np.zeros((4, 3))).shape == (4, 1, 3)


@pytest.mark.parametrize(
    ("recording", "shape", "message"),
    [
        (
            recorded(),
            (5, 1, 3),
            r"count\.inputs: have shape \(5, 1, 3\), the recording of this network needs \(4, 1, 3\)",
        ),
        (recorded(), (4, 1, 2), r"needs \(4, 1, 3\)"),
        (recorded(n=5), (4, 1, 3), r"count\.recording: has 5 neurons of 'a', the network has 2"),
        (recorded(n_samples=0), (4, 0, 3), r"count\.inputs: are empty, shape \(4, 0, 3\)"),
    ],
)
def test_what_is_of_something_else_is_named(recording: Recording, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        matching_inputs("count", NETWORK, recording, np.zeros(shape), empty=False)


def test_nothing_at_all_is_an_input_where_nobody_divides_by_it() -> None:
    assert matching_inputs("count", NETWORK, recorded(n_samples=0), np.zeros((4, 0, 3))).size == 0
