"""What every registered backend promises: the reference's spikes and voltages, bit for bit, or a reason why not."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from networks import N_SAMPLES, N_STEPS, Case, case_names, make_case, merge

import neurosparse as ns
from neurosparse.backends.base import BACKENDS, Backend, get_backend
from neurosparse.errors import UnsupportedError

# One start of these costs seconds (a compiler, another interpreter), so they get many networks in one: those whose
# input is of one of these kinds.
SLOW_TO_START = {"brian2-standalone": ["spikes and graded"], "lava": ["spikes", "graded"]}
MARKERS = {
    "lava": [pytest.mark.lava],
    "brian2-cython": [pytest.mark.compiler],
    "brian2-standalone": [pytest.mark.compiler],
}
DTYPES = ["float32", "float64"]

# What an engine may refuse. A new entry here is a decision, not an accident.
STEP_PER_HOP = {"brian2", "brian2-cython", "brian2-standalone", "lava"}
KNOWN_GAPS = {(name, "loop_shorter_than_its_hops") for name in STEP_PER_HOP}


def _named(names: list[str]) -> list[object]:
    return [pytest.param(name, marks=MARKERS.get(name, [])) for name in names]


def _installed(name: str) -> Backend:
    backend = get_backend(name)
    line = backend.missing()
    if line is not None:
        pytest.skip(f"{name}: {line}")
    return backend


@cache
def _case(name: str, dtype: str) -> Case:
    return make_case(name, dtype)


@cache
def _expected(name: str, dtype: str) -> ns.Recording:
    case = _case(name, dtype)
    return ns.simulate(case.network, case.inputs, backend="reference", record="voltages")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", case_names())
def test_every_network_is_alive_so_that_agreeing_on_it_means_something(name: str, dtype: str) -> None:
    recording = _expected(name, dtype)
    assert recording.n_steps == N_STEPS
    assert recording.n_samples == N_SAMPLES
    assert recording.n_spikes > 0
    assert any(np.unique(voltage).size > 5 for voltage in recording.voltages.values())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", case_names())
@pytest.mark.parametrize("backend", _named([name for name in BACKENDS if name not in SLOW_TO_START]))
def test_spikes_and_voltages_are_the_references_bit_for_bit(backend: str, case: str, dtype: str) -> None:
    engine, network, inputs = _installed(backend), _case(case, dtype).network, _case(case, dtype).inputs
    reasons = engine.unsupported(network)
    if reasons:
        with pytest.raises(UnsupportedError):
            ns.simulate(network, inputs, backend=engine)
        pytest.xfail("; ".join(reasons))
    comparison = ns.parity(_expected(case, dtype), ns.simulate(network, inputs, backend=engine, record="voltages"))
    assert comparison.identical, str(comparison)
    assert comparison.voltage_mismatches == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("backend", "kinds"),
    [pytest.param(name, kinds, marks=MARKERS[name]) for name in SLOW_TO_START for kinds in SLOW_TO_START[name]],
)
def test_spikes_and_voltages_are_the_references_bit_for_bit_in_one_start(backend: str, kinds: str, dtype: str) -> None:
    engine = _installed(backend)
    cases = [case for case in (_case(name, dtype) for name in case_names()) if case.network.input.kind in kinds]
    supported = [case for case in cases if not engine.unsupported(case.network)]
    merged = merge(supported)
    actual = ns.simulate(merged.network, merged.inputs, backend=engine, record="voltages")
    expected = ns.simulate(merged.network, merged.inputs, backend="reference", record="voltages")
    comparison = ns.parity(expected, actual)
    assert comparison.identical, str(comparison)
    assert comparison.voltage_mismatches == 0
    for case in supported:  # and merging changed nothing
        for name, raster in _expected(case.name, dtype).spikes.items():
            np.testing.assert_array_equal(raster, actual.spikes[f"{case.name}.{name}"], err_msg=case.name)


@pytest.mark.parametrize("backend", BACKENDS.names())
def test_only_the_known_gaps_are_declared_each_with_a_reason(backend: str) -> None:
    reasons = {name: get_backend(backend).unsupported(_case(name, "float32").network) for name in case_names()}
    assert {(backend, name) for name in reasons if reasons[name]} == {gap for gap in KNOWN_GAPS if gap[0] == backend}
    assert all(reason.strip() for given in reasons.values() for reason in given)


@pytest.mark.parametrize("backend", _named([name for name in BACKENDS if name not in SLOW_TO_START]))
def test_voltages_are_recorded_of_readouts_only_unless_asked_for(backend: str) -> None:
    engine, case = _installed(backend), _case("li_readout", "float32")
    recording = ns.simulate(case.network, case.inputs, backend=engine)
    assert set(recording.spikes) == {"a", "out"}
    assert set(recording.voltages) == {"out"}
    assert set(recording.v_thresholds) == {"a"}
    assert recording.backend == backend
    assert recording.dt == case.network.dt


@pytest.mark.parametrize("backend", _named([name for name in BACKENDS if name not in SLOW_TO_START]))
def test_a_sample_does_the_same_alone_as_in_a_batch(backend: str) -> None:
    engine, case = _installed(backend), _case("recurrent", "float32")
    together = ns.simulate(case.network, case.inputs, backend=engine)
    for sample in range(N_SAMPLES):
        alone = ns.simulate(case.network, case.inputs[:, sample], backend=engine)
        for name, raster in together.spikes.items():
            np.testing.assert_array_equal(raster[:, sample : sample + 1], alone.spikes[name])


@pytest.mark.parametrize("backend", _named([name for name in BACKENDS if name not in SLOW_TO_START]))
@pytest.mark.parametrize("shape", [(0, 2, 4), (5, 0, 4), (1, 1, 4)], ids=["no steps", "no samples", "one step"])
def test_recordings_have_the_shape_of_the_input_however_small(backend: str, shape: tuple[int, int, int]) -> None:
    engine, case = _installed(backend), _case("recurrent", "float32")
    recording = ns.simulate(case.network, np.ones(shape, bool), backend=engine, record="voltages")
    for population in case.network.populations:
        assert recording.spikes[population.name].shape == (*shape[:2], population.n)
        assert recording.voltages[population.name].shape == (*shape[:2], population.n)
        assert recording.voltages[population.name].dtype == np.float32


@pytest.mark.parametrize("backend", BACKENDS.names())
def test_a_backend_is_named_as_it_is_registered_and_says_what_it_lacks(backend: str) -> None:
    engine = get_backend(backend)
    assert isinstance(engine, Backend)
    assert engine.name == backend
    line = engine.missing()
    assert line is None or line.strip()
