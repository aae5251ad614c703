"""From pixels to class scores, differentiable: what an attack sees. Attack pixels, never spike trains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from neurosparse.core.rng import stream
from neurosparse.data.encoding import ConstantCurrent, DeterministicRate, Encoder, PoissonRate
from neurosparse.errors import UnknownNameError, UnsupportedError, ValidationError
from neurosparse.nn.network import Output, SparseSNN

__all__ = ["Classifier", "PixelClassifier", "encode_pixels", "frozen", "using_surrogate"]

Classifier = Callable[[Tensor], Tensor]
"""Pixels in [0, 1] (batch, n) to scores (batch, n_classes), such as a `PixelClassifier` or any torch module."""

_PAYLOAD = 255 / 256  # pixel 1.0 is the payload 255, which stands for 255 / 256


def encode_pixels(pixels: Tensor, encoder: Encoder, n_steps: int, *, generator: Any = None) -> Tensor:
    """Return the input of a network (n_steps, batch, n) for `pixels` in [0, 1] (batch, n), with gradients.

    A constant current is x * 255 / 256 itself. Rate encoders make exactly the spikes that they make of the pixels
    rounded to 8 bits; backward, every spike passes the gradient of its rate (straight through), without which an attack
    would see none and a network would look robust for that alone.

    Raises
    ------
    UnsupportedError
        For encoders without such a rate (latency).
    """
    if isinstance(encoder, ConstantCurrent):
        return (pixels * _PAYLOAD).expand(n_steps, *pixels.shape)
    if not isinstance(encoder, DeterministicRate | PoissonRate):
        raise UnsupportedError(
            f"encode_pixels: {type(encoder).__name__} has no rate to differentiate; constant, rate and poisson do"
        )
    payload = (255 * pixels.detach()).round().clamp(0, 255).to(torch.uint8)
    spikes = torch.from_numpy(encoder.encode(payload.cpu().numpy(), n_steps, generator=generator)).to(pixels)
    rate = pixels * (_PAYLOAD * encoder.max_rate)
    return spikes + (rate - rate.detach())


class PixelClassifier:
    """A spiking network with its encoder in front: pixels in [0, 1] to class scores.

    Parameters
    ----------
    model : SparseSNN
    encoder : Encoder
    n_steps : int
    read : {"voltage", "rate"}
        Scores are mean voltages or spike counts of the last layer, as in `neurosparse.training.losses`.
    draws : int
        For random encoders: how many encodings the scores are averaged over (expectation over transformation, Athalye
        et al. 2018). Every call draws new ones.
    seed : int
    """

    def __init__(
        self, model: SparseSNN, encoder: Encoder, n_steps: int, *, read: str = "voltage", draws: int = 1, seed: int = 0
    ) -> None:
        if read not in ("voltage", "rate"):
            raise UnknownNameError("PixelClassifier.read", str(read), ["voltage", "rate"])
        if isinstance(draws, bool) or not isinstance(draws, int) or draws < 1:
            raise ValidationError(f"PixelClassifier.draws: must be an integer >= 1, got {draws!r}")
        self.model, self.encoder, self.n_steps, self.read = model, encoder, n_steps, read
        self.draws = draws if isinstance(encoder, PoissonRate) else 1
        self.generator = stream(seed, "encoding", "attack")

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return scores (batch, n_classes)."""
        scores = [self._scores(self.run(pixels)) for _ in range(self.draws)]
        return torch.stack(scores).mean(0)

    def run(self, pixels: Tensor, *, record: bool = False) -> Output:
        """Return what the network does on one encoding of `pixels`."""
        x = encode_pixels(pixels, self.encoder, self.n_steps, generator=self.generator)
        output: Output = self.model(x, record=record)
        return output

    def _scores(self, output: Output) -> Tensor:
        return output.voltages.mean(0) if self.read == "voltage" else output.spikes.sum(0)


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Ask for no gradient of any parameter of `model` within the ``with`` block: an attack needs that of pixels."""
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in learned:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)


@contextmanager
def using_surrogate(model: SparseSNN, surrogate: Any) -> Iterator[None]:
    """Let every spiking neuron of `model` use `surrogate` for its gradient, for the time of the ``with`` block.

    An attack through the surrogate that the network was trained with is often not the strongest one.
    """
    all_neurons: list[Any] = [layer.neuron for layer in model.layers()]
    neurons = [neuron for neuron in all_neurons if bool(torch.isfinite(neuron.threshold).all())]  # no read-outs
    before = [neuron.spike_grad for neuron in neurons]
    try:
        for neuron in neurons:
            neuron.spike_grad = surrogate
        yield
    finally:
        for neuron, old in zip(neurons, before, strict=True):
            neuron.spike_grad = old
