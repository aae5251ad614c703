"""Training objectives against adversarial attacks: AT, mixed AT, TRADES, MART.

Called on a `Classifier`, pixels in [0, 1] (batch, n) and labels (batch,). The adversarial batch is made with the
network in eval mode and then learned in train mode, as by Oezdenizci and Legenstein (ICML 2021), whose method is one of
these with a globally constrained DEEP R.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from neurosparse.core.registry import Registry
from neurosparse.errors import ValidationError
from neurosparse.training.attacks import PGD, divergence
from neurosparse.training.pixels import Classifier, frozen

__all__ = ["MART", "OBJECTIVES", "TRADES", "AdversarialTraining", "MixedAdversarialTraining", "Objective"]

OBJECTIVES = Registry(
    "objectives",
    {
        "adversarial": "neurosparse.training.objectives:AdversarialTraining",
        "mixed": "neurosparse.training.objectives:MixedAdversarialTraining",
        "trades": "neurosparse.training.objectives:TRADES",
        "mart": "neurosparse.training.objectives:MART",
    },
)
"""By name, for configurations."""


@dataclass(frozen=True)
class Objective(ABC):
    """A loss on adversarial pixels.

    Parameters
    ----------
    epsilon : float in [0, 1]
        Radius of the maximum norm. On MNIST, 0.3 is usual for dense networks; start at 0.05 to 0.1 with spiking ones.
    n_steps : int
        Of the attack in every batch; each costs a forward and a backward pass.
    step : float, optional
        By default 2.5 epsilon / n_steps.
    """

    epsilon: float = 0.1
    n_steps: int = 7
    step: float | None = None

    def __post_init__(self) -> None:
        self.attack()  # which checks them
        beta = getattr(self, "beta", 0.0)
        if not 0 <= beta < math.inf:
            raise ValidationError(f"{type(self).__name__}.beta: must be finite and >= 0, got {beta}")

    def attack(self) -> PGD:
        """Return the attack that makes the adversarial batch."""
        return PGD(self.epsilon, n_steps=self.n_steps, step=self.step)

    def __call__(
        self,
        classify: Classifier,
        pixels: Tensor,
        labels: Tensor,
        *,
        model: nn.Module,
        generator: np.random.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Return the loss, and the scores of the clean batch or, where none are computed, of the adversarial one."""
        training = model.training
        model.eval()
        with frozen(model):
            adversarial = self.attack().perturb(classify, pixels, labels, generator)
        model.train(training)
        return self.loss(classify, pixels, adversarial, labels)

    @abstractmethod
    def loss(self, classify: Classifier, pixels: Tensor, adversarial: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss on a batch whose adversarial pixels are made, and scores."""


@dataclass(frozen=True)
class AdversarialTraining(Objective):
    """``CE(f(x'), y)`` (Madry et al. 2018)."""

    def loss(self, classify: Classifier, pixels: Tensor, adversarial: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """See `Objective`."""
        scores = classify(adversarial)
        return functional.cross_entropy(scores, labels), scores


@dataclass(frozen=True)
class MixedAdversarialTraining(Objective):
    """Cross-entropy of a batch whose first half is adversarial and whose second half is clean."""

    def loss(self, classify: Classifier, pixels: Tensor, adversarial: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """See `Objective`."""
        half = len(pixels) // 2
        scores = classify(torch.cat([adversarial[:half], pixels[half:]]))
        return functional.cross_entropy(scores, labels), scores


@dataclass(frozen=True)
class TRADES(Objective):
    """``CE(f(x), y) + beta * mean KL(p(x) || p(x'))``, x' maximising that divergence (Zhang et al. 2019)."""

    beta: float = 6.0

    def attack(self) -> PGD:
        """See `Objective`."""
        return replace(super().attack(), start="near", goal="divergence")

    def loss(self, classify: Classifier, pixels: Tensor, adversarial: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """See `Objective`."""
        clean = classify(pixels)
        robust = divergence(clean, classify(adversarial)).mean()
        return functional.cross_entropy(clean, labels) + self.beta * robust, clean


@dataclass(frozen=True)
class MART(Objective):
    """Boosted cross-entropy, and a divergence that weighs misread clean samples more (Wang et al. 2020).

    ``mean [-log p_y(x') - log(1 - max_{k != y} p_k(x'))] + beta * mean [KL(p(x) || p(x')) (1 - p_y(x))]``.
    """

    beta: float = 5.0

    def attack(self) -> PGD:
        """See `Objective`."""
        return replace(super().attack(), start="near")

    def loss(self, classify: Classifier, pixels: Tensor, adversarial: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """See `Objective`."""
        clean, attacked = classify(pixels), classify(adversarial)
        others = attacked.softmax(1).scatter(1, labels[:, None], 0.0).max(1).values
        # 1e-4 keeps the logarithm finite where one wrong class has all the probability
        boosted = functional.cross_entropy(attacked, labels) - torch.log(1.0001 - others).mean()
        doubt = 1 - clean.softmax(1).gather(1, labels[:, None]).squeeze(1)
        return boosted + self.beta * (divergence(clean, attacked) * doubt).mean(), clean
