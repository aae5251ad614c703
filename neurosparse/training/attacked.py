"""The robustness of a run: its deployed network, its data and its encoder under the attacks of `robustness`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from neurosparse.training.attacks import PGD
from neurosparse.training.config import RunConfig
from neurosparse.training.inputs import dataset_of, encoder_of, split_of
from neurosparse.training.pixels import PixelClassifier
from neurosparse.training.robustness import RobustnessReport, evaluate_robustness
from neurosparse.training.run import CONFIG, deployed_model

__all__ = ["robustness_of"]


def robustness_of(
    run: str | Path,
    *,
    epsilons: Sequence[float] = (0.05, 0.1),
    samples: int = 200,
    n_steps: int = 20,
    restarts: int = 2,
    n_queries: int = 100,
    draws: int = 10,
    seed: int = 0,
    on_attack: Callable[[float, str, float], None] | None = None,
) -> RobustnessReport:
    """Return what attacks on the pixels of the first `samples` test images leave of the accuracy of `run`.

    Parameters
    ----------
    run : path
        A run directory. A run fine-tuned in integers is attacked in integers.
    epsilons : sequence of float
        Radii of the maximum norm, ascending; pixels lie in [0, 1].
    samples : int
    n_steps, restarts : int
        Of PGD, through each surrogate gradient.
    n_queries : int
        Of Square, which needs no gradient; it is tried where a sample is an image.
    draws : int
        Encodings that scores are averaged over, if the encoder is random.
    seed : int
    on_attack : callable, optional
        See `evaluate_robustness`.

    Raises
    ------
    ValidationError
        For radii that do not ascend, or more samples than there are.
    UnsupportedError
        For an encoder without a gradient (latency).
    """
    config = RunConfig.load(Path(run) / CONFIG)
    dataset = dataset_of(config)
    part = split_of(dataset, "test", samples)
    classify = PixelClassifier(
        deployed_model(run),
        encoder_of(config),
        config.data.n_steps,
        read=config.network.readout,
        draws=draws,
        seed=seed,
    )
    return evaluate_robustness(
        classify,
        torch.from_numpy(part.flat / np.float32(255)),
        torch.from_numpy(part.labels),
        epsilons=epsilons,
        pgd=PGD(n_steps=n_steps, restarts=restarts),
        image_shape=dataset.shape if len(dataset.shape) == 2 else None,
        n_queries=n_queries,
        seed=seed,
        on_attack=on_attack,
    )
