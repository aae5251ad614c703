"""Encoders: uint8 images (batch, n) to network inputs over time (time, batch, n).

An 8-bit payload p stands for the value p / 256 everywhere (never p / 255), so that an encoding by current and one by
rate carry the same number. Spike encoders return bool, graded ones uint8. All arithmetic is on integers: the same
spikes on every machine.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from neurosparse.core.registry import Registry
from neurosparse.errors import UnknownNameError, ValidationError

__all__ = ["ConstantCurrent", "DeterministicRate", "Encoder", "Latency", "PoissonRate", "encoders", "make_encoder"]

_FULL_RATE = 1 << 16  # rates are integers in units of 2^-16: payload (8 bits) x max_rate rounded to 8 bits


class Encoder(Protocol):
    """What an encoder is: a frozen object; its `kind` is that of the `core.network.Input` which takes what it gives."""

    @property
    def kind(self) -> Literal["graded", "spikes"]: ...

    @property
    def random(self) -> bool:
        """Whether `encode` draws, and so needs a generator."""
        ...

    def encode(
        self, images: NDArray[np.uint8], n_steps: int, *, generator: np.random.Generator | None = None
    ) -> NDArray[Any]:
        """Return the input over time, (n_steps, batch, n), for uint8 images (batch, n).

        `generator` is used by random encoders only. Raises `ValidationError` for images that are not uint8 or not
        2-D, for n_steps < 1, and for a random encoder without a generator.
        """
        ...


encoders = Registry(
    "encoders",
    {
        "constant": "neurosparse.data.encoding:ConstantCurrent",
        "rate": "neurosparse.data.encoding:DeterministicRate",
        "poisson": "neurosparse.data.encoding:PoissonRate",
        "latency": "neurosparse.data.encoding:Latency",
    },
)


def make_encoder(name: str, **options: Any) -> Encoder:
    """Return the encoder called `name` with its `options`; `UnknownNameError` names the nearest name or option.

    >>> make_encoder("rate", max_rate=0.5)
    DeterministicRate(max_rate=0.5)
    """
    encoder = encoders.get(name)
    known = list(inspect.signature(encoder).parameters)
    for option in options:
        if option not in known:
            raise UnknownNameError(f"encoders.{name} options", option, known)
    made: Encoder = encoder(**options)
    return made


@dataclass(frozen=True)
class ConstantCurrent:
    """The image itself at every step: payload p is a current of p / 256.

    Exact in float arithmetic on gridded weights, and what Loihi 2's graded spikes carry; Loihi 1 has none (use
    `DeterministicRate`). The result is a read-only view with stride 0 over time: T steps cost no memory. For a torch
    tensor, convert the images and ``expand`` them instead.

    >>> ConstantCurrent().encode(np.array([[0, 128]], dtype=np.uint8), 3)[:, 0].tolist()
    [[0, 128], [0, 128], [0, 128]]
    """

    kind: ClassVar[Literal["graded"]] = "graded"
    random: ClassVar[bool] = False

    def encode(
        self, images: NDArray[np.uint8], n_steps: int, *, generator: np.random.Generator | None = None
    ) -> NDArray[np.uint8]:
        """Return uint8 (n_steps, batch, n), a broadcast view of `images`; see `Encoder.encode`."""
        _check(images, n_steps)
        return np.broadcast_to(images, (n_steps, *images.shape))


@dataclass(frozen=True)
class DeterministicRate:
    """Evenly spaced spikes at the rate of the payload, without randomness.

    A phase accumulator (first-order error diffusion) that starts half full: with rate r = p * max_rate / 256, the
    number of spikes in the first t steps is ``floor(r * t + 1/2)`` for every t, so the count over T steps is r * T
    rounded to the nearest (halves up), and spikes sit in the middle of their intervals. Pixels of one payload spike
    together.

    Parameters
    ----------
    max_rate : spikes per step of a payload of 256, in (0, 1], rounded to a multiple of 1/256

    Examples
    --------
    >>> DeterministicRate().encode(np.array([[64]], dtype=np.uint8), 8).ravel().astype(int).tolist()
    [0, 1, 0, 0, 0, 1, 0, 0]
    """

    kind: ClassVar[Literal["spikes"]] = "spikes"
    random: ClassVar[bool] = False
    max_rate: float = 1.0

    def __post_init__(self) -> None:
        _check_rate("DeterministicRate", self.max_rate)

    def encode(
        self, images: NDArray[np.uint8], n_steps: int, *, generator: np.random.Generator | None = None
    ) -> NDArray[np.bool_]:
        """Return bool (n_steps, batch, n); see `Encoder.encode`."""
        _check(images, n_steps)
        increment = _rate(images, self.max_rate)
        phase = np.full(images.shape, _FULL_RATE // 2, dtype=np.uint32)
        spikes = np.empty((n_steps, *images.shape), dtype=np.bool_)
        for t in range(n_steps):
            phase += increment
            np.greater_equal(phase, _FULL_RATE, out=spikes[t])
            phase &= _FULL_RATE - 1
        return spikes


@dataclass(frozen=True)
class PoissonRate:
    """A spike with probability p * max_rate / 256, independently at every step.

    This Bernoulli process is what the field calls a Poisson spike train in discrete time: at most one spike per step.
    The spikes are a function of the generator's state and of the images in their order: encode the same batches in
    the same order to get the same spikes again.

    Parameters
    ----------
    max_rate : spikes per step of a payload of 256, in (0, 1], rounded to a multiple of 1/256

    Examples
    --------
    >>> from neurosparse.core.rng import stream
    >>> spikes = PoissonRate().encode(np.full((1, 5000), 64, dtype=np.uint8), 4, generator=stream(0, "encoding"))
    >>> round(float(spikes.mean()), 2)
    0.25
    """

    kind: ClassVar[Literal["spikes"]] = "spikes"
    random: ClassVar[bool] = True
    max_rate: float = 1.0

    def __post_init__(self) -> None:
        _check_rate("PoissonRate", self.max_rate)

    def encode(
        self, images: NDArray[np.uint8], n_steps: int, *, generator: np.random.Generator | None = None
    ) -> NDArray[np.bool_]:
        """Return bool (n_steps, batch, n); see `Encoder.encode`."""
        _check(images, n_steps)
        if generator is None:
            raise ValidationError(
                "PoissonRate.encode: needs generator=, for instance neurosparse.core.rng.stream(seed, 'encoding')"
            )
        rate = _rate(images, self.max_rate)
        spikes = np.empty((n_steps, *images.shape), dtype=np.bool_)
        # 16-bit draws against a 16-bit rate: the probability is exact, and the draws are a quarter of doubles.
        for t in range(n_steps):
            np.less(generator.integers(_FULL_RATE, size=images.shape, dtype=np.uint16), rate, out=spikes[t])
        return spikes


@dataclass(frozen=True)
class Latency:
    """One spike per pixel, brighter pixels earlier.

    Over T steps, payload p spikes at step ``floor((255 - p) * T / (256 - threshold))``: the payloads threshold..255
    fall into T intervals of equal width, 255 spikes at step 0 and, while T <= 256 - threshold, `threshold` spikes at
    step T - 1. Darker payloads, black (0) always among them, never spike. (snnTorch's ``spikegen.latency`` lets them
    spike too, last of all, unless told to clip.)

    Parameters
    ----------
    threshold : smallest payload that spikes, 1..255

    Examples
    --------
    >>> Latency().encode(np.array([[255, 128, 1, 0]], dtype=np.uint8), 3)[:, 0].astype(int).tolist()
    [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
    """

    kind: ClassVar[Literal["spikes"]] = "spikes"
    random: ClassVar[bool] = False
    threshold: int = 1

    def __post_init__(self) -> None:
        if isinstance(self.threshold, bool) or not isinstance(self.threshold, int) or not 1 <= self.threshold <= 255:
            raise ValidationError(f"Latency.threshold: needs a payload in 1..255, got {self.threshold!r}")

    def encode(
        self, images: NDArray[np.uint8], n_steps: int, *, generator: np.random.Generator | None = None
    ) -> NDArray[np.bool_]:
        """Return bool (n_steps, batch, n), at most one spike per pixel; see `Encoder.encode`."""
        _check(images, n_steps)
        payload = np.arange(256, dtype=np.int64)
        step = np.where(payload >= self.threshold, (255 - payload) * n_steps // (256 - self.threshold), n_steps)
        spikes: NDArray[np.bool_] = step[images] == np.arange(n_steps)[:, None, None]
        return spikes


def _rate(images: NDArray[np.uint8], max_rate: float) -> NDArray[np.uint32]:
    """Return each pixel's rate in units of 2^-16 spikes per step."""
    return images.astype(np.uint32) * np.uint32(round(max_rate * 256))


def _check_rate(owner: str, max_rate: float) -> None:
    if isinstance(max_rate, bool) or not isinstance(max_rate, (int, float)) or not 1 / 256 <= max_rate <= 1:
        raise ValidationError(f"{owner}.max_rate: needs spikes per step in 1/256..1, got {max_rate!r}")


def _check(images: NDArray[np.uint8], n_steps: int) -> None:
    given = getattr(images, "dtype", type(images).__name__)
    if given != np.uint8:
        raise ValidationError(
            f"images: needs a numpy array of uint8 payloads 0..255, got {given}; for values in [0, 1]: "
            "(255 * x).round().astype('uint8')"
        )
    if images.ndim != 2:
        raise ValidationError(
            f"images: needs shape (batch, n), got {images.shape}; one row per image: images.reshape(len(images), -1)"
        )
    if isinstance(n_steps, bool) or not isinstance(n_steps, (int, np.integer)) or n_steps < 1:
        raise ValidationError(f"n_steps: needs an integer >= 1, got {n_steps!r}")
