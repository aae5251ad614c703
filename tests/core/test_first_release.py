"""Files written by the first release: every later one must read the same bits and run the same spikes."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

import neurosparse as ns

from .data.make_v1_files import INPUTS
from .examples import assert_same_network, one_of_everything

DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize(
    ("name", "sha256"),
    [
        ("network_v1.safetensors", "04d32a4c0123d2362eb64b438f3c9d8d1628089e57f17f13ce1d56296946fec6"),
        ("recording_v1.safetensors", "5f02e6fd5a5c913bb0d4bfeeaa569e51dd0ecebafb6d67d87326380e26f4d2f5"),
    ],
)
def test_the_files_are_the_original_ones(name, sha256):
    assert hashlib.sha256((DATA / name).read_bytes()).hexdigest() == sha256


def test_the_first_network_file_still_loads():
    network = ns.Network.load(DATA / "network_v1.safetensors")
    assert_same_network(network, one_of_everything())
    # also without trust in the code above, which may change
    assert repr(network) == "Network(4->3->2->2, 10 synapses, density 0.312)"
    assert (network.input.n, network.input.kind, network.dt) == (4, "graded", 5e-4)
    assert network.grid == {"hidden": 12, "second.layer": 14, "out": 13}
    assert [(p.name, type(p.neuron).__name__) for p in network.populations] == [
        ("hidden", "LIF"),
        ("second.layer", "CubaLIF"),
        ("out", "LI"),
    ]
    assert network["hidden"].neuron.beta.tolist() == [0.5, 0.75, 0.875]
    assert network["hidden"].neuron.v_threshold.tolist() == [1, 2, 0.5]
    assert network["hidden"].neuron.bias.tolist() == [0, 0.25, -0.125]
    assert network["hidden"].neuron.reset == "zero"
    assert network["second.layer"].neuron.alpha.tolist() == [0.5, 0.5]
    assert network["second.layer"].neuron.reset == "subtract"
    assert network["out"].neuron.beta.tolist() == [0.9375, 0.9375]
    assert [(p.source, p.target, p.delay) for p in network.projections] == [
        ("input", "hidden", 0),
        ("hidden", "second.layer", 0),
        ("second.layer", "second.layer", 1),
        ("hidden", "out", 3),
        ("second.layer", "out", 0),
    ]
    assert network.projections[0].to_scipy().toarray().tolist() == [[0.5, 0, 0, -1.25], [0, 0, 0, 0], [0, 2, 0, 0]]
    assert network.projections[1].weights.tolist() == [1.5, 0, -0.75]
    assert network.dtype == np.float32


def test_the_first_recording_file_still_loads():
    recording = ns.Recording.load(DATA / "recording_v1.safetensors")
    assert (recording.n_steps, recording.n_samples, recording.dt, recording.backend) == (5, 1, 5e-4, "reference")
    assert np.argwhere(recording.spikes["hidden"]).tolist() == [[2, 0, 2], [3, 0, 2]]
    assert np.argwhere(recording.spikes["second.layer"]).tolist() == [[3, 0, 0]]
    assert not recording.spikes["out"].any()
    assert recording.voltages["second.layer"][:, 0].tolist() == [[0, 0], [0, 0], [1.5, 0], [2.625, 0], [0.28125, 0.25]]
    assert recording.v_thresholds["second.layer"].tolist() == [1.5, 1.5]
    assert "out" not in recording.v_thresholds
    assert recording.decisions("out").tolist() == [0]


def test_the_first_network_still_does_what_it_did():
    network = ns.Network.load(DATA / "network_v1.safetensors")
    before = ns.Recording.load(DATA / "recording_v1.safetensors")
    after = ns.simulate(network, INPUTS, backend="reference", record="voltages")
    for kind in ("spikes", "voltages", "v_thresholds"):
        one, other = getattr(before, kind), getattr(after, kind)
        assert set(one) == set(other)
        for name in one:
            assert one[name].tobytes() == other[name].tobytes()


def test_this_release_still_writes_the_same_bytes(tmp_path):
    # if this fails, the format has changed: raise its version, go on reading the old one, add a file of the new one
    ns.Network.load(DATA / "network_v1.safetensors").save(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == (DATA / "network_v1.safetensors").read_bytes()
    ns.Recording.load(DATA / "recording_v1.safetensors").save(tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == (DATA / "recording_v1.safetensors").read_bytes()
