"""Sequences in parts: truncated gradients as snnTorch users truncate them, exact ones from less memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import neurosparse as ns
from neurosparse.errors import ValidationError
from neurosparse.kernels import buffers
from neurosparse.nn.sequence import Cuts
from neurosparse.nn.surrogates import Atan

N_IN, N, N_OUT = 10, 12, 3
RESETS: dict[str, dict[str, Any]] = {
    "subtract": {},
    "zero": {"reset_mechanism": "zero"},
    "zero at once": {"reset_mechanism": "zero", "reset_delay": False},
    "none": {"reset_mechanism": "none"},
}


def network(kind: str = "leaky", recurrent: bool = False, reset: str = "subtract", **options: Any) -> ns.SparseSNN:
    """Two hidden layers with everything learnable, and a dense read-out."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    cell: dict[str, Any] = {"beta": 0.9, "threshold": 0.7, "learn_beta": True, "learn_threshold": True}
    cell |= {"spike_grad": Atan(2.0), **RESETS[reset]}

    def neuron() -> nn.Module:
        cells = snn.Synaptic(alpha=0.8, learn_alpha=True, **cell) if kind == "synaptic" else snn.Leaky(**cell)
        return ns.Recurrent(cells, ns.SparseLinear(N, N, 0.5, bias=True, generator=rng)) if recurrent else cells

    return ns.SparseSNN(
        ns.SparseLinear(N_IN, N, 0.5, gain=2.5, bias=True, generator=rng),
        neuron(),
        ns.SparseLinear(N, N, 0.5, gain=2.5, generator=rng),
        neuron(),
        nn.Linear(N, N_OUT),
        ns.readout(0.9),
        **options,
    ).double()


def spikes(n_steps: int, batch: int = 5, n: int = N_IN) -> Tensor:
    return (torch.rand(n_steps, batch, n, generator=torch.Generator().manual_seed(1)) < 0.4).double()


def results(net: ns.SparseSNN, x: Tensor, record: bool = False) -> list[Tensor]:
    """Outputs, rates and all gradients of a loss that reads every voltage, and with `record` every layer."""
    x = x.clone().requires_grad_()
    output = net(x, record=record)
    traces = [t for layer in output.layers for t in layer] if record else [output.voltages]
    weights = torch.Generator().manual_seed(2)
    loss = sum((t * torch.rand(t.shape, generator=weights, dtype=t.dtype)).sum() for t in traces)
    loss.backward()
    gradients = [p.grad for p in net.parameters() if p.requires_grad]
    return [output.spikes, output.voltages, *output.rates, x.grad, *gradients, *traces]  # type: ignore[list-item]


def assert_equal(found: list[Tensor], expected: list[Tensor]) -> None:
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


kinds = st.sampled_from(["leaky", "synaptic"])


@settings(deadline=None, max_examples=25)
@given(
    kinds, st.booleans(), st.sampled_from([r for r in RESETS if r != "zero"]), st.sampled_from(["auto", "snntorch"]),
    st.integers(1, 12), st.booleans(),
)  # fmt: skip
def test_checkpoints_change_no_result_and_no_gradient(
    kind: str, recurrent: bool, reset: str, engine: str, every: int, record: bool
) -> None:
    x = spikes(9)
    plain = results(network(kind, recurrent, reset, engine=engine), x, record)
    assert_equal(results(network(kind, recurrent, reset, engine=engine, checkpoint_steps=every), x, record), plain)


def truncated_by_hand(net: ns.SparseSNN, x: Tensor, every: int) -> Tensor:
    """Voltages of the read-out, step by step in snnTorch, all states detached after every `every` steps."""
    states: dict[int, list[Tensor]] = {}
    voltages = []
    for t in range(x.shape[0]):
        s = x[t]
        for i, layer in enumerate(net.layers()):
            rest = torch.zeros(x.shape[1], layer.n, dtype=x.dtype)
            spike, *state = states.get(i, [rest] * (3 if isinstance(layer.neuron, snn.Synaptic) else 2))
            if t % every == 0:
                spike, *state = (part.detach() for part in (spike, *state))
            current = layer.connection(s)
            if layer.recurrent is not None:
                current = current + layer.recurrent(spike)
            s, *state = layer.neuron(current, *state)
            s = s.to(x.dtype)
            states[i] = [s, *state]
        voltages.append(states[len(net.layers()) - 1][-1])
    return torch.stack(voltages)


@settings(deadline=None, max_examples=25)
@given(
    kinds, st.booleans(), st.sampled_from([r for r in RESETS if r != "zero"]), st.sampled_from(["auto", "snntorch"]),
    st.integers(1, 10), st.sampled_from([None, 1, 2, 3]),
)  # fmt: skip
def test_truncation_is_what_a_user_of_snntorch_gets_by_detaching_the_states(
    kind: str, recurrent: bool, reset: str, engine: str, every: int, checkpoint: int | None
) -> None:
    x = spikes(9)
    by_hand = network(kind, recurrent, reset)
    weights = torch.randn(9, 5, N_OUT, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    voltages = truncated_by_hand(by_hand, x, every)
    (voltages * weights).sum().backward()
    net = network(kind, recurrent, reset, engine=engine, tbptt_steps=every, checkpoint_steps=checkpoint)
    output = net(x)
    (output.voltages * weights).sum().backward()
    torch.testing.assert_close(output.voltages, voltages, rtol=1e-10, atol=1e-10)
    for (name, p), q in zip(net.named_parameters(), by_hand.parameters(), strict=True):
        if p.requires_grad:
            torch.testing.assert_close(p.grad, q.grad, rtol=1e-9, atol=1e-9, msg=name)


def test_truncation_changes_the_gradient_of_what_happened_before_the_cut() -> None:
    x = spikes(8)
    whole, cut = results(network(), x), results(network(tbptt_steps=4), x)
    assert_equal(cut[:2], whole[:2])
    assert not torch.allclose(cut[5], whole[5])


def test_a_delayed_reset_to_zero_goes_on_in_the_next_part() -> None:
    x = spikes(9)
    assert_equal(results(network(reset="zero", checkpoint_steps=2), x), results(network(reset="zero"), x))


def test_a_constant_input_stays_constant_in_parts() -> None:
    x = torch.rand(1, 4, N_IN, dtype=torch.float64).expand(7, -1, -1)
    assert_equal(results(network(checkpoint_steps=3), x), results(network(), x))


@pytest.mark.parametrize("shape", [(0, 2), (3, 0), (0, 0)])
def test_empty_sequences_and_batches_have_parts_too(shape: tuple[int, int]) -> None:
    output = network(checkpoint_steps=2, tbptt_steps=3)(torch.zeros(*shape, N_IN, dtype=torch.float64))
    assert output.voltages.shape == (*shape, N_OUT)


def test_parts_begin_at_the_multiples_of_both() -> None:
    assert Cuts().parts(5) == [(0, 5)]
    assert Cuts(tbptt_steps=2).parts(5) == [(0, 2), (2, 4), (4, 5)]
    assert Cuts(4, 3).parts(9) == [(0, 3), (3, 4), (4, 6), (6, 8), (8, 9)]
    assert Cuts(7, 9).parts(3) == [(0, 3)]
    assert Cuts(2, 2).parts(0) == [(0, 0)]


@pytest.mark.parametrize("value", [0, -1, 2.0, True])
@pytest.mark.parametrize("name", ["tbptt_steps", "checkpoint_steps"])
def test_a_number_of_steps_that_is_none_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=rf"SparseSNN\.{name}: must be a number of time steps >= 1 or None"):
        network(**{name: value})


def test_without_gradients_nothing_is_computed_twice_or_kept() -> None:
    net = network(checkpoint_steps=2)
    with torch.no_grad():
        output = net(spikes(5))
    assert output.voltages.grad_fn is None


def test_rewiring_before_the_second_run_of_a_part_is_an_error() -> None:
    net = network(checkpoint_steps=2)
    loss = net(spikes(5)).voltages.sum()
    layer = net.layers()[0].connection
    assert isinstance(layer, ns.SparseLinear)
    layer.set_topology(np.arange(layer.n_synapses), layer.values.detach().clone())
    with pytest.raises(ValidationError, match="synapses changed between forward and backward"):
        loss.backward()


def test_changing_a_weight_before_the_second_run_of_a_part_is_an_error() -> None:
    net = network(checkpoint_steps=2)
    loss = net(spikes(5)).voltages.sum()
    with torch.no_grad():
        net.layers()[1].connection.values.mul_(2)  # type: ignore[union-attr]
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.fixture
def peak(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """Bytes of the kernels' large arrays in use, now and at most."""
    use = {"now": 0, "peak": 0}
    take, give_back = buffers._take, buffers._give_back

    def counted_take(size: int) -> Any:
        block = take(size)
        use["now"] += len(block)
        use["peak"] = max(use["peak"], use["now"])
        return block

    def counted_return(block: Any) -> None:
        use["now"] -= len(block)
        give_back(block)

    monkeypatch.setattr(buffers, "_take", counted_take)
    monkeypatch.setattr(buffers, "_give_back", counted_return)
    return use


def peak_of(peak: dict[str, int], n_steps: int, **options: Any) -> int:
    rng = np.random.default_rng(0)
    net = ns.SparseSNN(
        ns.SparseLinear(64, 256, 0.1, generator=rng), snn.Leaky(beta=0.9),
        ns.SparseLinear(256, 256, 0.1, generator=rng), snn.Leaky(beta=0.9),
        ns.SparseLinear(256, 4, 0.5, generator=rng), ns.readout(0.9), **options,
    )  # fmt: skip
    before = peak["now"]
    peak["peak"] = before
    net(spikes(n_steps, 16, 64).float()).voltages.sum().backward()
    return peak["peak"] - before


def test_with_checkpoints_activity_takes_memory_for_a_part_and_not_for_the_sequence(peak: dict[str, int]) -> None:
    plain, longer = peak_of(peak, 200), peak_of(peak, 800)
    assert longer > 3 * plain, "what is kept grows with the sequence"
    parts = [peak_of(peak, n, checkpoint_steps=40) for n in (200, 800)]
    assert parts[1] < longer / 8
    assert parts[1] - parts[0] < 2 * 600 * 16 * 4 * 4 + (1 << 20), "only the read-out's traces grow"
