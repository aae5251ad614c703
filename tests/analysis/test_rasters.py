"""The spikes of one sample in several engines: kept, read again, and drawn on top of each other."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from neurosparse.analysis import plots
from neurosparse.analysis.overlay import MAX_NEURONS, MAX_STEPS, mismatches
from neurosparse.analysis.palette import png
from neurosparse.analysis.rasters import RASTERS, read_rasters, write_rasters
from neurosparse.core.container import write_container
from neurosparse.core.network import Network
from neurosparse.core.recording import Recording
from neurosparse.errors import ArtifactError, ValidationError


def test_the_first_sample_of_every_engine_is_kept(run: Path, recording: Recording, inputs: np.ndarray) -> None:
    found = read_rasters(run)
    assert found is not None
    assert (list(found.engines), found.label, found.dt, found.spiking) == (["reference", "brian2"], 0, 1e-3, ["hidden"])
    for spikes in found.engines.values():
        np.testing.assert_array_equal(spikes["hidden"], recording.spikes["hidden"][:, 0])
    write_rasters(run, [dataclasses.replace(recording, backend="lava")], inputs, 0)
    assert list(read_rasters(run).engines) == ["reference", "brian2", "lava"]


def test_another_sample_or_another_network_begins_anew(
    run: Path, network: Network, recording: Recording, inputs: np.ndarray
) -> None:
    write_rasters(run, [recording], inputs[:, ::-1], 7)
    assert (list(read_rasters(run).engines), read_rasters(run).label) == (["reference"], 7)
    dataclasses.replace(network, dt=2e-3).save(run / "network.safetensors")
    assert read_rasters(run) is None
    write_rasters(run, [dataclasses.replace(recording, backend="native")], inputs, 0)
    assert list(read_rasters(run).engines) == ["native"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"engines": None}, "names no engines"),
        ({"engines": ["a", "b", "c"]}, "tensor '2.0' is missing"),
        ({"dt": None}, "remove the file and simulate again"),
    ],
)
def test_a_damaged_file_is_refused_with_its_path(run: Path, change: dict, message: str) -> None:
    before = read_rasters(run)
    text = json.loads((run / "simulations.json").read_text())
    header = {"network_sha256": text["network_sha256"], "sample_sha256": "", "dt": 1e-3, "label": 0}
    header = {**header, "engines": ["reference", "brian2"], "populations": ["hidden"], **change}
    spikes = before.engines["reference"]["hidden"]
    write_container(run / RASTERS, kind="rasters", version=1, header=header, tensors={"0.0": spikes, "1.0": spikes})
    with pytest.raises(ArtifactError, match=message) as error:
        read_rasters(run)
    assert RASTERS in str(error.value)


def test_rasters_of_different_shapes_are_refused(run: Path) -> None:
    text = json.loads((run / "simulations.json").read_text())
    header = {"network_sha256": text["network_sha256"], "dt": 1e-3, "label": 0}
    header |= {"engines": ["reference", "brian2"], "populations": ["hidden"]}
    tensors = {"0.0": np.zeros((3, 2), bool), "1.0": np.zeros((3, 4), bool)}
    write_container(run / RASTERS, kind="rasters", version=1, header=header, tensors=tensors)
    with pytest.raises(ArtifactError, match="must hold booleans"):
        read_rasters(run)


def _engines(n_steps: int, n: int) -> dict[str, np.ndarray]:
    spikes = np.random.default_rng(0).random((n_steps, n)) < 0.3
    return {name: spikes.copy() for name in ("reference", "brian2", "lava")}


def test_mismatches_are_counted_for_every_engine_but_the_first() -> None:
    engines = _engines(6, 4)
    engines["lava"][2:4, 1] ^= True
    assert mismatches(engines) == {"brian2": 0, "lava": 2}


def test_every_engine_has_its_own_lane_in_a_field_of_the_reference() -> None:
    engines = _engines(6, 4)
    ax = plots.raster_overlay(engines)
    collections = [c for c in ax.collections if c.get_label() in engines]
    assert [c.get_label() for c in collections] == ["reference", "brian2", "lava"]
    centres = [np.array([p.vertices[:4].mean(axis=0) for p in c.get_paths()]) for c in collections]
    spikes = int(engines["reference"].sum())
    assert [len(c) for c in centres] == [spikes] * 3
    np.testing.assert_allclose(centres[1][:, 0], centres[0][:, 0] - 0.2)
    np.testing.assert_allclose(centres[2][:, 0], centres[0][:, 0] + 0.2)
    assert {text.get_text() for text in ax.get_legend().get_texts()} == set(engines)
    assert png(ax.figure)


def test_a_spike_that_only_one_has_is_circled() -> None:
    engines = _engines(6, 4)
    engines["brian2"][4, 2] ^= True
    ax = plots.raster_overlay(engines)
    rings = [c.get_offsets() for c in ax.collections if c.get_label() not in engines and len(c.get_offsets())]
    assert [np.asarray(r).round(6).tolist() for r in rings] == [[[3.8, 2.0]]]


def test_neurons_and_steps_with_differences_are_the_ones_that_are_shown() -> None:
    engines = _engines(200, 300)
    engines["lava"][150, 299] ^= True
    ax = plots.raster_overlay(engines)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert len(labels) == MAX_NEURONS
    assert "299" in labels
    assert labels == sorted(labels, key=int)
    assert ax.get_xlim() == (144.5, 144.5 + MAX_STEPS)
    assert f"({MAX_NEURONS} of 300)" in ax.get_ylabel()


def test_one_engine_alone_cannot_be_compared() -> None:
    spikes = np.zeros((3, 2), bool)
    with pytest.raises(ValidationError, match="raster_overlay: needs two engines or more of one shape"):
        plots.raster_overlay({"reference": spikes})
    with pytest.raises(ValidationError, match="raster_overlay"):
        plots.raster_overlay({"reference": spikes, "lava": np.zeros((4, 2), bool)})
