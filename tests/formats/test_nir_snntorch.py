"""Networks that snnTorch itself has written and read, where its NIR package (nirtorch) is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import neurosparse as ns
from neurosparse.core.grid import snap_to_grid

pytest.importorskip("nir", reason="pip install 'neurosparse[nir]'")
pytest.importorskip("nirtorch", reason="pip install nirtorch: snnTorch writes and reads NIR with it")
torch = pytest.importorskip("torch")
snn = pytest.importorskip("snntorch")

pytestmark = pytest.mark.filterwarnings("ignore")  # of nirtorch and torch.fx; this is about spikes

N_STEPS = 60


def spikes_of(module: Any, x: np.ndarray) -> np.ndarray:
    """Run a stateful snnTorch module step by step; (time, 1, n)."""
    for part in module.modules():
        if hasattr(part, "reset_mem"):  # writing NIR runs the network and leaves its states behind
            part.reset_mem()
    with torch.no_grad():
        return np.stack([module(torch.tensor(row, dtype=torch.float32))[0].numpy() for row in x]).astype(bool)


def feed_forward() -> Any:
    return torch.nn.Sequential(
        torch.nn.Linear(6, 8),
        snn.Leaky(beta=torch.rand(8) * 0.5 + 0.4, threshold=torch.ones(8) * 0.7, init_hidden=True),
        torch.nn.Linear(8, 4, bias=False),
        snn.Synaptic(
            alpha=torch.full((4,), 0.6),
            beta=torch.full((4,), 0.8),
            threshold=torch.ones(4),
            init_hidden=True,
            output=True,
        ),
    )


def recurrent() -> Any:
    return torch.nn.Sequential(
        torch.nn.Linear(6, 8),
        snn.RSynaptic(
            alpha=torch.full((8,), 0.7),
            beta=torch.full((8,), 0.9),
            threshold=torch.ones(8),
            linear_features=8,
            all_to_all=True,
            init_hidden=True,
            output=True,
        ),
    )


@pytest.mark.parametrize("build", [feed_forward, recurrent])
def test_what_snntorch_writes_spikes_here_as_it_does_there(build: Any) -> None:
    from snntorch.export_nir import export_to_nir

    generator = torch.random.get_rng_state()
    torch.manual_seed(0)
    module = build()
    torch.random.set_rng_state(generator)
    with torch.no_grad():
        module[0].weight.mul_(4)
    graph = export_to_nir(module, torch.zeros(1, 6), ignore_dims=[0])
    network = ns.from_nir(graph, dt=1e-4, reset="subtract").network
    x = np.random.default_rng(0).random((N_STEPS, 1, 6)) < 0.4
    expected = spikes_of(module, x)
    actual = ns.simulate(network, x).spikes[network.outputs[0]]
    assert expected.sum() > 10
    np.testing.assert_array_equal(actual, expected)


def test_what_we_write_spikes_in_snntorch_as_it_does_here() -> None:
    from snntorch.import_nir import import_from_nir

    from neurosparse.formats.nir_write import to_nir

    rng = np.random.default_rng(0)
    dense = [np.float32(rng.normal(0.2, 0.5, n) * (rng.random(n) < 0.5)) for n in ((8, 6), (4, 8))]
    projections = [ns.Projection.from_dense("input", "h", dense[0]), ns.Projection.from_dense("h", "o", dense[1])]
    populations = [
        ns.Population("h", 8, ns.LIF(beta=np.float32(0.9), reset="zero", bias=np.float32(0.05))),
        ns.Population("o", 4, ns.LIF(beta=np.float32(0.8), reset="zero")),
    ]
    network, _ = snap_to_grid(ns.Network(ns.Input(6), populations, projections, dt=1e-4))
    module, state, rows = import_from_nir(to_nir(network)), None, []
    x = rng.random((N_STEPS, 1, 6)) < 0.4
    with torch.no_grad():
        for row in x:
            spikes, state = module(torch.tensor(row, dtype=torch.float32), state)
            rows.append(spikes.numpy().reshape(1, 4))
    expected = ns.simulate(network, x).spikes["o"]
    assert expected.sum() > 10
    np.testing.assert_array_equal(np.stack(rows).astype(bool), expected)
