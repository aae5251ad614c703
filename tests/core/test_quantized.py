"""`QuantizedNetwork` and its parts: what they hold, what they refuse, and their file."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import neurosparse as ns
from neurosparse.core.container import read_container, write_container
from neurosparse.core.network import Input
from neurosparse.core.quantized import QuantizedNetwork, QuantizedPopulation, QuantizedProjection
from neurosparse.errors import ArtifactError, UnknownNameError, UnsupportedError, ValidationError


def synapses(source: str = "input", target: str = "a", weights: Any = ((10, 0), (-4, 6)), **other: Any) -> Any:
    matrix = np.array(weights)
    rows, columns = np.nonzero(matrix)
    indptr = np.append(0, np.cumsum(np.bincount(rows, minlength=len(matrix))))
    values = matrix[rows, columns].astype(np.int16)
    return QuantizedProjection(source, target, indptr, columns, values, matrix.shape[1], **other)


def network(**changes: Any) -> QuantizedNetwork:
    parts: dict[str, Any] = {
        "input": Input(2),
        "populations": [
            QuantizedPopulation(
                "a", 2, du=[4095, 100], dv=[0, 4096], v_threshold=7, bias=[-4096, 4095], bias_exponent=7
            ),
            QuantizedPopulation("out", 1, dv=163, readout=True, reset="none"),
        ],
        "projections": [
            synapses(exponent=3),
            synapses("a", "a", [[0, 2], [-2, 0]], delay=1, bits=8),
            synapses("a", "out", [[64, 32]], bits=3, sign_mode="excitatory"),
        ],
        "dt": 5e-4,
        "scales": {"a": 0.25, "out": 2e-3},
        "chip": "loihi2",
    }
    return QuantizedNetwork(**(parts | changes))


def test_it_has_the_nouns_of_a_network() -> None:
    q = network()
    assert repr(q) == "QuantizedNetwork(2->2->1, 7 synapses, density 0.7)"
    assert (q.n_neurons, q.n_synapses, q.density, q.outputs, q.order) == (3, 7, 0.7, ("out",), ("a", "out"))
    assert [p.source for p in q.projections_into("a")] == ["input", "a"]
    assert (q.size_of("input"), q.size_of("a"), q["out"].n) == (2, 2, 1)
    assert not isinstance(q, ns.Network)


def test_parameters_become_one_read_only_integer_per_neuron() -> None:
    population = QuantizedPopulation("a", 3, du=5, dv=np.uint8([1, 2, 3]))
    assert population.du.tolist() == [5, 5, 5]
    assert (population.dv.dtype, population.dv.flags.writeable) == (np.int32, False)
    assert population.has_current
    assert not QuantizedPopulation("b", 2).has_current


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"du": 4096}, ValidationError, r"Population 'a'.du: must lie in \[0, 4095\], got 4096"),
        ({"du": -1}, ValidationError, r"du: must lie in \[0, 4095\], got -1"),
        ({"dv": 4097}, ValidationError, r"dv: must lie in \[0, 4096\], got 4097"),
        ({"v_threshold": [0, 131072]}, ValidationError, r"v_threshold: must lie in \[0, 131071\], got 131072"),
        ({"bias": -4097}, ValidationError, r"bias: must lie in \[-4096, 4095\], got -4097"),
        ({"bias_exponent": 8}, ValidationError, r"bias_exponent: must lie in \[0, 7\], got 8"),
        ({"dv": 0.5}, ValidationError, r"dv: must be an integer or one per neuron, got float64 0.5"),
        ({"dv": True}, ValidationError, r"dv: must be an integer or one per neuron, got bool"),
        ({"dv": [1, 2, 3]}, ValidationError, r"dv: must be one integer or 2, got shape \(3,\)"),
        ({"dv": [[1], [2, 3]]}, ValidationError, r"dv: must be one integer or one per neuron, got ragged rows"),
        ({"reset": "sub"}, UnknownNameError, r"reset: 'sub' is not known. Did you mean 'subtract'"),
        ({"readout": 1}, ValidationError, r"readout: must be True or False, got 1"),
        ({"name": "input"}, ValidationError, r"QuantizedPopulation.name: must be letters"),
        ({"n": 0}, ValidationError, r"Population 'a'.n: must lie in \[1, 2\*\*31\), got 0"),
    ],
)
def test_populations_that_no_chip_has_are_refused(arguments, error, message) -> None:
    with pytest.raises(error, match=message):
        QuantizedPopulation(**({"name": "a", "n": 2} | arguments))


@pytest.mark.parametrize(
    ("weights", "arguments", "message"),
    [
        ([[3]], {}, r"weights: 8-bit mixed mantissas are multiples of 2 in \[-256, 254\], got 3 at synapse 0"),
        ([[256]], {}, r"in \[-256, 254\], got 256"),
        ([[2, 2, 16]], {"bits": 5}, r"5-bit mixed mantissas are multiples of 16 in \[-256, 240\], got 2 at synapse 0"),
        ([[1, -1]], {"sign_mode": "excitatory"}, r"excitatory mantissas are multiples of 1 in \[0, 255\], got -1 at s"),
        ([[-1, 1]], {"sign_mode": "inhibitory"}, r"inhibitory mantissas are multiples of 1 in \[-255, 0\], got 1"),
        ([[2]], {"exponent": -1}, r"exponent: must lie in \[0, 7\], got -1"),
        ([[2]], {"exponent": 8}, r"exponent: must lie in \[0, 7\], got 8"),
        ([[2]], {"bits": 0}, r"bits: must lie in \[1, 8\], got 0"),
        ([[2]], {"bits": 9}, r"bits: must lie in \[1, 8\], got 9"),
        ([[2]], {"delay": -1}, r"delay: must be a whole number of steps"),
        ([[2]], {"sign_mode": "mix"}, r"sign_mode: 'mix' is not known. Did you mean 'mixed'"),
    ],
)
def test_weights_that_no_chip_has_are_refused(weights, arguments, message) -> None:
    with pytest.raises((ValidationError, UnknownNameError), match=message):
        synapses(weights=weights, **arguments)


def test_float_weights_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"Projection input->a.weights: must be int16, got float64"):
        QuantizedProjection("input", "a", [0, 1], [0], np.array([2.0]), 1)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"input": Input(2, "analog")}, UnsupportedError, r"input: integers cannot take analog values; use 'graded'"),
        ({"input": 2}, ValidationError, r"QuantizedNetwork.input: must be an Input"),
        ({"input": Input(3)}, ValidationError, r"have shape \(2, 2\), the populations need \(2, 3\)"),
        ({"populations": []}, ValidationError, r"QuantizedNetwork.populations: a network has at least one population"),
        ({"projections": [synapses(target="b")]}, UnknownNameError, r"Projection input->b: 'b' is not known"),
        ({"scales": {"c": 1.0}}, UnknownNameError, r"QuantizedNetwork.scales: 'c' is not known"),
        ({"scales": {"a": 0.0}}, ValidationError, r"scales\['a'\]: must be a finite number > 0, got 0.0"),
        ({"scales": {"a": "1"}}, ValidationError, r"scales\['a'\]: must be a finite number > 0, got '1'"),
        ({"scales": 1.0}, ValidationError, r"scales: must map population names to floats, got 1.0"),
        ({"dt": 0.0}, ValidationError, r"QuantizedNetwork.dt: must be a duration in seconds > 0"),
        ({"chip": ""}, ValidationError, r"chip: must be the name of a chip or None, got ''"),
        (
            {"projections": [synapses(), synapses("out", "a", [[2], [2]]), synapses("a", "out", [[2, 2]])]},
            ValidationError,
            r"QuantizedNetwork.projections: a, out form a loop without delay",
        ),
    ],
)
def test_networks_that_could_not_run_are_refused(changes, error, message) -> None:
    with pytest.raises(error, match=message):
        network(**changes)


def test_float_projections_are_no_quantised_ones() -> None:
    floats = ns.Projection.from_dense("input", "a", np.ones((2, 2), np.float32))
    with pytest.raises(ValidationError, match=r"must be a sequence of QuantizedProjection, got Projection"):
        network(projections=[floats])


def test_missing_scales_are_one() -> None:
    assert network(scales={"a": 0.5}).scales == {"a": 0.5, "out": 1.0}


def test_the_largest_sum_takes_the_weights_of_one_sign() -> None:
    # row 0: 10 << 3 = 80 and 2; row 1: 6 << 3 = 48 against (-4 << 3) - 2 = -34
    assert network().largest_sums("a").tolist() == [82, 48]
    # of payloads up to 255, which the recurrent weights are not multiplied with
    assert network(input=Input(2, "graded")).largest_sums("a").tolist() == [80 * 255 + 2, 48 * 255]


def test_a_file_gives_back_every_integer(tmp_path) -> None:
    before = network(input=Input(2, "graded"))
    before.save(tmp_path / "a.safetensors")
    after = ns.QuantizedNetwork.load(tmp_path / "a.safetensors")
    assert (after.input, after.dt, after.scales, after.chip) == (before.input, before.dt, before.scales, before.chip)
    parts = [(*network.populations, *network.projections) for network in (before, after)]
    for one, other in zip(*parts, strict=True):
        for field in dataclasses.fields(one):
            a, b = getattr(one, field.name), getattr(other, field.name)
            assert (a.dtype, a.tolist()) == (b.dtype, b.tolist()) if isinstance(a, np.ndarray) else a == b, field.name
    after.save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_a_quantised_file_is_no_network_file(tmp_path) -> None:
    network().save(tmp_path / "q")
    with pytest.raises(ArtifactError, match=r"holds a 'quantized-network', expected a 'network'"):
        ns.Network.load(tmp_path / "q")


@pytest.mark.parametrize(
    ("header", "tensors", "error", "message"),
    [
        ({"chip": 1}, {}, ArtifactError, r"header field chip: Input should be a valid string, got '1'"),
        ({"input_kind": "analog"}, {}, ArtifactError, r"header field input_kind"),
        ({"dt": -1.0}, {}, ArtifactError, r"header field dt"),
        ({}, {"populations.0.du": np.zeros(2, np.int64)}, ArtifactError, r"populations.0.du' has type int64"),
        ({}, {"populations.0.du": np.zeros(1, np.int32)}, ValidationError, r"du has shape \(1,\), expected \(2,\)"),
        ({}, {"populations.0.du": np.full(2, 5000, np.int32)}, ValidationError, r"q: Population 'a'.du: must lie in"),
        ({}, {"projections.0.weights": np.full(3, 3, np.int16)}, ValidationError, r"q: Projection input->a.weights"),
        ({}, {"more": np.zeros(1)}, ArtifactError, r"unexpected tensor 'more'"),
    ],
)
def test_a_file_cannot_smuggle_in_what_the_constructors_refuse(tmp_path, header, tensors, error, message) -> None:
    network().save(tmp_path / "q")
    container = read_container(tmp_path / "q", kind="quantized-network", version=1)
    content = {name: container.tensor(name) for name in container.names()}
    write_container(
        tmp_path / "q",
        kind="quantized-network",
        version=1,
        header=container.header | header,
        tensors=content | tensors,
    )
    with pytest.raises(error, match=message):
        ns.QuantizedNetwork.load(tmp_path / "q")
