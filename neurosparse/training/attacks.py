"""Adversarial attacks on pixels, in the maximum norm: FGSM, PGD with restarts, and Square, which needs no gradient.

An attack is a frozen object of its constants. ``perturb(classify, pixels, labels, generator)`` takes a `Classifier`,
pixels in [0, 1] (batch, n) and labels (batch,), and returns pixels in [0, 1] within `epsilon` of the given ones. For a
transfer attack give it the classifier of another network.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from neurosparse.errors import UnknownNameError, ValidationError
from neurosparse.training.pixels import Classifier

__all__ = ["FGSM", "PGD", "Attack", "Square", "divergence", "margin"]

Start = Literal["uniform", "near", "clean"]
Goal = Literal["cross_entropy", "divergence"]


@dataclass(frozen=True)
class Attack(ABC):
    """What all attacks have: the radius `epsilon` of the maximum norm, in units of pixels in [0, 1]."""

    epsilon: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.epsilon <= 1:
            raise ValidationError(f"{type(self).__name__}.epsilon: must lie in [0, 1], got {self.epsilon}")

    @abstractmethod
    def perturb(self, classify: Classifier, pixels: Tensor, labels: Tensor, generator: np.random.Generator) -> Tensor:
        """Return adversarial pixels (batch, n)."""

    def with_epsilon(self, epsilon: float) -> Attack:
        """Return the same attack at another radius."""
        return replace(self, epsilon=epsilon)

    def _project(self, adversarial: Tensor, pixels: Tensor) -> Tensor:
        return (pixels + (adversarial - pixels).clamp(-self.epsilon, self.epsilon)).clamp(0, 1)


@dataclass(frozen=True)
class FGSM(Attack):
    """One step along the sign of the gradient (Goodfellow et al. 2015)."""

    def perturb(self, classify: Classifier, pixels: Tensor, labels: Tensor, generator: np.random.Generator) -> Tensor:
        """See `Attack`."""
        gradient = _gradient(classify, pixels, lambda scores: functional.cross_entropy(scores, labels, reduction="sum"))
        return self._project(pixels + self.epsilon * gradient.sign(), pixels)


@dataclass(frozen=True)
class PGD(Attack):
    """Projected gradient ascent from random starts, the best found per sample (Madry et al. 2018).

    Parameters
    ----------
    n_steps : int
    step : float, optional
        Step size; by default 2.5 epsilon / n_steps.
    restarts : int
    start : {"uniform", "near", "clean"}
        Uniform in the ball; ``near``: N(0, 0.001**2) around the pixels, as TRADES and MART do; ``clean``: the pixels.
    goal : {"cross_entropy", "divergence"}
        What grows: the loss on the label, or the divergence KL(p(x) || p(x')) from the clean prediction (TRADES).
    """

    n_steps: int = 10
    step: float | None = None
    restarts: int = 1
    start: Start = "uniform"
    goal: Goal = "cross_entropy"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("n_steps", "restarts"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValidationError(f"PGD.{name}: must be an integer >= 1, got {value!r}")
        if self.step is not None and not 0 < self.step < math.inf:
            raise ValidationError(f"PGD.step: must be finite and > 0, got {self.step}")
        for name, known in (("start", get_args(Start)), ("goal", get_args(Goal))):
            if getattr(self, name) not in known:
                raise UnknownNameError(f"PGD.{name}", str(getattr(self, name)), known)

    def perturb(self, classify: Classifier, pixels: Tensor, labels: Tensor, generator: np.random.Generator) -> Tensor:
        """See `Attack`."""
        with torch.no_grad():
            clean = classify(pixels)
        step = self.step if self.step is not None else 2.5 * self.epsilon / self.n_steps
        best, best_margin = pixels.clone(), margin(clean, labels)
        for _ in range(self.restarts):
            adversarial = self._project(pixels + self._noise(pixels, generator), pixels)
            for _ in range(self.n_steps):
                gradient = _gradient(classify, adversarial, lambda scores: self._rises(scores, clean, labels))
                adversarial = self._project(adversarial + step * gradient.sign(), pixels)
            if self.goal == "divergence" and self.restarts == 1:
                return adversarial  # for training, which wants the divergence and not an error
            with torch.no_grad():
                found = margin(classify(adversarial), labels)
            better = found < best_margin
            best[better], best_margin = adversarial[better], torch.minimum(found, best_margin)
        return best

    def _noise(self, pixels: Tensor, generator: np.random.Generator) -> Tensor:
        if self.start == "clean":
            return torch.zeros_like(pixels)
        if self.start == "near":
            return 0.001 * torch.from_numpy(generator.standard_normal(tuple(pixels.shape))).to(pixels)
        return torch.from_numpy(generator.uniform(-self.epsilon, self.epsilon, tuple(pixels.shape))).to(pixels)

    def _rises(self, scores: Tensor, clean: Tensor, labels: Tensor) -> Tensor:
        if self.goal == "divergence":
            return divergence(clean, scores).sum()
        return functional.cross_entropy(scores, labels, reduction="sum")


@dataclass(frozen=True)
class Square(Attack):
    """Random squares of +-epsilon, kept if they help: black box, so it cannot be fooled by a masked gradient.

    M. Andriushchenko et al., *Square attack*, ECCV 2020, Algorithms 1 and 2 for the maximum norm.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the images.
    n_queries : int
    initial : float in (0, 1]
        Fraction of the pixels in the first squares; it shrinks on the authors' schedule.
    """

    shape: tuple[int, int] = (28, 28)
    n_queries: int = 200
    initial: float = 0.8

    def perturb(self, classify: Classifier, pixels: Tensor, labels: Tensor, generator: np.random.Generator) -> Tensor:
        """See `Attack`."""
        height, width = self.shape
        if pixels.shape[1] != height * width:
            raise ValidationError(f"Square.shape: {height} x {width} pixels, the images have {pixels.shape[1]}")
        n = len(pixels)
        stripes = np.repeat(generator.choice([-1.0, 1.0], (n, 1, width)), height, axis=1)
        with torch.no_grad():
            best, best_margin = pixels.clone(), margin(classify(pixels), labels)
            signs = stripes
            for query in range(self.n_queries):
                if query:
                    signs = self._with_squares((best - pixels).sign().cpu().numpy(), query, generator)
                change = self.epsilon * torch.from_numpy(signs.reshape(n, -1)).to(pixels)
                tried = self._project(pixels + change, pixels)
                found = margin(classify(tried), labels)
                better = found < best_margin
                best[better], best_margin = tried[better], torch.minimum(found, best_margin)
        return best

    def _with_squares(
        self, signs: NDArray[np.float64], query: int, generator: np.random.Generator
    ) -> NDArray[np.float64]:
        """Return `signs` with one random square of one random sign in every image."""
        height, width = self.shape
        side = max(1, round(math.sqrt(self._fraction(query) * height * width)))
        side = min(side, height, width)
        images = np.array(signs.reshape(-1, height, width), np.float64)
        tops = generator.integers(0, height - side + 1, len(images))
        lefts = generator.integers(0, width - side + 1, len(images))
        values = generator.choice([-1.0, 1.0], len(images))
        for image, top, left, value in zip(images, tops, lefts, values, strict=True):
            image[top : top + side, left : left + side] = value
        return images

    def _fraction(self, query: int) -> float:
        """Return the fraction of pixels in the squares of `query`: halved at fixed points of 10 000 queries."""
        reached = query * 10_000 / self.n_queries
        halvings = sum(reached > point for point in (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000))
        return self.initial / 2**halvings


def margin(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the score of the label minus the best other one (batch,); below 0, the sample is misread."""
    others = scores.scatter(1, labels[:, None], -torch.inf)
    return scores.gather(1, labels[:, None]).squeeze(1) - others.max(1).values


def divergence(clean: Tensor, adversarial: Tensor) -> Tensor:
    """Return KL(p || q) of the softmax of two scores, per sample (batch,)."""
    log_p, log_q = functional.log_softmax(clean, 1), functional.log_softmax(adversarial, 1)
    return functional.kl_div(log_q, log_p, reduction="none", log_target=True).sum(1)


def _gradient(classify: Classifier, pixels: Tensor, rises: object) -> Tensor:
    """Return the gradient of ``rises(classify(pixels))`` with respect to the pixels, and none for any parameter."""
    with torch.enable_grad():
        x = pixels.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(rises(classify(x)), x)  # type: ignore[operator]
    return gradient
