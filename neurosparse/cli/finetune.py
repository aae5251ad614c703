"""``neurosparse finetune``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurosparse.cli.output import JsonOption, RunArgument, emit, say


def finetune(
    run: RunArgument,
    out: Annotated[Path, typer.Option("--out", metavar="NEW", help="The run directory to make; new or empty.")],
    bits: Annotated[int, typer.Option("--bits", min=1, max=8, help="Bits per weight.")] = 8,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Epochs in integers.")] = 5,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="By default a fifth of that of RUN.")
    ] = None,
    chip: Annotated[
        str | None, typer.Option("--chip", metavar="NAME", help="Choose the integers for this chip; see `deploy`.")
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Train the network of RUN on in a chip's integers (quantisation-aware), rewiring included.

    The integers of RUN are chosen as `deploy` chooses them and then stay; NEW/quantized.safetensors is the result, bit
    for bit what was trained. An interrupted one goes on with `neurosparse train --resume NEW`.
    """
    from neurosparse.cli.progress import train_with_progress
    from neurosparse.cli.runs import network_of
    from neurosparse.core.quantized import QuantizedNetwork
    from neurosparse.deploy.quantize import quantize
    from neurosparse.training.config import RunConfig
    from neurosparse.training.inputs import load_inputs
    from neurosparse.training.integers import QUANTIZED, finetuning, prepare

    network, config = network_of(run), RunConfig.load(run / "config.toml")
    calibration, _ = load_inputs(run, "train", min(200, config.training.samples or 200))
    say(f"choosing integers of {bits} bits for {network} ...")
    integers = quantize(network, chip, bits=bits, calibration=calibration)
    prepare(out, network, integers)
    settings = finetuning(config, bits, epochs=epochs, learning_rate=learning_rate)
    result = train_with_progress(settings, out, json_output=json_output, resume=True)
    quantized = QuantizedNetwork.load(result.path / QUANTIZED)
    if json_output:
        emit({"run": result.path, "bits": bits, "synapses": quantized.n_synapses, "density": quantized.density})
    else:
        say(f"{result.path}: {quantized}")
        say(f"next: neurosparse deploy {result.path} --bits {bits}; neurosparse simulate {result.path} --integer")
