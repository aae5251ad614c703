"""`Input`: the input lines of a network, and what may enter them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosparse.core.checks import check_count
from neurosparse.errors import UnknownNameError, ValidationError

__all__ = ["Input", "InputKind"]

InputKind = Literal["spikes", "graded", "analog"]


@dataclass(frozen=True)
class Input:
    """The input lines of a network.

    Parameters
    ----------
    n : int
        Number of lines.
    kind : {"spikes", "graded", "analog"}
        ``spikes``: 0 or 1. ``graded``: an 8-bit payload p that stands for p / 256 (what Loihi 2's graded spikes carry).
        ``analog``: any float; results are then not bit-exact between engines.
    """

    n: int
    kind: InputKind = "spikes"

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", check_count("Input.n", self.n))
        if self.kind not in get_args(InputKind):
            raise UnknownNameError("Input.kind", str(self.kind), get_args(InputKind))

    def values(self, inputs: ArrayLike, dtype: Any = np.float32) -> NDArray[Any]:
        """Return `inputs` as the values that enter the synapses.

        Parameters
        ----------
        inputs : array, shape (time, batch, n) or (time, n)
            ``graded`` takes uint8 payloads, or floats that are exact multiples of 1/256 in [0, 255/256].
        dtype : float32 or float64
            The precision of the network; or bool, for spikes.

        Returns
        -------
        array of `dtype`, shape (time, batch, n)
            A copy, except for spikes as booleans.

        Raises
        ------
        ValidationError
            For another shape or type, and for values that this kind of input cannot carry.

        Examples
        --------
        >>> Input(2, "graded").values(np.uint8([[128, 0]]))
        array([[[0.5, 0. ]]], dtype=float32)
        """
        try:
            array = np.asarray(inputs)
        except ValueError as error:
            raise ValidationError(f"inputs: expected one array (time, batch, {self.n}), got ragged rows") from error
        if array.ndim == 2:
            array = array[:, np.newaxis, :]
        if array.ndim != 3 or array.shape[2] != self.n:
            raise ValidationError(
                f"inputs: expected shape (time, batch, {self.n}) or (time, {self.n}), got {np.shape(inputs)}"
            )
        if array.dtype.kind not in "bufi":
            raise ValidationError(f"inputs: expected booleans, integers or floats, got {array.dtype}")
        if self.kind == "spikes":
            return _spikes(array).astype(dtype, copy=dtype != np.bool_)
        if self.kind == "graded":
            return _graded(array, dtype)
        return _analog(array, dtype)


def _spikes(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype == bool:
        return array
    good = (array == 0) | (array == 1)
    if not good.all():
        raise ValidationError(
            f"inputs: this network takes spikes (0 or 1), got {array[~good].flat[0]}; "
            "a network for 8-bit payloads has Input(kind='graded')"
        )
    return array


def _graded(array: NDArray[Any], dtype: Any) -> NDArray[Any]:
    rule = "inputs: this network takes 8-bit payloads: uint8, or floats that are multiples of 1/256 below 1"
    if array.dtype == bool:
        raise ValidationError(f"{rule}; got booleans, and spikes need Input(kind='spikes')")
    if array.dtype == np.uint8:
        return np.multiply(array, 1 / 256, dtype=dtype)  # exact in every float type
    with np.errstate(over="ignore"):
        payload = array if array.dtype.kind in "ui" else array.astype(np.float64) * 256.0
    good = (payload >= 0) & (payload <= 255) & (payload == np.floor(payload))
    if not good.all():
        raise ValidationError(f"{rule}; got {array.dtype} {array[~good].flat[0]}")
    return np.multiply(payload, 1 / 256, dtype=dtype, casting="unsafe")


def _analog(array: NDArray[Any], dtype: Any) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        values = array.astype(dtype)
    if not np.isfinite(values).all():
        raise ValidationError(f"inputs: must be finite in {np.dtype(dtype)}, got {array[~np.isfinite(values)].flat[0]}")
    return values
