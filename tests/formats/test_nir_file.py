"""Files that are damaged, enormous or hostile are refused with a message, before anything of theirs is used."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurosparse as ns
from neurosparse.core.network import INPUT, Input, Network, Population, Projection
from neurosparse.core.neurons import LIF, CubaLIF
from neurosparse.errors import ArtifactError, NeurosparseError, ValidationError
from neurosparse.formats import nir_file
from neurosparse.formats.nir_file import read_tree

h5py = pytest.importorskip("h5py", reason="pip install 'neurosparse[nir]'")


@pytest.fixture
def network() -> Network:
    weights = Projection.from_dense(INPUT, "a", np.float32([[1, 0, 2], [0, 3, 0]]))
    loop = Projection.from_dense("a", "a", np.float32([[0, 0.5], [0, 0]]), delay=2)
    return Network(Input(3), [Population("a", 2, CubaLIF(0.5, [0.25, 1.0], bias=[0.5, 0]))], [weights, loop])


@pytest.fixture
def path(network: Network, tmp_path: Path) -> Path:
    ns.export(network, tmp_path / "graph.nir", to="nir")
    return tmp_path / "graph.nir"


def external_link(node: Any) -> None:
    node["edges_elsewhere"] = h5py.ExternalLink("/etc/hostname", "/")


def soft_link(node: Any) -> None:
    node["edges_again"] = h5py.SoftLink("/node/edges")


def circle(node: Any) -> None:
    node["nodes"]["round"] = node


def petabyte(node: Any) -> None:
    node.create_dataset("huge", shape=(2**50,), chunks=(2**10,), dtype="f4")


def three_gigabytes_of_zeros(node: Any) -> None:
    node.create_dataset("zeros", shape=(3 * 2**28,), chunks=(2**20,), dtype="f4", compression="gzip")


def reference(node: Any) -> None:
    node.create_dataset("reference", data=node["edges"].ref, dtype=h5py.ref_dtype)


def compound(node: Any) -> None:
    node.create_dataset("compound", data=np.zeros(2, [("x", "f4"), ("y", "i4")]))


def elsewhere(node: Any) -> None:
    node.create_dataset("raw", shape=(4,), dtype="u1", external=[("/etc/hostname", 0, 4)])


def virtual(node: Any) -> None:
    layout = h5py.VirtualLayout(shape=(4,), dtype="u1")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", shape=(4,))
    node.create_virtual_dataset("virtual", layout)


def named_type(node: Any) -> None:
    node["type_of_its_own"] = np.dtype("f4")


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (external_link, "is ExternalLink, which is not followed"),
        (soft_link, "is SoftLink, which is not followed"),
        (circle, "is another name of an object that was there before"),
        (petabyte, "/node/huge brings its arrays to 4503599627[0-9]+ bytes, the limit is 2147483648"),
        (three_gigabytes_of_zeros, "/node/zeros brings its arrays to 322[0-9]+ bytes"),
        (reference, "only numbers and texts are read"),
        (compound, "only numbers and texts are read"),
        (elsewhere, "lies in another file, which is not followed"),
        (virtual, "lies in another file, which is not followed"),
        (named_type, "is Datatype, which no NIR file has"),
    ],
)
def test_hostile_content_is_refused_before_it_is_read(path: Path, harm: Callable[[Any], None], message: str) -> None:
    with h5py.File(path, "a") as file:
        harm(file["node"])
    with pytest.raises(ArtifactError, match=message):
        ns.from_nir(path)


def test_the_limit_counts_all_arrays_together(path: Path) -> None:
    with pytest.raises(ArtifactError, match="bytes, the limit is 100"):
        read_tree(path, max_bytes=100)
    assert read_tree(path, max_bytes=10_000)["type"] == "NIRGraph"


@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_what_is_no_hdf5_file_is_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.nir").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"x\.nir: damaged, truncated or not a NIR file"):
        ns.from_nir(tmp_path / "x.nir")
    with pytest.raises(ArtifactError, match="no such file; expected a NIR graph"):
        ns.from_nir(tmp_path / "y.nir")


def test_a_truncated_file_is_refused_at_every_length(path: Path, tmp_path: Path) -> None:
    content = path.read_bytes()
    for length in range(0, len(content), len(content) // 7):
        (tmp_path / "short.nir").write_bytes(content[:length])
        with pytest.raises(NeurosparseError):
            ns.from_nir(tmp_path / "short.nir")


def test_a_file_that_sends_hdf5_into_a_loop_or_to_its_end_is_given_up(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flipped bit in the heap of a file's texts does that to HDF5 1.14; a script stands for it here."""
    script = tmp_path / "unpack.py"
    monkeypatch.setattr(nir_file, "_UNPACK", script)
    script.write_text("while True: pass")
    with pytest.raises(ArtifactError, match=r"damaged: HDF5 was not done after 0\.5 s"):
        read_tree(path, time_limit_s=0.5)
    script.write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    with pytest.raises(ArtifactError, match="damaged: HDF5 ended with status -11"):
        read_tree(path)


def test_another_hdf5_file_is_no_graph(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.nir", "w") as file:
        file["node/type"] = "LIF"
    with pytest.raises(ArtifactError, match="holds no NIR graph"):
        ns.from_nir(tmp_path / "x.nir")


# ---- our metadata, when somebody has changed the file


def change(path: Path, name: str, value: Any) -> None:
    with h5py.File(path, "a") as file:
        del file[name]
        file[name] = value


def test_weights_that_another_program_has_changed_are_read_by_the_index_or_not_at_all(path: Path) -> None:
    weight = np.float32([[4, 0, 5], [0, 6, 0]])
    change(path, "node/nodes/input_to_a/weight", weight)
    found = ns.from_nir(path).network.projections[0]
    np.testing.assert_array_equal(found.to_scipy().toarray(), weight)
    change(path, "node/nodes/input_to_a/weight", np.float32([[4, 1, 5], [0, 6, 0]]))
    with pytest.raises(
        ArtifactError, match=r"input_to_a has weights where its index has no synapse.*trust_metadata=False"
    ):
        ns.from_nir(path)
    network = ns.from_nir(path, trust_metadata=False, dt=1e-3, reset="zero").network
    assert network.projections[0].n_synapses == 4


def test_time_constants_that_another_program_has_changed_are_noticed(path: Path) -> None:
    with h5py.File(path) as file:
        tau = file["node/nodes/a/tau_mem"][()]
    change(path, "node/nodes/a/tau_mem", tau.astype(np.float32))  # rounded, but the same
    ns.from_nir(path)
    change(path, "node/nodes/a/tau_mem", tau * 1.001)
    with pytest.raises(ArtifactError, match="the time constants of a are not those of its decays"):
        ns.from_nir(path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("nodes/input_to_a/metadata/neurosparse/indices", np.int32([0, 7, 1]), r"must lie in \[0, 3\), got 7"),
        ("nodes/input_to_a/metadata/neurosparse/indptr", np.int64([0, 2, 9]), "must run from 0 to"),
        ("nodes/a/metadata/neurosparse/reset", "sideways", "'sideways' is not known"),
        ("nodes/a/metadata/neurosparse/beta", np.float32([0.5, 7]), r"a decay per step lies in \[0, 1\]"),
        ("nodes/a/type", "IF", "a is a node of type IF"),
        ("metadata/neurosparse", "{", "its metadata are not what neurosparse writes"),
        ("metadata/neurosparse", '{"version": 1}', "metadata, dt: Field required"),
    ],
)
def test_damaged_metadata_are_told(path: Path, name: str, value: Any, message: str) -> None:
    change(path, f"node/{name}", value)
    with pytest.raises(NeurosparseError, match=message):
        ns.from_nir(path)


def test_a_newer_version_is_told(path: Path) -> None:
    with h5py.File(path) as file:
        header = json.loads(file["node/metadata/neurosparse"][()])
    change(path, "node/metadata/neurosparse", json.dumps({**header, "version": 2}))
    with pytest.raises(ArtifactError, match="metadata of version 2; this neurosparse reads 1"):
        ns.from_nir(path)


def test_what_our_file_says_cannot_be_said_differently(path: Path) -> None:
    with pytest.raises(ValidationError, match="says dt, reset itself; leave out dt, reset"):
        ns.from_nir(path, dt=1e-3, reset="zero")


def test_what_a_dense_matrix_cannot_hold_is_refused() -> None:
    n = 40_000
    empty = Projection(INPUT, "a", np.zeros(n + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32), n)
    network = Network(Input(n), [Population("a", n, LIF())], [empty])
    with pytest.raises(ns.errors.UnsupportedError, match=r"NIR stores dense matrices, 6\.0 GiB .*--to scipy"):
        ns.export(network, "never.nir", to="nir")
