"""Every error this library raises on purpose.

A message reads ``owner.field: what is wrong, what was given, what would be right``. Catch `NeurosparseError` to catch
them all.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class NeurosparseError(Exception):
    """Base class of all errors raised by neurosparse."""


class ValidationError(NeurosparseError, ValueError):
    """A value, shape, type or setting that cannot be right."""


class UnknownNameError(NeurosparseError, LookupError):
    """A name that is not registered; the message lists the known ones and the nearest."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        super().__init__(f"{kind}: {name!r} is not known.{hint} Known: {', '.join(known) or 'none'}")
        self.kind, self.name, self.known = kind, name, known

    def __reduce__(self) -> tuple[Any, ...]:
        # exceptions pickle as type(*args), and args is the finished message: it could not leave a process pool
        return type(self), (self.kind, self.name, self.known)


class UnsupportedError(NeurosparseError, NotImplementedError):
    """Something valid that this engine, format or method cannot express; the message says why and what would work."""


class CapacityError(NeurosparseError):
    """A network that does not fit on a chip; `violations` has what is exceeded, one object each."""

    def __init__(self, message: str, violations: Iterable[Any] = ()) -> None:
        super().__init__(message)
        self.violations = tuple(violations)


class ArtifactError(NeurosparseError):
    """A file that is missing, damaged, of another format or of a newer version."""


class DataNotFoundError(ArtifactError):
    """A data set that is not on this machine; the message says what to place where."""


class MissingDependencyError(NeurosparseError, ImportError):
    """An optional package that is not installed; the message is the line that installs it."""


class SidecarError(NeurosparseError, RuntimeError):
    """A worker process that failed, died or ran out of time; carries its last output."""

    def __init__(self, message: str, *, output: str = "") -> None:
        tail = output.strip()[-3000:]
        super().__init__(f"{message}\n--- last output of the worker ---\n{tail}" if tail else message)
        self.output = output  # in full; unpickling restores it from __dict__
