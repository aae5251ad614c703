"""Programs in a session of their own: their output, their end, and what they leave behind (nothing)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from multiprocessing import shared_memory
from pathlib import Path

import psutil
import pytest

from neurosparse.backends.worker import SEGMENT_LIST, run_in_session, run_worker
from neurosparse.errors import SidecarError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="process groups are POSIX")


def run(code: str, *, time_limit_s: float = 30.0, **options):
    return run_in_session(
        [sys.executable, "-c", textwrap.dedent(code)], what="probe", time_limit_s=time_limit_s, **options
    )


def wait_for(path: Path) -> str:
    for _ in range(1000):
        if path.is_file() and path.read_text().endswith("\n"):
            return path.read_text().strip()
        time.sleep(0.01)
    raise AssertionError(f"{path} was not written")


def is_running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_both_streams_come_back_as_output():
    output = run("import sys; print('to out', flush=True); print('to err', file=sys.stderr)").output
    assert output == "to out\nto err\n"


def test_variables_are_set_and_numerical_libraries_get_one_thread():
    code = "import os; print(os.environ['COLOUR'], os.environ['OMP_NUM_THREADS'], os.environ['MKL_NUM_THREADS'])"
    assert run(code, environment={"COLOUR": "teal"}).output == "teal 1 1\n"


def test_a_failing_program_reports_its_status_and_last_output():
    with pytest.raises(SidecarError, match=r"(?s)probe: failed with exit status 3 after .*last words") as caught:
        run("print('last words'); raise SystemExit(3)")
    assert caught.value.output == "last words\n"


def test_a_killed_program_reports_the_signal():
    with pytest.raises(SidecarError, match="probe: was killed by SIGKILL"):
        run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")


def test_a_signal_without_a_name_is_reported_by_its_number():
    number = signal.SIGRTMIN + 1
    with pytest.raises(SidecarError, match=f"probe: was killed by signal {number}"):
        run(f"import os; os.kill(os.getpid(), {number})")


def test_a_program_that_does_not_exist_is_an_error():
    with pytest.raises(SidecarError, match="probe: could not be started"):
        run_in_session(["/nonexistent/python"], what="probe", time_limit_s=5)


def test_a_hanging_program_ends_at_its_time_limit_with_its_output():
    with pytest.raises(SidecarError, match=r"(?s)did not end within its time limit of 0.5 s and was killed.*waiting"):
        run("import time; print('waiting', flush=True); time.sleep(600)", time_limit_s=0.5)


def test_endless_output_is_cut_to_its_last_64_kib():
    output = run("print('first'); [print('x' * 99) for _ in range(5000)]; print('last')").output
    assert len(output) == 64 * 1024
    assert output.endswith("last\n")


def test_grandchildren_of_a_hanging_program_are_killed_too(tmp_path):
    code = f"""
    import subprocess, sys, time
    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
    open({str(tmp_path / "pid")!r}, 'w').write(f'{{child.pid}}\\n')
    time.sleep(600)
    """
    with pytest.raises(SidecarError, match="time limit"):
        run(code, time_limit_s=1.5)
    assert not is_running(int(wait_for(tmp_path / "pid")))


def test_a_child_that_outlives_a_successful_program_is_killed(tmp_path):
    code = f"""
    import subprocess, sys
    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
    open({str(tmp_path / "pid")!r}, 'w').write(f'{{child.pid}}\\n')
    print('done')
    """
    assert run(code).output == "done\n"
    assert not is_running(int(wait_for(tmp_path / "pid")))


def test_an_interrupt_of_this_process_ends_the_program(tmp_path, monkeypatch):
    pids = []

    def interrupted(self, timeout=None):
        if timeout is not None and not pids:
            pids.append(self.pid)
            raise KeyboardInterrupt
        return original(self, timeout=timeout)

    original = subprocess.Popen.wait
    monkeypatch.setattr(subprocess.Popen, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run("import time; time.sleep(600)")
    assert not is_running(pids[0])


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="shared memory is a folder on Linux only")
def test_the_resource_tracker_unlinks_the_segments_of_killed_programs(tmp_path):
    code = f"""
    import time
    from multiprocessing import shared_memory
    segment = shared_memory.SharedMemory(create=True, size=64)
    open({str(tmp_path / "name")!r}, 'w').write(segment.name + '\\n')
    time.sleep(600)
    """
    found = []

    def look() -> None:  # while the program runs its segment must be there: or this test could not fail
        found.append((Path("/dev/shm") / wait_for(tmp_path / "name")).exists())

    looker = threading.Thread(target=look)
    looker.start()
    with pytest.raises(SidecarError, match="time limit"):
        run(code, time_limit_s=2)
    looker.join()
    assert found == [True]
    assert not (Path("/dev/shm") / wait_for(tmp_path / "name")).exists()


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="shared memory is a folder on Linux only")
def test_listed_segments_are_removed_even_if_the_tracker_was_killed(tmp_path, caplog):
    segment = shared_memory.SharedMemory(create=True, size=64)  # as a worker would leave it
    try:
        script = tmp_path / "worker.py"
        script.write_text("print('done')")
        names = [segment.name, "../../etc/passwd", "psm_ffffffff"]
        (tmp_path / SEGMENT_LIST).write_text("\n".join(names))
        run_worker(Path(sys.executable), script, tmp_path, what="probe", time_limit_s=30)
        assert not (Path("/dev/shm") / segment.name).exists()
        assert Path("/etc/passwd").exists()
        assert [record.args[0] for record in caplog.records] == [segment.name]
    finally:
        shared_memory.resource_tracker.unregister(segment._name, "shared_memory")
        segment.close()


def test_a_worker_sees_neither_pythonpath_nor_its_own_folder_on_the_path(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/nowhere/special")
    script = tmp_path / "worker.py"
    script.write_text("import sys; print(sys.argv[1]); print(sys.path)")
    finished = run_worker(Path(sys.executable), script, tmp_path, what="probe", time_limit_s=30)
    folder, path = finished.output.splitlines()
    assert folder == str(tmp_path)
    assert "/nowhere/special" not in path
    assert str(tmp_path) not in path
    assert finished.seconds > 0
