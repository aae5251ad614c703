"""Whole neurons by what goes into them, what comes out of them, and how often they spike."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import snntorch as snn
import torch

import neurosparse as ns
from neurosparse import SparseLinear, SparseSNN, readout
from neurosparse.errors import UnknownNameError, ValidationError
from neurosparse.pruning.neurons import neuron_scores, prune_neurons


def net() -> SparseSNN:
    into = np.float32([[1.0, -3.0], [2.0, 0.0], [0.0, 0.5], [1.5, 1.5]])
    out = np.float32([[1.0, 0.0, -6.0, 0.0], [1.0, 0.0, 0.0, 3.0]])
    return SparseSNN(
        SparseLinear.from_scipy(sp.csr_array(into)),
        snn.Leaky(beta=torch.tensor([0.1, 0.2, 0.3, 0.4])),
        SparseLinear.from_scipy(sp.csr_array(out)),
        readout(),
    )


INPUTS = torch.tensor([[[1.0, 0.0]], [[1.0, 1.0]], [[0.0, 0.0]], [[1.0, 1.0]]])


def test_scores_are_sums_of_weights_and_counts_of_spikes() -> None:
    assert neuron_scores(net())["hidden1"].tolist() == [4.0, 2.0, 0.5, 3.0]
    assert neuron_scores(net(), by="output_norm")["hidden1"].tolist() == [2.0, 0.0, 6.0, 3.0]
    # neuron 0 gets 1, -2, 0, -2; 1 gets 2, 2, 0, 2; 2 at most 0.5; 3 gets 1.5, 3, 0, 3
    counts = neuron_scores(net(), by="spikes", inputs=INPUTS)["hidden1"]
    recording = ns.simulate(net().to_network(), INPUTS.numpy().astype(bool), backend="reference")
    assert counts.tolist() == recording.spikes["hidden1"].sum(axis=(0, 1)).tolist()
    assert counts[:3].tolist() == [0.0, 3.0, 0.0]


@pytest.mark.parametrize(("by", "kept"), [("input_norm", [0, 3]), ("output_norm", [2, 3]), ("spikes", [1, 3])])
def test_the_best_neurons_stay_with_their_weights_and_parameters(by: str, kept: list[int]) -> None:
    full = net()
    pruned = prune_neurons(full, 0.5, by=by, inputs=INPUTS)
    first, second = pruned.layers()
    assert first.connection.to_dense().tolist() == full.layers()[0].connection.to_dense()[kept].tolist()
    assert second.connection.to_dense().tolist() == full.layers()[1].connection.to_dense()[:, kept].tolist()
    torch.testing.assert_close(first.neuron.beta, torch.tensor([0.1, 0.2, 0.3, 0.4])[kept])
    pruned(INPUTS).voltages.sum().backward()
    assert first.connection.values.grad is not None


def test_a_filter_stays_or_goes_as_one() -> None:
    pruned = prune_neurons(net(), {"hidden1": 0.5}, groups={"hidden1": [7, 7, 9, 9]})
    assert pruned.layers()[0].connection.to_dense().tolist() == [[1.0, -3.0], [2.0, 0.0]]  # mean 3 against 1.75


def test_the_surrogate_is_kept() -> None:
    surrogate = snn.surrogate.fast_sigmoid(slope=7)
    model = SparseSNN(SparseLinear(4, 6, density=0.9), snn.Leaky(beta=0.9, spike_grad=surrogate),
                      SparseLinear(6, 2, density=0.9), readout())  # fmt: skip
    assert prune_neurons(model, 0.5).layers()[0].neuron.spike_grad is surrogate


def test_what_cannot_be_pruned_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="hidden population: 'output' is not known"):
        prune_neurons(net(), {"output": 0.5})
    with pytest.raises(ValidationError, match=r"prune_neurons\.keep\['hidden1'\]: must lie in \(0, 1\], got 0"):
        prune_neurons(net(), 0)
    with pytest.raises(ValidationError, match=r"counting spikes needs inputs"):
        prune_neurons(net(), 0.5, by="spikes")
    with pytest.raises(ValidationError, match=r"groups\['hidden1'\]: needs 4 integers, got int64 of shape \(2,\)"):
        prune_neurons(net(), 0.5, groups={"hidden1": [1, 2]})
    with pytest.raises(UnknownNameError, match=r"'spike' is not known\. Did you mean 'spikes'"):
        neuron_scores(net(), by="spike")
