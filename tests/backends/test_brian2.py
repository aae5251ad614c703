"""What is particular to Brian2: its global state stays the user's, compilers fail with a message, chunks add up."""

from __future__ import annotations

import logging
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import neurosparse as ns
from neurosparse.backends import brian2_session
from neurosparse.backends.base import get_backend
from neurosparse.backends.brian2 import Brian2, Brian2Cython, Brian2Standalone
from neurosparse.core.grid import snap_to_grid
from neurosparse.core.network import INPUT, Input, Network, Population, Projection
from neurosparse.core.neurons import LI, LIF
from neurosparse.errors import MissingDependencyError, SidecarError, UnsupportedError, ValidationError

# Brian2 2.9 uses deprecated names of pyparsing; where a test runs Brian2 by itself that is no failure.
pytestmark = [pytest.mark.brian2, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
if Brian2().missing() is not None:
    pytest.skip(f"brian2: {Brian2().missing()}", allow_module_level=True)
brian2 = brian2_session.import_brian2()


def _network(seed: int = 0, n: int = 12) -> tuple[Network, np.ndarray]:
    rng = np.random.default_rng(seed)
    projections = [
        Projection.from_dense(INPUT, "a", rng.normal(0.4, 0.6, (n, 5)).astype(np.float32)),
        Projection.from_dense("a", "a", rng.normal(0, 0.3, (n, n)).astype(np.float32), delay=1),
        Projection.from_dense("a", "out", rng.normal(0, 0.6, (3, n)).astype(np.float32)),
    ]
    network = Network(Input(5), [Population("a", n, LIF(bias=0.05)), Population("out", 3, LI())], projections)
    return snap_to_grid(network)[0], rng.random((15, 7, 5)) < 0.3


@pytest.mark.parametrize("max_synapses", [1, 450, 1000, 2000])
def test_the_size_of_the_chunks_changes_nothing(max_synapses: int) -> None:
    network, x = _network()
    expected = ns.simulate(network, x, backend="reference", record="voltages")
    actual = ns.simulate(network, x, backend=Brian2(max_synapses=max_synapses), record="voltages")
    assert ns.parity(expected, actual).identical


def test_info_has_the_seconds_of_building_and_running_and_the_events() -> None:
    projection = Projection.from_dense(INPUT, "a", np.full((4, 2), 0.5, np.float32))
    network = Network(Input(2), [Population("a", 4, LIF())], [projection])
    x = np.zeros((6, 1, 2), bool)
    x[[0, 2, 5], 0, 1] = True
    info = ns.simulate(network, x, backend="brian2").info
    assert set(info) == {"build_seconds", "run_seconds", "synaptic_events"}
    assert info["synaptic_events"] == 3 * 4
    assert info["build_seconds"] > 0
    assert info["run_seconds"] > 0


def test_a_run_leaves_preferences_device_clock_and_logging_as_they_were() -> None:
    network, x = _network()
    brian2.prefs.codegen.target = "numpy"
    brian2.prefs.core.default_float_dtype = np.float64
    brian2.defaultclock.dt = 0.25 * brian2.ms
    mine = brian2.NeuronGroup(2, "v : 1", name="neurosparse_neurons")  # even under a name of ours
    try:
        before = dict(brian2.prefs), brian2.get_device(), list(sys.modules["brian2.devices.device"].previous_devices)
        level = logging.getLogger("brian2").level
        ns.simulate(network, x, backend="brian2", record="voltages")
        assert (dict(brian2.prefs), brian2.get_device()) == before[:2]
        assert sys.modules["brian2.devices.device"].previous_devices == before[2]
        assert float(brian2.defaultclock.dt) == 0.25e-3
        assert logging.getLogger("brian2").level == level
        mine.v = 3.0
        brian2.Network(mine).run(1 * brian2.ms)
        assert np.asarray(mine.v).tolist() == [3.0, 3.0]
    finally:
        brian2.defaultclock.dt = 0.1 * brian2.ms
        brian2.prefs.codegen.target = "auto"


def test_settings_of_the_user_that_would_change_the_numbers_do_not() -> None:
    network, x = _network()
    saved = dict(brian2.prefs)
    try:
        brian2.prefs.core.default_float_dtype = np.float64
        brian2.prefs.codegen.loop_invariant_optimisations = True
        brian2.prefs.core.network.default_schedule = ["start", "synapses", "groups", "thresholds", "resets", "end"]
        expected = ns.simulate(network, x, backend="reference", record="voltages")
        assert ns.parity(expected, ns.simulate(network, x, backend="brian2", record="voltages")).identical
    finally:
        for name, value in saved.items():
            brian2.prefs[name] = value


def test_a_standalone_project_of_the_user_survives_a_run_in_between(tmp_path: Path) -> None:
    network, x = _network()
    try:
        brian2.set_device("cpp_standalone", directory=str(tmp_path), build_on_run=False)
        device = brian2.get_device()
        group = brian2.NeuronGroup(2, "v : 1", name="users_neurons")
        arrays, queue = dict(device.arrays), list(device.main_queue)
        recording = ns.simulate(network, x, backend="brian2")
        assert brian2.get_device() is device
        assert (dict(device.arrays), list(device.main_queue)) == (arrays, queue)
        assert recording.n_spikes > 0
        assert group.name == "users_neurons"
    finally:
        brian2.get_device().reinit()
        brian2.devices.reset_device()
    assert brian2.get_device() is brian2.all_devices["runtime"]


def test_an_error_in_a_run_restores_everything_too(monkeypatch: pytest.MonkeyPatch) -> None:
    network, x = _network()
    before = dict(brian2.prefs), brian2.get_device()
    monkeypatch.setattr(brian2.Network, "run", lambda *a, **k: (_ for _ in ()).throw(RuntimeError("broken")))
    with pytest.raises(RuntimeError, match="broken"):
        ns.simulate(network, x, backend="brian2")
    assert (dict(brian2.prefs), brian2.get_device()) == before


def test_importing_brian2_on_the_users_behalf_takes_over_nothing() -> None:
    code = "\n".join(
        [
            "import signal, sys, warnings",
            "before = signal.getsignal(signal.SIGINT), sys.excepthook, warnings.showwarning",
            "import numpy as np, neurosparse as ns",
            "network = ns.Network(ns.Input(1), [ns.Population('a', 1, ns.LIF())], [])",
            "ns.simulate(network, np.ones((2, 1), bool), backend='brian2')",
            "assert 'brian2' in sys.modules",
            "assert (signal.getsignal(signal.SIGINT), sys.excepthook, warnings.showwarning) == before",
        ]
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_interrupting_a_run_is_an_interrupt_and_not_a_shorter_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    network, x = _network()
    run = brian2.SpikeMonitor.run
    monkeypatch.setattr(brian2.SpikeMonitor, "run", lambda self: (signal.raise_signal(signal.SIGINT), run(self)))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore the signal
    try:
        with pytest.raises(KeyboardInterrupt):
            ns.simulate(network, x, backend="brian2")
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_loop_shorter_than_its_hops_is_refused_with_its_reason() -> None:
    one = np.float32([[1]])
    edges = ((INPUT, "a", 0), ("a", "b", 0), ("b", "a", 1))
    projections = [Projection.from_dense(source, target, one, delay=delay) for source, target, delay in edges]
    network = Network(Input(1), [Population(name, 1, LIF()) for name in "ab"], projections)
    with pytest.raises(UnsupportedError, match="one step per hop"):
        ns.simulate(network, np.ones((2, 1), bool), backend="brian2")


def test_without_brian2_the_message_is_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brian2_session.importlib.util, "find_spec", lambda name: None)
    network, x = _network()
    for name in ("brian2", "brian2-cython", "brian2-standalone"):
        with pytest.raises(MissingDependencyError, match=r"pip install 'neurosparse\[brian2\]'"):
            ns.simulate(network, x, backend=name)


def test_without_a_compiler_only_the_numpy_target_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("CXX", raising=False)
    assert get_backend("brian2").missing() is None
    for name in ("brian2-cython", "brian2-standalone"):
        assert "C++ compiler" in (get_backend(name).missing() or "")


@pytest.mark.parametrize("value", [0, -1])
def test_settings_out_of_range_name_their_field(value: int) -> None:
    with pytest.raises(ValidationError, match=r"Brian2Cython\.max_synapses: .* got"):
        Brian2Cython(max_synapses=value)
    with pytest.raises(ValidationError, match=r"Brian2Standalone\.time_limit_s: .* got"):
        Brian2Standalone(time_limit_s=value)


def _compiler(folder: Path, script: str) -> str:
    """Return the path of a g++ that answers Brian2's questions about flags and runs `script` for everything else."""
    path = folder / "g++-broken"
    real = shutil.which("g++")
    path.write_text(f'#!/bin/sh\ncase "$*" in *flag_test*) exec {real} "$@";; esac\n{script}\n')
    path.chmod(0o755)
    return str(path)


@pytest.mark.compiler
def test_a_compiler_that_fails_is_reported_with_its_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", _compiler(tmp_path, 'echo "main.cpp:1: error: no space left" >&2; exit 1'))
    network, x = _network()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(SidecarError, match=r"main\.cpp:1: error: no space left"):
        ns.simulate(network, x, backend="brian2-standalone")
    assert list(tmp_path.glob("neurosparse_*")) == [], "the project's directory is removed"


@pytest.mark.compiler
def test_a_compiler_that_never_ends_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", _compiler(tmp_path, "sleep 600"))
    network, x = _network()
    with pytest.raises(SidecarError, match="time limit"):
        ns.simulate(network, x, backend=Brian2Standalone(time_limit_s=1.0))


@pytest.mark.compiler
def test_a_standalone_run_leaves_no_directory_and_nothing_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    network, x = _network()
    before = dict(brian2.prefs), brian2.get_device()
    expected = ns.simulate(network, x, backend="reference", record="voltages")
    actual = ns.simulate(network, x, backend="brian2-standalone", record="voltages")
    assert ns.parity(expected, actual).identical
    assert 0 < actual.info["run_seconds"] < actual.info["build_seconds"]
    assert (dict(brian2.prefs), brian2.get_device()) == before
    assert list(tmp_path.glob("neurosparse_*")) == []


@pytest.mark.compiler
def test_cython_compiles_nothing_for_another_network() -> None:
    first, second = _network(seed=0, n=12), _network(seed=1, n=9)
    ns.simulate(*first, backend="brian2-cython", record="voltages")
    folder = Path(brian2_session._cython_cache())
    modules = {path.name for path in folder.glob("*_cython_magic_*")}
    assert modules
    ns.simulate(*second, backend="brian2-cython", record="voltages")
    assert {path.name for path in folder.glob("*_cython_magic_*")} == modules
