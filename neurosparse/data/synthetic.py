"""A generated stand-in of any image shape, for tests, tutorials and machines without the real files.

Each class has one prototype image; a sample is its prototype with some pixels replaced by noise. It is a twin of,
say, MNIST in shape, type and interface only: accuracies on it mean nothing beyond "the chain works".
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from neurosparse.core.rng import stream
from neurosparse.data.datasets import Dataset, Split
from neurosparse.errors import ValidationError

__all__ = ["load"]

_INK = 0.2  # fraction of bright pixels; MNIST has 0.19


def load(
    *,
    root: str | os.PathLike[str] | None = None,
    shape: Sequence[int] = (28, 28),
    n_classes: int = 10,
    n_train: int = 1000,
    n_validation: int = 200,
    n_test: int = 200,
    noise: float = 0.3,
    seed: int = 0,
) -> Dataset:
    """Return generated samples; the same arguments give the same bytes.

    Parameters
    ----------
    shape : shape of one image, each >= 1
    n_classes : >= 2
    n_train, n_validation, n_test : samples per split, >= 1
    noise : probability in [0, 1] that a pixel is replaced by a pixel of a random prototype-like image; 1 leaves
        nothing to learn
    seed : of the data (not of the run)
    root : not used; there are no files

    Raises `ValidationError` for values outside these ranges.
    """
    shape = tuple(shape)
    if not shape or any(not isinstance(n, int) or n < 1 for n in shape):
        raise ValidationError(f"synthetic.shape: needs integers >= 1, got {shape}")
    for field, value, least in (
        ("n_classes", n_classes, 2),
        ("n_train", n_train, 1),
        ("n_validation", n_validation, 1),
        ("n_test", n_test, 1),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValidationError(f"synthetic.{field}: needs an integer >= {least}, got {value!r}")
    if not 0.0 <= noise <= 1.0:
        raise ValidationError(f"synthetic.noise: needs a probability in [0, 1], got {noise!r}")
    prototypes = _ink(stream(seed, "synthetic", "prototypes"), (n_classes, *shape))

    def split(name: str, n: int) -> Split:
        generator = stream(seed, "synthetic", name)
        labels = generator.integers(n_classes, size=n)
        replaced = generator.random((n, *shape)) < noise
        return Split(np.where(replaced, _ink(generator, (n, *shape)), prototypes[labels]), labels)

    return Dataset(
        name="synthetic",
        train=split("train", n_train),
        validation=split("validation", n_validation),
        test=split("test", n_test),
        n_classes=n_classes,
        shape=shape,
    )


def _ink(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    bright = generator.integers(128, 256, size=shape, dtype=np.uint8)
    return np.where(generator.random(shape) < _INK, bright, np.uint8(0))
