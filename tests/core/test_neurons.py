"""The update equations, worked by hand; all numbers are exact in float32, so equality is equality of bits."""

import copy
import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurosparse.core.neurons import (
    LI,
    LIF,
    NEURON_MODELS,
    CubaLIF,
    beta_from_tau,
    beta_from_tau_euler,
    tau_from_beta,
    tau_from_beta_euler,
)
from neurosparse.errors import UnknownNameError, ValidationError


def run(neuron, currents, dtype=np.float32):
    """Step one neuron of one sample through `currents`; return its voltages and spikes."""
    neuron = neuron.broadcast(1, np.dtype(dtype))
    state = neuron.initial_state((1, 1), np.dtype(dtype))
    voltages, spikes = [], []
    for current in currents:
        fired = neuron.step(state, np.array([[current]], dtype))
        assert fired.dtype == bool
        assert fired.shape == (1, 1)
        assert state["v"].dtype == dtype
        voltages.append(float(state["v"][0, 0]))
        spikes.append(bool(fired[0, 0]))
    return voltages, spikes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lif_leaks_by_beta_per_step(dtype):
    voltages, spikes = run(LIF(beta=0.5), [0.5, 0.25, 0.0, 0.0], dtype)
    assert voltages == [0.5, 0.5, 0.25, 0.125]
    assert spikes == [False] * 4


def test_a_subtracting_lif_loses_its_threshold_in_the_step_after_the_spike():
    # 2; 0.5*2 + 0 - 1 = 0; 0.5*0 + 1.5; 0.5*1.5 + 0.75 - 1 = 0.5
    voltages, spikes = run(LIF(beta=0.5, reset="subtract"), [2.0, 0.0, 1.5, 0.75])
    assert voltages == [2.0, 0.0, 1.5, 0.5]
    assert spikes == [True, False, True, False]


def test_a_subtracting_lif_fires_again_while_enough_is_left():
    # without leak: 3.5, then 3.5 - 1 = 2.5, 1.5, 0.5
    voltages, spikes = run(LIF(beta=1.0), [3.5, 0.0, 0.0, 0.0])
    assert voltages == [3.5, 2.5, 1.5, 0.5]
    assert spikes == [True, True, True, False]


def test_a_zero_reset_acts_in_the_step_of_the_spike():
    # 2 -> 0; 0.5*0 + 0.75; 0.5*0.75 + 0.75 = 1.125 -> 0
    voltages, spikes = run(LIF(beta=0.5, reset="zero"), [2.0, 0.75, 0.75, 0.0])
    assert voltages == [0.0, 0.75, 0.0, 0.0]
    assert spikes == [True, False, True, False]


def test_without_reset_a_spike_changes_nothing():
    voltages, spikes = run(LIF(beta=0.5, reset="none"), [2.0, 0.5, 0.0])
    assert voltages == [2.0, 1.5, 0.75]
    assert spikes == [True, True, False]


@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
@pytest.mark.parametrize("model", [LIF, CubaLIF])
def test_touching_the_threshold_is_no_spike(model, reset):
    assert run(model(v_threshold=1.5, reset=reset), [1.5]) == ([1.5], [False])
    just_above = float(np.nextafter(np.float32(1.5), np.float32(2)))
    assert run(model(v_threshold=1.5, reset=reset), [just_above])[1] == [True]


def test_cuba_lif_filters_its_current():
    # c: 1, 0.5, 0.25; v: 1, 0.25*1 + 0.5 = 0.75, 0.25*0.75 + 0.25 = 0.4375
    voltages, spikes = run(CubaLIF(alpha=0.5, beta=0.25, v_threshold=2.0), [1.0, 0.0, 0.0])
    assert voltages == [1.0, 0.75, 0.4375]
    assert spikes == [False] * 3


def test_a_subtracting_cuba_lif_keeps_its_current():
    # c: 2, 1, 0.5; v: 2, 0.5*2 + 1 - 1 = 1, 0.5*1 + 0.5 = 1 (the step before had no spike: 1 is not above 1)
    voltages, spikes = run(CubaLIF(alpha=0.5, beta=0.5), [2.0, 0.0, 0.0])
    assert voltages == [2.0, 1.0, 1.0]
    assert spikes == [True, False, False]


def test_a_zero_reset_of_cuba_lif_keeps_its_current():
    # c: 4, 2, 1, 0.5; v: 4 -> 0, 2 -> 0, 1, 0.5 + 0.5
    voltages, spikes = run(CubaLIF(alpha=0.5, beta=0.5, reset="zero"), [4.0, 0.0, 0.0, 0.0])
    assert voltages == [0.0, 0.0, 1.0, 1.0]
    assert spikes == [True, True, False, False]


def test_cuba_lif_without_reset():
    # c: 2, 1; v: 2, 0.5*2 + 1 = 2
    voltages, spikes = run(CubaLIF(alpha=0.5, beta=0.5, reset="none"), [2.0, 0.0])
    assert voltages == [2.0, 2.0]
    assert spikes == [True, True]


def test_a_leaky_integrator_never_spikes():
    voltages, spikes = run(LI(beta=0.5), [100.0, 0.0, -50.0])
    assert voltages == [100.0, 50.0, -25.0]
    assert spikes == [False] * 3


def test_the_update_is_one_rounding_per_operation():
    # with the product rounded to float32 first it is 1.1099999; a fused multiply-add would give 1.11
    beta, v, current = np.float32(0.9), np.float32(0.9), np.float32(0.3)
    product = np.float32(float(beta) * float(v))
    expected = np.float32(float(product) + float(current))
    neuron = LIF(beta=beta, reset="none").broadcast(1, np.dtype(np.float32))
    state = {"v": np.array([[v]]), "s": np.zeros((1, 1), np.float32)}
    neuron.step(state, np.array([[current]]))
    assert state["v"][0, 0] == expected
    assert expected != np.float32(float(beta) * float(v) + float(current))


def test_every_neuron_and_sample_has_its_own_state_and_parameters():
    neuron = LIF(beta=[0.5, 1.0], v_threshold=[1.0, 3.0]).broadcast(2, np.dtype(np.float32))
    state = neuron.initial_state((3, 2), np.dtype(np.float32))
    spikes = neuron.step(state, np.float32([[2, 2], [0, 4], [1, 3]]))
    assert spikes.tolist() == [[True, False], [False, True], [False, False]]
    neuron.step(state, np.zeros((3, 2), np.float32))
    assert state["v"].tolist() == [[0, 2], [0, 1], [0.5, 3]]


def test_the_state_at_rest_is_zero():
    for model, names in ((LIF, {"v", "s"}), (CubaLIF, {"c", "v", "s"}), (LI, {"v", "s"})):
        state = model().initial_state((2, 3), np.dtype(np.float64))
        assert set(state) == names
        assert all(array.shape == (2, 3) and not array.any() for array in state.values())


def test_the_registry_of_models_is_complete():
    assert [*NEURON_MODELS.values()] == [LIF, CubaLIF, LI]
    for name, model in NEURON_MODELS.items():
        assert name == model.__name__
        assert [*model.parameters] == [f.name for f in dataclasses.fields(model) if f.name != "reset"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beta": 1.5}, r"LIF.beta: a decay per step lies in \[0, 1\], got 1.5$"),
        ({"beta": [0.5, -0.25]}, r"LIF.beta: a decay per step lies in \[0, 1\], got -0.25 at index 1$"),
        ({"beta": float("nan")}, r"LIF.beta: a decay per step lies in \[0, 1\], got nan$"),
        (
            {"v_threshold": 0},
            r"LIF.v_threshold: must be finite and > 0 \(a neuron without threshold is an LI\), got 0.0$",
        ),
        ({"v_threshold": [1.0, np.inf]}, r"LIF.v_threshold: must be finite and > 0 .*, got inf at index 1$"),
        ({"bias": [0.0, 1.0, np.nan]}, r"LIF.bias: must be finite, got nan at index 2$"),
        ({"bias": -np.inf}, r"LIF.bias: must be finite, got -inf$"),
        ({"beta": "0.9"}, r"LIF.beta: must be a number or one number per neuron, got <U3 of shape "),
        ({"beta": True}, r"LIF.beta: must be a number or one number per neuron, got bool of shape "),
        ({"beta": None}, r"LIF.beta: must be a number or one number per neuron, got object of shape "),
        ({"beta": [[0.5]]}, r"LIF.beta: must be a number or one number per neuron, got float64 of shape \(1, 1\)"),
        (
            {"beta": [0.5, [0.5, 0.5]]},
            "LIF.beta: must be a number or one number per neuron, got rows of diff",
        ),
    ],
)
def test_impossible_parameters_are_refused(arguments, message):
    with pytest.raises(ValidationError, match=message):
        LIF(**arguments)


def test_the_errors_name_the_model():
    with pytest.raises(ValidationError, match=r"CubaLIF.alpha: a decay per step lies in"):
        CubaLIF(alpha=2)
    with pytest.raises(ValidationError, match=r"LI.beta: a decay per step lies in"):
        LI(beta=2)


@pytest.mark.parametrize("model", [LIF, CubaLIF])
def test_an_unknown_reset_gets_the_near_miss(model):
    with pytest.raises(
        UnknownNameError, match=r"\.reset: 'substract' is not known. Did you mean 'subtract'\? Known: none,"
    ):
        model(reset="substract")


def test_a_leaky_integrator_has_no_reset():
    with pytest.raises(TypeError, match=r"reset"):
        LI(reset="zero")


def test_parameters_are_copies_that_cannot_be_changed():
    beta = np.array([0.5, 0.5])
    neuron = LIF(beta=beta)
    beta[0] = 0.75
    assert neuron.beta.tolist() == [0.5, 0.5]
    with pytest.raises(ValueError, match=r"read-only"):
        neuron.beta[0] = 1
    with pytest.raises(AttributeError):
        neuron.beta = 1


def test_broadcasting_gives_one_value_per_neuron_in_the_type_of_the_network():
    neuron = CubaLIF(alpha=0.1, beta=[0.2, 0.3]).broadcast(2, np.dtype(np.float32))
    assert neuron.alpha.tolist() == [np.float32(0.1)] * 2
    assert neuron.beta.dtype == np.float32
    assert neuron.reset == "subtract"
    with pytest.raises(ValidationError, match=r"CubaLIF.alpha: has 2 values, the population has 3 neurons"):
        neuron.broadcast(3, np.dtype(np.float32))


def test_a_value_that_float32_cannot_hold_is_refused_when_it_is_cast():
    with pytest.raises(ValidationError, match=r"LIF.v_threshold: must be finite and > 0 .* got inf at index 0"):
        LIF(v_threshold=1e39).broadcast(1, np.dtype(np.float32))
    with pytest.raises(ValidationError, match=r"LIF.v_threshold: must be finite and > 0 .* got 0.0 at index 0"):
        LIF(v_threshold=1e-60).broadcast(1, np.dtype(np.float32))


def test_neurons_print_their_parameters():
    assert repr(LIF(beta=0.9)) == "LIF(beta=0.9, v_threshold=1, bias=0, reset='subtract')"
    assert repr(LI(beta=[0.5, 0.75, 0.5])) == "LI(beta=0.5..0.75, bias=0)"


def test_neurons_can_be_copied_and_sent_to_another_process():
    neuron = CubaLIF(alpha=[0.5, 0.25], reset="zero")
    for other in (copy.deepcopy(neuron), pickle.loads(pickle.dumps(neuron))):
        assert other.alpha.tolist() == [0.5, 0.25]
        assert other.reset == "zero"


def test_decays_and_time_constants_by_hand():
    assert beta_from_tau(10e-3, dt=1e-3) == pytest.approx(0.904837418, abs=1e-9)  # exp(-0.1)
    assert tau_from_beta(0.5, dt=1e-3) == pytest.approx(1.442695e-3, abs=1e-9)  # 1 ms / ln 2
    assert beta_from_tau_euler(10e-3, dt=1e-3) == pytest.approx(0.9)
    assert tau_from_beta_euler([0.9, 0.5], dt=1e-3).tolist() == pytest.approx([10e-3, 2e-3])


def test_the_ends_of_the_range_of_decays():
    assert tau_from_beta([0, 1], dt=1e-3).tolist() == [0, np.inf]
    assert tau_from_beta_euler([0, 1], dt=1e-3).tolist() == [1e-3, np.inf]
    assert beta_from_tau(np.inf, dt=1e-3) == 1
    assert beta_from_tau_euler([1e-3, np.inf], dt=1e-3).tolist() == [0, 1]


@given(beta=st.floats(1e-6, 1 - 1e-6), dt=st.floats(1e-6, 1.0))
def test_time_constants_and_decays_are_inverse(beta, dt):
    assert beta_from_tau(tau_from_beta(beta, dt), dt) == pytest.approx(beta, rel=1e-9)
    assert beta_from_tau_euler(tau_from_beta_euler(beta, dt), dt) == pytest.approx(beta, rel=1e-9)


@pytest.mark.parametrize(
    ("convert", "value", "dt", "message"),
    [
        (beta_from_tau, 0, 1e-3, r"tau: must lie in \(0, inf\], got 0.0"),
        (beta_from_tau, np.nan, 1e-3, "tau: must lie in"),
        (tau_from_beta, [0.5, 1.5], 1e-3, r"beta: must lie in \[0, 1\], got 1.5"),
        (beta_from_tau_euler, 0.5e-3, 1e-3, r"tau: must lie in \[0.001, inf\], got 0.0005"),
        (tau_from_beta_euler, -0.5, 1e-3, r"beta: must lie in \[0, 1\], got -0.5"),
        (tau_from_beta, 0.5, 0, "dt: must be a duration in seconds > 0, got 0"),
        (beta_from_tau, 1, np.nan, "dt: must be a duration in seconds > 0, got nan"),
    ],
)
def test_impossible_time_constants_are_refused(convert, value, dt, message):
    with pytest.raises(ValidationError, match=message):
        convert(value, dt)
