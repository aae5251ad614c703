"""Graphs as other programs write them, with what they mean worked out by hand or by an equation of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurosparse as ns
from neurosparse.core.neurons import LI, LIF, CubaLIF
from neurosparse.errors import ArtifactError, UnknownNameError, UnsupportedError, ValidationError
from neurosparse.formats.nir import from_nir

nir = pytest.importorskip("nir", reason="pip install 'neurosparse[nir]'")

DT = 1e-4


def vector(*values: float) -> np.ndarray:
    return np.array(values, np.float64)


def lif(n: int = 1, tau: float = 2.5e-3, r: float = 1.0, threshold: float = 0.1, **fields: Any) -> Any:
    full = {"tau": tau, "r": r, "v_leak": 0.0, "v_reset": 0.0, "v_threshold": threshold, **fields}
    return nir.LIF(**{name: np.full(n, value) if np.isscalar(value) else value for name, value in full.items()})


def chain(*nodes: Any) -> Any:
    return nir.NIRGraph.from_list(*nodes)


def cuba(**fields: Any) -> Any:
    names = ("tau_mem", "tau_syn", "r", "w_in", "v_leak", "v_reset", "v_threshold")
    full = dict(zip(names, (4e-4, 2e-4, 1.0, 1.0, 0.0, 0.0, 0.2), strict=True)) | fields
    return nir.CubaLIF(**{name: vector(value) for name, value in full.items()})


ONE = np.ones((1, 1), np.float32)


# ---- decays and gains


def test_a_norse_lif_is_its_euler_step() -> None:
    """Norse: v += dt/tau (v_leak - v + i), spike at v > threshold, v = v_reset; integrated here by itself."""
    found = from_nir(chain(nir.Affine(ONE * 3, vector(0.25)), lif(threshold=0.5)), dt=DT)
    x = (np.random.default_rng(1).random((300, 1, 1)) < 0.3).astype(bool)
    recording = ns.simulate(found.network, x, record="voltages")
    v, spikes, voltages = 0.0, [], []
    for step in range(len(x)):
        v += DT / 2.5e-3 * (0.0 - v + 3.0 * x[step, 0, 0] + 0.25)
        spikes.append(v > 0.5)
        v = 0.0 if v > 0.5 else v
        voltages.append(v)
    assert 3 < sum(spikes) < 100
    assert recording.spikes["lif"][:, 0, 0].tolist() == spikes
    np.testing.assert_allclose(recording.voltages["lif"][:, 0, 0], voltages, atol=1e-6)
    assert any("multiplied by (1 - beta) R = 0.04" in text for text in found.assumptions)


def test_sinabs_decays_exponentially() -> None:
    """sinabs: v = alpha v + (1 - alpha) x with alpha = exp(-dt/tau)."""
    found = from_nir(chain(nir.Linear(ONE.astype(np.float64)), lif(tau=1e-3)), dt=DT, discretization="exact").network
    alpha = np.exp(-0.1)
    assert found["lif"].neuron.beta[0] == alpha
    assert found.projections[0].weights[0] == pytest.approx(1 - alpha, rel=1e-15)


def test_a_gain_of_one_leaves_the_weights_as_they_are() -> None:
    """snnTorch writes tau = dt/(1 - beta) and r = tau/dt, so that nothing is scaled."""
    beta = np.float64(np.float32(0.85))
    tau = DT / (1 - beta)
    found = from_nir(chain(nir.Linear(ONE * np.float32(0.3)), lif(tau=tau, r=tau / DT)), dt=DT)
    assert found.network.projections[0].weights[0] == np.float32(0.3)
    assert found.network["lif"].neuron.beta[0] == np.float32(0.85)
    assert not any("multiplied" in text for text in found.assumptions)


def test_a_neuron_that_forgets_nothing_has_a_finite_time_constant_and_a_gain_of_one(tmp_path: Path) -> None:
    weights = ns.Projection.from_dense("input", "n", np.float32([[0.3], [0.7]]))
    network = ns.Network(ns.Input(1), [ns.Population("n", 2, LIF(beta=[1.0, 0.25], reset="zero"))], [weights])
    ns.export(network, tmp_path / "x.nir", to="nir")
    assert np.isfinite(nir.read(tmp_path / "x.nir").nodes["n"].tau).all()
    found = from_nir(tmp_path / "x.nir", dt=network.dt, trust_metadata=False).network
    assert found["n"].neuron.beta.tolist() == [1.0, 0.25]
    assert found.projections[0].weights.tolist() == network.projections[0].weights.tolist()


def test_a_lava_cubalif_counts_in_steps() -> None:
    """lava-dl: i = (1 - du) i + a; v = (1 - dv) v + i; as NIR with dt = 1: tau = 1/d, r and w_in = tau."""
    node = cuba(tau_syn=4.0, tau_mem=8.0, r=8.0, w_in=4.0, v_threshold=1.25)
    found = from_nir(chain(nir.Linear(ONE), node), dt=1.0)
    neuron = found.network["cubalif"].neuron
    assert isinstance(neuron, CubaLIF)
    assert (neuron.alpha[0], neuron.beta[0], neuron.v_threshold[0], neuron.reset) == (0.75, 0.875, 1.25, "zero")
    assert found.network.projections[0].weights[0] == 1.0
    assert found.network.dt == 1.0


def test_both_stages_of_a_cubalif_scale_its_input() -> None:
    found = from_nir(chain(nir.Affine(ONE * 2, vector(3.0)), cuba(r=5.0, w_in=7.0)), dt=DT).network
    # beta = 3/4, alpha = 1/2: gain (1 - 3/4) 5 (1 - 1/2) 7 = 4.375
    assert found.projections[0].weights[0] == pytest.approx(8.75)
    assert found["cubalif"].neuron.bias[0] == pytest.approx(13.125)


def test_a_leak_voltage_is_a_bias() -> None:
    found = from_nir(chain(nir.Linear(ONE), lif(tau=4e-4, v_leak=0.04, threshold=0.5)), dt=DT).network
    assert found["lif"].neuron.bias[0] == pytest.approx(0.01)  # (1 - 3/4) 0.04


def test_voltages_are_counted_from_the_reset() -> None:
    node = lif(tau=4e-4, v_leak=-0.06, v_reset=-0.07, threshold=-0.05)
    found = from_nir(chain(nir.Linear(ONE), node), dt=DT)
    neuron = found.network["lif"].neuron
    assert neuron.v_threshold[0] == pytest.approx(0.02)
    assert neuron.bias[0] == pytest.approx(0.0025)  # (1 - 3/4) 0.01
    assert any("every neuron starts there" in text for text in found.assumptions)


def test_an_li_is_a_read_out_and_an_integrator_one_that_forgets_nothing() -> None:
    leaky = nir.LI(tau=vector(4e-4), r=vector(4.0), v_leak=vector(0.0))
    found = from_nir(chain(nir.Linear(ONE), lif(), nir.Linear(ONE), leaky), dt=DT).network
    assert isinstance(found["li"].neuron, LI)
    assert found["li"].neuron.beta[0] == 0.75
    found = from_nir(chain(nir.Linear(ONE), nir.I(vector(1 / DT))), dt=DT).network
    assert found["i"].neuron.beta[0] == 1.0


def test_an_if_neuron_whose_gain_is_ambiguous_needs_a_word() -> None:
    graph = chain(nir.Linear(ONE), nir.IF(r=vector(1.0), v_threshold=vector(1.0), v_reset=vector(0.0)))
    with pytest.raises(UnsupportedError, match=r"a gain of R dt = 0\.0001 per step.*if_gain='r' or if_gain='r\*dt'"):
        from_nir(graph, dt=DT)
    assert from_nir(graph, dt=DT, if_gain="r").network.projections[0].weights[0] == 1
    assert from_nir(graph, dt=DT, if_gain="r*dt").network.projections[0].weights[0] == np.float32(DT)
    assert from_nir(graph, dt=1.0).network.projections[0].weights[0] == 1  # both readings agree


# ---- the graph


def test_a_recurrent_subgraph_is_unfolded() -> None:
    """snnTorch writes RLeaky and RSynaptic as a graph within the graph."""
    inner = nir.NIRGraph(
        {
            "input": nir.Input({"input": np.array([2])}),
            "lif": lif(2, tau=2e-4, r=2.0),
            "w_rec": nir.Linear(np.float32([[0, -0.5], [0.25, 0]])),
            "output": nir.Output({"output": np.array([2])}),
        },
        [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")],
    )
    graph = nir.NIRGraph(
        {
            "input": nir.Input({"input": np.array([1])}),
            "fc1": nir.Affine(np.float32([[1.5], [0]]), np.float32([0, 0.125])),
            "lif1": inner,
            "output": nir.Output({"output": np.array([2])}),
        },
        [("input", "fc1"), ("fc1", "lif1"), ("lif1", "output")],
    )
    found = from_nir(graph, dt=DT, reset="subtract")
    forward, back = sorted(found.network.projections, key=lambda p: p.delay)
    assert (forward.source, forward.target, forward.delay, forward.n_synapses) == ("input", "lif1.lif", 0, 1)
    assert (back.source, back.target, back.delay, back.n_synapses) == ("lif1.lif", "lif1.lif", 1, 2)
    np.testing.assert_array_equal(back.to_scipy().toarray(), np.float32([[0, -0.5], [0.25, 0]]))
    assert found.network["lif1.lif"].neuron.bias.tolist() == [0, 0.125]
    assert any("lif1.lif -> lif1.lif acts one step later" in text for text in found.assumptions)


def test_linear_nodes_in_a_row_are_one_projection_and_their_biases_one_bias() -> None:
    first, second = np.float64([[1, 2], [0, 3]]), np.float64([[1, -1]])
    graph = chain(nir.Affine(first, vector(1, 2)), nir.Scale(vector(2, 4)), nir.Linear(second), lif(tau=DT))
    found = from_nir(graph, dt=DT)
    # (1, -1) diag(2, 4) [[1, 2], [0, 3]] = (2, -8), and (1, -1) diag(2, 4) (1, 2) = -6
    np.testing.assert_array_equal(found.network.projections[0].to_scipy().toarray(), [[2, -8]])
    assert found.network["lif"].neuron.bias[0] == -6
    assert any("multiplied out into one projection" in text for text in found.assumptions)


def test_delays_are_steps_and_may_differ_from_line_to_line() -> None:
    graph = chain(nir.Delay(vector(2e-4, 0, 2e-4)), nir.Linear(np.float64([[1, 2, 3]])), lif(tau=DT))
    network = from_nir(graph, dt=DT).network
    found = {p.delay: p.to_scipy().toarray().tolist() for p in network.projections}
    assert found == {0: [[0, 2, 0]], 2: [[1, 0, 3]]}
    with pytest.raises(UnsupportedError, match=r"Delay 'delay' is 0\.0002 s, which is no whole number of steps"):
        from_nir(graph, dt=1.3e-4, discretization="exact")


def test_two_ways_to_one_node_are_two_projections() -> None:
    nodes = {
        "in": nir.Input({"input": np.array([1])}),
        "short": nir.Linear(ONE),
        "long": nir.Linear(ONE * 2),
        "wait": nir.Delay(vector(3e-4)),
        "lif": lif(tau=DT),
        "out": nir.Output({"output": np.array([1])}),
    }
    edges = [("in", "short"), ("short", "lif"), ("in", "wait"), ("wait", "long"), ("long", "lif"), ("lif", "out")]
    network = from_nir(nir.NIRGraph(nodes, edges), dt=DT).network
    assert {(p.delay, float(p.weights[0])) for p in network.projections} == {(0, 1.0), (3, 2.0)}


def test_weights_behind_the_last_neuron_become_a_read_out_without_memory() -> None:
    found = from_nir(chain(nir.Linear(ONE), lif(), nir.Affine(ONE * 2, np.float32([0.5]))), dt=DT)
    assert isinstance(found.network["output"].neuron, LI)
    assert (found.network["output"].neuron.beta[0], found.network["output"].neuron.bias[0]) == (0, 0.5)
    assert any("reads weighted sums" in text for text in found.assumptions)


def test_a_direct_connection_is_a_diagonal_of_ones() -> None:
    network = from_nir(
        chain(nir.Input({"input": np.array([2, 3])}), nir.Flatten({"input": np.array([2, 3])}, 0), lif(6)), dt=DT
    ).network
    assert network.input.n == 6
    weights = network.projections[0].to_scipy().toarray()
    np.testing.assert_allclose(weights, np.eye(6) * 0.04, rtol=1e-6)


def test_the_shape_of_a_whole_sample_is_understood() -> None:
    """sinabs writes (time, lines) as the shape of its Input."""
    nodes = {
        "input": nir.Input({"input": np.array([60, 2])}),
        "fc": nir.Linear(np.float32([[1, 2]])),
        "lif": lif(),
        "output": nir.Output({"output": np.array([1])}),
    }
    edges = [("input", "fc"), ("fc", "lif"), ("lif", "output")]
    found = from_nir(nir.NIRGraph(nodes, edges, type_check=False), dt=DT)
    assert found.network.input.n == 2
    assert any("the input's axes [60] are time or samples" in text for text in found.assumptions)


def test_tensors_in_a_graph_are_read_as_arrays() -> None:
    """Norse leaves its tensors in the graph that it returns."""

    class Tensor:
        def __init__(self, values: Any) -> None:
            self.values = np.asarray(values)

        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            return np.asarray(self.values, dtype)

        def size(self) -> tuple[int, ...]:
            return self.values.shape

    tree = chain(nir.Linear(ONE), lif()).to_dict()
    for node in tree["nodes"].values():
        node.update({key: Tensor(value) for key, value in node.items() if isinstance(value, np.ndarray)})

    class Graph:
        def to_dict(self) -> Any:
            return tree

    assert from_nir(Graph(), dt=DT).network.n_synapses == 1


def test_names_become_those_of_populations() -> None:
    nodes = {
        "x": nir.Input({"input": np.array([1])}),
        "input": lif(),
        "a b": lif(),
        "y": nir.Output({"output": np.array([1])}),
    }
    network = from_nir(nir.NIRGraph(nodes, [("x", "input"), ("input", "a b"), ("a b", "y")]), dt=DT).network
    assert [p.name for p in network.populations] == ["input_", "a_b"]


def test_zeros_are_no_synapses() -> None:
    network = from_nir(chain(nir.Linear(np.float32([[0, 2], [0, 0]])), lif(2)), dt=DT).network
    assert network.n_synapses == 1


# ---- what NIR leaves open


def test_a_graph_of_another_program_needs_the_time_step() -> None:
    with pytest.raises(UnsupportedError, match=r"NIR has no time step.*give dt= in seconds \(snnTorch writes for 1e-4"):
        from_nir(chain(nir.Linear(ONE), lif()))


def test_assumptions_are_returned_printed_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="neurosparse.formats.nir"):
        found = from_nir(chain(nir.Linear(ONE), lif()), dt=DT)
    assert [record.message for record in caplog.records] == [f"NIRGraph: assumed: {text}" for text in found.assumptions]
    assert str(found).splitlines()[0] == "Network(1->1, 1 synapses, density 1)"
    assert "  assumed: dt = 0.0001 s; a decay per step is 1 - dt/tau (forward Euler)" in str(found).splitlines()
    for words in ("v > v_threshold", "same step", "reset='subtract'", "the input is spikes"):
        assert any(words in text for text in found.assumptions), words


def test_what_is_given_is_not_assumed() -> None:
    found = from_nir(chain(nir.Linear(ONE), lif()), dt=DT, reset="zero", input_kind="analog")
    assert not any("reset=" in text or "input_kind" in text for text in found.assumptions)
    assert found.network.input.kind == "analog"
    subtracting = from_nir(chain(nir.Linear(ONE), lif()), dt=DT, reset="subtract").network["lif"].neuron
    assert isinstance(subtracting, LIF)
    assert subtracting.reset == "subtract"


@pytest.mark.parametrize(
    ("node", "options", "message"),
    [
        (lif(tau=5e-5), {}, r"tau = 5e-05 s is shorter than dt = 0\.0001 s"),
        (lif(v_reset=-0.5), {"reset": "subtract"}, r"reset='subtract' contradicts v_reset = -0\.5"),
        (lif(v_reset=0.2), {}, "v_threshold must be above v_reset"),
        (cuba(v_leak=0.1), {}, "v_leak differs from v_reset"),
        (lif(tau=-1.0), {}, "tau must be > 0"),
    ],
)
def test_what_has_no_counterpart_is_refused_with_its_reason(node: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        from_nir(chain(nir.Linear(ONE), node), dt=DT, **options)


def test_a_convolution_is_refused_by_name() -> None:
    conv = nir.Conv1d(8, np.ones((1, 1, 3)), 1, 0, 1, 1, np.zeros(1))
    graph = nir.NIRGraph(
        {
            "input": nir.Input({"input": np.array([1, 8])}),
            "c": conv,
            "output": nir.Output({"output": np.array([1, 6])}),
        },
        [("input", "c"), ("c", "output")],
        type_check=False,
    )
    with pytest.raises(UnsupportedError, match="node 'c' is a Conv1d: convolutions are not read yet"):
        from_nir(graph, dt=DT)


def test_voltages_that_drive_neurons_are_refused() -> None:
    leaky = nir.LI(tau=vector(4e-4), r=vector(4.0), v_leak=vector(0.0))
    with pytest.raises(UnsupportedError, match="'li' has no threshold and drives other nodes"):
        from_nir(chain(nir.Linear(ONE), leaky, nir.Linear(ONE), lif()), dt=DT)


def test_a_loop_without_a_neuron_is_refused() -> None:
    nodes = {
        "in": nir.Input({"input": np.array([1])}),
        "a": nir.Linear(ONE),
        "b": nir.Linear(ONE),
        "lif": lif(),
        "out": nir.Output({"output": np.array([1])}),
    }
    edges = [("in", "a"), ("a", "b"), ("b", "a"), ("b", "lif"), ("lif", "out")]
    with pytest.raises(UnsupportedError, match="a loop through 'a' without any neuron"):
        from_nir(nir.NIRGraph(nodes, edges), dt=DT)


def test_a_bias_that_would_begin_late_is_refused() -> None:
    graph = chain(nir.Affine(ONE, vector(1.0)), nir.Delay(vector(DT)), lif())
    with pytest.raises(UnsupportedError, match="a bias passes the Delay 'delay'"):
        from_nir(graph, dt=DT)


def test_two_inputs_are_refused() -> None:
    nodes = {
        "a": nir.Input({"input": np.array([1])}),
        "b": nir.Input({"input": np.array([1])}),
        "lif": lif(),
        "out": nir.Output({"output": np.array([1])}),
    }
    with pytest.raises(UnsupportedError, match="2 Input nodes"):
        from_nir(nir.NIRGraph(nodes, [("a", "lif"), ("b", "lif"), ("lif", "out")]), dt=DT)


def test_wrong_options_are_told() -> None:
    graph = chain(nir.Linear(ONE), lif())
    with pytest.raises(UnknownNameError, match="Did you mean 'subtract'"):
        from_nir(graph, dt=DT, reset="substract")  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="from_nir: dt: must be a duration"):
        from_nir(graph, dt=0)
    with pytest.raises(ValidationError, match=r"takes a path or a nir\.NIRGraph, got int"):
        from_nir(3)


@pytest.mark.parametrize("field", ["tau", "r", "v_threshold"])
def test_a_node_without_a_field_or_with_a_number_that_is_none_is_told(field: str) -> None:
    tree = chain(nir.Linear(ONE), lif()).to_dict()

    class Graph:
        def to_dict(self) -> Any:
            return tree

    tree["nodes"]["lif"][field] = vector(np.nan)
    with pytest.raises(ArtifactError, match=f"{field} of 'lif' must be finite, got nan"):
        from_nir(Graph(), dt=DT)
    del tree["nodes"]["lif"][field]
    with pytest.raises(ArtifactError, match=f"LIF 'lif' has no {field}"):
        from_nir(Graph(), dt=DT)


# ---- files of other programs


def data(name: str) -> Path:
    folder = os.environ.get("NEUROSPARSE_DATA")
    if not folder or not (Path(folder) / "nir" / name).is_file():
        pytest.skip(f"set NEUROSPARSE_DATA to a folder with nir/{name} (neuromorphs/NIR, paper/)")
    return Path(folder) / "nir" / name


@pytest.mark.parametrize(
    ("recorded", "lag", "unit", "tolerance"),
    [
        ("lif_snntorch.csv", 0, 25.0, 1e-6),  # its voltages are in units of (1 - beta) R
        ("lif_lava_cpu_float.csv", 1, 1.0, 1e-7),  # a hop costs a step in Lava
        ("lif_lava_cpu_fixed.csv", 1, 16000.0, 14.0 / 16000),  # in 1/64 of a weight's unit, decays in 1/4096
        ("lif_exact.csv", 0, 1.0, None),  # the voltage within a spike's step depends on the moment of the spike
        ("lif_lava_loihi_fixed.csv", 1, 16000.0, None),  # the chip's register reads 128 at spike steps
    ],
)
def test_a_norse_file_gives_the_spikes_that_five_programs_published(
    recorded: str, lag: int, unit: float, tolerance: float | None
) -> None:
    """Pedersen et al. 2024, figure 2: one LIF neuron in many simulators and on chips."""
    found = from_nir(data("lif_norse.nir"), dt=DT, reset="zero")
    rows = np.loadtxt(data(recorded), delimiter=",")
    recording = ns.simulate(found.network, rows[:, :1], record="voltages")
    spikes, voltages = recording.spikes["1"][:, 0, 0], recording.voltages["1"][:, 0, 0]
    assert np.flatnonzero(spikes).tolist() == [460, 510, 710, 760]
    n = len(rows) - lag
    np.testing.assert_array_equal(spikes[:n], rows[lag:, 2] > 0)
    if tolerance is not None:
        np.testing.assert_allclose(voltages[:n], rows[lag:, 1] / unit, rtol=0, atol=tolerance)


def test_the_file_of_a_trained_recurrent_network_is_read_and_needs_its_reset() -> None:
    """snnTorch's file has no v_reset; the network was trained with a subtracting one."""
    path = data("braille_noDelay_noBias_subtract.nir")
    with pytest.raises(UnsupportedError, match=r"CubaLIF 'lif1\.lif': the file has no v_reset"):
        from_nir(path, dt=DT)
    network = from_nir(path, dt=DT, reset="subtract").network
    assert repr(network) == "Network(12->40->7, 2 360 synapses, density 1)"
    stored = nir.read(path)
    weights = {(p.source, p.target): p.to_scipy().toarray() for p in network.projections}
    np.testing.assert_array_equal(weights["lif1.lif", "lif1.lif"], stored.nodes["lif1.w_rec"].weight)
    np.testing.assert_array_equal(weights["input", "lif1.lif"], stored.nodes["fc1"].weight)
    neuron = network["lif1.lif"].neuron
    assert (neuron.alpha == np.float32(0.75)).all()
    assert (neuron.beta == np.float32(0.85)).all()
    x = np.random.default_rng(0).random((40, 2, 12)) < 0.2
    assert ns.simulate(network, x).n_spikes > 50
