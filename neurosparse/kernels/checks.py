"""Argument checks shared by the kernel wrappers: compiled code must never see an array it does not expect."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

from neurosparse.errors import ValidationError
from neurosparse.kernels.jit import jit

INT32_MAX = int(np.iinfo(np.int32).max)
FLOATS = (np.float32, np.float64)
"""The types the kernels compute in."""


def check_array(
    owner: str,
    field: str,
    array: object,
    dtype: DTypeLike | tuple[DTypeLike, ...],
    shape: tuple[int | None, ...],
    *,
    writable: bool = False,
) -> None:
    """Refuse anything but a C-contiguous array of this dtype and shape.

    Parameters
    ----------
    owner, field : str
        Function and argument, for the message.
    array : object
        What the caller gave.
    dtype : dtype or tuple of dtypes
        Accepted element types, machine byte order.
    shape : tuple of int or None
        Expected extents; None accepts any.
    writable : bool
        Whether the kernel writes into it.

    Raises
    ------
    ValidationError
        Naming the argument, what it is and what it should be.
    """
    wanted = dtype if isinstance(dtype, tuple) else (dtype,)
    # A layer step makes some fifty of these checks: what passes is recognised before anything is put into words.
    if isinstance(array, np.ndarray):
        kind, flags = array.dtype, array.flags
        if (
            (kind.type in wanted or kind in wanted)
            and kind.isnative
            and flags.c_contiguous
            and (flags.writeable or not writable)
            and array.ndim == len(shape)
        ):
            for actual, extent in zip(array.shape, shape):  # noqa: B905 -- strict would double what this costs
                if extent is not None and extent != actual:
                    break
            else:
                return
    if not isinstance(array, np.ndarray) or not any(array.dtype == d for d in wanted):
        names = " or ".join(np.dtype(d).name for d in wanted)
        if not isinstance(array, np.ndarray):
            raise ValidationError(
                f"{owner}.{field}: is a {type(array).__name__}, would have to be a numpy array of dtype {names}"
            )
        raise ValidationError(f"{owner}.{field}: has dtype {array.dtype}, would have to be {names}")
    if len(array.shape) != len(shape) or any(e is not None and e != s for e, s in zip(shape, array.shape, strict=True)):
        want = "(" + ", ".join("any" if e is None else str(e) for e in shape) + ("," if len(shape) == 1 else "") + ")"
        raise ValidationError(f"{owner}.{field}: has shape {array.shape}, would have to be {want}")
    if not array.flags.c_contiguous:
        raise ValidationError(f"{owner}.{field}: is not C-contiguous, pass np.ascontiguousarray({field})")
    if writable and not array.flags.writeable:
        raise ValidationError(f"{owner}.{field}: is read-only, the kernel writes its result there")


def check_size(owner: str, field: str, value: object, *, minimum: int = 0, maximum: int = INT32_MAX) -> int:
    """Return `value` as an int in [minimum, maximum] or raise a ValidationError that names it."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ValidationError(f"{owner}.{field}: is {value!r}, would have to be an integer")
    number = int(value)
    if not minimum <= number <= maximum:
        raise ValidationError(f"{owner}.{field}: is {number}, would have to be in [{minimum}, {maximum}]")
    return number


def check_csr(
    owner: str,
    indptr: NDArray[np.int32],
    indices: NDArray[np.int32],
    *,
    n_target: int | None = None,
    n_source: int | None = None,
    field: str = "indices",
) -> None:
    """Check shapes, types and pointers of a CSR index, and with `n_source` the range of its columns.

    Raises
    ------
    ValidationError
        Naming the part that is wrong.
    """
    check_array(owner, "indptr", indptr, np.int32, (None if n_target is None else n_target + 1,))
    check_array(owner, field, indices, np.int32, (None,))
    if indptr.size == 0 or indptr[0] != 0 or indptr[-1] != indices.size:
        raise ValidationError(
            f"{owner}.indptr: runs from {indptr[:1].tolist()} to {indptr[-1:].tolist()}, would have to start "
            f"at 0 and end at the number of synapses, {indices.size}"
        )
    if _decreases(indptr):
        raise ValidationError(f"{owner}.indptr: decreases at row {int(np.argmax(np.diff(indptr) < 0))}, may only grow")
    if n_source is not None:
        check_indices(owner, field, indices, n_source)


def check_indices(owner: str, field: str, indices: NDArray[np.int32], n: int) -> None:
    """Refuse an int32 `indices` (K,) with an entry outside [0, n)."""
    if indices.size and _outside(indices, n):
        raise ValidationError(
            f"{owner}.{field}: run from {int(indices.min())} to {int(indices.max())}, would have to be in [0, {n})"
        )


@jit
def _decreases(pointers):
    decreases = False
    for i in range(1, pointers.size):
        decreases |= pointers[i] < pointers[i - 1]
    return decreases


@jit
def _outside(indices, n):
    low, high = np.int32(0), np.int32(0)
    for k in range(indices.size):
        low, high = min(low, indices[k]), max(high, indices[k])
    return low < 0 or high >= n
