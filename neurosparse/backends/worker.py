"""Run a program in a session of its own, with a time limit, so that nothing of it is left behind however it ends.

Lava forks one process per `Process`, waits for them without any limit and keeps its messages in shared memory. When
one of them dies, everything else hangs; when all are killed, the segments stay in ``/dev/shm``. So each run gets its
own process group, is watched from outside, and is cleared away in an order that lets `multiprocessing`'s resource
tracker unlink the segments first.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from neurosparse.errors import SidecarError

__all__ = ["SEGMENT_LIST", "Finished", "run_in_session", "run_worker"]

SEGMENT_LIST = "shared_memory.txt"
"""File in the exchange folder where a worker writes the name of every shared-memory segment it makes, one per line."""

_log = logging.getLogger(__name__)
_OUTPUT_LIMIT = 64 * 1024
_ORDERLY_S = 2.0  # time for helper processes to end by themselves once the worker has
_TRACKER_S = 5.0  # time for the resource tracker to unlink the segments of killed processes
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_SEGMENT = re.compile(r"psm_[0-9a-f]{4,16}")
_SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Finished:
    """How a program ended: its last `output` (both streams, at most 64 KiB) and its duration in `seconds`."""

    output: str
    seconds: float


def run_worker(python: Path, script: Path, folder: Path, *, what: str, time_limit_s: float) -> Finished:
    """Run ``python script folder`` isolated from this interpreter's paths and variables; see `run_in_session`.

    Numerical libraries get one thread. Segments the worker has listed in ``folder/shared_memory.txt`` are gone
    afterwards.
    """
    try:
        # -I keeps the script's own folder off the path (it holds a lava.py), and PYTHONPATH and user packages out
        return run_in_session(
            [str(python), "-I", "-u", str(script), str(folder)], what=what, time_limit_s=time_limit_s, cwd=folder
        )
    finally:
        _unlink_segments(folder / SEGMENT_LIST)


def run_in_session(
    command: Sequence[str],
    *,
    what: str,
    time_limit_s: float,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Finished:
    """Run `command` without a shell in a new session and return when all of its processes have ended.

    Parameters
    ----------
    command : sequence of str
    what : str
        What runs, for the error message.
    time_limit_s : float
        Seconds after which the whole process group is killed.
    cwd : Path, optional
    environment : mapping, optional
        Variables to set on top of this process's own.

    Raises
    ------
    SidecarError
        If the program cannot start, fails, is killed or runs out of time; carries its last output.
    """
    if os.name != "posix":
        raise SidecarError(f"{what}: needs an operating system with process groups (Linux, macOS), this is {os.name!r}")
    variables = {**os.environ, **dict.fromkeys(_THREADS, "1"), **(environment or {})}
    start = time.monotonic()
    try:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=cwd,
            env=variables,
        )
    except OSError as error:
        raise SidecarError(f"{what}: could not be started: {error}") from error
    tail = _Tail(process.stdout)
    timed_out = False
    try:
        process.wait(timeout=max(time_limit_s, 0.0))
    except subprocess.TimeoutExpired:
        timed_out = True
    finally:  # also when this process is interrupted
        _clear_group(process.pid, patience_s=_ORDERLY_S if process.returncode == 0 else 0.0)
        process.wait()
        output = tail.text()
    seconds = time.monotonic() - start
    if timed_out:
        raise SidecarError(
            f"{what}: did not end within its time limit of {time_limit_s:g} s and was killed", output=output
        )
    if process.returncode < 0:
        number = -process.returncode  # real-time signals have no name
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        raise SidecarError(f"{what}: was killed by {name} after {seconds:.1f} s", output=output)
    if process.returncode > 0:
        raise SidecarError(f"{what}: failed with exit status {process.returncode} after {seconds:.1f} s", output=output)
    return Finished(output, seconds)


class _Tail:
    """Read a pipe to its end in a thread and keep the last bytes: endless printing fills no disk and no memory."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        self._pipe, self._bytes = pipe, b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while self._pipe is not None and (chunk := os.read(self._pipe.fileno(), 65536)):
                self._bytes = (self._bytes + chunk)[-_OUTPUT_LIMIT:]

    def text(self) -> str:
        self._thread.join(timeout=2.0)
        if self._pipe is not None and not self._thread.is_alive():
            self._pipe.close()
        return self._bytes.decode(errors="replace")


def _clear_group(group: int, *, patience_s: float) -> None:
    """End every process of `group`: after `patience_s` kill all but the resource tracker, at last the tracker, too."""
    _wait_until_empty(group, patience_s)
    for process in _members(group):
        with contextlib.suppress(psutil.Error):
            if not _is_resource_tracker(process):
                process.kill()
    # The tracker reads end-of-file once its last client is dead, unlinks what they have left in /dev/shm, and exits.
    if not _wait_until_empty(group, _TRACKER_S):
        _log.warning("processes of group %d outlived their worker and were killed", group)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
        _wait_until_empty(group, _ORDERLY_S)


def _wait_until_empty(group: int, limit_s: float) -> bool:
    deadline = time.monotonic() + limit_s
    while _members(group):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True


def _members(group: int) -> list[psutil.Process]:
    """Return the living processes of a process group."""
    members = []
    for pid in psutil.pids():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getpgid(pid) == group:
                process = psutil.Process(pid)
                if process.status() != psutil.STATUS_ZOMBIE:
                    members.append(process)
    return members


def _is_resource_tracker(process: psutil.Process) -> bool:
    return any("multiprocessing.resource_tracker" in argument for argument in process.cmdline())


def _unlink_segments(listing: Path) -> None:
    """Remove the listed shared-memory segments that still exist: only there if the resource tracker was killed, too."""
    if not listing.is_file():
        return
    for name in listing.read_text(errors="replace").split():
        segment = _SHARED_MEMORY / name
        if _SEGMENT.fullmatch(name) and segment.exists():
            _log.warning("removing the shared-memory segment %s that a worker has left", name)
            segment.unlink(missing_ok=True)
