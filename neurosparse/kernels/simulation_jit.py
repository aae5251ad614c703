"""The compiler's decorator for the simulator: as `jit`, without counting references and without holding the GIL.

Numba counts a reference to every array of every call, with a locked instruction that costs more than some of these
functions do (measured: a fifth to two fifths of a simulation). The arrays here belong to the caller for as long
as the compiled code runs, and compiled code makes none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from neurosparse.kernels.jit import jit

__all__ = ["simulation_jit"]


def simulation_jit(function: Callable[..., Any]) -> Any:
    """Compile lazily in nopython mode; the function may not make arrays."""
    return jit(function, nogil=True, _nrt=False)
