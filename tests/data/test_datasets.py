"""What a data set is, and loading by name."""

import subprocess
import sys

import numpy as np
import pytest

from neurosparse.data.datasets import Dataset, Split, datasets, load_dataset
from neurosparse.errors import UnknownNameError, ValidationError


def split(n=3, shape=(2, 2), labels=None):
    images = np.arange(n * np.prod(shape), dtype=np.uint8).reshape(n, *shape)
    return Split(images, np.array(labels if labels is not None else [0] * n, dtype=np.int64))


def dataset(**changes):
    given = {"train": split(), "validation": split(2), "test": split(1), "n_classes": 2, "shape": (2, 2)}
    return Dataset("tiny", **{**given, **changes})


def test_flat_images_are_row_major_views():
    s = split(n=2, shape=(2, 3))
    assert s.flat.tolist() == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]
    assert np.shares_memory(s.flat, s.images)


def test_take_returns_the_first_samples_with_their_labels():
    taken = split(n=3, labels=[1, 0, 1]).take(2)
    assert taken.labels.tolist() == [1, 0]
    assert taken.images.tolist() == [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]


@pytest.mark.parametrize("n", [0, -1, 4])
def test_take_refuses_more_samples_than_there_are(n):
    with pytest.raises(ValidationError, match=rf"Split.take: n must be in 1..3, got {n}"):
        split(n=3).take(n)


def test_objects_print_their_sizes():
    assert repr(split(5)) == "Split(5 x 2x2)"
    assert repr(dataset()) == "Dataset(tiny: 2x2, 2 classes, 3 train + 2 validation + 1 test)"
    assert dataset().n_features == 4


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((1, 4)), np.zeros(1, np.int64), "Split.images: needs a numpy array of uint8, got float64"),
        ([[1, 2]], np.zeros(1, np.int64), "Split.images: needs a numpy array of uint8, got list"),
        (np.zeros((1, 4), np.uint8), np.zeros(1, np.int32), "Split.labels: needs a numpy array of int64, got int32"),
        (np.zeros(4, np.uint8), np.zeros(4, np.int64), r"needs shape \(n, ...\) with n >= 1, got \(4,\)"),
        (np.zeros((0, 4), np.uint8), np.zeros(0, np.int64), r"needs shape \(n, ...\) with n >= 1, got \(0, 4\)"),
        (np.zeros((2, 4), np.uint8), np.zeros(3, np.int64), r"one label per image, shape \(2,\), got \(3,\)"),
    ],
)
def test_a_split_refuses_what_is_not_labelled_payloads(images, labels, message):
    with pytest.raises(ValidationError, match=message):
        Split(images, labels)


def test_a_dataset_refuses_splits_of_another_shape():
    with pytest.raises(
        ValidationError, match=r"Dataset.test: samples have shape \(3,\), but Dataset.shape is \(2, 2\)"
    ):
        dataset(test=split(1, shape=(3,)))


@pytest.mark.parametrize("label", [-1, 2])
def test_a_dataset_refuses_labels_outside_its_classes(label):
    with pytest.raises(ValidationError, match=r"Dataset.validation: labels run from .* n_classes=2 allows 0..1"):
        dataset(validation=split(2, labels=[0, label]))


def test_an_unknown_name_gets_the_near_miss():
    with pytest.raises(UnknownNameError, match=r"datasets: 'digit' is not known. Did you mean 'digits'"):
        load_dataset("digit")


def test_an_unknown_option_gets_the_near_miss():
    with pytest.raises(UnknownNameError, match=r"load_dataset\('mnist'\) options: 'verfy'.*Did you mean 'verify'"):
        load_dataset("mnist", verfy=False)


def test_every_dataset_without_files_loads_and_ignores_root():
    for name in datasets:
        if name != "mnist":
            loaded = load_dataset(name, root="/nowhere")
            assert loaded.name == name
            assert loaded.train.flat.shape == (len(loaded.train), loaded.n_features)


def test_importing_the_package_imports_neither_torch_nor_scikit_learn():
    code = "import sys, neurosparse.data; print([m for m in ('torch', 'sklearn', 'snntorch') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert out.stdout.strip() == "[]"


def test_label_noise_changes_exactly_the_share_asked_for_and_no_image():
    clean = split(n=10, labels=[0, 1, 2, 3, 0, 1, 2, 3, 0, 1])
    noisy = clean.with_label_noise(0.4, 4, np.random.default_rng(0))
    assert (noisy.labels != clean.labels).sum() == 4
    assert set(noisy.labels.tolist()) <= set(range(4))
    assert noisy.images is clean.images
    again = clean.with_label_noise(0.4, 4, np.random.default_rng(0))
    assert again.labels.tolist() == noisy.labels.tolist()
    assert clean.with_label_noise(0.0, 4, np.random.default_rng(0)).labels.tolist() == clean.labels.tolist()
