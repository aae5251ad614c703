"""The workloads: what is written is what was asked for, and the same for everybody."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from neurosparse.benchmarks import workload
from neurosparse.benchmarks.worker import Work


def test_the_layer_step_has_its_sizes_its_rate_and_its_number_of_synapses(tmp_path: Path) -> None:
    workload.layer_step(tmp_path, n=50, n_synapses=400, rate=0.2, n_steps=20, batch=10, seed=1)
    work = Work.load(tmp_path)
    assert work.arrays["x"].shape == work.arrays["g"].shape == (20, 10, 50)
    assert set(np.unique(work.arrays["x"])) == {0, 1}
    assert abs(work.arrays["x"].mean() - 0.2) < 0.02  # 10 000 draws: five standard deviations
    assert work.arrays["indptr"][-1] == work.arrays["indices"].size == work.arrays["values"].size == 400


def test_the_dense_form_has_the_same_weights_at_the_same_places(tmp_path: Path) -> None:
    arrays = {
        "indptr": np.int32([0, 2, 2, 3]),
        "indices": np.int32([0, 2, 1]),
        "values": np.float32([0.5, -1.0, 2.0]),
    }
    workload.write(tmp_path, {"n": 3}, arrays)
    work = Work.load(tmp_path)
    dense = work.dense()
    assert dense.tolist() == [[0.5, 0.0, -1.0], [0.0, 0.0, 0.0], [0.0, 2.0, 0.0]]
    assert work.at_synapses(dense).tolist() == [0.5, -1.0, 2.0]


def test_the_layers_of_a_training_step_fit_onto_each_other(tmp_path: Path) -> None:
    settings = workload.training_step(tmp_path, sizes=[6, 8, 3], density=0.25, rate=0.5, n_steps=4, batch=5, seed=0)
    work = Work.load(tmp_path)
    assert settings["n_synapses"] == [12, 6]
    assert [work.dense(str(i)).shape for i in range(2)] == [(8, 6), (3, 8)]
    assert work.arrays["labels"].shape == (5,)
    assert work.arrays["labels"].max() < 3


def test_weights_scale_with_the_inputs_a_neuron_really_has() -> None:
    indptr, _, values = workload.random_connectivity(400, 60, 6000, gain=2.0, seed=0)
    fan_in = np.diff(indptr)
    normal = values * np.sqrt(np.repeat(fan_in, fan_in)) / 2.0
    assert abs(normal.std() - 1.0) < 0.05
    assert abs(normal.mean()) < 0.07


def test_the_same_seed_gives_the_same_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        workload.layer_step(tmp_path / name, n=20, n_synapses=60, rate=0.1, n_steps=3, batch=2, seed=7)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
