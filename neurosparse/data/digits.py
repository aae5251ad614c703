"""The 1 797 handwritten digits that ship with scikit-learn: 8x8 pixels, no download.

Source: E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits*, UCI Machine Learning Repository
(1998), CC BY 4.0. This is the test part of that set, written by 13 people. The file does not say who wrote what, so a
split by writer is impossible and the same hands appear in all three splits: accuracies here say nothing about unseen
writers.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.core.rng import stream
from neurosparse.data.datasets import Dataset, Split
from neurosparse.errors import ArtifactError, MissingDependencyError

__all__ = ["load"]

_SHAPE = (8, 8)
_N_SAMPLES = 1797
_N_CLASSES = 10
_LARGEST_VALUE = 16
_N_VALIDATION = 360  # a fifth each, to the sample
_N_TEST = 360
# Belongs to the data set, never to a run: runs with different seeds are compared on the same test samples.
_SPLIT_SEED = 0


def load(*, root: str | os.PathLike[str] | None = None) -> Dataset:
    """Return the digits: 1 077 train, 360 validation, 360 test, stratified (each class within one sample of a fifth).

    The values 0..16 become payloads ``round(v * 255 / 16)`` with halves up (8 -> 128), so that full ink is 255. The
    split is a fixed shuffle of each class and depends on nothing. `root` is accepted because every data set takes it,
    and not used.

    Raises `MissingDependencyError` without scikit-learn, `ArtifactError` if scikit-learn's copy is not the set
    described here.
    """
    values, labels = _bundled()
    # Integer arithmetic: (255 v + 8) // 16 is the rounded quotient on every machine.
    payload = ((values.astype(np.int64) * 255 + _LARGEST_VALUE // 2) // _LARGEST_VALUE).astype(np.uint8)
    train, validation, test = _stratified_split(labels)
    return Dataset(
        name="digits",
        train=Split(payload[train], labels[train]),
        validation=Split(payload[validation], labels[validation]),
        test=Split(payload[test], labels[test]),
        n_classes=_N_CLASSES,
        shape=_SHAPE,
    )


def _bundled() -> tuple[NDArray[Any], NDArray[np.int64]]:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingDependencyError("digits: they ship with scikit-learn: pip install scikit-learn") from error
    bunch = load_digits()
    values, labels = np.asarray(bunch.images), np.asarray(bunch.target).astype(np.int64)
    if values.shape != (_N_SAMPLES, *_SHAPE) or labels.shape != (_N_SAMPLES,):
        raise ArtifactError(
            f"digits: expected {_N_SAMPLES} images of 8x8, scikit-learn gave images {values.shape} and labels "
            f"{labels.shape}"
        )
    if not ((values >= 0) & (values <= _LARGEST_VALUE) & (values == np.floor(values))).all():
        raise ArtifactError(
            f"digits: expected whole values 0..{_LARGEST_VALUE}, scikit-learn gave {values.min()}..{values.max()}"
        )
    return values, labels


def _stratified_split(labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the sample indices of train, validation and test, each in a fixed random order."""
    generator = stream(_SPLIT_SEED, "digits", "split")
    counts = np.bincount(labels, minlength=_N_CLASSES)
    n_test, n_validation = _shares(counts, _N_TEST), _shares(counts, _N_VALIDATION)
    test, validation, train = [], [], []
    for label in range(_N_CLASSES):
        members = np.flatnonzero(labels == label)
        # argsort of uniform doubles, not `permutation`: NumPy is free to change how it shuffles.
        members = members[np.argsort(generator.random(len(members)), kind="stable")]
        cut, end = n_test[label], n_test[label] + n_validation[label]
        test.append(members[:cut])
        validation.append(members[cut:end])
        train.append(members[end:])
    parts = [np.concatenate(part) for part in (train, validation, test)]
    shuffled = [part[np.argsort(generator.random(len(part)), kind="stable")] for part in parts]
    return shuffled[0], shuffled[1], shuffled[2]


def _shares(counts: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """Divide `total` among classes in proportion to `counts` by largest remainders (ties to the lower class index)."""
    quotient, remainder = np.divmod(counts * total, counts.sum())
    missing = total - int(quotient.sum())
    quotient[np.argsort(-remainder, kind="stable")[:missing]] += 1
    return quotient
