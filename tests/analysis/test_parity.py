"""Parity reports by hand: who spikes, where, when, and by which margin."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurosparse.analysis.parity import parity
from neurosparse.core.recording import Recording
from neurosparse.errors import ValidationError


def _recording(backend: str = "", *, v: Any = None, **spikes: Any) -> Recording:
    """Return a recording of populations of shape (4 steps, 2 samples, 3 neurons), silent but at the given sites."""
    rasters = {name: np.zeros((4, 2, 3), bool) for name in ("a", "b")}
    for name, sites in spikes.items():
        for site in sites:
            rasters[name][site] = True
    voltages = {} if v is None else {"a": np.array(v, np.float32)}
    thresholds = {"a": np.float32([1.0, 2.0, 3.0]), "b": np.float32([1.0, 1.0, 1.0])}
    return Recording(rasters, voltages, thresholds, backend=backend)


def test_the_same_spikes_are_identical_and_counted() -> None:
    result = parity(
        _recording(a=[(0, 0, 0), (3, 1, 2)], b=[(1, 1, 1)]), _recording(a=[(0, 0, 0), (3, 1, 2)], b=[(1, 1, 1)])
    )
    assert result
    assert result.identical
    assert str(result) == "identical: 3 spikes in 2 populations x 4 steps x 2 samples"
    assert result.first_difference is None
    assert result.voltage_mismatches is None


def test_the_first_difference_is_the_earliest_over_all_populations() -> None:
    a = _recording("reference", a=[(2, 0, 1), (3, 1, 0)], b=[(1, 1, 2)])
    b = _recording("brian2", a=[(3, 1, 0)], b=[])
    result = parity(a, b)
    assert not result
    first = result.first_difference
    assert first is not None
    assert (first.population, first.step, first.sample, first.neuron) == ("b", 1, 1, 2)
    assert first.only_in == "a"
    assert first.margin is None
    assert result.mismatches == 2
    assert result.populations["a"].spikes_a == 2
    assert result.populations["a"].spikes_b == 1
    assert result.populations["a"].mismatches == 1
    assert str(result).splitlines() == [
        "first difference: population 'b', step 1, sample 1, neuron 2: only reference spikes",
        "  a: 2 and 1 spikes, 1 mismatches",
        "  b: 1 and 0 spikes, 1 mismatches",
    ]


def test_within_a_step_the_first_population_then_sample_then_neuron_counts() -> None:
    b = _recording(a=[(2, 1, 0), (2, 0, 2)], b=[(2, 0, 0)])
    first = parity(_recording(), b).first_difference
    assert first is not None
    assert (first.population, first.sample, first.neuron, first.only_in) == ("a", 0, 2, "b")


def test_the_margin_is_from_the_recording_that_stays_silent() -> None:
    silent_v, spiking_v = np.zeros((4, 2, 3)), np.zeros((4, 2, 3))
    silent_v[2, 1, 1] = 2.0 - 2**-10  # the threshold of neuron 1 is 2
    spiking_v[2, 1, 1] = 0.0  # has been reset already
    spiking, silent = _recording("x", a=[(2, 1, 1)], v=spiking_v), _recording("y", v=silent_v)
    for result, only_in in ((parity(spiking, silent), "a"), (parity(silent, spiking), "b")):
        assert result.first_difference is not None
        assert result.first_difference.margin == -(2**-10)
        assert result.first_difference.only_in == only_in
        assert "only x spikes; in y it was -0.000977 from its threshold" in str(result)


def test_voltages_are_compared_where_both_have_them() -> None:
    v, w = np.zeros((4, 2, 3)), np.zeros((4, 2, 3))
    w[1, 0, 0], w[3, 1, 2] = 0.25, -0.5
    result = parity(_recording(v=v), _recording(v=w))
    assert not result.identical
    assert result.mismatches == 0
    assert result.voltage_mismatches == 2
    assert result.populations["a"].largest_voltage_difference == 0.5
    assert result.populations["b"].voltage_mismatches is None
    assert str(result).splitlines() == [
        "all spikes identical in 2 populations x 4 steps x 2 samples",
        "  a: 0 and 0 spikes, 0 mismatches; 2 voltages differ, by at most 0.5",
        "  b: 0 and 0 spikes, 0 mismatches",
    ]
    assert parity(_recording(v=v), _recording())
    assert str(parity(_recording(v=v), _recording(v=v))).endswith("samples, voltages included")


def test_the_smallest_difference_of_a_voltage_is_one() -> None:
    v = np.ones((4, 2, 3), np.float32)
    w = v.copy()
    w[0, 0, 0] = np.nextafter(np.float32(1), np.float32(2))
    result = parity(_recording(v=v), _recording(v=w))
    assert result.voltage_mismatches == 1
    assert result.populations["a"].largest_voltage_difference == 2.0**-23


def test_nan_is_the_same_as_nan_and_different_from_a_number() -> None:
    v = np.full((4, 2, 3), np.nan)
    assert parity(_recording(v=v), _recording(v=v))
    result = parity(_recording(v=v), _recording(v=np.zeros((4, 2, 3))))
    assert result.voltage_mismatches == 24
    assert np.isnan(result.populations["a"].largest_voltage_difference or 0.0)


def test_it_is_plain_data_for_json() -> None:
    a, b = _recording("reference", a=[(0, 1, 2)], v=np.zeros((4, 2, 3))), _recording("lava", v=np.zeros((4, 2, 3)))
    plain = json.loads(json.dumps(parity(a, b).to_dict()))
    assert plain["identical"] is False
    assert plain["backends"] == ["reference", "lava"]
    assert plain["first_difference"] == {
        "population": "a", "sample": 1, "neuron": 2, "step": 0, "only_in": "a", "margin": -3.0,
    }  # fmt: skip
    assert plain["populations"]["a"]["mismatches"] == 1
    assert plain["populations"]["b"]["voltage_mismatches"] is None
    assert json.loads(json.dumps(parity(a, a).to_dict()))["first_difference"] is None


def test_recordings_of_different_things_are_refused_by_name() -> None:
    a = _recording()
    with pytest.raises(ValidationError, match="different populations: 'b' only in a"):
        parity(a, Recording({"a": a.spikes["a"]}))
    with pytest.raises(ValidationError, match=r"spikes of 'a' .*\(4, 2, 3\) and \(5, 2, 3\)"):
        parity(a, Recording({"a": np.zeros((5, 2, 3), bool), "b": np.zeros((5, 2, 3), bool)}))


@given(st.integers(0, 2**32 - 1), st.floats(0, 0.3))
def test_mismatches_count_every_site_that_differs_and_swapping_swaps(seed: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    rasters = [{name: rng.random((5, 2, 4)) < rate for name in "xyz"} for _ in range(2)]
    a, b = (Recording(r) for r in rasters)
    forth, back = parity(a, b), parity(b, a)
    expected = sum(int((rasters[0][n] != rasters[1][n]).sum()) for n in "xyz")
    assert forth.mismatches == back.mismatches == expected
    assert forth.identical == (expected == 0)
    if expected:
        first, other = forth.first_difference, back.first_difference
        assert first is not None
        assert other is not None
        assert {first.only_in, other.only_in} == {"a", "b"}
        for n in "xyz":
            assert not (rasters[0][n] != rasters[1][n])[: first.step].any()
        assert (rasters[0][first.population] != rasters[1][first.population])[first.step, first.sample, first.neuron]
