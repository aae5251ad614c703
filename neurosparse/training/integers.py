"""Fine-tuning in a chip's integers: a run that starts from a trained network and the integers chosen for it.

start.safetensors       the network it starts from
integers.safetensors    the units, exponents and bits that stay
quantized.safetensors   the result: what runs on the chip
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neurosparse.core.network import Network
from neurosparse.core.quantized import QuantizedNetwork
from neurosparse.core.quantized_io import INTEGERS_FILE as INTEGERS
from neurosparse.core.quantized_io import QUANTIZED_FILE as QUANTIZED
from neurosparse.errors import ArtifactError, ValidationError
from neurosparse.nn.network import SparseSNN
from neurosparse.nn.quantized import QuantizedSNN
from neurosparse.training.build import surrogate_of
from neurosparse.training.config import QuantizationConfig, RunConfig

__all__ = ["INTEGERS", "QUANTIZED", "START", "build_quantized", "finetuning", "prepare"]

START = "start.safetensors"


def finetuning(config: RunConfig, bits: int, *, epochs: int, learning_rate: float | None = None) -> RunConfig:
    """Return the configuration of a run that continues one of `config` in integers of `bits` bits.

    Without a `learning_rate` a fifth of the first one's, which is decayed again over the whole run.
    """
    rate = config.training.learning_rate / 5 if learning_rate is None else learning_rate
    changes: dict[str, Any] = {"epochs": epochs, "learning_rate": rate}
    training = config.training.model_copy(update=changes)
    content = config.model_copy(update={"training": training, "quantization": QuantizationConfig(bits=bits)})
    return RunConfig.load(content.model_dump(exclude_none=True))


def prepare(out: str | Path, network: Network, integers: QuantizedNetwork) -> None:
    """Put what a fine-tuning starts from into its new directory `out`."""
    out = Path(out)
    if out.is_dir() and any(out.iterdir()):
        raise ValidationError(f"out: {out} is not empty; choose a new directory, or continue with --resume {out}")
    network.save(out / START)
    integers.save(out / INTEGERS)


def build_quantized(config: RunConfig, run: Path, network: str = START) -> QuantizedSNN:
    """Return the model of a fine-tuning as it starts, or with the weights of another `network` file of the run."""
    for name in (network, INTEGERS):
        if not (run / name).is_file():
            raise ArtifactError(f"{run}: has no {name}; start a fine-tuning with: neurosparse finetune RUN --out {run}")
    start = Network.load(run / network)
    model = SparseSNN.from_network(start, spike_grad=surrogate_of(config.network))
    return QuantizedSNN(model, QuantizedNetwork.load(run / INTEGERS))
