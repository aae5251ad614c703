"""The bundled digits: payloads and the fixed split."""

import hashlib
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from neurosparse.data.datasets import load_dataset
from neurosparse.errors import ArtifactError, MissingDependencyError


def test_sizes_are_three_fifths_and_two_fifths():
    d = load_dataset("digits")
    assert (len(d.train), len(d.validation), len(d.test)) == (1077, 360, 360)
    assert (d.shape, d.n_features, d.n_classes) == ((8, 8), 64, 10)


def test_the_three_splits_are_the_bundled_set_each_sample_once_with_its_label():
    d = load_dataset("digits")
    bunch = load_digits()
    original = sorted((v.astype(int).tobytes(), int(y)) for v, y in zip(bunch.data, bunch.target, strict=True))
    inverse = {(255 * v + 8) // 16: v for v in range(17)}
    ours = sorted(
        (np.array([inverse[int(p)] for p in row]).tobytes(), int(y))
        for s in (d.train, d.validation, d.test)
        for row, y in zip(s.flat, s.labels, strict=True)
    )
    assert ours == original


def test_payloads_are_the_seventeen_grey_levels_stretched_to_255():
    d = load_dataset("digits")
    levels = np.unique(np.concatenate([d.train.flat, d.validation.flat, d.test.flat]))
    # v * 255 / 16 = 15.9375 v; the one tie, 127.5 at v = 8, goes up
    assert levels.tolist() == [0, 16, 32, 48, 64, 80, 96, 112, 128, 143, 159, 175, 191, 207, 223, 239, 255]


def test_each_class_is_within_one_sample_of_a_fifth_in_validation_and_test():
    d = load_dataset("digits")
    counts = np.bincount(load_digits().target)
    for split in (d.validation, d.test):
        assert (np.abs(np.bincount(split.labels) - counts * 360 / 1797) < 1).all()


def test_the_split_never_changes():
    """Measured with numpy 1.26 on Python 3.10 and 2.3 on 3.11; another value makes every earlier accuracy void."""
    d = load_dataset("digits")
    digest = hashlib.sha256(d.test.labels.tobytes() + d.test.images.tobytes()).hexdigest()
    assert digest.startswith("5dc39ae2a10383c7")


def test_splits_are_shuffled_over_classes():
    d = load_dataset("digits")
    for split in (d.train, d.validation, d.test):
        assert len(np.unique(split.take(100).labels)) == 10


def test_without_scikit_learn_the_message_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingDependencyError, match="pip install scikit-learn"):
        load_dataset("digits")


class _Bunch:
    def __init__(self, images, target):
        self.images, self.target = images, target


@pytest.mark.parametrize(
    ("bunch", "message"),
    [
        (
            _Bunch(np.zeros((3, 8, 8)), np.zeros(3)),
            r"expected 1797 images of 8x8, scikit-learn gave images \(3, 8, 8\)",
        ),
        (
            _Bunch(np.full((1797, 8, 8), 17.0), np.zeros(1797)),
            "expected whole values 0..16, scikit-learn gave 17.0..17.0",
        ),
        (_Bunch(np.full((1797, 8, 8), 0.5), np.zeros(1797)), "expected whole values 0..16"),
    ],
)
def test_another_copy_in_scikit_learn_is_refused(monkeypatch, bunch, message):
    monkeypatch.setattr("sklearn.datasets.load_digits", lambda: bunch)
    with pytest.raises(ArtifactError, match=message):
        load_dataset("digits")
