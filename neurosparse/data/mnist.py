"""MNIST from a local folder: ``mnist.npz`` or the four original IDX files.

Source: Y. LeCun, C. Cortes and C. J. C. Burges, *The MNIST database of handwritten digits* (1998), CC BY-SA 3.0;
60 000 training and 10 000 test images of 28x28 pixels. The last 5 000 training images are the validation set, so the
splits are 55 000 / 5 000 / 10 000.
"""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.data.datasets import Dataset, Split
from neurosparse.data.folder import DATA_VARIABLE, data_folder
from neurosparse.data.idx import read_idx
from neurosparse.data.npz import Expected, read_npz
from neurosparse.errors import ArtifactError, DataNotFoundError

__all__ = ["load"]

_N_TRAIN = 55_000
_N_CLASSES = 10
_SHAPE = (28, 28)
_NPZ = "mnist.npz"
# Folders under root that are searched, in this order; the last is where torchvision keeps the files.
_SUBFOLDERS = (".", "mnist", "MNIST/raw")
_ARRAYS = {
    "x_train": Expected((60_000, *_SHAPE), itemsize=1),
    "y_train": Expected((60_000,), itemsize=8),
    "x_test": Expected((10_000, *_SHAPE), itemsize=1),
    "y_test": Expected((10_000,), itemsize=8),
}
_IDX_NAMES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
# SHA-256 of the original IDX files, uncompressed, as many projects publish them. The arrays of an .npz are hashed as
# the IDX file they would make: one table then covers every container, however it was compressed or by whom repacked.
_SHA256 = {
    "x_train": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "y_train": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "x_test": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "y_test": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
_WHAT_TO_PLACE = (
    f"{_NPZ} (arrays {', '.join(_ARRAYS)}), or the four files {', '.join(_IDX_NAMES.values())} (each plain or .gz),"
)


def load(*, root: str | os.PathLike[str] | None = None, verify: bool = True) -> Dataset:
    """Return MNIST: 55 000 train, 5 000 validation (the last of the training set) and 10 000 test images.

    Parameters
    ----------
    root : folder with the files, itself or in ``mnist/`` or ``MNIST/raw/`` below it; None means the folder that the
        environment variable ``NEUROSPARSE_DATA`` names. `mnist.npz` is preferred where both forms lie in one folder,
        and plain files to ``.gz``.
    verify : compare all pixels and labels with the published SHA-256 sums. Turn it off only for another set in
        MNIST's clothes (Fashion-MNIST has the same file names); shapes, types and labels are checked all the same.

    Raises
    ------
    DataNotFoundError : no folder is named, it does not exist, or files are missing
    ArtifactError : a file is damaged, has another shape, or is not MNIST
    """
    folder = data_folder("mnist", root, _WHAT_TO_PLACE)
    arrays, origin = _find(folder)
    for name, array in arrays.items():
        _check_range(name, array, origin[name])
        if verify:
            _check_sum(name, array, origin[name])
    images = {name: arrays[name].astype(np.uint8, copy=False) for name in ("x_train", "x_test")}
    labels = {name: arrays[name].astype(np.int64) for name in ("y_train", "y_test")}
    return Dataset(
        name="mnist",
        train=Split(images["x_train"][:_N_TRAIN], labels["y_train"][:_N_TRAIN]),
        validation=Split(images["x_train"][_N_TRAIN:], labels["y_train"][_N_TRAIN:]),
        test=Split(images["x_test"], labels["y_test"]),
        n_classes=_N_CLASSES,
        shape=_SHAPE,
    )


def _find(folder: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Path]]:
    """Return the four arrays and the file each came from, out of the first subfolder that has a complete set."""
    incomplete = ""
    for subfolder in _SUBFOLDERS:
        place = folder / subfolder
        if (place / _NPZ).is_file():
            return dict(read_npz(place / _NPZ, _ARRAYS)), dict.fromkeys(_ARRAYS, place / _NPZ)
        paths = {name: _plain_or_gz(place, file) for name, file in _IDX_NAMES.items()}
        found = {name: path for name, path in paths.items() if path is not None}
        if len(found) == len(paths):
            return {name: read_idx(path, _ARRAYS[name].shape) for name, path in found.items()}, found
        if found and not incomplete:
            missing = ", ".join(_IDX_NAMES[name] for name, path in paths.items() if path is None)
            incomplete = f" In {place} only these are missing: {missing}."
    raise DataNotFoundError(
        f"mnist: not found in {folder} (searched it and its subfolders {' and '.join(_SUBFOLDERS[1:])}).{incomplete} "
        f"Place {_WHAT_TO_PLACE} there, or name another folder by root=FOLDER or {DATA_VARIABLE}=FOLDER. "
        "Without the files: 'digits' is bundled, 'synthetic' is generated in the same shape"
    )


def _plain_or_gz(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _check_range(name: str, array: NDArray[Any], path: Path) -> None:
    largest, what = (255, "pixels") if name.startswith("x") else (_N_CLASSES - 1, "labels")
    low, high = int(array.min()), int(array.max())
    if low < 0 or high > largest:
        raise ArtifactError(f"{path}: {name} has values {low}..{high}; {what} are 0..{largest}")


def _check_sum(name: str, array: NDArray[Any], path: Path) -> None:
    digest = hashlib.sha256(struct.pack(f">4B{array.ndim}I", 0, 0, 0x08, array.ndim, *array.shape))
    digest.update(np.ascontiguousarray(array, dtype=np.uint8).data)
    if digest.hexdigest() != _SHA256[name]:
        raise ArtifactError(
            f"{path}: {name} is not MNIST's: SHA-256 {digest.hexdigest()[:16]}..., expected {_SHA256[name][:16]}...; "
            "get an intact copy, or pass verify=False if it is meant to be another data set"
        )
