"""Lava's workers that fail, hang or are killed end with an error that says why, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

import neurosparse as ns
from neurosparse.backends import lava
from neurosparse.backends.lava import Lava
from neurosparse.core.network import Input, Network, Population, Projection
from neurosparse.core.neurons import LIF
from neurosparse.errors import SidecarError

pytestmark = pytest.mark.lava

WORKER = Path(lava.__file__).with_name("lava_worker.py")

# The real worker, with a neuron model that does at its fifth step what each test wants. The file REPORT tells the test
# which process does it and which segments of shared memory there are.
FAULTY_WORKER = """
import importlib.util, os, signal, sys, time
from pathlib import Path

if __name__ == "__main__":
    spec = importlib.util.spec_from_file_location("lava_worker", {worker!r})
    worker = importlib.util.module_from_spec(spec)
    sys.modules["lava_worker"] = worker
    spec.loader.exec_module(worker)
    folder, report = Path(sys.argv[1]), Path({report!r})
    install = worker.install_guards

    def install_and_spoil(folder):
        install(folder)
        from lava_processes.neurons import SnnLIFFloat32

        run_spk = SnnLIFFloat32.run_spk

        def fault(self):
            if self.time_step == 5:
                segments = (folder / "shared_memory.txt").read_text().split()
                report.with_suffix(".part").write_text(" ".join([str(os.getppid()), str(folder), *segments]))
                report.with_suffix(".part").rename(report)
                {fault}
            run_spk(self)

        SnnLIFFloat32.run_spk = fault

    worker.install_guards = install_and_spoil
    try:
        worker.main(folder.resolve())
    except BaseException:
        import traceback
        traceback.print_exc()
        worker.fail("failed")
"""


class Faulty:
    """A worker with a fault, and what its report says once the fault has begun."""

    def __init__(self, folder: Path, fault: str) -> None:
        self.script, self.report = folder / "faulty_worker.py", folder / "report"
        self.script.write_text(FAULTY_WORKER.format(worker=str(WORKER), report=str(self.report), fault=fault))

    def wait(self) -> tuple[int, Path, list[Path]]:
        """Return the worker's process id, its exchange folder and its shared-memory segments."""
        deadline = time.monotonic() + 30
        while not self.report.exists():
            assert time.monotonic() < deadline, "the fault was never reached"
            time.sleep(0.02)
        pid, folder, *segments = self.report.read_text().split()
        return int(pid), Path(folder), [Path("/dev/shm") / name for name in segments]

    def assert_nothing_is_left(self) -> None:
        pid, folder, segments = self.wait()
        assert len(segments) > 10
        assert [segment for segment in segments if segment.exists()] == []
        assert not folder.exists()
        assert members(pid) == []


def members(group: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["status"]):
        try:
            if os.getpgid(process.pid) == group and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        except OSError:
            continue
    return found


@pytest.fixture
def faulty(tmp_path, monkeypatch):
    def make(fault: str) -> Faulty:
        worker = Faulty(tmp_path, fault)
        monkeypatch.setattr(lava, "_WORKER", worker.script)
        return worker

    return make


def network() -> Network:
    projection = Projection.from_dense("input", "a", np.ones((2, 2), np.float32))
    return Network(Input(2), [Population("a", 2, LIF())], [projection])


def simulate(time_limit_s: float = 60.0) -> ns.Recording:
    return ns.simulate(network(), np.ones((10, 2), bool), backend=Lava(time_limit_s=time_limit_s), record="voltages")


def test_the_spoiled_worker_runs_as_long_as_it_has_no_fault(faulty) -> None:
    worker = faulty("pass")
    recording = simulate()
    assert recording.n_spikes > 0
    worker.assert_nothing_is_left()


def test_an_exception_inside_a_process_model_comes_back_with_its_traceback(faulty) -> None:
    worker = faulty("raise ZeroDivisionError('in the neuron')")
    with pytest.raises(SidecarError, match="Lava worker: failed with exit status 1") as caught:
        simulate()
    assert "exception in SnnLIFFloat32" in caught.value.output
    assert "ZeroDivisionError: in the neuron" in caught.value.output
    assert "Lava processes ended early" in caught.value.output
    worker.assert_nothing_is_left()


def test_a_process_model_that_never_returns_ends_at_the_time_limit(faulty) -> None:
    worker = faulty("print('round and round', flush=True); time.sleep(600)")
    started = time.monotonic()
    with pytest.raises(SidecarError, match=r"(?s)did not end within its time limit.*round and round"):
        simulate(time_limit_s=3.0)
    assert time.monotonic() - started >= 3.0
    worker.assert_nothing_is_left()


def test_a_lava_process_that_is_killed_ends_the_run_at_once(faulty) -> None:
    worker = faulty("os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(SidecarError, match=r"(?s)Lava worker: failed.*1 of \d+ Lava processes ended early"):
        simulate()
    worker.assert_nothing_is_left()


@pytest.mark.parametrize("whom", ["the worker", "its whole group, resource tracker included"])
def test_a_worker_that_is_killed_in_mid_run_leaves_nothing(faulty, whom: str) -> None:
    worker = faulty("time.sleep(600)")

    def kill() -> None:
        pid, _, segments = worker.wait()
        assert all(segment.exists() for segment in segments)
        if whom == "the worker":
            os.kill(pid, signal.SIGKILL)
        else:
            os.killpg(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(SidecarError, match="Lava worker: was killed by SIGKILL"):
        simulate()
    killer.join()
    worker.assert_nothing_is_left()


def test_a_worker_whose_caller_is_killed_ends_itself(tmp_path) -> None:
    worker = Faulty(tmp_path, "time.sleep(600)")
    code = f"""
    from pathlib import Path
    import numpy as np
    import neurosparse as ns
    from neurosparse.backends import lava
    from neurosparse.core.network import Input, Network, Population, Projection
    from neurosparse.core.neurons import LIF
    lava._WORKER = Path({str(worker.script)!r})
    projection = Projection.from_dense("input", "a", np.ones((2, 2), np.float32))
    network = Network(Input(2), [Population("a", 2, LIF())], [projection])
    ns.simulate(network, np.ones((10, 2), bool), backend="lava")
    """
    folder = Path(ns.__file__).parents[1]
    temporary = tmp_path / "temporary"  # nobody is left to remove the exchange folder
    temporary.mkdir()
    variables = {**os.environ, "TMPDIR": str(temporary)}
    caller = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], cwd=folder, env=variables)
    pid, _, segments = worker.wait()
    caller.kill()
    caller.wait()
    deadline = time.monotonic() + 20
    while (members(pid) or any(segment.exists() for segment in segments)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert members(pid) == []
    assert [segment for segment in segments if segment.exists()] == []


def test_an_input_that_does_not_fit_fails_while_lava_is_being_set_up(monkeypatch) -> None:
    write = lava._write

    def damaged(folder, *arguments) -> None:
        write(folder, *arguments)
        np.save(folder / "input.npy", np.zeros((10, 1, 7), np.uint8))

    monkeypatch.setattr(lava, "_write", damaged)
    with pytest.raises(SidecarError, match="cannot reshape array"):
        simulate()


def test_a_network_that_needs_more_shared_memory_than_there_is_says_so(tmp_path, monkeypatch) -> None:
    script = tmp_path / "worker.py"
    text = WORKER.read_text().replace("self.free = ", "self.free = 64 + 0 * ")
    assert "64 + 0" in text
    script.write_text(text.replace("Path(__file__).resolve().parent", f"Path({str(WORKER.parent)!r})"))
    monkeypatch.setattr(lava, "_WORKER", script)
    with pytest.raises(SidecarError, match=r"(?s)/dev/shm has 0 MiB free, the channels of this network need more"):
        simulate()


def test_a_time_limit_is_for_all_chunks_together(monkeypatch) -> None:
    monkeypatch.setattr(lava, "_MAX_SYNAPSES", 1)  # one sample per run of about half a second
    with pytest.raises(SidecarError, match=r"time limit|time_limit_s: 2 s were over"):
        ns.simulate(network(), np.ones((3, 40, 2), bool), backend=Lava(time_limit_s=2.0))


def test_no_exchange_folder_is_left(faulty) -> None:
    before = set(Path(tempfile.gettempdir()).glob("neurosparse-lava-*/network.json"))
    worker = faulty("raise ValueError")
    with pytest.raises(SidecarError):
        simulate()
    _, folder, _ = worker.wait()
    assert folder / "network.json" not in before
    assert not folder.exists()
