"""The Lava environment: finding a Python 3.10, making the environment from its lock file, finding it again.

Lava's last release runs on Python 3.10 only and needs numpy < 2, so it lives in a virtual environment of its own:

- next to the active virtual environment, ``<sys.prefix>/../.lava`` (for a project's ``.venv``: the project's
  ``.lava``),
- outside any virtual environment in the user's data folder (``~/.local/share/neurosparse/lava``),
- wherever ``NEUROSPARSE_LAVA_PYTHON`` says: the interpreter of an environment that somebody else made,
- or here: a running Python 3.10 that can import lava is its own sidecar (``pip install 'neurosparse[lava]'``).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import json
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from neurosparse.backends.worker import run_in_session, run_worker
from neurosparse.core.hardware import hardware_paths
from neurosparse.errors import SidecarError

__all__ = [
    "LAVA_PYTHON_VARIABLE",
    "PYTHON310_VARIABLE",
    "default_location",
    "find_python310",
    "lava_python",
    "lava_version",
    "lock_file",
    "run_worker",
    "setup_lava",
]

LAVA_PYTHON_VARIABLE = "NEUROSPARSE_LAVA_PYTHON"
PYTHON310_VARIABLE = "NEUROSPARSE_PYTHON310"
MARKER = "neurosparse-complete.json"
"""Written into an environment when it is complete, with the hash of its lock; one without this file is half-made."""

_log = logging.getLogger(__name__)
_START_LIMIT_S = 60.0
_VENV_LIMIT_S = 180.0
_INSTALL_LIMIT_S = 1800.0
_PROBE_310 = "import sys, ensurepip, venv; print('python', *sys.version_info[:2], sep='.')"
_PROBE_LAVA = (
    "import lava.proc.lif.process, lava.proc.sparse.process, lava.magma.core.run_configs, importlib.metadata as m; "
    "print('lava-nc', m.version('lava-nc'))"
)


def find_python310(explicit: str | Path | None = None) -> Path:
    """Return a Python 3.10 interpreter that starts and can make virtual environments.

    Looked for in this order: `explicit`; the environment variable ``NEUROSPARSE_PYTHON310``; the running interpreter;
    ``python3.10`` on PATH (a pyenv shim may be there and refuse to start); pyenv's versions; ``uv python find 3.10``.
    One that was asked for by name must work: no other is taken in its place.

    Raises
    ------
    SidecarError
        If there is none; lists what was tried and why each was refused.
    """
    named = {"python": explicit, PYTHON310_VARIABLE: os.environ.get(PYTHON310_VARIABLE)}
    for origin, value in named.items():
        if value:
            reason = _refusal(str(value))
            if reason is None:
                return Path(shutil.which(str(value)) or value).absolute()
            raise SidecarError(f"{origin}: {value} is no usable Python 3.10: {reason}")
    tried = []
    for origin, candidate in _python310_candidates():
        reason = "not found" if candidate is None else _refusal(candidate)
        if candidate is not None and reason is None:
            return Path(candidate).absolute()
        tried.append(f"{origin}: {candidate + ': ' if candidate else ''}{reason}")
    raise SidecarError(
        "Python 3.10: Lava runs on no other version, and none was found. Install one (`uv python install 3.10`, "
        f"`pyenv install 3.10`) or name one by {PYTHON310_VARIABLE}. Tried:\n  " + "\n  ".join(tried)
    )


def _python310_candidates() -> Iterator[tuple[str, str | None]]:
    if sys.version_info[:2] == (3, 10):
        yield "the running interpreter", sys.executable
    yield "python3.10 on PATH", shutil.which("python3.10")
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    versions = sorted(root.glob("versions/3.10.*/bin/python"), key=_patch_number, reverse=True)
    yield from (("pyenv", str(python)) for python in versions)
    if not versions:
        yield f"pyenv ({root / 'versions'})", None
    uv = shutil.which("uv")
    found = None
    if uv is not None:
        with contextlib.suppress(SidecarError):
            command = [uv, "python", "find", "--no-project", "3.10"]
            found = run_in_session(command, what="uv", time_limit_s=_START_LIMIT_S).output.strip() or None
    yield "uv python find 3.10", found


def _patch_number(python: Path) -> int:
    digits = python.parts[-3].split(".")[-1]
    return int(digits) if digits.isdigit() else -1


def _refusal(python: str) -> str | None:
    """Return why `python` is of no use, or None if it is a working Python 3.10."""
    try:
        output = run_in_session([python, "-I", "-c", _PROBE_310], what="it", time_limit_s=_START_LIMIT_S).output
    except SidecarError as error:
        lines = error.output.strip().splitlines()
        return f"{str(error).splitlines()[0]}{' (' + lines[-1] + ')' if lines else ''}"
    words = [line for line in output.splitlines() if line.startswith("python.")]
    if words != ["python.3.10"]:
        return f"it is {words[0].replace('.', ' ', 1) if words else 'no Python'}"
    return None


def lava_python(explicit: str | Path | None = None) -> Path:
    """Return the interpreter of a working Lava environment.

    Looked for in this order: `explicit`; ``NEUROSPARSE_LAVA_PYTHON``; the running interpreter; a complete environment
    made by `setup_lava` in `default_location` or the user's data folder. Environments that others made are tried out
    once per process.

    Raises
    ------
    SidecarError
        If there is none, or the one that was named does not work.
    """
    named = {"Lava.python": explicit, LAVA_PYTHON_VARIABLE: os.environ.get(LAVA_PYTHON_VARIABLE)}
    for origin, value in named.items():
        if value:
            try:
                lava_version(Path(value))
            except SidecarError as error:
                raise SidecarError(f"{origin}: {value} cannot run Lava: {error}") from error
            return Path(value).absolute()
    if _is_own_sidecar():
        return Path(sys.executable)
    places = list(dict.fromkeys([default_location(), _data_folder()]))
    for place in places:
        if _is_complete(place):
            return _interpreter(place)
    raise SidecarError(f"no complete Lava environment in {' or '.join(map(str, places))}")


def _is_own_sidecar() -> bool:
    if sys.version_info[:2] != (3, 10) or importlib.util.find_spec("lava") is None:
        return False
    with contextlib.suppress(SidecarError):
        return bool(lava_version(Path(sys.executable)))
    return False


def lava_version(python: Path) -> str:
    """Return the version of lava-nc that `python` imports, tried once per process; `SidecarError` if it does not."""
    try:
        changed = python.stat().st_mtime_ns
    except OSError as error:
        raise SidecarError(f"{python}: {error.strerror}") from error
    return _probe_lava(str(python), changed)


@functools.lru_cache(maxsize=32)
def _probe_lava(python: str, changed: int) -> str:
    output = run_in_session([python, "-I", "-c", _PROBE_LAVA], what=python, time_limit_s=_START_LIMIT_S).output
    for line in output.splitlines():
        if line.startswith("lava-nc "):
            return line.removeprefix("lava-nc ")
    raise SidecarError(f"{python}: imports lava but says no version", output=output)


def default_location() -> Path:
    """Return where `setup_lava` puts the environment: ``.lava`` next to the active one, else the data folder."""
    return Path(sys.prefix).parent / ".lava" if sys.prefix != sys.base_prefix else _data_folder()


def _data_folder() -> Path:
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "neurosparse" / "lava"


def lock_file() -> Path:
    """Return the pinned requirements of the Lava environment, from the installed package or from a checkout."""
    places = hardware_paths("lava", "requirements.txt")
    for place in places:
        if place.is_file():
            return place
    raise SidecarError(
        f"lock file of the Lava environment: not at {' nor at '.join(map(str, places))}; reinstall neurosparse"
    )


def setup_lava(python: str | Path | None = None, location: str | Path | None = None) -> Path:
    """Make the Lava environment from its lock file, unless it is already complete; return its interpreter.

    Parameters
    ----------
    python : path, optional
        A Python 3.10; see `find_python310`.
    location : path, optional
        Folder of the environment; see `default_location`.

    Raises
    ------
    SidecarError
        If no Python 3.10 is found, the installation fails or runs out of time, Lava does not start, or `location` is
        a folder that is no virtual environment. A half-made environment is removed, and one that an interrupted run
        has left is rebuilt.
    """
    place = Path(location or default_location()).absolute()
    if _is_complete(place):
        return _interpreter(place)
    with _exclusive(place):
        if _is_complete(place):  # another process has made it meanwhile
            return _interpreter(place)
        if place.exists() and any(place.iterdir()) and not (place / "pyvenv.cfg").is_file():
            raise SidecarError(
                f"location: {place} exists and is no virtual environment; give another folder or remove it"
            )
        base = find_python310(python)
        _log.info("making the Lava environment in %s with %s", place, base)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            _make(base, place)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
    return _interpreter(place)


def _make(base: Path, place: Path) -> None:
    lock = lock_file()
    venv = [str(base), "-I", "-m", "venv", "--clear", str(place)]
    run_in_session(venv, what="making the virtual environment", time_limit_s=_VENV_LIMIT_S)
    python = _interpreter(place)
    # every package is pinned, so pip has nothing to resolve; no source builds, which would need compilers and half an
    # hour
    pip = [str(python), "-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-deps"]
    pip += ["--only-binary", ":all:", "--requirement", str(lock)]
    run_in_session(pip, what=f"installing {lock.name} of the Lava environment", time_limit_s=_INSTALL_LIMIT_S)
    version = lava_version(python)
    content = json.dumps({"lock_sha256": _lock_hash(), "lava": version, "base": str(base)}, indent=1)
    temporary = place / f"{MARKER}.tmp"
    temporary.write_text(content)
    temporary.replace(place / MARKER)


def _is_complete(place: Path) -> bool:
    try:
        marker = json.loads((place / MARKER).read_text())
    except (OSError, ValueError):
        return False
    return isinstance(marker, dict) and marker.get("lock_sha256") == _lock_hash() and _interpreter(place).exists()


def _lock_hash() -> str:
    return hashlib.sha256(lock_file().read_bytes()).hexdigest()


def _interpreter(place: Path) -> Path:
    return place / "bin" / "python"


@contextlib.contextmanager
def _exclusive(place: Path) -> Iterator[None]:
    """Let one process at a time make the environment in `place`."""
    import fcntl  # POSIX only, as Lava's sidecar is

    name = hashlib.sha256(str(place).encode()).hexdigest()[:16]
    deadline = time.monotonic() + _INSTALL_LIMIT_S
    with open(Path(tempfile.gettempdir()) / f"neurosparse-lava-{name}.lock", "w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise SidecarError(f"location: another process has been setting up {place} for too long") from None
                time.sleep(0.2)
        yield
