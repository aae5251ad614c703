"""What a data set is, and the registry of those that can be loaded by name.

A data set is one file with a function ``load(*, root=None, ...) -> Dataset`` and one line in `datasets`. Nothing is
ever downloaded: either the data come with a dependency (digits), are generated (synthetic), or lie in a folder of
this machine (mnist).
"""

from __future__ import annotations

import inspect
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.core.registry import Registry
from neurosparse.errors import UnknownNameError, ValidationError

__all__ = ["Dataset", "Split", "datasets", "load_dataset"]

datasets = Registry(
    "datasets",
    {
        "digits": "neurosparse.data.digits:load",
        "mnist": "neurosparse.data.mnist:load",
        "synthetic": "neurosparse.data.synthetic:load",
    },
)


def load_dataset(name: str, root: str | os.PathLike[str] | None = None, **options: Any) -> Dataset:
    """Load the data set called `name`.

    Parameters
    ----------
    name : a name in `datasets`
    root : folder that holds the files of a data set that has files; without it, the folder the environment variable
        ``NEUROSPARSE_DATA`` names. Data sets without files (digits, synthetic) do not look at it.
    options : what that data set's own ``load`` takes, for instance ``verify=False`` for mnist

    Raises
    ------
    UnknownNameError : the name, or an option, is not known; the message names the nearest
    DataNotFoundError : files are missing; the message says what to place where
    ArtifactError : a file is damaged or is not the data set it claims to be

    >>> load_dataset("digits")
    Dataset(digits: 8x8, 10 classes, 1077 train + 360 validation + 360 test)
    """
    loader = datasets.get(name)
    known = [option for option in inspect.signature(loader).parameters if option != "root"]
    for option in options:
        if option not in known:
            raise UnknownNameError(f"load_dataset({name!r}) options", option, known)
    dataset: Dataset = loader(root=root, **options)
    return dataset


@dataclass(frozen=True, eq=False)
class Split:
    """Some labelled samples.

    Raises `ValidationError` for other types, other lengths and no samples at all.

    Parameters
    ----------
    images : uint8 (n, *shape). The 8-bit payload 0..255 of each pixel; it stands for payload / 256 (never / 255).
    labels : int64 (n,), class index
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        for field, array, dtype in (("images", self.images, np.uint8), ("labels", self.labels, np.int64)):
            given = getattr(array, "dtype", type(array).__name__)
            if given != dtype:
                raise ValidationError(f"Split.{field}: needs a numpy array of {dtype.__name__}, got {given}")
        if self.images.ndim < 2 or self.images.size == 0:
            raise ValidationError(f"Split.images: needs shape (n, ...) with n >= 1, got {self.images.shape}")
        if self.labels.shape != (len(self.images),):
            raise ValidationError(
                f"Split.labels: needs one label per image, shape ({len(self.images)},), got {self.labels.shape}"
            )

    @property
    def flat(self) -> NDArray[np.uint8]:
        """The images as (n, n_features), row-major: what encoders and input neurons take (a view where possible)."""
        return self.images.reshape(len(self), -1)

    def with_label_noise(self, share: float, n_classes: int, generator: np.random.Generator) -> Split:
        """Return the same images, a random `share` of their labels replaced by uniformly random other classes."""
        n_wrong = round(share * self.labels.size)
        wrong = generator.choice(self.labels.size, n_wrong, replace=False)
        labels = self.labels.copy()
        labels[wrong] = (labels[wrong] + generator.integers(1, n_classes, n_wrong)) % n_classes
        return Split(self.images, labels)

    def take(self, n: int) -> Split:
        """Return the first `n` samples (a view).

        A fair sample of every split but one: in MNIST's official order, the first 5 000 test images come from the
        cleaner of its two sources and are easier than the last 5 000. Use it there for speed, not for accuracies.
        """
        if not 1 <= n <= len(self):
            raise ValidationError(f"Split.take: n must be in 1..{len(self)}, got {n}")
        return Split(self.images[:n], self.labels[:n])

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return f"Split({len(self)} x {_by(self.images.shape[1:])})"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled images in three disjoint splits.

    Fit on `train`, choose everything on `validation`, and read `test` once per reported number. Raises
    `ValidationError` where splits, shape and labels disagree.

    Parameters
    ----------
    name : the name it is registered under
    train, validation, test : samples of one shape
    n_classes : labels are 0..n_classes - 1
    shape : shape of one sample, for instance (28, 28)
    """

    name: str
    train: Split
    validation: Split
    test: Split
    n_classes: int
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        for field in ("train", "validation", "test"):
            split: Split = getattr(self, field)
            if split.images.shape[1:] != self.shape:
                raise ValidationError(
                    f"Dataset.{field}: samples have shape {split.images.shape[1:]}, but Dataset.shape is {self.shape}"
                )
            low, high = int(split.labels.min()), int(split.labels.max())
            if low < 0 or high >= self.n_classes:
                raise ValidationError(
                    f"Dataset.{field}: labels run from {low} to {high}, n_classes={self.n_classes} allows "
                    f"0..{self.n_classes - 1}"
                )

    @property
    def n_features(self) -> int:
        """Number of pixels of one sample: the input size of a network that reads it."""
        return int(np.prod(self.shape))

    def __repr__(self) -> str:
        sizes = f"{len(self.train)} train + {len(self.validation)} validation + {len(self.test)} test"
        return f"Dataset({self.name}: {_by(self.shape)}, {self.n_classes} classes, {sizes})"


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(str(n) for n in shape)
