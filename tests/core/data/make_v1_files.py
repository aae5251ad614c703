"""Write the files that stand for "written by the first release"; run once, at version 0.1.0, and never again.

    python -m tests.core.data.make_v1_files     (from the root of the checkout)

`test_first_release.py` demands that every later release reads them to the same bits.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from neurosparse import simulate

from ..examples import one_of_everything

FOLDER = Path(__file__).parent
INPUTS = np.array([[0, 64, 128, 192], [255, 0, 0, 255], [0, 128, 255, 0], [255, 255, 0, 0], [0, 0, 0, 0]], np.uint8)

if __name__ == "__main__":
    network = one_of_everything()
    network.save(FOLDER / "network_v1.safetensors")
    simulate(network, INPUTS, record="voltages").save(FOLDER / "recording_v1.safetensors")
