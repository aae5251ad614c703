"""Network files that cannot be right: refused by file and field, before anything large is made."""

import tracemalloc

import numpy as np
import pytest

from neurosparse.core.network import Network
from neurosparse.core.recording import Recording
from neurosparse.errors import ArtifactError, ValidationError

from .examples import assert_same_network, one_of_everything
from .forgery import assemble, forge, parse, put


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "forged.safetensors"
    one_of_everything().save(path)
    return path


def test_the_forge_itself_makes_good_files(good):
    assert_same_network(Network.load(forge(good)), one_of_everything())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("kind", "recording"), r"holds a 'recording', expected a 'network'"),
        (put("version", 2), r"written in version 2 of the network format, this neurosparse reads up to 1; update"),
        (lambda header: header.pop("populations"), r"header field populations: Field required"),
        (put("extra", 1), r"header field extra: Extra inputs are not permitted, got '1'"),
        (put("populations", 0, "color", "red"), r"header field populations.0.color: Extra inputs are not permitted"),
        (put("input_n", "4"), r"header field input_n: Input should be a valid integer, got '4'"),
        (put("input_n", True), r"header field input_n: Input should be a valid integer, got 'True'"),
        (put("input_n", 4.0), r"header field input_n: Input should be a valid integer, got '4.0'"),
        (put("input_n", 2**31), r"header field input_n: Input should be less than 2147483648, got '2147483648'"),
        (put("input_n", 0), r"header field input_n: Input should be greater than or equal to 1"),
        (put("input_n", 10**400), r"header field input_n: "),
        (put("input_kind", "colors"), r"header field input_kind: Input should be 'spikes', 'graded' or 'analog'"),
        (put("dt", 0), r"header field dt: Input should be greater than 0"),
        (put("dt", "x" * 1000), r"header field dt: Input should be a valid number, got 'x{80}'$"),
        (
            put("populations", 0, "model", "IF"),
            r"header field populations.0.model: Input should be 'LIF', 'CubaLIF' or",
        ),
        (
            put("populations", 1, "reset", "soft"),
            r"header field populations.1.reset: Input should be 'subtract', 'zero'",
        ),
        (put("populations", "LIF"), r"header field populations: Input should be a valid list"),
        (
            put("projections", 0, "delay", -1),
            r"header field projections.0.delay: Input should be greater than or equal",
        ),
        (put("projections", 0, "source", 7), r"header field projections.0.source: Input should be a valid string"),
        (put("grid", "hidden", 12.0), r"header field grid.hidden: Input should be a valid integer"),
    ],
)
def test_a_header_that_breaks_the_format_is_refused(good, change, message):
    with pytest.raises(ArtifactError, match=r"forged.safetensors: " + message):
        Network.load(forge(good, change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            put("populations", 0, "n", 2**31 - 1),
            r"population 'hidden': beta has shape \(3,\), expected \(2147483647,\)",
        ),
        (put("populations", 0, "name", "input"), r"Population.name: must be letters"),
        (put("populations", 0, "name", "out"), r"Network.populations: names must differ"),
        (put("populations", 0, "reset", None), r"population 'hidden': a LIF cannot have reset None"),
        (put("populations", 2, "reset", "zero"), r"population 'out': a LI cannot have reset 'zero'"),
        (
            put("projections", 0, "n_source", 5),
            r"Projection input->hidden: weights .* shape \(3, 5\), .* need \(3, 4\)",
        ),
        (put("input_n", 2**31 - 1), r"Projection input->hidden: weights .* the populations need \(3, 2147483647\)"),
        (put("projections", 0, "n_source", 1), r"Projection input->hidden.indices: must lie in \[0, 1\), got 3"),
        (
            put("projections", 0, "source", "inptu"),
            r"Projection inptu->hidden: 'inptu' is not known. Did you mean 'input'",
        ),
        (put("projections", 0, "delay", 70000), r"Projection input->hidden.delay: must be a whole number of steps in"),
        (
            put("projections", 2, "delay", 0),
            r"Projection second.layer->second.layer.delay: a recurrent projection needs",
        ),
        (put("projections", 0, "target", "input"), r"Projection input->input.delay: a recurrent projection needs"),
        (
            put("grid", {"hidden": 12}),
            r"Network.grid: needs one exponent in \[0, 60\] for each of hidden, second.layer,",
        ),
        (put("grid", "hidden", 0), r"Network.grid: a weight or bias into 'hidden' is no multiple of 2\*\*-0"),
        (put("grid", "hidden", 30), r"Network.grid: the row sums into 'hidden' are too large"),
        (put("input_kind", "analog"), r"Network.grid: analog inputs lie on no grid"),
    ],
)
def test_a_header_with_impossible_content_is_refused(good, change, message):
    with pytest.raises(ValidationError, match=r"forged.safetensors: " + message):
        Network.load(forge(good, change))


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("projections.0.weights", np.float32([1, np.nan, 1]), r"weights: must be finite, got nan at synapse 1"),
        ("projections.0.weights", np.float32([1, 1, np.inf]), r"weights: must be finite, got inf at synapse 2"),
        ("projections.0.weights", np.ones(3, np.float64), r"weights must share one type, got float32 and float64"),
        ("projections.0.weights", np.ones((3, 1), np.float32), r"weights: must be one-dimensional, got shape \(3, 1\)"),
        ("projections.0.weights", np.ones(2, np.float32), r"weights: needs one weight per index, got 2 weights and 3"),
        ("projections.0.indices", np.int32([0, 4, 1]), r"indices: must lie in \[0, 4\), got 4"),
        ("projections.0.indices", np.int32([-1, 3, 1]), r"indices: must lie in \[0, 4\), got -1"),
        ("projections.0.indices", np.int32([3, 3, 1]), r"indices: a duplicate synapse in row 0, 3 then 3"),
        ("projections.0.indices", np.int32([3, 0, 1]), r"indices: unsorted indices in row 0, 3 then 0"),
        ("projections.0.indptr", np.int64([0, 2, 1, 3]), r"indptr: must not decrease, it does in row 1"),
        ("projections.0.indptr", np.int64([0, 2, 2, 2**62]), r"indptr: must run from 0 to the number of synapses, 3"),
        ("projections.0.indptr", np.int64([]), r"indptr: needs n_target \+ 1 >= 2 row pointers, got 0"),
        (
            "populations.0.beta",
            np.float32([0.5, 2, 0.5]),
            r"LIF.beta: a decay per step lies in \[0, 1\], got 2.0 at index 1",
        ),
        ("populations.0.beta", np.array(0.5, np.float32), r"'hidden': beta has shape \(\), expected \(3,\)"),
        ("populations.0.v_threshold", np.float32([1, 0, 1]), r"LIF.v_threshold: must be finite and > 0 "),
        ("populations.2.bias", np.float32([np.nan, 0]), r"LI.bias: must be finite, got nan at index 0"),
        (
            "populations.0.bias",
            np.float32([0, 1e-4, 0]),
            r"Network.grid: a weight or bias into 'hidden' is no multiple",
        ),
    ],
)
def test_tensors_with_impossible_content_are_refused(good, name, array, message):
    with pytest.raises(ValidationError, match=r"forged.safetensors: .*" + message):
        Network.load(forge(good, tensors={name: array}))


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("projections.0.indices", np.int64([0, 3, 1]), r"'projections.0.indices' has type int64, expected int32"),
        ("projections.0.indptr", np.uint64([0, 2, 2, 3]), r"'projections.0.indptr' has type uint64, expected int64"),
        ("projections.0.weights", np.ones(3, bool), r"has type bool, expected float32 or float64"),
        ("populations.0.beta", np.ones(3, np.int64), r"has type int64, expected float32 or float64"),
        ("populations.0.beta", np.ones(3, np.float16), r"has type float16, expected float32 or float64"),
        ("projections.4.weights", None, r"tensor 'projections.4.weights' is missing; it has populations.0.beta, "),
        (
            "projections.5.weights",
            np.ones(1),
            r"unexpected tensor 'projections.5.weights'; the header does not mention",
        ),
    ],
)
def test_tensors_that_break_the_format_are_refused(good, name, array, message):
    with pytest.raises(ArtifactError, match=r"forged.safetensors: .*" + message):
        Network.load(forge(good, tensors={name: array}))


def test_a_number_that_json_can_write_and_float64_cannot_hold_is_refused(good):
    content = good.read_bytes()
    assert content.count(b"0.0005") == 1
    good.write_bytes(content.replace(b"0.0005", b"1e9999"))
    with pytest.raises(
        ValidationError, match=r"forged.safetensors: Network.dt: must be a duration in seconds > 0, got inf"
    ):
        Network.load(good)


def test_other_files_are_refused_by_name(tmp_path):
    (tmp_path / "weights.pt").write_bytes(b"PK\x03\x04 not ours")
    with pytest.raises(ArtifactError, match=r"weights.pt: damaged, truncated or not a safetensors file"):
        Network.load(tmp_path / "weights.pt")
    with pytest.raises(ArtifactError, match=r"nothing-here: no such file"):
        Network.load(tmp_path / "nothing-here")
    Recording({"a": np.zeros((1, 1, 1), bool)}).save(tmp_path / "r")
    with pytest.raises(ArtifactError, match=r"r: holds a 'recording', expected a 'network'"):
        Network.load(tmp_path / "r")


def peak_of_refusing(path):
    """Bytes allocated at most while `path` is refused."""
    tracemalloc.start()
    try:
        with pytest.raises((ArtifactError, ValidationError)):
            Network.load(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "change",
    [
        put("populations", 0, "n", 2**31 - 1),
        put("projections", 0, "n_source", 2**31 - 1),
        put("input_n", 2**31 - 1),
        put("projections", 0, "delay", 2**62),
        put("populations", [{"name": "a", "n": 2**31 - 1, "model": "LI"}] * 1000),
    ],
)
def test_a_header_cannot_ask_for_memory(good, change):
    assert peak_of_refusing(forge(good, change)) < 3e6


@pytest.mark.parametrize("shape", [[2**40], [2**32, 2**32], [2**62, 4], [0, 2**63], [-1]])
def test_a_shape_cannot_ask_for_memory(good, shape):
    table, header, data = parse(good.read_bytes())
    table["projections.0.weights"]["shape"] = shape
    good.write_bytes(assemble(table, header, data))
    assert peak_of_refusing(good) < 3e6
