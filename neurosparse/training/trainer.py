"""The training loop, readable from top to bottom."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor

from neurosparse.core.rng import stream
from neurosparse.data.datasets import Split
from neurosparse.data.encoding import Encoder
from neurosparse.errors import NeurosparseError
from neurosparse.nn.network import SparseSNN
from neurosparse.nn.stepwise import weights_of
from neurosparse.rewiring.base import Rewirer
from neurosparse.training.build import learning_rate_at
from neurosparse.training.checkpoint import Progress
from neurosparse.training.config import RunConfig
from neurosparse.training.losses import LOSSES, decisions

__all__ = ["EpochMetrics", "Trainer", "accuracy", "to_tensor"]


@dataclass(frozen=True)
class EpochMetrics:
    """One line of ``metrics.jsonl``.

    `rates`: spikes per step and population, mean over neurons and the epoch's samples. `silent`: neurons that never
    fired in the epoch. `validation_accuracy`: of the network on the exact grid, the one that is deployed.
    """

    epoch: int
    loss: float
    train_accuracy: float
    validation_accuracy: float
    learning_rate: float
    synapses: int
    live: dict[str, int]
    births: int
    deaths: int
    rates: dict[str, float]
    silent: dict[str, int]
    seconds: float
    rss_mb: float

    def to_dict(self) -> dict[str, Any]:
        """Return the plain content, in order."""
        return dataclasses.asdict(self)


class Trainer:
    """Trains `model` on `train`, measures on `validation`; holds no hidden state beyond what a checkpoint saves."""

    def __init__(
        self,
        config: RunConfig,
        model: SparseSNN,
        optimizer: torch.optim.Optimizer,
        rewirer: Rewirer | None,
        encoder: Encoder,
        train: Split,
        validation: Split,
    ) -> None:
        self.config, self.model, self.optimizer, self.rewirer = config, model, optimizer, rewirer
        self.encoder, self.train, self.validation = encoder, train, validation
        self.progress = Progress()

    @property
    def batches_per_epoch(self) -> int:
        """Number of optimizer steps per epoch."""
        return -(-len(self.train.labels) // self.config.training.batch_size)

    def epochs(self, on_batch: Callable[[int, int], None] | None = None) -> Iterator[EpochMetrics]:
        """Train the epochs that are left, one per iteration."""
        while self.progress.epoch < self.config.training.epochs:
            yield self._epoch(on_batch)

    def _epoch(self, on_batch: Callable[[int, int], None] | None) -> EpochMetrics:
        start, epoch = time.perf_counter(), self.progress.epoch + 1
        settings, n_batches = self.config.training, self.batches_per_epoch
        images, labels = self.train.flat, self.train.labels
        order = stream(self.config.seed, "shuffle", epoch).permutation(len(labels))
        loss_sum = correct = 0.0
        rate_sums = [torch.zeros(layer.n) for layer in self.model.layers()]
        births, deaths = self._rewired()

        self.model.train()
        for i in range(n_batches):
            rows = order[i * settings.batch_size : (i + 1) * settings.batch_size]
            x = self._encode(images[rows], "train", epoch, i)
            y = torch.from_numpy(labels[rows])
            learning_rate = learning_rate_at(settings, self.progress.step, settings.epochs * n_batches)
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate

            output = self.model(x)
            loss = LOSSES[self.config.network.readout](output, y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            if self.rewirer is not None:
                self.rewirer.step()

            self.progress.step += 1
            value = loss.item()
            if not np.isfinite(value):
                raise NeurosparseError(
                    f"training: the loss became {value} in epoch {epoch}, batch {i + 1}; a smaller learning rate "
                    f"(now {learning_rate:.2g}) or gain usually helps. The last checkpoint is intact"
                )
            loss_sum += value * len(rows)
            correct += int((decisions(output, self.config.network.readout) == y).sum())
            for total, rate in zip(rate_sums, output.rates, strict=True):
                total += rate * (len(rows) / len(labels))
            if on_batch is not None:
                on_batch(i + 1, n_batches)

        self.progress.epoch = epoch
        births, deaths = (now - before for now, before in zip(self._rewired(), (births, deaths), strict=True))
        names = self.model.names or ()
        return EpochMetrics(
            epoch=epoch,
            loss=loss_sum / len(labels),
            train_accuracy=correct / len(labels),
            validation_accuracy=self.validation_accuracy(),
            learning_rate=learning_rate,
            synapses=sum(self.live().values()),
            live=self.live(),
            births=births,
            deaths=deaths,
            rates={name: float(rate.mean()) for name, rate in zip(names, rate_sums, strict=True)},
            silent={name: int((rate == 0).sum()) for name, rate in zip(names, rate_sums, strict=True)},
            seconds=time.perf_counter() - start,
            rss_mb=psutil.Process().memory_info().rss / 2**20,
        )

    def _rewired(self) -> tuple[int, int]:
        """Return all births and all deaths of the run so far."""
        if self.rewirer is None:
            return 0, 0
        stats = self.rewirer.stats
        return sum(stats.total_births.values()), sum(stats.total_deaths.values())

    def live(self) -> dict[str, int]:
        """Return the number of synapses of each connection."""
        counts = {}
        for name, layer in zip(self.model.names or (), self.model.layers(), strict=True):
            counts[name] = weights_of(layer.connection).numel()
            if layer.recurrent is not None:
                counts[f"{name} (recurrent)"] = weights_of(layer.recurrent).numel()
        return counts

    def validation_accuracy(self) -> float:
        """Return the accuracy on the validation split of the network that would be deployed."""
        inputs = self.encoder.encode(
            self.validation.flat, self.config.data.n_steps, generator=stream(self.config.seed, "encoding", "validation")
        )
        return accuracy(self.model.on_grid(), inputs, self.validation.labels, self.config.network.readout)

    def _encode(self, images: NDArray[np.uint8], *names: str | int) -> Tensor:
        generator = stream(self.config.seed, "encoding", *names)
        return to_tensor(self.encoder.encode(images, self.config.data.n_steps, generator=generator))


def to_tensor(inputs: NDArray[Any]) -> Tensor:
    """Return encoded inputs (time, batch, n) as the floats a network computes with: spikes 0/1, payloads p as p / 256.

    A constant input (stride 0 over time) stays one: its first product is then computed once.
    """
    constant = inputs.shape[0] > 1 and inputs.strides[0] == 0
    array = np.array(inputs[:1] if constant else inputs)
    tensor = torch.from_numpy(array).to(torch.get_default_dtype())
    if array.dtype == np.uint8:
        tensor = tensor / 256
    return tensor.expand(inputs.shape[0], -1, -1) if constant else tensor


@torch.no_grad()
def accuracy(
    model: SparseSNN, inputs: NDArray[Any], labels: NDArray[np.int64], read: str, *, batch_size: int = 1000
) -> float:
    """Return the fraction of samples that `model` reads as their label; `inputs` (time, batch, n)."""
    model.eval()
    correct = 0
    for start in range(0, len(labels), batch_size):
        part = slice(start, start + batch_size)
        output = model(to_tensor(inputs[:, part]))
        correct += int((decisions(output, read) == torch.from_numpy(labels[part])).sum())
    return correct / len(labels)
