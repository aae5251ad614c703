"""``evaluate``, ``simulate``, ``report`` and ``export`` on a trained run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from neurosparse.analysis.comparison import read_simulations
from neurosparse.analysis.rasters import read_rasters
from neurosparse.core.network import Network

from .conftest import Invoke, lines


def test_evaluate_and_simulate_agree_on_the_accuracy(run: Path, invoke: Invoke) -> None:
    (evaluated,) = lines(invoke("evaluate", run, "--json").stdout)
    (simulated,) = lines(invoke("simulate", run, "--backend", "snntorch", "--json").stdout)
    assert evaluated["samples"] == 360
    assert [row["accuracy"] for row in simulated["simulations"]] == [evaluated["accuracy"]] * 2
    assert evaluated["synapses"] == Network.load(run / "network.safetensors").n_synapses
    spikes = simulated["simulations"][0]["spikes"]
    assert evaluated["spikes_per_sample"] == pytest.approx(spikes / 360)
    counted = evaluated["neurobench"]  # which does not count a synapse of weight 0
    effective = counted["effective_acs"] + counted["effective_macs"]
    assert 0.9 < effective / evaluated["synaptic_operations_per_sample"] <= 1


def test_evaluate_counts_degrees_and_what_became_of_the_synapses(run: Path, invoke: Invoke) -> None:
    (told,) = lines(invoke("evaluate", run, "--json", "--samples", 50).stdout)
    network = Network.load(run / "network.safetensors")
    for projection in network.projections:
        name = f"{projection.source} -> {projection.target}"
        assert told["fan_in"][name]["mean"] == pytest.approx(projection.n_synapses / projection.shape[0])
        assert told["fan_out"][name]["mean"] == pytest.approx(projection.n_synapses / projection.shape[1])
        assert projection.density <= told["sites_visited"][projection.target] <= 1
    assert set(told["saturated_neurons"]) == {"hidden1"}
    assert sum(told["deaths"].values()) > 0
    (run / "metrics.jsonl").unlink()
    (told,) = lines(invoke("evaluate", run, "--json", "--samples", 50).stdout)
    assert "sites_visited" not in told


def test_evaluate_prints_a_table(trained: Path, invoke: Invoke) -> None:
    result = invoke("evaluate", trained, "--samples", 20, "--split", "validation")
    assert result.exit_code == 0
    words = ("accuracy", "validation", "synaptic operations per sample", "hidden1", "NeuroBench", "effective acs")
    for word in (*words, "fan in (least / mean / most)", "saturated neurons", "sites visited"):
        assert word in result.stdout, word


def test_evaluate_knows_three_splits(trained: Path, invoke: Invoke) -> None:
    result = invoke("evaluate", trained, "--split", "tset")
    assert result.exit_code == 2
    assert "split: must be train, validation or test, got 'tset'" in result.stderr


def test_simulate_shows_that_every_spike_is_the_same(run: Path, invoke: Invoke) -> None:
    result = invoke("simulate", run, "--backend", "snntorch", "--samples", 30, "--voltages")
    assert result.exit_code == 0
    for word in (
        "reference",
        "snntorch",
        "identical",
        "accuracy",
        "synapses",
        "density",
        "spikes",
        "seconds",
        "parity",
    ):
        assert word in result.stdout, word
    assert list(read_rasters(run).engines) == ["reference", "snntorch"]
    kept = read_simulations(run)
    assert [(row.backend, row.samples, row.identical) for row in kept] == [
        ("reference", 30, None),
        ("snntorch", 30, True),
    ]
    assert kept[1].parity is not None
    assert set(kept[1].parity["populations"]) == {"hidden1", "output"}
    assert kept[1].parity["populations"]["hidden1"]["voltage_mismatches"] == 0


@pytest.mark.usefixtures("engines")
def test_one_different_spike_is_a_failed_check_and_is_named(run: Path, invoke: Invoke) -> None:
    result = invoke("simulate", run, "--backend", "faulty", "--samples", 5)
    assert result.exit_code == 1
    assert "DIFFERENT" in result.stdout
    assert "first difference: population 'hidden1', step 2, sample 0, neuron 5" in result.stdout
    result = invoke("simulate", run, "--backend", "faulty", "--samples", 5, "--json")
    assert result.exit_code == 1
    (told,) = lines(result.stdout)
    first = told["simulations"][1]["parity"]["first_difference"]
    assert (first["step"], first["sample"], first["neuron"]) == (2, 0, 5)


@pytest.mark.usefixtures("engines")
def test_an_engine_that_is_not_installed_is_told_with_the_line_that_installs_it(run: Path, invoke: Invoke) -> None:
    result = invoke("simulate", run, "--backend", "absent")
    assert result.exit_code == 2
    assert "'absent' is not installed here: pip install absent-engine" in result.stderr
    assert "reference:" not in result.stderr  # refused before anything has run


def test_an_unknown_engine_is_told_with_its_near_miss(trained: Path, invoke: Invoke) -> None:
    result = invoke("simulate", trained, "--backend", "snntroch")
    assert result.exit_code == 2
    assert "Did you mean 'snntorch'?" in result.stderr


def test_simulate_cannot_take_more_samples_than_there_are(trained: Path, invoke: Invoke) -> None:
    result = invoke("simulate", trained, "--backend", "snntorch", "--samples", 361)
    assert result.exit_code == 2
    assert "must be in 1..360, got 361" in result.stderr
    assert invoke("simulate", trained, "--backend", "snntorch", "--samples", 0).exit_code == 2


@pytest.mark.parametrize("command", [["evaluate"], ["simulate", "--backend", "snntorch"], ["report"]])
def test_a_run_that_does_not_exist_is_told_with_how_to_make_one(command: list[str], invoke: Invoke) -> None:
    result = invoke(*command, "/absent/run")
    assert result.exit_code == 2
    assert "neurosparse train CONFIG --out /absent/run" in result.stderr


def test_a_run_without_a_network_is_told_with_how_to_go_on(run: Path, invoke: Invoke) -> None:
    (run / "network.safetensors").unlink()
    result = invoke("evaluate", run)
    assert result.exit_code == 2
    assert f"neurosparse train --resume {run}" in result.stderr


def test_the_report_has_an_example_and_the_pixels_of_the_data_set(run: Path, invoke: Invoke) -> None:
    result = invoke("report", run, "--json")
    (told,) = lines(result.stdout)
    names = {Path(figure).stem for figure in told["figures"]}
    assert {"raster", "readout", "pixels_input_to_hidden1_after", "weights_input_to_hidden1_before"} <= names
    page = Path(told["report"]).read_text()
    for word in ("synaptic operations", "State of the training", "Sites ever visited"):
        assert word in page, word


def test_a_report_without_the_data_set_has_no_example(run: Path, invoke: Invoke) -> None:
    config = run / "config.toml"
    config.write_text(config.read_text().replace('name = "digits"', 'name = "mnist"\nroot = "/absent"'))
    result = invoke("report", run)
    assert result.exit_code == 0
    assert "the report has no raster and no activity" in result.stderr
    assert not (run / "figures" / "raster.png").exists()
    assert (run / "figures" / "accuracy.png").exists()


def test_export_to_scipy_holds_the_whole_network(trained: Path, tmp_path: Path, invoke: Invoke) -> None:
    (told,) = lines(invoke("export", trained, "--to", "scipy", "--out", tmp_path / "matrices", "--json").stdout)
    network = Network.load(trained / "network.safetensors")
    description = json.loads((tmp_path / "matrices" / "network.json").read_text())
    assert told["files"][-1] == str(tmp_path / "matrices" / "network.json")
    for projection, entry in zip(network.projections, description["projections"], strict=True):
        matrix = sp.load_npz(tmp_path / "matrices" / entry["file"])
        assert matrix.nnz == projection.n_synapses  # synapses of weight 0 stay
        np.testing.assert_array_equal(matrix.toarray(), projection.to_scipy().toarray())
        assert (entry["source"], entry["target"], entry["delay"]) == (projection.source, projection.target, 0)
    for population, entry in zip(network.populations, description["populations"], strict=True):
        assert entry["model"] == type(population.neuron).__name__
        for name, values in entry["parameters"].items():
            np.testing.assert_array_equal(np.array(values, np.float32), getattr(population.neuron, name))


def test_export_as_a_network_is_the_same_file(trained: Path, tmp_path: Path, invoke: Invoke) -> None:
    assert invoke("export", trained, "--to", "network", "--out", tmp_path / "net.safetensors").exit_code == 0
    assert (tmp_path / "net.safetensors").read_bytes() == (trained / "network.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("lava", "has no quantized.safetensors; choose its integers first with: neurosparse deploy"),
        ("scpy", "Did you mean 'scipy'?"),
    ],
)
def test_a_format_that_cannot_be_written_is_refused(
    trained: Path, tmp_path: Path, invoke: Invoke, to: str, message: str
) -> None:
    result = invoke("export", trained, "--to", to, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "out").exists()


def test_export_overwrites_nothing(trained: Path, tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    for to, out in (("scipy", tmp_path / "full"), ("network", tmp_path / "full" / "thesis.txt")):
        result = invoke("export", trained, "--to", to, "--out", out)
        assert result.exit_code == 2
        assert "nothing is overwritten" in result.stderr
    assert (tmp_path / "full" / "thesis.txt").read_text() == "mine"
