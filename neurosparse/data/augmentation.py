"""Random affine changes of images: more data from the same labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurosparse.errors import ValidationError

__all__ = ["RandomAffine"]


@dataclass(frozen=True)
class RandomAffine:
    """Rotate, shift and scale every image by its own random amount, about its centre; black comes in from outside.

    The defaults are those behind the MNIST numbers of Grad R (Chen et al. 2021), which therefore do not compare with
    runs without augmentation.

    Parameters
    ----------
    degrees : float in [0, 180]
        Rotation, uniform in +-degrees.
    translate : float in [0, 1]
        Shift, uniform in +-translate times the image's height and width.
    scale : (float, float)
        Magnification, uniform between the two.
    """

    degrees: float = 30.0
    translate: float = 0.15
    scale: tuple[float, float] = (0.85, 1.11)

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", tuple(self.scale))  # TOML has lists
        if not 0 <= self.degrees <= 180:
            raise ValidationError(f"RandomAffine.degrees: must lie in [0, 180], got {self.degrees}")
        if not 0 <= self.translate <= 1:
            raise ValidationError(f"RandomAffine.translate: must lie in [0, 1], got {self.translate}")
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1] < np.inf:
            raise ValidationError(f"RandomAffine.scale: must be two numbers 0 < smallest <= largest, got {self.scale}")

    def apply(self, images: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
        """Return changed copies of `images` (batch, height, width), bilinear, rounded to the nearest payload."""
        if images.ndim != 3 or images.dtype != np.uint8:
            raise ValidationError(
                f"RandomAffine.apply: needs uint8 images (batch, height, width), got {images.dtype} of shape "
                f"{images.shape}"
            )
        n, height, width = images.shape
        angle = np.deg2rad(generator.uniform(-self.degrees, self.degrees, n))
        shift_y = generator.uniform(-self.translate, self.translate, n) * height
        shift_x = generator.uniform(-self.translate, self.translate, n) * width
        scale = generator.uniform(*self.scale, n)
        # where each pixel of the result comes from: the inverse of rotate, scale, shift
        y, x = (
            np.indices((height, width)).reshape(2, 1, -1) - np.array([(height - 1) / 2, (width - 1) / 2])[:, None, None]
        )
        y, x = y - shift_y[:, None], x - shift_x[:, None]
        cosine, sine = (np.cos(angle) / scale)[:, None], (np.sin(angle) / scale)[:, None]
        source_y = cosine * y + sine * x + (height - 1) / 2
        source_x = cosine * x - sine * y + (width - 1) / 2
        return _bilinear(images, source_y, source_x).reshape(images.shape)


def _bilinear(images: NDArray[np.uint8], y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return each image at the points (batch, n_points), 0 outside."""
    n, height, width = images.shape
    padded = np.zeros((n, height + 2, width + 2))  # a black border, into which everything outside is clipped
    padded[:, 1:-1, 1:-1] = images
    y, x = np.clip(y + 1, 0, height + 1), np.clip(x + 1, 0, width + 1)
    top, left = np.minimum(y.astype(np.int64), height), np.minimum(x.astype(np.int64), width)
    down, right = y - top, x - left
    which = np.arange(n)[:, None]
    upper = padded[which, top, left] * (1 - right) + padded[which, top, left + 1] * right
    lower = padded[which, top + 1, left] * (1 - right) + padded[which, top + 1, left + 1] * right
    result: NDArray[np.uint8] = np.rint(upper * (1 - down) + lower * down).astype(np.uint8)
    return result
