"""Brian2's global state (preferences, device, compiler flags), borrowed for one run; C++ projects compiled and run.

Brian2 keeps its settings in one global object and its objects on one global device. A library must not change either
for its user, who may be in the middle of a Brian2 project of their own: `session` works on a device of its own and puts
everything back.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import shutil
import signal
import sys
import sysconfig
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from neurosparse.backends.worker import run_in_session
from neurosparse.errors import MissingDependencyError

__all__ = ["INSTALL", "Session", "Target", "import_brian2", "missing", "session"]

Target = Literal["numpy", "cython", "standalone"]

INSTALL = "pip install 'neurosparse[brian2]'"

# Brian2's own flags contain -ffast-math, which changes half of all float32 voltages in the last bit; and a compiler may
# contract a * b + c into one rounding unless told not to. -march is left out where binaries are cached: a cache may
# move to another machine.
_FLAGS = ["-w", "-O3", "-ffp-contract=off", "-std=c++11"]
_STANDALONE_FLAGS = [*_FLAGS, "-march=native"]
_MSVC_FLAGS = ["/Ox", "/w", "/fp:strict"]


@dataclass
class Session:
    """A device to build Brian2 objects on; `run` runs them and sets `run_seconds`, the duration of the time steps."""

    brian2: Any
    device: Any
    directory: Path | None
    time_limit_s: float
    run_seconds: float = 0.0

    def run(self, network: Any, n_steps: int) -> None:
        """Run a `brian2.Network` for `n_steps` steps of one second; its monitors can be read until the session ends.

        Raises `SidecarError` where the C++ project does not compile, fails or takes longer than the time limit.
        """
        network.run(n_steps * self.brian2.second, namespace={})
        if self.directory is None:
            self.run_seconds = float(self.device._last_run_time)
            return
        self.device.build(directory=str(self.directory), compile=False, run=False)
        limits: dict[str, Any] = {"time_limit_s": self.time_limit_s, "cwd": self.directory}
        n_jobs = min(4, os.cpu_count() or 1)
        run_in_session(["make", f"-j{n_jobs}"], what="compiling Brian2's C++ project", **limits)
        main = [str(self.directory / "main"), "--results_dir", self.device.results_dir]
        run_in_session(main, what="running Brian2's C++ project", **limits)
        # the project's own measure: time steps without loading and writing arrays
        self.run_seconds = float(Path(self.device.results_dir, "last_run_info.txt").read_text().split()[0])
        self.device.has_been_run = True  # from here on values are read from the results directory


@contextmanager
def session(target: Target, dtype: np.dtype[Any], time_limit_s: float = 600.0) -> Iterator[Session]:
    """Lend a device for `target` with exact arithmetic in `dtype`; afterwards Brian2 is as it was before."""
    brian2 = import_brian2()
    devices: Any = importlib.import_module("brian2.devices.device")
    standalone = target == "standalone"
    preferences = {
        "core.default_float_dtype": dtype.type,
        "core.stop_on_keyboard_interrupt": False,  # or an interrupted run would look like a finished one
        "core.network.default_schedule": ["start", "groups", "thresholds", "synapses", "resets", "end"],
        "codegen.target": "numpy" if standalone else target,
        "codegen.loop_invariant_optimisations": False,  # it re-associates sums
        "codegen.cpp.extra_compile_args": None,
        "codegen.cpp.extra_compile_args_gcc": _STANDALONE_FLAGS if standalone else _FLAGS,
        "codegen.cpp.extra_compile_args_msvc": _MSVC_FLAGS,
        "codegen.runtime.cython.cache_dir": _cython_cache() if target == "cython" else None,
        "devices.cpp_standalone.openmp_threads": 0,
    }
    saved, active = {name: brian2.prefs[name] for name in preferences}, devices.active_device
    directory = Path(tempfile.mkdtemp(prefix="neurosparse_brian2_")) if standalone else None
    device = devices.all_devices["cpp_standalone" if standalone else "runtime"].__class__()
    try:
        for name, value in preferences.items():
            brian2.prefs[name] = value
        devices.active_device = device
        device.activate(build_on_run=False)
        with warnings.catch_warnings():
            for category in (
                DeprecationWarning,
                PendingDeprecationWarning,
            ):  # of Brian2's dependencies, as it uses them
                warnings.simplefilter("ignore", category)
            yield Session(brian2, device, directory, time_limit_s)
    finally:
        devices.active_device = active
        for name, value in saved.items():
            brian2.prefs[name] = value
        if directory is not None:
            shutil.rmtree(directory, ignore_errors=True)


def missing(target: Target) -> str | None:
    """Return None if `target` can run here, else the line that makes it so."""
    if importlib.util.find_spec("brian2") is None or (
        target == "cython" and importlib.util.find_spec("Cython") is None
    ):
        return INSTALL
    if target == "numpy":
        return None
    if target == "standalone" and os.name == "nt":
        return "Brian2's C++ standalone mode is built with make here; use backend 'brian2-cython' on Windows"
    default = sysconfig.get_config_var("CXX") if target == "cython" else "g++"
    compiler = (os.environ.get("CXX") or default or "c++").split()[0]
    tools = [compiler, "make"] if target == "standalone" else [compiler]
    if os.name != "nt" and any(shutil.which(tool) is None for tool in tools):
        return (
            "a C++ compiler and make are needed: apt install g++ make (Debian, Ubuntu), xcode-select --install (macOS)"
        )
    return None


def _cython_cache() -> str:
    """Return a folder for binaries of these flags alone: Brian2's cache key does not contain the flags."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "neurosparse", "brian2-" + "".join(_FLAGS).replace("=", "").replace("+", "p"))


def import_brian2() -> Any:
    """Import Brian2; if that is its first import, undo what it does to the process.

    It takes over Ctrl+C, uncaught exceptions and Python's warnings. Someone who imports Brian2 wants that, someone who
    asked for a simulation does not.
    """
    if "brian2" in sys.modules:
        return sys.modules["brian2"]
    main_thread = threading.current_thread() is threading.main_thread()
    on_interrupt = signal.getsignal(signal.SIGINT) if main_thread else None
    hook, show_warning = sys.excepthook, warnings.showwarning
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations among Brian2's dependencies
            brian2 = importlib.import_module("brian2")
    except ImportError as error:
        raise MissingDependencyError(f"backend 'brian2' cannot be imported ({error}): {INSTALL}") from error
    finally:
        sys.excepthook = hook
        if warnings.showwarning is not show_warning:
            logging.captureWarnings(False)
        if main_thread:
            signal.signal(signal.SIGINT, on_interrupt)
    return brian2
