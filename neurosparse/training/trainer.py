"""The training loop, readable from top to bottom."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from neurosparse.pruning.base import Pruner
    from neurosparse.training.terms import Terms

__all__ = ["EpochMetrics", "Trainer", "accuracy", "to_tensor"]


_EVALUATION_BATCH = 1000


@dataclass(frozen=True)
class EpochMetrics:
    """One line of ``metrics.jsonl``.

    `rates`: spikes per step and population, mean over neurons and the epoch's samples. `silent`: neurons that never
    fired in the epoch. `validation_accuracy`: of the network on the exact grid, the one that is deployed. `history`: of
    every rewired layer since the start of the run (`neurosparse.rewiring.history.LayerHistory`).
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
    history: dict[str, dict[str, Any]]

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
        rewirer: Rewirer | Pruner | None,
        encoder: Encoder,
        train: Split,
        validation: Split,
    ) -> None:
        self.config, self.model, self.optimizer, self.rewirer = config, model, optimizer, rewirer
        self.encoder, self.train, self.validation = encoder, train, validation
        self.progress = Progress()
        self.history: list[float] = []  # validation accuracies, for early stopping
        self.terms = _terms_of(config, model, optimizer, encoder)
        self.augmentation = config.build_augmentation()
        self.pruner: Pruner | None = None if isinstance(rewirer, Rewirer | None) else rewirer

    @property
    def batches_per_epoch(self) -> int:
        """Number of optimizer steps per epoch."""
        return -(-len(self.train.labels) // self.config.training.batch_size)

    def epochs(self, on_batch: Callable[[int, int], None] | None = None) -> Iterator[EpochMetrics]:
        """Train the epochs that are left, one per iteration."""
        while self.progress.epoch < self.config.training.epochs and not self.stopped:
            metrics = self._epoch(on_batch)
            self.history.append(metrics.validation_accuracy)
            yield metrics

    @property
    def stopped(self) -> bool:
        """Whether the validation accuracy has not improved for `patience` epochs."""
        patience = self.config.training.patience
        return patience is not None and len(self.history) - self.best_epoch >= patience

    @property
    def best_epoch(self) -> int:
        """The first epoch with the highest validation accuracy; without `patience`, which picks it, the last one."""
        if self.config.training.patience is None or not self.history:
            return len(self.history)
        return 1 + max(range(len(self.history)), key=lambda i: (self.history[i], -i))

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
            batch, y = self._augmented(images[rows], epoch, i), torch.from_numpy(labels[rows])
            learning_rate = self._learning_rate(settings.epochs * n_batches)
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate

            if self.terms is None:
                output = self.model(self._encode(batch, "train", epoch, i))
                loss = LOSSES[self.config.network.readout](output, y)
            else:
                encode = functools.partial(self._encode, batch, "train", epoch, i)
                output, loss = self.terms.output_and_loss(encode, batch, y, self.progress.step)
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
        if self.pruner is not None and "validation_loss" in self.pruner.method.wants:
            self.pruner.observe(validation_loss=self.validation_loss())
        if self.pruner is not None and epoch == settings.epochs:
            self.pruner.conclude()  # so that the last metrics are those of the network that is deployed
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
            history=self._history(),
        )

    def _augmented(self, images: NDArray[np.uint8], epoch: int, i: int) -> NDArray[np.uint8]:
        if self.augmentation is None:
            return images
        shaped = images.reshape(len(images), *self.train.images.shape[1:])
        generator = stream(self.config.seed, "augmentation", epoch, i)
        changed: NDArray[np.uint8] = self.augmentation.apply(shaped, generator)
        return changed.reshape(images.shape)

    def _learning_rate(self, n_steps: int) -> float:
        """Return the learning rate of the coming optimizer step; some pruning methods have phases with their own."""
        settings, step = self.config.training, self.progress.step
        if self.pruner is None:
            return learning_rate_at(settings, step, n_steps)
        return self.pruner.learning_rate(functools.partial(learning_rate_at, settings), step)

    def finish(self) -> bool:
        """Make the layers sparse that a pruning method has held dense so far; return whether there are any."""
        if self.pruner is not None:
            self.pruner.finish()
        return self.pruner is not None

    def _rewired(self) -> tuple[int, int]:
        """Return all births and all deaths of the run so far."""
        if self.rewirer is None:
            return 0, 0
        stats = self.rewirer.stats
        return sum(stats.total_births.values()), sum(stats.total_deaths.values())

    def _history(self) -> dict[str, dict[str, Any]]:
        """Return what became of the synapses of every layer; of the methods that hold a dense matrix, nothing."""
        if not isinstance(self.rewirer, Rewirer):
            return {}
        return {name: found.to_dict() for name, found in self.rewirer.history().items()}

    def live(self) -> dict[str, int]:
        """Return the number of synapses of each connection."""
        pruned = {} if self.pruner is None else {id(v.module): v.n_live for v in self.pruner.layers}
        counts = {}
        for name, layer in zip(self.model.names or (), self.model.layers(), strict=True):
            counts[name] = pruned.get(id(layer.connection), weights_of(layer.connection).numel())
            if layer.recurrent is not None:
                counts[f"{name} (recurrent)"] = weights_of(layer.recurrent).numel()
        return counts

    def validation_accuracy(self) -> float:
        """Return the accuracy on the validation split of the network that would be deployed."""
        model = self.model.on_grid()
        return accuracy(model, self._validation_inputs(), self.validation.labels, self.config.network.readout)

    @torch.no_grad()
    def validation_loss(self) -> float:
        """Return the mean loss on the validation split of the network as it is."""
        self.model.eval()
        inputs, labels = self._validation_inputs(), self.validation.labels
        total = 0.0
        for start in range(0, len(labels), _EVALUATION_BATCH):
            part = slice(start, start + _EVALUATION_BATCH)
            output, y = self.model(to_tensor(inputs[:, part])), torch.from_numpy(labels[part])
            total += float(LOSSES[self.config.network.readout](output, y)) * len(y)
        return total / len(labels)

    def _validation_inputs(self) -> NDArray[Any]:
        generator = stream(self.config.seed, "encoding", "validation")
        return self.encoder.encode(self.validation.flat, self.config.data.n_steps, generator=generator)

    def _encode(self, images: NDArray[np.uint8], *names: str | int) -> Tensor:
        generator = stream(self.config.seed, "encoding", *names) if self.encoder.random else None
        return to_tensor(self.encoder.encode(images, self.config.data.n_steps, generator=generator))


def _terms_of(config: RunConfig, model: SparseSNN, optimizer: torch.optim.Optimizer, encoder: Encoder) -> Terms | None:
    """Return what a run adds to its loss, None for most: they neither import nor call it."""
    settings = config.training
    if not (config.regularizers or config.adversarial or settings.dropout or settings.gradient_density):
        return None
    from neurosparse.training.terms import Terms

    return Terms(config, model, optimizer, encoder)


def to_tensor(inputs: NDArray[Any]) -> Tensor:
    """Return encoded inputs (time, batch, n) as the floats a network computes with: spikes 0/1, payloads p as p / 256.

    A constant input (stride 0 over time) stays one: its first product is then computed once.
    """
    constant = inputs.shape[0] > 1 and inputs.strides[0] == 0
    tensor = torch.tensor(inputs[:1] if constant else inputs, dtype=torch.get_default_dtype())
    if inputs.dtype == np.uint8:
        tensor /= 256
    return tensor.expand(inputs.shape[0], -1, -1) if constant else tensor


@torch.no_grad()
def accuracy(
    model: SparseSNN,
    inputs: NDArray[Any],
    labels: NDArray[np.int64],
    read: str,
    *,
    batch_size: int = _EVALUATION_BATCH,
) -> float:
    """Return the fraction of samples that `model` reads as their label; `inputs` (time, batch, n)."""
    model.eval()
    correct = 0
    for start in range(0, len(labels), batch_size):
        part = slice(start, start + batch_size)
        output = model(to_tensor(inputs[:, part]))
        correct += int((decisions(output, read) == torch.from_numpy(labels[part])).sum())
    return correct / len(labels)
