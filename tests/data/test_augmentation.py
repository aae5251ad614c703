"""Affine changes of images, against images small enough to see."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurosparse.core.rng import stream
from neurosparse.data.augmentation import RandomAffine
from neurosparse.errors import ValidationError


class Scripted:
    """A generator whose uniform draws are given."""

    def __init__(self, *values: float) -> None:
        self.values = list(values)

    def uniform(self, low: float, high: float, n: int) -> np.ndarray:
        value = self.values.pop(0)
        assert low <= value <= high
        return np.full(n, value)


IMAGE = np.arange(9, dtype=np.uint8).reshape(1, 3, 3) * 10


def test_nothing_to_change_changes_nothing() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 5, 7), dtype=np.uint8)
    same = RandomAffine(degrees=0, translate=0, scale=(1, 1)).apply(images, stream(0, "augmentation"))
    np.testing.assert_array_equal(same, images)


def test_a_quarter_turn_is_a_quarter_turn() -> None:
    turned = RandomAffine(degrees=90).apply(IMAGE, Scripted(90, 0, 0, 1))
    np.testing.assert_array_equal(turned[0], np.rot90(IMAGE[0]))  # counter-clockwise


def test_a_shift_by_a_third_moves_by_one_pixel_and_lets_black_in() -> None:
    shifted = RandomAffine(translate=0.5).apply(IMAGE, Scripted(0, 1 / 3, 0, 1))  # down
    assert shifted[0].tolist() == [[0, 0, 0], [0, 10, 20], [30, 40, 50]]
    shifted = RandomAffine(translate=0.5).apply(IMAGE, Scripted(0, 0, -1 / 6, 1))  # left by half a pixel
    assert shifted[0].tolist() == [[5, 15, 10], [35, 45, 25], [65, 75, 40]]


def test_magnified_twice_a_pixel_is_twice_as_far_from_the_centre() -> None:
    image = np.zeros((1, 9, 9), np.uint8)
    image[0, 4, 6] = 200
    larger = RandomAffine(scale=(1, 2)).apply(image, Scripted(0, 0, 0, 2))
    assert np.unravel_index(larger[0].argmax(), (9, 9)) == (4, 8)
    assert larger[0].max() == 200


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 9))
def test_payloads_stay_payloads_and_the_generator_decides_everything(seed: int, height: int, width: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (3, height, width), dtype=np.uint8)
    augmentation = RandomAffine()
    first, second = (augmentation.apply(images, stream(seed, "augmentation")) for _ in range(2))
    assert first.dtype == np.uint8
    assert first.max() <= images.max()
    np.testing.assert_array_equal(first, second)


def test_settings_and_images_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"RandomAffine\.degrees: must lie in \[0, 180\], got 200"):
        RandomAffine(degrees=200)
    with pytest.raises(ValidationError, match=r"RandomAffine\.translate: must lie in \[0, 1\], got -1"):
        RandomAffine(translate=-1)
    with pytest.raises(ValidationError, match=r"RandomAffine\.scale: must be two numbers 0 < smallest <= largest"):
        RandomAffine(scale=(2.0, 1.0))
    with pytest.raises(
        ValidationError, match=r"needs uint8 images \(batch, height, width\), got uint8 of shape \(2, 9\)"
    ):
        RandomAffine().apply(np.zeros((2, 9), np.uint8), stream(0, "augmentation"))
