"""Images with fixed train/validation/test splits, and encoders that turn them into inputs over time; all offline."""

from neurosparse.data.datasets import Dataset, Split, load_dataset
from neurosparse.data.encoding import (
    ConstantCurrent,
    DeterministicRate,
    Encoder,
    Latency,
    PoissonRate,
    encoders,
    make_encoder,
)

# The registry `datasets` stays in its module: exported here, it would hide the submodule of the same name.
__all__ = [
    "ConstantCurrent",
    "Dataset",
    "DeterministicRate",
    "Encoder",
    "Latency",
    "PoissonRate",
    "Split",
    "encoders",
    "load_dataset",
    "make_encoder",
]
