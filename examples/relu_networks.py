"""What the scripts about papers share: MNIST, ReLU networks of `SparseLinear`, a training loop, and a table of results.

Not a script. The networks here do not spike: the methods come from papers about ordinary networks, and their published
numbers can only be compared with the same ones. Everything of a run follows from its seed.
"""

from __future__ import annotations

import functools
import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from neurosparse import SparseLinear
from neurosparse.core.rng import stream
from neurosparse.data.datasets import load_dataset
from neurosparse.rewiring.base import Method


@dataclass(frozen=True)
class Images:
    """Images (n, 784) in [0, 1) and labels (n,)."""

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.y)

    def batches(self, size: int, seed: int, epoch: int, shifts: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches in an order of the epoch's own, each image moved by up to `shifts` pixels in both directions."""
        rng = stream(seed, "shuffle", epoch)
        order = torch.from_numpy(rng.permutation(len(self)))
        sources = _shifted_sites(shifts) if shifts else None
        for rows in order.split(size):
            x = self.x[rows]
            if sources is not None:
                moved = sources[torch.from_numpy(rng.integers(len(sources), size=len(rows)))]
                x = nn.functional.pad(x, (0, 1)).gather(1, moved)
            yield x, self.y[rows]


@functools.cache
def _shifted_sites(shifts: int) -> Tensor:
    """For each shift, where each of the 784 pixels comes from; 784 is a black one beyond the edge."""
    sites = np.full((28 + 2 * shifts, 28 + 2 * shifts), 784)
    sites[shifts : shifts + 28, shifts : shifts + 28] = np.arange(784).reshape(28, 28)
    steps = range(2 * shifts + 1)
    return torch.from_numpy(np.stack([sites[i : i + 28, j : j + 28].ravel() for i in steps for j in steps]))


def mnist(samples: int | None = None, *, everything: bool = False, test: bool = True) -> dict[str, Images]:
    """The splits train (the first `samples` of 55 000), validation and test; needs the folder NEUROSPARSE_DATA.

    With `everything` the 5 000 of validation are trained on as well: their accuracy then is one of training. Without
    `test` those images are not there to be read: for choosing.
    """
    dataset = load_dataset("mnist")
    train = dataset.train if samples is None else dataset.train.take(samples)
    splits = {"train": train, "validation": dataset.validation} | ({"test": dataset.test} if test else {})
    data = {
        name: Images(torch.from_numpy(split.flat.astype(np.float32) / 256), torch.from_numpy(split.labels))
        for name, split in splits.items()
    }
    if everything:
        parts = data["train"], data["validation"]
        data["train"] = Images(torch.cat([part.x for part in parts]), torch.cat([part.y for part in parts]))
    return data


def relu_network(
    sizes: list[int],
    counts: list[int] | None,
    *,
    seed: int,
    bias: bool = False,
    gain: float | list[float] = 1.0,
    dropout: float = 0,
) -> nn.Sequential:
    """A ReLU network with `counts` synapses per layer; a layer of all its synapses, or without counts, is dense.

    Weights start as N(0, gain**2 / fan_in), by the fan-in that a neuron really has; `gain` also one per layer.
    """
    rng = stream(seed, "weights")
    modules: list[nn.Module] = []
    gains = gain if isinstance(gain, list) else [gain] * (len(sizes) - 1)
    for i, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        if counts is None or counts[i] == n_in * n_out:
            layer: nn.Module = nn.Linear(n_in, n_out, bias=bias)
            weights = rng.standard_normal((n_out, n_in)) * gains[i] / n_in**0.5
            layer.weight.data = torch.from_numpy(weights.astype(np.float32))
            if bias:
                nn.init.zeros_(layer.bias)
        else:
            layer = SparseLinear(n_in, n_out, n_synapses=counts[i], bias=bias, gain=gains[i], generator=rng)
        modules.append(layer)
        if i < len(sizes) - 2:
            modules += [nn.ReLU(), nn.Dropout(dropout)] if dropout else [nn.ReLU()]
    return nn.Sequential(*modules)


@torch.no_grad()
def accuracy(model: nn.Module, images: Images) -> float:
    model.eval()
    parts = zip(images.x.split(2000), images.y.split(2000), strict=True)
    hits = sum(int((model(x).argmax(1) == y).sum()) for x, y in parts)
    model.train()
    return hits / len(images)


def train(
    model: nn.Sequential,
    method: Method,
    optimizer: torch.optim.Optimizer,
    data: dict[str, Images],
    *,
    epochs: int,
    batch_size: int,
    learning_rate: Callable[[int, int], float],
    seed: int,
    label_smoothing: float = 0.0,
    shifts: int = 0,
    log: bool = True,
) -> dict[str, float]:
    """Train with `learning_rate(step, n_steps)`; return the accuracies at the end, the synapses, and the seconds.

    The test images, if `data` has them, are looked at once, after the last step.
    """
    torch.manual_seed(seed)  # dropout's source
    per_epoch = -(-len(data["train"]) // batch_size)
    plan = {"n_steps": epochs * per_epoch, "steps_per_epoch": per_epoch}
    sparse = any(isinstance(module, SparseLinear) for module in model)
    rewirer = method.attach(model, optimizer, seed=seed, **plan) if sparse else None
    start, step = time.perf_counter(), 0
    for epoch in range(1, epochs + 1):
        for x, y in data["train"].batches(batch_size, seed, epoch, shifts):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, plan["n_steps"])
            loss = nn.functional.cross_entropy(model(x), y, label_smoothing=label_smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if rewirer is not None:
                rewirer.step()
            step += 1
        if log and (epoch % max(1, epochs // 10) == 0 or epoch == epochs):
            births = sum(rewirer.stats.total_births.values()) if rewirer is not None else 0
            print(
                f"  epoch {epoch:3d}: loss {loss.item():.4f}, validation {accuracy(model, data['validation']):.4f}, "
                f"{births} births so far, {time.perf_counter() - start:.0f} s",
                flush=True,
            )
    return {
        "seed": seed,
        **{name: accuracy(model, data[name]) for name in ("test", "validation", "train") if name in data},
        "synapses": n_synapses(model),
        "births": sum(rewirer.stats.total_births.values()) if rewirer is not None else 0,
        "epochs": epochs,
        "seconds": round(time.perf_counter() - start, 1),
    }


def n_synapses(model: nn.Sequential) -> int:
    """Weights of all layers, dense ones included; biases are not synapses."""
    layers = [module for module in model if isinstance(module, (SparseLinear, nn.Linear))]
    return sum((m.values if isinstance(m, SparseLinear) else m.weight).numel() for m in layers)


def mean_and_spread(rows: list[dict[str, float]], key: str = "test") -> str:
    """``96.60 +- 0.12 %`` of the rows' accuracies."""
    values = np.array([row[key] for row in rows]) * 100
    spread = f" +- {values.std(ddof=1):.2f}" if len(values) > 1 else ""
    return f"{values.mean():.2f}{spread} %"


def save(name: str, table: object) -> None:
    """Write ``results/<name>.json`` beside the scripts."""
    path = Path(__file__).parent / "results" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(table, indent=2) + "\n")
