"""Attacks and objectives on classifiers small enough to follow, and the checks that catch a masked gradient."""

from __future__ import annotations

import math

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import Tensor, nn

from neurosparse import SparseSNN, readout
from neurosparse.data.encoding import ConstantCurrent, DeterministicRate, Latency, PoissonRate
from neurosparse.errors import UnknownNameError, UnsupportedError, ValidationError
from neurosparse.nn.surrogates import Atan, Boxcar, identify
from neurosparse.training.attacks import FGSM, PGD, Attack, Square, divergence, margin
from neurosparse.training.objectives import MART, OBJECTIVES, TRADES, AdversarialTraining, MixedAdversarialTraining
from neurosparse.training.pixels import PixelClassifier, encode_pixels, frozen, using_surrogate
from neurosparse.training.robustness import evaluate_robustness

SLOPES = torch.tensor([[1.0, -2.0], [-1.0, 0.5]])


def linear(pixels: Tensor) -> Tensor:
    return pixels @ SLOPES.t()


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_fgsm_goes_to_the_corner_that_the_gradient_points_to() -> None:
    # scores x0 - 2 x1 and -x0 + x1 / 2: for label 0 the loss falls with x0 and rises with x1
    found = FGSM(0.1).perturb(linear, torch.tensor([[0.5, 0.5], [0.05, 0.98]]), torch.tensor([0, 0]), rng())
    torch.testing.assert_close(found, torch.tensor([[0.4, 0.6], [0.0, 1.0]]))


def test_pgd_on_a_linear_classifier_ends_where_fgsm_goes_whatever_the_start() -> None:
    pixels, labels = torch.rand(6, 2, generator=torch.Generator().manual_seed(0)), torch.zeros(6, dtype=torch.int64)
    expected = FGSM(0.2).perturb(linear, pixels, labels, rng())
    for start in ("uniform", "near", "clean"):
        found = PGD(0.2, n_steps=10, restarts=2, start=start).perturb(linear, pixels, labels, rng())
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    "attack", [FGSM(0.1), PGD(0.1, n_steps=3, restarts=2), Square(0.1, shape=(2, 2), n_queries=20)], ids=repr
)
def test_an_attack_stays_in_its_ball_and_in_the_range_of_pixels(attack: Attack) -> None:
    torch.manual_seed(0)
    classify = nn.Linear(4, 3)
    pixels, labels = torch.rand(20, 4), torch.randint(3, (20,))
    found = attack.perturb(classify, pixels, labels, rng())
    assert float((found - pixels).abs().max()) <= 0.1 + 1e-6
    assert 0 <= float(found.min()) <= float(found.max()) <= 1
    assert margin(classify(found), labels).mean() < margin(classify(pixels), labels).mean()
    assert classify.weight.grad is None, "an attack leaves no gradient behind"
    zero = attack.with_epsilon(0.0).perturb(classify, pixels, labels, rng())
    torch.testing.assert_close(zero, pixels)


def test_restarts_keep_the_worst_and_never_give_back_something_better_for_the_network() -> None:
    torch.manual_seed(1)
    classify = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3))
    pixels, labels = torch.rand(50, 4), torch.randint(3, (50,))
    left = [
        margin(classify(PGD(0.3, n_steps=3, restarts=n).perturb(classify, pixels, labels, rng())), labels)
        for n in (1, 6)
    ]
    assert bool((left[1] <= left[0] + 1e-6).all())
    assert bool((left[0] <= margin(classify(pixels), labels) + 1e-6).all())


def test_the_squares_shrink_on_the_authors_schedule() -> None:
    attack = Square(shape=(10, 10), n_queries=10_000)
    fractions = [attack._fraction(query) for query in (1, 10, 11, 51, 9000)]
    assert fractions == [0.8, 0.8, 0.4, 0.2, 0.8 / 2**9]


def test_margin_and_divergence_by_hand() -> None:
    scores = torch.tensor([[2.0, 0.5, 1.0]])
    assert margin(scores, torch.tensor([0])).item() == 1.0
    assert margin(scores, torch.tensor([1])).item() == -1.5
    p, q = torch.tensor([[0.0, 0.0]]), torch.tensor([[math.log(3.0), 0.0]])  # 1/2, 1/2 against 3/4, 1/4
    assert divergence(p, q).item() == pytest.approx(0.5 * math.log(2 / 3) + 0.5 * math.log(2))


class Given:
    """A classifier whose scores are its pixels."""

    def __call__(self, pixels: Tensor) -> Tensor:
        return pixels


def test_the_objectives_are_those_of_their_papers() -> None:
    clean, attacked = torch.tensor([[math.log(3.0), 0.0]]), torch.tensor([[0.0, math.log(4.0)]])
    label = torch.tensor([0])  # p(x) = 3/4, 1/4; p(x') = 1/5, 4/5
    kl = 0.75 * math.log(0.75 / 0.2) + 0.25 * math.log(0.25 / 0.8)
    loss = AdversarialTraining().loss(Given(), clean, attacked, label)[0]
    assert loss.item() == pytest.approx(-math.log(0.2))
    loss = TRADES(beta=6.0).loss(Given(), clean, attacked, label)[0]
    assert loss.item() == pytest.approx(-math.log(0.75) + 6 * kl, rel=1e-6)
    loss = MART(beta=5.0).loss(Given(), clean, attacked, label)[0]
    assert loss.item() == pytest.approx(-math.log(0.2) - math.log(0.2001) + 5 * kl * 0.25, rel=1e-5)
    both = torch.cat([clean, clean]), torch.cat([attacked, attacked]), torch.tensor([0, 0])
    loss = MixedAdversarialTraining().loss(Given(), *both)[0]
    assert loss.item() == pytest.approx(-(math.log(0.2) + math.log(0.75)) / 2)


@pytest.mark.parametrize("name", OBJECTIVES.names())
def test_an_objective_attacks_in_eval_mode_and_learns_in_train_mode(name: str) -> None:
    torch.manual_seed(0)
    modes: list[bool] = []

    class Spy(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            modes.append(self.training)
            return super().forward(x)

    model = Spy(4, 3).train()
    loss, scores = OBJECTIVES.get(name)(epsilon=0.1, n_steps=2)(
        model, torch.rand(6, 4), torch.randint(3, (6,)), model=model, generator=rng()
    )
    assert scores.shape == (6, 3)
    loss.backward()
    assert model.weight.grad is not None
    assert modes.index(True) == modes.count(False) > 0
    assert model.training


def halves(surrogate: object = None) -> SparseSNN:
    """Reads which half of 16 pixels is brighter: two hidden neurons that add up one half each."""
    hidden, output = nn.Linear(16, 2, bias=False), nn.Linear(2, 2, bias=False)
    hidden.weight.data = torch.zeros(2, 16)
    hidden.weight.data[0, :8], hidden.weight.data[1, 8:] = 0.2, 0.2
    output.weight.data = torch.eye(2)
    return SparseSNN(hidden, snn.Leaky(beta=0.9, spike_grad=surrogate), output, readout(1.0), input="analog")


def half_images(n: int = 24) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(2, (n,), generator=generator)
    pixels = 0.3 + 0.02 * torch.rand(n, 16, generator=generator)
    pixels[labels == 0, :8] += 0.3
    pixels[labels == 1, 8:] += 0.3
    return pixels, labels


def test_a_constant_current_is_the_pixel_times_255_over_256() -> None:
    pixels = torch.tensor([[0.0, 1.0]], requires_grad=True)
    x = encode_pixels(pixels, ConstantCurrent(), 3)
    assert x.stride(0) == 0, "its first product is computed once"
    assert x[2].tolist() == [[0.0, 255 / 256]]
    x.sum().backward()
    assert pixels.grad.tolist() == [[3 * 255 / 256] * 2]


@pytest.mark.parametrize("encoder", [DeterministicRate(), DeterministicRate(0.5), PoissonRate()])
def test_rate_encoders_give_their_own_spikes_and_the_gradient_of_their_rate(encoder: object) -> None:
    payload = np.array([[0, 64, 128, 255]], np.uint8)
    pixels = torch.from_numpy(payload / np.float32(255)).requires_grad_()
    x = encode_pixels(pixels, encoder, 20, generator=rng())
    expected = encoder.encode(payload, 20, generator=rng())
    assert x.detach().numpy().tolist() == expected.astype(np.float32).tolist()
    x.sum().backward()
    torch.testing.assert_close(pixels.grad, torch.full((1, 4), 20 * 255 / 256 * encoder.max_rate))


def test_an_encoder_without_a_rate_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="Latency has no rate to differentiate"):
        encode_pixels(torch.rand(1, 4), Latency(), 3)


def test_the_surrogate_is_changed_for_the_attack_only() -> None:
    model = halves()
    own = model.layers()[0].neuron.spike_grad
    readout_grad = model.layers()[1].neuron.spike_grad
    with using_surrogate(model, Atan(3.0)):
        assert identify(model.layers()[0].neuron.spike_grad) == Atan(3.0)
        assert model.layers()[1].neuron.spike_grad is readout_grad
    assert model.layers()[0].neuron.spike_grad is own


def test_an_attack_on_a_frozen_network_finds_the_same_and_leaves_it_as_it_was() -> None:
    pixels, labels = half_images(6)
    model = halves()
    model.layers()[1].connection.weight.requires_grad_(False)
    classify = PixelClassifier(model, ConstantCurrent(), 5)
    expected = FGSM(0.2).perturb(classify, pixels, labels, rng())
    with frozen(model):
        assert not any(parameter.requires_grad for parameter in model.parameters())
        torch.testing.assert_close(FGSM(0.2).perturb(classify, pixels, labels, rng()), expected)
    assert [layer.connection.weight.requires_grad for layer in model.layers()] == [True, False]


def test_random_encodings_are_averaged_over_draws() -> None:
    pixels, _ = half_images(4)
    spread = []
    for draws in (1, 36):
        classify = PixelClassifier(halves(), PoissonRate(), 5, draws=draws)
        spread.append(torch.stack([classify(pixels) for _ in range(8)]).std(0).mean().item())
    assert spread[1] < spread[0] / 3
    assert PixelClassifier(halves(), ConstantCurrent(), 5, draws=64).draws == 1, "nothing to average"


def test_an_honest_evaluation_passes_its_checks_and_accuracy_falls_with_the_radius() -> None:
    pixels, labels = half_images()
    classify = PixelClassifier(halves(), ConstantCurrent(), 10)
    report = evaluate_robustness(
        classify, pixels, labels, epsilons=(0.05, 0.3), pgd=PGD(n_steps=4, restarts=2), image_shape=(4, 4), n_queries=20
    )
    assert report.clean == 1.0
    assert report.robust[0.05] == 1.0
    assert report.robust[0.3] < 0.2
    assert report.trustworthy, str(report)
    assert (
        len([name for _, name in report.by_attack if name.startswith("pgd/")]) == 2 * 3
    )  # its own is snnTorch's default
    assert report.robust[0.3] <= min(a for (e, _), a in report.by_attack.items() if e == 0.3)
    assert "epsilon 0.3" in str(report)


def test_a_masked_gradient_looks_robust_and_is_caught_by_the_checks() -> None:
    pixels, labels = half_images()
    dead = Boxcar(1e-6)  # no voltage is ever so close to its threshold
    classify = PixelClassifier(halves(dead), ConstantCurrent(), 10)
    report = evaluate_robustness(
        classify,
        pixels,
        labels,
        epsilons=(0.3,),
        surrogates=[dead],
        pgd=PGD(n_steps=5),
        image_shape=(4, 4),
        n_queries=60,
    )
    white = report.by_attack[0.3, f"pgd/{dead}"]
    assert white > 0.8, "robust, it seems"
    assert report.robust[0.3] < white
    failed = {check.name for check in report.checks if not check.passed}
    assert {"unbounded", "black box"} <= failed
    assert not report.trustworthy
    assert "FAILED" in str(report)


def test_without_a_black_box_the_report_says_so_and_transfer_is_one() -> None:
    pixels, labels = half_images()
    classify = PixelClassifier(halves(), ConstantCurrent(), 10)
    settings = {"epsilons": (0.3,), "pgd": PGD(n_steps=4), "surrogates": [Atan(2.0)]}
    report = evaluate_robustness(classify, pixels, labels, **settings)
    assert [check.name for check in report.checks if not check.passed] == ["black box"]
    other = nn.Linear(16, 2, bias=False)
    other.weight.data = torch.cat([torch.ones(1, 8), -torch.ones(1, 8)], 1).repeat(2, 1) * torch.tensor([[1.0], [-1.0]])
    report = evaluate_robustness(classify, pixels, labels, transfer_from=other, **settings)
    assert report.by_attack[0.3, "transfer"] < 0.2
    assert report.trustworthy


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FGSM(1.5), r"FGSM\.epsilon: must lie in \[0, 1\], got 1\.5"),
        (lambda: PGD(n_steps=0), r"PGD\.n_steps: must be an integer >= 1, got 0"),
        (lambda: PGD(step=-1.0), r"PGD\.step: must be finite and > 0, got -1"),
        (lambda: TRADES(beta=-1), r"TRADES\.beta: must be finite and >= 0, got -1"),
        (lambda: PixelClassifier(halves(), ConstantCurrent(), 5, draws=0), r"PixelClassifier\.draws"),
        (lambda: Square(shape=(3, 3)).perturb(linear, torch.rand(1, 2), torch.tensor([0]), rng()), r"3 x 3 pixels"),
        (lambda: evaluate_robustness(None, None, None, epsilons=(0.2, 0.1)), r"epsilons: must be increasing"),
    ],
)
def test_settings_that_cannot_be_are_refused(make, message) -> None:
    with pytest.raises(ValidationError, match=message):
        make()


def test_unknown_names_are_refused_with_the_near_miss() -> None:
    with pytest.raises(UnknownNameError, match=r"'uniforme' is not known\. Did you mean 'uniform'"):
        PGD(start="uniforme")
    with pytest.raises(UnknownNameError, match=r"PixelClassifier\.read: 'rates' is not known"):
        PixelClassifier(halves(), ConstantCurrent(), 5, read="rates")
