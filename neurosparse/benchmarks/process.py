"""The other end of `worker.py`: a contestant in a process of its own, told what to do line by line."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from neurosparse.errors import SidecarError

__all__ = ["PEER_FOLDER", "ContestantProcess"]

PEER_FOLDER = Path(__file__).resolve().parent / "peers"
_WORKER = Path(__file__).resolve().parent / "worker.py"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS")
_OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


class ContestantProcess:
    """A contestant that waits in its own interpreter until it is told to take steps.

    Parameters
    ----------
    peer : str
        The file in ``peers/``, without ``.py``.
    part : str
        The class in it, for instance ``"LayerStep"``.
    python : Path
        The interpreter of an environment where that peer is installed.
    n_threads : int
        For every numerical library in it.
    address_space : int, optional
        Limit in bytes (``ulimit -v``), set before anything is imported.
    time_limit_s : float
        For one answer; then the process is killed.

    Raises
    ------
    SidecarError
        From any method, if the process fails, dies or takes too long; carries its last output.
    """

    def __init__(
        self,
        peer: str,
        part: str,
        python: Path,
        *,
        n_threads: int,
        address_space: int | None = None,
        time_limit_s: float = 300.0,
    ) -> None:
        self.name = f"{peer}.{part}"
        self._limit = time_limit_s
        ours = Path(python) == Path(sys.executable)
        environment = {k: v for k, v in os.environ.items() if ours or k not in _OURS}
        environment.update(dict.fromkeys(_THREADS, str(n_threads)))
        if ours:  # the checkout that runs this, also when it is not the one that is installed
            roots = [str(_WORKER.parents[2]), environment.get("PYTHONPATH", "")]
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, roots))
        command = [str(python), str(_WORKER), str(PEER_FOLDER / f"{peer}.py"), part]
        command += [] if address_space is None else [str(address_space)]
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the process)
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._output,
                env=environment,
                cwd=tempfile.gettempdir(),
                text=True,
                encoding="utf-8",
            )
        except OSError as error:
            self._output.close()
            raise SidecarError(f"{self.name}: {python} could not be started: {error}") from error
        self._started = False

    def load(self, folder: Path) -> int:
        """Make the contestant for the workload in `folder`; return the resident bytes of the process before that."""
        return int(self._ask({"do": "load", "folder": str(folder)})["rss_before"])

    def versions(self, packages: Sequence[str]) -> dict[str, str | None]:
        """Return the versions of `packages` in the contestant's environment, None for one that is not there."""
        return dict(self._ask({"do": "versions", "packages": list(packages)})["versions"])

    def run(self, n_steps: int) -> list[float]:
        """Take `n_steps` steps one after the other; return the seconds of each."""
        return [float(seconds) for seconds in self._ask({"do": "run", "steps": n_steps})["seconds"]]

    def facts(self) -> dict[str, float]:
        """Return what the contestant says about itself, and ``peak_rss`` of its process in bytes."""
        return dict(self._ask({"do": "facts"})["facts"])

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._output.close()

    def __enter__(self) -> ContestantProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        if not self._started:
            self._started = True
            self._answer()
        try:
            if self._process.stdin is not None:
                self._process.stdin.write(json.dumps(request) + "\n")
                self._process.stdin.flush()
        except OSError:
            pass  # it has died; why is what _answer finds out
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        late = threading.Event()

        def kill() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(self._limit, kill)
        timer.start()
        try:
            line = self._process.stdout.readline() if self._process.stdout is not None else ""
        finally:
            timer.cancel()
        if late.is_set():
            raise SidecarError(f"{self.name}: gave no answer within {self._limit:g} s and was killed")
        if not line:
            status = self._process.wait()
            raise SidecarError(f"{self.name}: ended with status {status}", output=self._printed())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise SidecarError(f"{self.name}: {answer['error']}", output=self._printed() + answer["traceback"])
        return answer

    def _printed(self) -> str:
        self._output.seek(0)
        return self._output.read().decode(errors="replace")[-3000:]
