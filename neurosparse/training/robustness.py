"""Robust accuracy, and the evidence that it is not an artefact of a masked gradient.

A spiking network has no gradient but a surrogate's, so a weak attack through a bad surrogate makes any network look
robust. `evaluate_robustness` therefore attacks through several surrogates and takes the worst for every sample, adds
attacks that need no gradient of the network (Square) or use another's (transfer), averages over encodings where they
are random, and runs the checks of Athalye, Carlini and Wagner (ICML 2018) and Carlini et al. (2019): each is a
statement that must hold for an honest number.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurosparse.core.rng import stream
from neurosparse.errors import ValidationError
from neurosparse.nn.surrogates import Atan, FastSigmoid, Triangular, identify
from neurosparse.training.attacks import FGSM, PGD, Attack, Square, margin
from neurosparse.training.pixels import Classifier, PixelClassifier, frozen, using_surrogate

__all__ = ["Check", "RobustnessReport", "evaluate_robustness"]


@dataclass(frozen=True)
class Check:
    """A statement that must hold if the robust accuracy is honest, and the two accuracies it compares."""

    name: str
    passed: bool
    says: str

    def __str__(self) -> str:
        return f"{'ok    ' if self.passed else 'FAILED'} {self.says}"


@dataclass(frozen=True)
class RobustnessReport:
    """What attacks leave of an accuracy.

    Attributes
    ----------
    clean : float
    robust : dict of epsilon to float
        Fraction of samples that *no* attack at this radius got misread, whichever surrogate it went through.
    by_attack : dict of (epsilon, attack) to float
        Accuracy under each attack; white-box ones name the surrogate they went through.
    checks : list of Check
    n_samples : int
    """

    clean: float
    robust: dict[float, float]
    by_attack: dict[tuple[float, str], float]
    checks: list[Check]
    n_samples: int

    @property
    def trustworthy(self) -> bool:
        """Whether all checks passed; if not, the robust accuracies are upper bounds of nothing."""
        return all(check.passed for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Return the plain content, ready for JSON."""
        return {
            "clean": self.clean,
            "robust": {f"{epsilon:g}": value for epsilon, value in self.robust.items()},
            "by_attack": [
                {"epsilon": epsilon, "attack": name, "accuracy": value}
                for (epsilon, name), value in self.by_attack.items()
            ],
            "checks": [asdict(check) for check in self.checks],
            "trustworthy": self.trustworthy,
            "samples": self.n_samples,
        }

    def __str__(self) -> str:
        lines = [f"accuracy on {self.n_samples} samples: clean {self.clean:.2%}"]
        lines += [f"  epsilon {epsilon:g}: {accuracy:.2%}" for epsilon, accuracy in self.robust.items()]
        return "\n".join([*lines, *(f"  {check}" for check in self.checks)])


def evaluate_robustness(
    classify: PixelClassifier,
    pixels: Tensor,
    labels: Tensor,
    *,
    epsilons: Sequence[float] = (0.05, 0.1),
    surrogates: Sequence[Any] | None = None,
    pgd: PGD | None = None,
    image_shape: tuple[int, int] | None = None,
    n_queries: int = 200,
    transfer_from: Classifier | None = None,
    seed: int = 0,
    on_attack: Callable[[float, str, float], None] | None = None,
) -> RobustnessReport:
    """Return the accuracy of `classify` under attack, the worst over attacks and surrogates, with its checks.

    Parameters
    ----------
    classify : PixelClassifier
        Its model is evaluated in eval mode. Give it ``draws >= 10`` if its encoder is random.
    pixels, labels : Tensor (batch, n) in [0, 1], and (batch,)
        A test set, or a part of it.
    epsilons : sequence of float
        Radii of the maximum norm, ascending.
    surrogates : sequence, optional
        To attack through; by default the model's own and three others.
    pgd : PGD, optional
        The strongest white-box attack; by default 40 steps from 5 random starts.
    image_shape : (int, int), optional
        Height and width, for Square; without it there is no black-box attack, and the check says so.
    n_queries : int
        Of Square.
    transfer_from : Classifier, optional
        Another network, for instance a dense one without spikes, whose adversarial pixels are tried, too.
    seed : int
    on_attack : callable, optional
        Told of each attack when it is through: its radius, its name, the accuracy it leaves.

    Returns
    -------
    RobustnessReport
    """
    if list(epsilons) != sorted(set(epsilons)) or not epsilons or not 0 < epsilons[0] <= epsilons[-1] <= 1:
        raise ValidationError(f"evaluate_robustness.epsilons: must be increasing radii in (0, 1], got {list(epsilons)}")
    surrogates = _default_surrogates(classify) if surrogates is None else list(surrogates)
    generator, pgd = stream(seed, "attack"), pgd or PGD(n_steps=40, restarts=5)
    classify.model.eval()
    with torch.no_grad():
        clean = _read(classify, pixels, labels)
    survived: dict[float, Tensor] = {}
    by_attack: dict[tuple[float, str], float] = {}
    for epsilon in epsilons:
        left = clean.clone()
        for name, attack, source, surrogate in _attacks(
            classify, pgd, surrogates, image_shape, n_queries, transfer_from
        ):
            adversarial = _through(source, classify, surrogate, attack.with_epsilon(epsilon), pixels, labels, generator)
            with torch.no_grad():
                right = _read(classify, adversarial, labels)
            by_attack[epsilon, name] = _fraction(right)
            left &= right
            if on_attack is not None:
                on_attack(epsilon, name, by_attack[epsilon, name])
        survived[epsilon] = left
    robust = {epsilon: _fraction(left) for epsilon, left in survived.items()}
    checks = _checks(classify, pixels, labels, pgd, surrogates, by_attack, epsilons, generator)
    return RobustnessReport(_fraction(clean), robust, by_attack, checks, len(labels))


def _attacks(
    classify: PixelClassifier,
    pgd: PGD,
    surrogates: Sequence[Any],
    image_shape: tuple[int, int] | None,
    n_queries: int,
    transfer_from: Classifier | None,
) -> list[tuple[str, Attack, Classifier, Any]]:
    """Return (name, attack, classifier it is made on, surrogate or None) of everything that is tried."""
    tried: list[tuple[str, Attack, Classifier, Any]] = []
    for surrogate in surrogates:
        tried.append((f"fgsm/{_name(surrogate)}", FGSM(), classify, surrogate))
        tried.append((f"pgd/{_name(surrogate)}", pgd, classify, surrogate))
    if image_shape is not None:
        tried.append(("square", Square(shape=image_shape, n_queries=n_queries), classify, None))
    if transfer_from is not None:
        tried.append(("transfer", pgd, transfer_from, None))
    return tried


def _through(
    source: Classifier,
    classify: PixelClassifier,
    surrogate: Any,
    attack: Attack,
    pixels: Tensor,
    labels: Tensor,
    generator: np.random.Generator,
) -> Tensor:
    with frozen(classify.model):
        if surrogate is None:
            return attack.perturb(source, pixels, labels, generator)
        with using_surrogate(classify.model, surrogate):
            return attack.perturb(source, pixels, labels, generator)


def _default_surrogates(classify: PixelClassifier) -> list[Any]:
    neurons: list[Any] = [layer.neuron for layer in classify.model.layers()]
    found = [neurons[0].spike_grad, Atan(2.0), FastSigmoid(10.0), Triangular(1.0)]
    return list({_name(surrogate): surrogate for surrogate in reversed(found)}.values())[::-1]  # each kind once


def _fraction(right: Tensor) -> float:
    return float(right.double().mean())


def _name(surrogate: Any) -> str:
    """Return what a surrogate is called: snnTorch's are anonymous functions."""
    return str(identify(surrogate) or getattr(surrogate, "__qualname__", surrogate))


def _read(classify: Classifier, pixels: Tensor, labels: Tensor) -> Tensor:
    return margin(classify(pixels), labels) > 0


def _checks(
    classify: PixelClassifier,
    pixels: Tensor,
    labels: Tensor,
    pgd: PGD,
    surrogates: Sequence[Any],
    by_attack: Mapping[tuple[float, str], float],
    epsilons: Sequence[float],
    generator: np.random.Generator,
) -> list[Check]:
    """Return the checks. "At most" allows two standard errors of the difference of two such fractions."""
    n, last = len(labels), epsilons[-1]
    slack = 2 * math.sqrt(0.5 / n)

    def worst(kind: str, epsilon: float = last) -> float | None:
        found = [a for (e, name), a in by_attack.items() if e == epsilon and name.split("/")[0] == kind]
        return min(found) if found else None

    def at_most(name: str, low: float, high: float, text: str) -> Check:
        return Check(name, low <= high + slack, f"{text}: {low:.2%} <= {high:.2%}")

    strongest = min(surrogates, key=lambda s: by_attack[last, f"pgd/{_name(s)}"])
    white = worst("pgd") or 0.0
    longer = PGD(last, n_steps=2 * pgd.n_steps, restarts=pgd.restarts, start=pgd.start)
    unbounded = PGD(1.0, n_steps=pgd.n_steps, restarts=pgd.restarts, start=pgd.start)
    accuracy = {}
    for name, attack in (("longer", longer), ("unbounded", unbounded)):
        adversarial = _through(classify, classify, strongest, attack, pixels, labels, generator)
        with torch.no_grad():
            accuracy[name] = _fraction(_read(classify, adversarial, labels))
    with torch.no_grad():
        n_classes = classify(pixels[:1]).shape[1]
    checks = [
        at_most("iterations", white, worst("fgsm") or 0.0, "PGD leaves no more than FGSM does"),
        at_most("longer", accuracy["longer"], white, "twice the iterations leave no more"),
        at_most("unbounded", accuracy["unbounded"], 1 / n_classes, "a radius of 1 leaves no more than chance"),
    ]
    for smaller, larger in itertools.pairwise(epsilons):
        low, high = worst("pgd", larger) or 0.0, worst("pgd", smaller) or 0.0
        checks.append(at_most("radius", low, high, f"radius {larger:g} leaves no more than {smaller:g}"))
    black = [a for a in (worst("square"), worst("transfer")) if a is not None]
    if black:
        checks.append(at_most("black box", white, min(black), "the white box leaves no more than the black box"))
    else:
        checks.append(Check("black box", False, "no black-box attack was tried; give image_shape or transfer_from"))
    return checks
