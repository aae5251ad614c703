"""What every format must do with every network: the same spikes elsewhere, or the same network back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import case_names, make_case

import neurosparse as ns
from neurosparse.formats.export import FORMATS

ALONE = """
import runpy, sys
for name in ("neurosparse", "torch", "snntorch", "pydantic", "safetensors", "h5py", "nir"):
    sys.modules[name] = None
sys.argv = [{script!r}, *{arguments!r}]
runpy.run_path({script!r}, run_name="__main__")
"""


def run_alone(script: Path, *arguments: str) -> str:
    """Run a script by this Python, with neither neurosparse nor what it depends on; return what it prints."""
    code = ALONE.format(script=str(script), arguments=arguments)
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=script.parent, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    return done.stdout


def printed_spikes(text: str) -> dict[str, set[tuple[int, int, int]]]:
    """The spikes of lines like ``sample 0 step 3 hidden: 1 5``, as (step, sample, neuron) per population."""
    found: dict[str, set[tuple[int, int, int]]] = {}
    for line in text.splitlines():
        head, _, neurons = line.partition(": ")
        words = head.split(" ", 4)
        if words[0] == "sample" and words[2] == "step":
            sample, step = int(words[1]), int(words[3])
            found.setdefault(words[4], set()).update((step, sample, int(n)) for n in neurons.split())
    return found


def spikes_of(recording: ns.Recording) -> dict[str, set[tuple[int, int, int]]]:
    return {name: set(zip(*np.nonzero(r), strict=True)) for name, r in recording.spikes.items() if r.any()}


def test_every_format_is_known():
    assert {"brian2", "nir", "scipy", "network"} <= set(FORMATS)


# a start of Brian2 each: every model, reset, kind of input and way of waiting is in one of them
SCRIPTED = [
    ("fan_in", "float64"),
    ("delay_3", "float32"),
    ("graded_input", "float32"),
    ("biases", "float64"),
    ("li_readout", "float32"),
    ("current_based", "float32"),
]


@pytest.mark.brian2
@pytest.mark.parametrize(("name", "dtype"), SCRIPTED)
def test_a_brian2_script_prints_the_spikes_of_the_reference(name: str, dtype: str, tmp_path: Path) -> None:
    case = make_case(name, dtype)
    ns.export(case.network, tmp_path / "out", to="brian2", inputs=case.inputs)
    expected = ns.simulate(case.network, case.inputs)
    text = run_alone(tmp_path / "out" / "simulate.py", "--save", "saved.npz")
    assert printed_spikes(text) == spikes_of(expected)
    assert expected.n_spikes > 20
    saved = np.load(tmp_path / "out" / "saved.npz", allow_pickle=False)
    for population, raster in expected.spikes.items():
        if population in saved:
            sample, step, neuron = saved[population].T
            rebuilt = np.zeros_like(raster)
            rebuilt[step, sample, neuron] = True
            np.testing.assert_array_equal(rebuilt, raster)
        else:
            np.testing.assert_array_equal(saved[f"{population}.v"], expected.voltages[population])
            assert saved[f"{population}.v"].dtype == dtype


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", case_names())
def test_nir_gives_the_same_network_back_bit_for_bit(name: str, dtype: str, tmp_path: Path) -> None:
    nir = pytest.importorskip("nir")
    network = make_case(name, dtype).network
    network.save(tmp_path / "before")
    ns.export(network, tmp_path / "graph.nir", to="nir")
    graph = nir.read(tmp_path / "graph.nir")  # the package's own reader, which checks types
    nir.write(tmp_path / "again.nir", graph)  # another program has opened and saved it
    sources = [graph] if dtype == "float64" else [graph, str(tmp_path / "again.nir")]  # a file starts a process
    for source in sources:
        found = ns.from_nir(source)
        assert found.assumptions == ()
        found.network.save(tmp_path / "after")
        assert (tmp_path / "after").read_bytes() == (tmp_path / "before").read_bytes()


READ_AS_FOREIGN: dict[str, dict[str, Any]] = {
    # what NIR can say, and what the reader must be told
    "chain": {"reset": "subtract"},
    "one_neuron_layers": {"reset": "subtract"},
    "fan_in": {"reset": "subtract"},
    "recurrent": {"reset": "subtract"},
    "delay_3": {"reset": "subtract"},
    "reset_zero": {},
    "reset_none": {"reset": "none"},
    "li_readout": {"reset": "subtract"},
    "graded_input": {"reset": "subtract", "input_kind": "graded"},
    "loop_as_long_as_its_hops": {"reset": "subtract"},
    "loop_shorter_than_its_hops": {"reset": "subtract"},
}


@pytest.mark.parametrize("name", READ_AS_FOREIGN)
def test_what_nir_can_say_is_right_without_our_metadata_too(name: str, tmp_path: Path) -> None:
    """Read as another program would read it: all but the last bits of the decays comes from NIR's own fields."""
    pytest.importorskip("nir")
    case = make_case(name, "float64")
    ns.export(case.network, tmp_path / "graph.nir", to="nir")
    options = READ_AS_FOREIGN[name]
    found = ns.from_nir(tmp_path / "graph.nir", dt=case.network.dt, trust_metadata=False, **options)
    assert len(found.assumptions) >= 3
    expected = ns.simulate(case.network, case.inputs, record="voltages")
    actual = ns.simulate(found.network, case.inputs, record="voltages")
    for population, raster in expected.spikes.items():
        np.testing.assert_array_equal(actual.spikes[population], raster)
        np.testing.assert_allclose(actual.voltages[population], expected.voltages[population], rtol=0, atol=1e-12)
