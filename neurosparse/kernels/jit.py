"""The compiler's decorator for this package: `njit` with a disk cache that knows all kernel sources.

Numba's cache looks only at the file a function stands in, but a compiled function contains the functions it calls and
the constants it uses, from whatever file. A changed constant elsewhere would go unnoticed, and a pass that believes
in another tile size writes past its arrays. So cached code is filed under a fingerprint of all files here.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from numba import config, get_num_threads, njit
from numba.core.caching import IndexDataCacheFile

__all__ = ["Parallel", "fingerprint", "jit", "n_threads", "parts", "run", "watched"]

logger = logging.getLogger(__name__)

_PARALLEL_WORK = 200_000  # lane operations, some 50 microseconds: below that, waking a second thread costs more


def jit(function: Callable[..., Any] | None = None, *, parallel: bool = False, **options: Any) -> Any:
    """Compile lazily in nopython mode, with Numba's further `options`; keep the result on disk for these sources.

    A `parallel` kernel is compiled for several threads or for one, as `run` asks for it.
    """
    if function is None:
        return functools.partial(jit, parallel=parallel, **options)
    if parallel:
        return Parallel(function, options)
    return _compiled(function, "", options)


class Parallel:
    """A kernel with a loop over threads, in two forms that compute the same: `threaded`, and `serial` for little work.

    On one thread the first is 3 to 8 microseconds slower a call, for starting and ending a parallel region.
    """

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        self.threaded = _compiled(function, "", {"parallel": True, **options})
        self.serial = _compiled(function, "-serial", options)


def _compiled(function: Callable[..., Any], suffix: str, options: dict[str, Any]) -> Any:
    compiler: Any = njit
    dispatcher: Any = compiler(cache=True, **options)(function)
    try:
        cache = dispatcher._cache
        cache._cache_file = IndexDataCacheFile(
            cache_path=cache._cache_path,
            filename_base=f"{cache._impl.filename_base}{suffix}-{fingerprint()[:12]}",
            source_stamp=fingerprint(),
        )
    except (AttributeError, TypeError):  # another Numba: its own cache is right as long as the sources stay as they are
        logger.debug("Numba's cache cannot be filed by fingerprint, %s uses it as it is", function.__name__)
        if suffix:  # but for a second form of one function, which it cannot tell from the first
            return compiler(**options)(function)
    return dispatcher


@functools.cache
def fingerprint() -> str:
    """Return a digest of all kernel sources."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def n_threads() -> int:
    """Return how many threads the kernels use."""
    return int(get_num_threads())


def parts(n: int) -> int:
    """Return into how many parts to cut `n` items: several a thread, because items and other processes are uneven."""
    # Of all threads, not of those in use now: to ask for these takes 5 microseconds, thirty times a training step.
    return max(1, min(n, 4 * config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]


def run(kernel: Parallel, work: int, *arguments: Any) -> Any:
    """Call a parallel kernel, on one thread if `work` (lane operations) is too little to share.

    A parallel region ends when its slowest thread does; on a busy machine a waking thread may wait for a whole
    scheduler slice, so a small kernel must not depend on one.
    """
    form = kernel.threaded if work >= _PARALLEL_WORK else kernel.serial
    if _watcher is None:
        return form(*arguments)
    begin = time.perf_counter()
    result = form(*arguments)
    _watcher(form.__name__, time.perf_counter() - begin)
    return result


_watcher: Callable[[str, float], None] | None = None


@contextlib.contextmanager
def watched(watcher: Callable[[str, float], None]) -> Iterator[None]:
    """Tell `watcher` the name and the seconds of every parallel kernel that is called meanwhile, in any thread."""
    global _watcher
    before, _watcher = _watcher, watcher
    try:
        yield
    finally:
        _watcher = before
