"""Checks of single values that several nouns of the core share."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurosparse.errors import ValidationError

__all__ = ["check_count", "check_duration"]


def check_count(label: str, n: Any) -> int:
    """Return `n` as an int if it is one in [1, 2**31), what int32 indices can address; else raise `ValidationError`."""
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        raise ValidationError(f"{label}: must be an integer, got {n!r}")
    if not 1 <= n < 2**31:
        raise ValidationError(f"{label}: must lie in [1, 2**31), got {n}")
    return int(n)


def check_duration(label: str, seconds: Any) -> float:
    """Return `seconds` as a float if it is a finite number > 0; else raise `ValidationError`."""
    number = isinstance(seconds, (int, float, np.integer, np.floating)) and not isinstance(seconds, bool)
    if not number or not 0 < seconds < np.inf:
        raise ValidationError(f"{label}: must be a duration in seconds > 0, got {seconds!r}")
    return float(seconds)
