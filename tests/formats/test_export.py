"""`export`: what goes where, and what is refused; the switches of a Brian2 script."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurosparse as ns
from neurosparse.core.network import INPUT, Input, Network, Population, Projection
from neurosparse.core.neurons import LIF
from neurosparse.errors import ArtifactError, UnknownNameError, UnsupportedError, ValidationError
from neurosparse.formats.brian2_script import write_brian2_script


def small(**names: Any) -> Network:
    """Two neurons behind three lines."""
    name = names.get("name", "a")
    weights = Projection.from_dense(INPUT, name, np.float32([[1.5, 0, 0.5], [0, 1.25, 0.75]]))
    return Network(Input(3), [Population(name, 2, LIF(beta=0.5))], [weights], grid={name: 12})


def test_an_unknown_format_is_told_with_its_near_miss(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"'brain2' is not known. Did you mean 'brian2'"):
        ns.export(small(), tmp_path / "x", to="brain2")


@pytest.mark.parametrize("to", ["brian2", "scipy", "network"])
def test_nothing_is_overwritten(to: str, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValidationError, match="nothing is overwritten"):
        ns.export(small(), tmp_path, to=to)
    with pytest.raises(ValidationError, match="nothing is overwritten"):
        ns.export(small(), tmp_path / "mine.txt", to=to)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="cannot be written"):
        ns.export(small(), tmp_path / "file" / "below", to="network")


def test_a_file_of_ours_is_the_same_network(tmp_path: Path) -> None:
    assert ns.export(small(), tmp_path / "a", to="network") == [tmp_path / "a"]
    small().save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_loop_that_brian2_cannot_run_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    ones = np.ones((1, 1), np.float32)
    projections = [
        Projection.from_dense(INPUT, "a", ones),
        Projection.from_dense("a", "b", ones),
        Projection.from_dense("b", "a", ones, delay=1),
    ]
    network = Network(Input(1), [Population("a", 1, LIF()), Population("b", 1, LIF())], projections)
    with pytest.raises(UnsupportedError, match="a loop through a has less delay than hops"):
        ns.export(network, tmp_path / "out", to="brian2")
    assert not (tmp_path / "out").exists()


def test_inputs_that_the_network_cannot_take_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="this network takes spikes"):
        ns.export(small(), tmp_path / "out", to="brian2", inputs=np.full((4, 1, 3), 7))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["lambda", "9.lives", "b2", "spikes", "np", "n-1", "data", "_x", "a_to_a"])
def test_any_name_makes_a_script_that_compiles_without_a_long_line(name: str, tmp_path: Path) -> None:
    script, _ = write_brian2_script(small(name=name), tmp_path)
    text = script.read_text()
    compile(text, str(script), "exec")
    assert max(map(len, text.splitlines())) <= 120
    assert f"\n# {name}: 2 LIF neurons, a spike subtracts the threshold in the next step\n" in text


def test_the_same_network_gives_the_same_script_and_data(tmp_path: Path) -> None:
    first, second = (write_brian2_script(small(), tmp_path / folder) for folder in ("a", "b"))
    assert [f.read_bytes() for f in first] == [f.read_bytes() for f in second]


def script(path: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(path), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.brian2
def test_a_script_takes_the_input_of_its_user(tmp_path: Path) -> None:
    path, _ = write_brian2_script(small(), tmp_path)
    x = np.random.default_rng(5).random((6, 2, 3)) < 0.5
    np.save(tmp_path / "x.npy", x.astype(np.uint8))
    done = script(path, "--input", tmp_path / "x.npy", "--samples", 1)
    expected = ns.simulate(small(), x[:, :1])
    rows = [np.flatnonzero(row) for row in expected.spikes["a"][:, 0]]
    lines = [f"sample 0 step {t} a: {' '.join(map(str, row))}" for t, row in enumerate(rows) if row.size]
    assert done.stdout.splitlines() == [*lines, f"a: {expected.n_spikes} spikes in 1 samples of 6 steps"]
    np.save(tmp_path / "wrong.npy", np.full((6, 2, 4), 1))
    done = script(path, "--input", tmp_path / "wrong.npy")
    assert done.returncode == 2
    assert "the input must be an array (steps, samples, 3), got (6, 2, 4)" in done.stderr


@pytest.mark.brian2
def test_a_script_without_data_makes_its_own_input_from_a_seed(tmp_path: Path) -> None:
    path, _ = write_brian2_script(small(), tmp_path)
    done = script(path, "--rate", 0.4, "--steps", 20, "--seed", 1)
    x = np.random.default_rng(1).random((20, 1, 3)) < 0.4
    assert done.stdout.endswith(f"a: {ns.simulate(small(), x).n_spikes} spikes in 1 samples of 20 steps\n")


@pytest.mark.brian2
@pytest.mark.compiler
@pytest.mark.slow
def test_a_script_in_cpp_prints_the_same(tmp_path: Path) -> None:
    x = np.random.default_rng(5).random((12, 2, 3)) < 0.5
    path, _ = write_brian2_script(small(), tmp_path, x)
    compiled, interpreted = script(path, "--standalone"), script(path)
    assert compiled.returncode == 0, compiled.stderr
    assert compiled.stdout == interpreted.stdout
    assert f"a: {ns.simulate(small(), x).n_spikes} spikes in 2 samples of 12 steps" in compiled.stdout
