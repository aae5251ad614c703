"""What commands print, and how they fail: results to stdout, the rest to stderr, an error as one readable message.

With ``--json``, stdout carries JSON objects, one per line, and nothing else; an error is
``{"error": {"type": ..., "message": ...}}``.
"""

from __future__ import annotations

import functools
import json
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurosparse.errors import NeurosparseError

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "FAILED",
    "INTERRUPTED",
    "JsonOption",
    "NetworkArgument",
    "RunArgument",
    "emit",
    "guarded",
    "say",
    "stderr",
    "stdout",
]

FAILED, WRONG, INTERRUPTED = 1, 2, 130
_PIPE_WIDTH = 160  # a table in a file or a pipe is not cut to the 80 columns of a terminal that is not there

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON, one object per line, and nothing else on stdout.")
]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory, as `neurosparse train` makes it.")]
NetworkArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run directory, or a network's .safetensors file.")
]


def stdout() -> Console:
    """Return the console for results."""
    return _console(to_stderr=False)


def stderr() -> Console:
    """Return the console for progress, hints and errors."""
    return _console(to_stderr=True)


def _console(*, to_stderr: bool) -> Console:
    from rich.console import Console

    console = Console(stderr=to_stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=to_stderr, highlight=False, width=_PIPE_WIDTH)


def say(text: str) -> None:
    """Print a line of progress to stderr, as it is."""
    stderr().print(text, markup=False, soft_wrap=True)


def emit(data: Mapping[str, Any]) -> None:
    """Print `data` as one line of JSON to stdout; a number that JSON cannot say (NaN, infinity) becomes null."""
    sys.stdout.write(json.dumps(_plain(data), allow_nan=False) + "\n")
    sys.stdout.flush()


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """Return `command` with its errors told as one message: exit status 2, or 130 after Ctrl-C."""

    @functools.wraps(command)
    def run(**options: Any) -> None:
        as_json = bool(options.get("json_output"))
        try:
            command(**options)
        except NeurosparseError as error:
            _fail(type(error).__name__, str(error), WRONG, as_json)
        except ModuleNotFoundError as error:
            if (error.name or "").split(".")[0] not in _PACKAGES:
                raise  # a mistake in the program, not in the installation
            version = f"{sys.version_info[0]}.{sys.version_info[1]}"
            text = (
                f"`neurosparse {command.__name__}` needs {error.name}, which is not installed in this Python {version}"
            )
            _fail("MissingDependencyError", f"{text}; see `neurosparse doctor`", WRONG, as_json)
        except KeyboardInterrupt:
            _fail("Interrupted", "interrupted", INTERRUPTED, as_json)

    return run


_PACKAGES = {"torch", "snntorch", "numba", "brian2", "sklearn", "matplotlib", "jinja2", "tomli"}


def _fail(kind: str, message: str, status: int, as_json: bool) -> None:
    if as_json:
        emit({"error": {"type": kind, "message": message}})
    stderr().print(f"neurosparse: {message}", markup=False, soft_wrap=True)
    raise typer.Exit(status)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):  # a NumPy number
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
