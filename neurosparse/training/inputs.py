"""From a configuration to what a network is fed with; torch-free, so that ``simulate`` and ``deploy`` can use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurosparse.core.network import InputKind
from neurosparse.core.rng import stream
from neurosparse.data.datasets import Dataset, Split, load_dataset
from neurosparse.data.encoding import Encoder, make_encoder
from neurosparse.errors import ValidationError
from neurosparse.training.config import RunConfig

__all__ = ["SplitName", "dataset_of", "encoder_of", "input_kind_of", "load_inputs"]

SplitName = Literal["train", "validation", "test"]


def dataset_of(config: RunConfig) -> Dataset:
    """Return the data set of a run."""
    return load_dataset(config.data.name, config.data.root)


def encoder_of(config: RunConfig) -> Encoder:
    """Return the encoder of a run."""
    return make_encoder(config.data.encoding, **config.data.encoder_options)


def input_kind_of(config: RunConfig) -> InputKind:
    """Return what the network of a run is fed with."""
    return encoder_of(config).kind


def load_inputs(
    run: str | Path, split: SplitName = "test", samples: int | None = None
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return encoded inputs (time, batch, n_inputs) and labels (batch,) of the data a run was configured for.

    Parameters
    ----------
    run : path
        A run directory (with ``config.toml``) or a configuration file.
    split : {"train", "validation", "test"}
    samples : int, optional
        The first so many of the split; None: all.
    """
    path = Path(run)
    config = RunConfig.load(path / "config.toml" if path.is_dir() else path)
    part = split_of(dataset_of(config), split, samples)
    inputs = encoder_of(config).encode(part.flat, config.data.n_steps, generator=stream(config.seed, "encoding", split))
    return inputs, part.labels


def split_of(dataset: Dataset, split: str, samples: int | None = None) -> Split:
    """Return a split of `dataset`, or its first `samples`."""
    if split not in ("train", "validation", "test"):
        raise ValidationError(f"split: must be train, validation or test, got {split!r}")
    part: Split = getattr(dataset, split)
    return part if samples is None else part.take(samples)
