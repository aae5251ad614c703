"""What this machine and this installation have: the facts behind ``neurosparse doctor``."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import neurosparse
from neurosparse.backends import sidecar
from neurosparse.backends.base import BACKENDS, get_backend
from neurosparse.errors import SidecarError

__all__ = ["environment"]

REQUIRED = (
    "numpy",
    "scipy",
    "pydantic",
    "safetensors",
    "typer",
    "rich",
    "psutil",
    "matplotlib",
    "jinja2",
    "scikit-learn",
)
TRAINING = ("torch", "snntorch", "numba")
OPTIONAL = ("brian2", "cython", "nir")
_CPU_FEATURES = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512vl", "avx512_vpopcntdq", "neon", "asimd", "sve")
_TIME_LIMIT_S = 20.0


def environment() -> dict[str, Any]:
    """Return versions, processor, compilers, engines and the Lava environment as plain data, and what to do about gaps.

    ``ok`` is False only if something is missing that the commands on this Python version cannot do without.
    """
    required = REQUIRED + (TRAINING if sys.version_info >= (3, 11) else ())
    packages = {name: _version(name) for name in (*REQUIRED, *TRAINING, *OPTIONAL)}
    absent = [name for name in required if packages[name] is None]
    engines = {name: get_backend(name).missing() for name in BACKENDS}
    hints = [f"pip install {' '.join(absent)}" for _ in absent[:1]]
    hints += [f"{name}: {line}" for name, line in engines.items() if line is not None]
    if sys.version_info < (3, 11):
        hints.append("training needs Python 3.11 or newer (torch); simulation and analysis work on this one")
    return {
        "ok": not absent and engines["reference"] is None,
        "neurosparse": neurosparse.__version__,
        "python": f"{platform.python_version()} ({sys.executable})",
        "platform": platform.platform(),
        "processor": _processor(),
        "packages": packages,
        "compilers": {name: _compiler(name) for name in ("c++", "g++", "clang++")},
        "engines": engines,
        "lava": _lava(),
        "data": _data(),
        "hints": list(dict.fromkeys(hints)),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> dict[str, Any]:
    import psutil

    name, features = platform.processor() or platform.machine(), []
    info = Path("/proc/cpuinfo")
    if info.is_file():
        fields = [line.partition(":") for line in info.read_text(errors="replace").splitlines()]
        values = {key.strip(): value.strip() for key, _, value in reversed(fields)}  # of the first core
        flags = (values.get("flags") or values.get("Features") or "").split()
        name, features = values.get("model name", name), [flag for flag in _CPU_FEATURES if flag in flags]
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = psutil.virtual_memory()
    return {
        "name": name,
        "cores": usable,
        "features": features,
        "memory_gb": round(memory.total / 2**30, 1),
        "free_memory_gb": round(memory.available / 2**30, 1),
    }


def _compiler(name: str) -> str | None:
    """Return the first line of what the compiler says about itself, None if there is none that answers."""
    path = shutil.which(name)
    if path is None:
        return None
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=_TIME_LIMIT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return (answer.stdout.splitlines() or [""])[0].strip()


def _lava() -> dict[str, Any]:
    try:
        python = sidecar.lava_python()
        return {"python": str(python), "version": sidecar.lava_version(python), "problem": None}
    except SidecarError as error:
        return {"python": None, "version": None, "problem": str(error)}


def _data() -> dict[str, Any]:
    root = os.environ.get("NEUROSPARSE_DATA")
    return {"NEUROSPARSE_DATA": root, "exists": bool(root) and Path(str(root)).is_dir()}
