"""The generated stand-in."""

import numpy as np
import pytest

from neurosparse.data.datasets import load_dataset
from neurosparse.errors import ValidationError


def small(**options):
    sizes = {"shape": (4, 5), "n_classes": 3, "n_train": 60, "n_validation": 20, "n_test": 20}
    return load_dataset("synthetic", **{**sizes, **options})


def test_the_same_arguments_give_the_same_bytes_and_another_seed_others():
    a, b, c = small(), small(), small(seed=1)
    for name in ("train", "validation", "test"):
        assert np.array_equal(getattr(a, name).images, getattr(b, name).images)
        assert np.array_equal(getattr(a, name).labels, getattr(b, name).labels)
    assert not np.array_equal(a.train.images, c.train.images)
    assert not np.array_equal(a.train.images[:20], a.test.images)


def test_without_noise_every_sample_is_the_prototype_of_its_class():
    d = small(noise=0.0)
    for label in range(3):
        assert len(np.unique(d.train.flat[d.train.labels == label], axis=0)) == 1
    assert len(np.unique(d.train.flat, axis=0)) == 3


def test_with_noise_the_nearest_prototype_still_tells_the_class():
    d = load_dataset("synthetic", noise=0.3)
    clean = load_dataset("synthetic", noise=0.0)
    prototypes = np.stack([clean.train.flat[clean.train.labels == k][0] for k in range(10)]).astype(int)
    distance = np.abs(d.test.flat[:, None].astype(int) - prototypes).sum(axis=2)
    assert (distance.argmin(axis=1) == d.test.labels).all()


def test_all_noise_leaves_nothing_to_learn():
    d = small(noise=1.0)
    same = d.train.flat[d.train.labels == 0]
    assert len(np.unique(same, axis=0)) == len(same)


def test_a_shape_from_a_toml_file_is_a_list():
    assert small(shape=[7]).shape == (7,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": ()}, r"synthetic.shape: needs integers >= 1, got \(\)"),
        ({"shape": (3, 0)}, r"synthetic.shape: needs integers >= 1, got \(3, 0\)"),
        ({"n_classes": 1}, "synthetic.n_classes: needs an integer >= 2, got 1"),
        ({"n_train": 0}, "synthetic.n_train: needs an integer >= 1, got 0"),
        ({"n_test": 2.5}, "synthetic.n_test: needs an integer >= 1, got 2.5"),
        ({"noise": 1.5}, r"synthetic.noise: needs a probability in \[0, 1\], got 1.5"),
        ({"noise": float("nan")}, r"synthetic.noise: needs a probability in \[0, 1\], got nan"),
        ({"seed": -1}, "seed: must be an integer >= 0, got -1"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        small(**options)
