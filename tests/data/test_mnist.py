"""MNIST from a folder: wrong files, blank files of its shape, and (where it lies on this machine) the real one."""

import gzip
import hashlib
import struct

import numpy as np
import pytest

from neurosparse.data import mnist
from neurosparse.data.datasets import load_dataset
from neurosparse.errors import ArtifactError, DataNotFoundError

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
SHAPES = ((60_000, 28, 28), (60_000,), (10_000, 28, 28), (10_000,))
KEYS = ("x_train", "y_train", "x_test", "y_test")


def blank(shape):
    """Zeros, but for a mark that tells every image's position and label."""
    array = np.zeros(shape, dtype=np.uint8)
    if len(shape) == 1:
        array[:] = np.arange(shape[0]) % 10
    else:
        array[:, 0, 0], array[:, 0, 1] = np.arange(shape[0]) % 256, np.arange(shape[0]) // 256
    return array


def idx_bytes(array):
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture(scope="module")
def blanks():
    return {key: blank(shape) for key, shape in zip(KEYS, SHAPES, strict=True)}


@pytest.fixture(scope="module")
def idx_folder(tmp_path_factory, blanks):
    """All four files of the right shape that are not MNIST; the training images plain, the others gzipped."""
    folder = tmp_path_factory.mktemp("idx")
    for name, key in zip(NAMES, KEYS, strict=True):
        content = idx_bytes(blanks[key])
        if key == "x_train":
            (folder / name).write_bytes(content)
        else:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, compresslevel=1))
    return folder


@pytest.fixture(scope="module")
def npz_folder(tmp_path_factory, blanks):
    folder = tmp_path_factory.mktemp("npz")
    np.savez(folder / "mnist.npz", **blanks)
    return folder


@pytest.fixture(autouse=True)
def no_folder_from_the_environment(request, monkeypatch):
    if "mnist" not in request.keywords:
        monkeypatch.delenv("NEUROSPARSE_DATA", raising=False)


@pytest.mark.parametrize("container", ["idx_folder", "npz_folder"])
def test_the_last_5000_training_images_are_the_validation_set(request, container):
    d = load_dataset("mnist", request.getfixturevalue(container), verify=False)
    assert (len(d.train), len(d.validation), len(d.test)) == (55_000, 5_000, 10_000)
    assert (d.shape, d.n_classes) == ((28, 28), 10)

    def positions(split):
        return split.images[:, 0, 0].astype(int) + 256 * split.images[:, 0, 1].astype(int)

    assert np.array_equal(positions(d.train), np.arange(55_000))
    assert np.array_equal(positions(d.validation), np.arange(55_000, 60_000))
    assert np.array_equal(positions(d.test), np.arange(10_000))
    assert np.array_equal(d.validation.labels, np.arange(5_000) % 10)


@pytest.mark.parametrize("container", ["idx_folder", "npz_folder"])
def test_what_has_the_shape_but_not_the_content_of_mnist_is_refused(request, container):
    message = (
        r"x_train is not MNIST's: SHA-256 .* expected ba891046e6505d7a\.\.\.; get an intact copy, or pass verify=False"
    )
    with pytest.raises(ArtifactError, match=message):
        load_dataset("mnist", request.getfixturevalue(container))


@pytest.mark.parametrize("container", ["idx_folder", "npz_folder"])
def test_every_container_is_checked_against_the_sum_of_the_plain_idx_file(request, monkeypatch, blanks, container):
    sums = {key: hashlib.sha256(idx_bytes(array)).hexdigest() for key, array in blanks.items()}
    monkeypatch.setattr(mnist, "_SHA256", sums)
    load_dataset("mnist", request.getfixturevalue(container))
    monkeypatch.setitem(sums, "y_test", "0" * 64)
    with pytest.raises(ArtifactError, match="y_test is not MNIST's"):
        load_dataset("mnist", request.getfixturevalue(container))


@pytest.mark.parametrize("subfolder", ["mnist", "MNIST/raw"])
def test_usual_subfolders_and_the_environment_variable_are_searched(tmp_path, monkeypatch, idx_folder, subfolder):
    place = tmp_path / subfolder
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(idx_folder)
    monkeypatch.setenv("NEUROSPARSE_DATA", str(tmp_path))
    assert len(load_dataset("mnist", verify=False).test) == 10_000


def test_root_wins_over_the_environment_variable(tmp_path, monkeypatch, idx_folder):
    monkeypatch.setenv("NEUROSPARSE_DATA", str(tmp_path))
    assert len(load_dataset("mnist", idx_folder, verify=False).test) == 10_000


@pytest.mark.parametrize("value", [None, ""])
def test_without_a_folder_the_message_says_what_to_place_and_how_to_name_it(monkeypatch, value):
    if value is not None:
        monkeypatch.setenv("NEUROSPARSE_DATA", value)
    with pytest.raises(DataNotFoundError, match="mnist: no folder is named") as caught:
        load_dataset("mnist")
    for part in ("mnist.npz", *NAMES, "root=FOLDER", "NEUROSPARSE_DATA=FOLDER"):
        assert part in str(caught.value)


def test_an_empty_folder_is_named_with_what_was_searched(tmp_path, monkeypatch):
    monkeypatch.setenv("NEUROSPARSE_DATA", str(tmp_path))
    with pytest.raises(DataNotFoundError, match=r"not found in .*subfolders mnist and MNIST/raw") as caught:
        load_dataset("mnist")
    for part in (str(tmp_path), "mnist.npz", *NAMES, "NEUROSPARSE_DATA=FOLDER", "'digits' is bundled"):
        assert part in str(caught.value)


def test_a_folder_that_does_not_exist_or_is_a_file_is_said_so(tmp_path, monkeypatch):
    with pytest.raises(DataNotFoundError, match=r"mnist: root=.*nowhere does not exist"):
        load_dataset("mnist", tmp_path / "nowhere")
    (tmp_path / "mnist.npz").write_bytes(b"")
    monkeypatch.setenv("NEUROSPARSE_DATA", str(tmp_path / "mnist.npz"))
    with pytest.raises(DataNotFoundError, match=r"NEUROSPARSE_DATA=.*mnist.npz is a file, not a folder"):
        load_dataset("mnist")


def test_an_incomplete_folder_names_only_the_missing_files(tmp_path):
    for name in (NAMES[0], NAMES[1] + ".gz", NAMES[3]):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataNotFoundError, match=f"only these are missing: {NAMES[2]}\\."):
        load_dataset("mnist", tmp_path)


def test_labels_outside_the_ten_classes_are_refused_without_verification_too(tmp_path, blanks):
    wrong = blanks["y_test"].copy()
    wrong[7] = 10
    np.savez(tmp_path / "mnist.npz", **{**blanks, "y_test": wrong})
    with pytest.raises(ArtifactError, match=r"y_test has values 0..10; labels are 0..9"):
        load_dataset("mnist", tmp_path, verify=False)


def test_tiny_files_under_the_right_names_are_refused_by_their_shape(tmp_path):
    for name, shape in zip(NAMES, ((2, 28, 28), (2,), (1, 28, 28), (1,)), strict=True):
        (tmp_path / name).write_bytes(idx_bytes(np.zeros(shape, np.uint8)))
    with pytest.raises(ArtifactError, match="expected an array of 60000x28x28, the header says 2x28x28"):
        load_dataset("mnist", tmp_path, verify=False)


@pytest.mark.mnist
def test_the_real_mnist_has_its_known_mean_and_first_labels():
    try:
        d = load_dataset("mnist")
    except DataNotFoundError as error:
        pytest.skip(str(error))
    assert d.train.images.shape == (55_000, 28, 28)
    assert d.validation.images.shape == (5_000, 28, 28)
    assert d.test.images.shape == (10_000, 28, 28)
    training = np.concatenate([d.train.flat, d.validation.flat])
    assert training.mean() / 255 == pytest.approx(0.13066, abs=5e-6)
    assert d.test.images.mean() / 255 == pytest.approx(0.13251, abs=5e-6)
    # the first digits of both sets, known to everyone who ever plotted them
    assert d.train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert d.test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert np.bincount(d.test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.mark.mnist
def test_the_real_mnist_is_the_same_from_idx_files(tmp_path):
    try:
        d = load_dataset("mnist")
    except DataNotFoundError as error:
        pytest.skip(str(error))
    arrays = (
        np.concatenate([d.train.images, d.validation.images]),
        np.concatenate([d.train.labels, d.validation.labels]).astype(np.uint8),
        d.test.images,
        d.test.labels.astype(np.uint8),
    )
    for name, array in zip(NAMES, arrays, strict=True):
        (tmp_path / name).write_bytes(idx_bytes(array))
    again = load_dataset("mnist", tmp_path)  # verified against the published sums
    assert np.array_equal(again.train.images, d.train.images)
    assert np.array_equal(again.validation.labels, d.validation.labels)
