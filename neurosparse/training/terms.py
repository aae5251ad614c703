"""What a run may add to the plain loss: penalties, dropout, sparse gradients, an adversarial objective."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neurosparse.core.rng import stream
from neurosparse.data.encoding import Encoder
from neurosparse.nn.network import Output, SparseSNN
from neurosparse.training.config import RunConfig
from neurosparse.training.ephemeral import TopKGradient, add_dropout
from neurosparse.training.losses import LOSSES
from neurosparse.training.pixels import PixelClassifier

__all__ = ["Terms"]


class Terms:
    """Computes the loss of a batch for a run that adds something to it; everything random is a function of the step."""

    def __init__(self, config: RunConfig, model: SparseSNN, optimizer: torch.optim.Optimizer, encoder: Encoder) -> None:
        settings = config.training
        self.seed, self.model, self.read = config.seed, model, config.network.readout
        self.regularizers = config.build_regularizers()
        for regularizer in self.regularizers:
            regularizer.attach(model, optimizer)
        self.record = any(regularizer.needs_layers for regularizer in self.regularizers)
        self.dropout = add_dropout(model, settings.dropout, seed=config.seed) if settings.dropout else []
        self.gradients = TopKGradient(optimizer, settings.gradient_density) if settings.gradient_density else None
        self.objective: Any = config.adversarial.build() if config.adversarial is not None else None
        self.classify = _Recorded(model, encoder, config.data.n_steps, read=self.read, record=self.record)

    def output_and_loss(
        self, encode: Callable[[], Tensor], images: NDArray[np.uint8], labels: Tensor, step: int
    ) -> tuple[Output, Tensor]:
        """Return what the network did, on adversarial pixels if there is an objective for them, and the loss.

        Parameters
        ----------
        encode : callable
            Returns the encoded batch (time, batch, n).
        images : uint8 array (batch, n)
        labels : Tensor (batch,)
        step : int
            Of the optimizer.
        """
        for dropout in self.dropout:
            dropout.reset()
            dropout.step = step
        if self.objective is None:
            output = self.model(encode(), record=self.record)
            loss = LOSSES[self.read](output, labels)
        else:
            generator = stream(self.seed, "adversarial", step)
            self.classify.generator = stream(self.seed, "adversarial", "encoding", step)
            pixels = torch.from_numpy(images / np.float32(255)).to(torch.get_default_dtype())
            loss, _ = self.objective(self.classify, pixels, labels, model=self.model, generator=generator)
            output = self.classify.last
        for regularizer in self.regularizers:
            loss = loss + regularizer(output, self.model)
        return output, loss


class _Recorded(PixelClassifier):
    """A classifier that keeps what the network did in its last call."""

    last: Output

    def __init__(self, *args: Any, record: bool, **options: Any) -> None:
        super().__init__(*args, **options)
        self.record = record

    def run(self, pixels: Tensor, *, record: bool = False) -> Output:
        """See `PixelClassifier`."""
        self.last = super().run(pixels, record=record or self.record)
        return self.last
