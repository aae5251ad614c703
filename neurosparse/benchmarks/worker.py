"""One contestant in its own interpreter: loads a workload, takes steps when told to, says how long each took.

``python worker.py SCRIPT CLASS [ADDRESS_SPACE]`` reads one JSON request a line from stdin and answers each with a line.
It runs in environments that know nothing of neurosparse, so it and the scripts in ``peers/`` import the standard
library, numpy and the peer, and nothing of this package (our own contestant does, where the package is installed).

A contestant is a class::

    class LayerStep:
        def __init__(self, work: Work) -> None: ...
        def step(self) -> float | None: ...          # what is timed; seconds by a better clock, or None
        def facts(self) -> dict[str, float]: ...     # what it computed and how much it holds
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

__all__ = ["Contestant", "Work", "main"]


@dataclass(frozen=True)
class Work:
    """What every contestant gets: the numbers of the workload and its arrays, by name."""

    settings: dict[str, Any]
    arrays: dict[str, Any]

    @classmethod
    def load(cls, folder: Path) -> Work:
        """Read what `neurosparse.benchmarks.workload` wrote into `folder`."""
        import numpy as np

        settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
        arrays = {path.stem: np.load(path, allow_pickle=False) for path in sorted(folder.glob("*.npy"))}
        return cls(settings, arrays)

    def dense(self, layer: str = "") -> Any:
        """Return a layer's weights as a dense float32 array (n_target, n_source); `layer` is its arrays' suffix."""
        import numpy as np

        indptr, indices, values = (self.arrays[f"{name}{layer}"] for name in ("indptr", "indices", "values"))
        sizes = self.settings.get("sizes") or [self.settings["n"]] * 2
        n_source = sizes[int(layer or 0)]
        matrix = np.zeros((indptr.size - 1, n_source), np.float32)
        matrix[np.repeat(np.arange(indptr.size - 1), np.diff(indptr)), indices] = values
        return matrix

    def check_spikes(self, spikes: dict[str, Any]) -> None:
        """Raise `ValueError` if `spikes`, population -> (time, batch, n), are not the ``expected_`` ones."""
        for name, raster in spikes.items():
            expected = self.arrays[f"expected_{name}"][:, : raster.shape[1]]
            if expected.shape != raster.shape or (expected != raster).any():
                raise ValueError(f"the spikes of {name} are not the reference's: nothing to compare")

    def at_synapses(self, matrix: Any) -> Any:
        """Return the entries of `matrix` (n_target, n_source) at the synapses of the only layer, in their order."""
        import numpy as np

        indptr, indices = self.arrays["indptr"], self.arrays["indices"]
        return matrix[np.repeat(np.arange(indptr.size - 1), np.diff(indptr)), indices]


class Contestant(Protocol):
    """Something that can take a step; see the module."""

    def step(self) -> float | None:
        """Do the work once; return seconds if another clock than the wall's is the right one."""

    def facts(self) -> dict[str, float]:
        """Return numbers that show what was computed (rates, norms) and held (bytes)."""


def main() -> None:
    """Serve requests until stdin ends."""
    # Libraries print while they are imported; the answers get a channel that nobody else knows.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    if sys.path and Path(sys.path[0]).resolve() == Path(__file__).resolve().parent:
        del sys.path[0]  # this folder has modules with names that others use, too
    try:
        script, name = Path(sys.argv[1]), sys.argv[2]
        if len(sys.argv) > 3:
            _limit_address_space(int(sys.argv[3]))
        make = getattr(_module(script), name)
        _serve(make, channel)
    except Exception as error:
        _answer(channel, {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()})
        sys.exit(1)


def _serve(make: Any, channel: IO[str]) -> None:
    contestant: Any = None
    _answer(channel, {"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "load":
            contestant = None  # frees the last one before the next is made
            work = Work.load(Path(request["folder"]))
            before = _memory("VmRSS")
            contestant = make(work)
            _answer(channel, {"rss_before": before})
        elif request["do"] == "versions":
            _answer(channel, {"versions": {name: _version(name) for name in request["packages"]}})
        elif request["do"] == "run":
            _answer(channel, {"seconds": [_timed(contestant) for _ in range(request["steps"])]})
        else:
            _answer(channel, {"facts": {**contestant.facts(), "peak_rss": _memory("VmHWM")}})


def _timed(contestant: Contestant) -> float:
    begin = time.perf_counter()
    seconds = contestant.step()
    return time.perf_counter() - begin if seconds is None else seconds


def _answer(channel: IO[str], data: dict[str, Any]) -> None:
    channel.write(json.dumps(data) + "\n")
    channel.flush()


def _module(script: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"contestant_{script.stem}", script)
    if spec is None or spec.loader is None:
        raise ImportError(f"{script} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _limit_address_space(n_bytes: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (n_bytes, n_bytes))


def _memory(field: str) -> int:
    """Return a memory field of this process in bytes: VmRSS (now), VmHWM (the peak). 0 where there is no /proc."""
    # Not getrusage: its ru_maxrss of a fresh process starts with that of the parent it was forked from.
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{field}:")), 0)


if __name__ == "__main__":
    main()
