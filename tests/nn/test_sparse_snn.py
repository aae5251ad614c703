"""`SparseSNN`: what it is made of, what it computes, and what it refuses."""

from __future__ import annotations

import copy
import logging
import re
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from drawn import inputs_for
from torch import Tensor, nn

import neurosparse as ns
from neurosparse.errors import UnknownNameError, UnsupportedError, ValidationError
from neurosparse.nn.convert import rewrite_recurrent, why_not_expressible
from neurosparse.nn.stepwise import is_constant, run_layer

ENGINES = ["snntorch", "auto"]


def sparse(n_in: int = 4, n_out: int = 3, **options: Any) -> ns.SparseLinear:
    return ns.SparseLinear(n_in, n_out, density=1, generator=np.random.default_rng(0), **options)


def two_layers(**options: Any) -> ns.SparseSNN:
    rng = np.random.default_rng(3)
    return ns.SparseSNN(
        ns.SparseLinear(10, 8, density=0.5, bias=True, gain=2.0, generator=rng),
        snn.Leaky(beta=0.9),
        ns.SparseLinear(8, 3, density=0.8, gain=2.0, generator=rng),
        snn.Leaky(beta=0.8),
        **options,
    )


# what it computes


@pytest.mark.parametrize("engine", ENGINES)
def test_it_runs_the_users_own_modules(engine: str) -> None:
    net = two_layers(engine=engine)
    first, second = net.layers()
    x = (torch.rand(12, 5, 10, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    output = net(x, record=True)
    mem1 = mem2 = None
    for t in range(12):  # the loop of snnTorch's tutorials
        mem1 = torch.zeros(5, 8) if mem1 is None else mem1
        mem2 = torch.zeros(5, 3) if mem2 is None else mem2
        spk1, mem1 = first.neuron(first.connection(x[t]), mem1)
        spk2, mem2 = second.neuron(second.connection(spk1), mem2)
        torch.testing.assert_close(output.voltages[t], mem2)
        assert torch.equal(output.layers[0][0][t], spk1)
        assert torch.equal(output.spikes[t], spk2)
    assert output.spikes.any()
    assert output.spikes.shape == output.voltages.shape == (12, 5, 3)
    assert [rate.shape for rate in output.rates] == [(8,), (3,)]
    torch.testing.assert_close(output.rates[0], output.layers[0][0].mean((0, 1)))
    assert not output.rates[0].requires_grad


def test_layers_are_recorded_only_on_request() -> None:
    assert two_layers()(torch.zeros(2, 1, 10)).layers == ()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("n_steps", [0, 1, 3])
@pytest.mark.parametrize("n_samples", [0, 1])
def test_short_sequences_and_empty_batches(engine: str, n_steps: int, n_samples: int) -> None:
    net = two_layers(engine=engine)
    output = net(torch.ones(n_steps, n_samples, 10))
    assert output.spikes.shape == output.voltages.shape == (n_steps, n_samples, 3)
    output.voltages.sum().backward()


@pytest.mark.parametrize("engine", ENGINES)
def test_every_call_starts_from_rest(engine: str) -> None:
    net = two_layers(engine=engine)
    x = torch.ones(6, 2, 10)
    assert torch.equal(net(x).voltages, net(x).voltages)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.float64])
def test_inputs_of_any_type_become_the_weights_type(engine: str, dtype: torch.dtype) -> None:
    net = two_layers(engine=engine)
    x = torch.rand(6, 2, 10) < 0.5
    assert torch.equal(net(x.to(dtype)).voltages, net(x.float()).voltages)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_trained_network_can_be_copied(engine: str) -> None:
    net = two_layers(engine=engine)
    net(torch.ones(3, 2, 10)).voltages.sum().backward()
    twin = copy.deepcopy(net)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert not twin(torch.ones(3, 2, 10)).voltages.any()
    assert net(torch.ones(3, 2, 10)).voltages.any()


def test_no_graph_stays_behind_in_the_modules() -> None:
    net = two_layers(engine="snntorch")
    net(torch.ones(3, 2, 10))
    for layer in net.layers():
        assert layer.neuron.mem.numel() == 0
        assert layer.neuron.mem.grad_fn is None


# constant input


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_constant_input_gives_the_plain_paths_voltages_and_gradients(engine: str, dtype: torch.dtype) -> None:
    one = torch.rand(4, 10, dtype=dtype, generator=torch.Generator().manual_seed(0))

    def run(constant: bool) -> list[Tensor]:
        net = two_layers(engine=engine).to(dtype)
        image = one.clone().requires_grad_()
        x = image.expand(9, -1, -1)
        output = net(x if constant else x.clone())
        output.voltages.square().sum().backward()
        return [output.spikes, output.voltages, image.grad, *(p.grad for p in net.parameters())]

    assert run(True)[0].any()
    for quick, plain in zip(run(True), run(False), strict=True):
        tolerance = 1e-4 if dtype == torch.float32 else 1e-10  # gradients of T steps are summed in another order
        torch.testing.assert_close(quick, plain, rtol=tolerance, atol=tolerance)


def test_a_constant_input_is_multiplied_once_even_if_its_type_is_another() -> None:
    net = two_layers(engine="snntorch")
    seen: list[tuple[int, ...]] = []
    net.layers()[0].connection.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].shape))
    x = torch.rand(4, 10, dtype=torch.float64).expand(9, -1, -1)
    run_layer(net.layers()[0], x)
    run_layer(net.layers()[0], x.clone())
    assert seen == [(4, 10), (9, 4, 10)]


def test_constant_means_expanded_over_time() -> None:
    x = torch.rand(4, 10)
    assert is_constant(x.expand(9, -1, -1))
    assert not is_constant(x.expand(1, -1, -1))
    assert not is_constant(x.repeat(9, 1, 1))
    assert not is_constant(torch.rand(9, 1, 10).expand(-1, 4, -1)), "the same sample, changing in time"


# construction


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ([], "SparseSNN: needs pairs of a connection and a neuron, got 0 modules"),
        ([sparse()], "SparseSNN: needs pairs of a connection and a neuron, got 1 modules"),
        ([snn.Leaky(0.9), sparse()], "SparseSNN: module 0 must be a SparseLinear or nn.Linear, got Leaky"),
        ([nn.Conv2d(1, 1, 3), snn.Leaky(0.9)], "SparseSNN: module 0 must be a SparseLinear or nn.Linear, got Conv2d"),
        (
            [sparse(4, 3), snn.Leaky(0.9), sparse(5, 2), snn.Leaky(0.9)],
            "SparseSNN: module 2 takes 5 inputs, the layer before has 3 neurons",
        ),
        (
            [sparse(4, 3), ns.Recurrent(snn.Leaky(0.9), sparse(5, 5))],
            "SparseSNN: module 1: its recurrence has size 5, the layer has 3 neurons",
        ),
        (
            [sparse(), snn.Leaky(torch.full((3,), 0.9, dtype=torch.float64))],
            "SparseSNN: module 1: beta is torch.float64, the weights are torch.float32",
        ),
    ],
)
def test_modules_that_do_not_fit_together_are_refused(modules: list[nn.Module], message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        ns.SparseSNN(*modules)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"engine": "fuse"}, UnknownNameError, "SparseSNN.engine: 'fuse' is not known. Did you mean 'fused'"),
        ({"input": "spike"}, UnknownNameError, "SparseSNN.input: 'spike' is not known. Did you mean 'spikes'"),
        ({"names": ["a"]}, ValidationError, "SparseSNN.names: 1 names for 2 populations"),
        ({"names": ["a", "a"]}, ValidationError, "names must differ, got a, a"),
        ({"names": ["input", "a"]}, ValidationError, "Population.name"),
        ({"names": ["a b", "c"]}, ValidationError, "Population.name"),
        ({"dt": 0.0}, ValidationError, "Network.dt: must be a duration in seconds > 0, got 0.0"),
        ({"dt": float("nan")}, ValidationError, "Network.dt"),
    ],
)
def test_options_that_no_network_can_have_are_refused_at_once(
    options: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        two_layers(**options)


def test_populations_are_named_hidden_and_output_or_as_the_user_wants() -> None:
    assert two_layers().names == ("hidden1", "output")
    net = two_layers(names=iter(["cortex", "muscle"]), dt=0.002)
    assert [p.name for p in net.to_network().populations] == ["cortex", "muscle"]
    assert net.to_network().dt == 0.002


@pytest.mark.parametrize("shape", [(5, 2, 9), (5, 10), (10,), (1, 5, 2, 10)])
def test_inputs_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    message = f"SparseSNN: input has shape {shape}, expected (time, batch, 10)"
    with pytest.raises(ValidationError, match=re.escape(message)):
        two_layers()(torch.zeros(shape))


@pytest.mark.parametrize(
    ("connection", "message"),
    [
        (nn.Linear(3, 4), "Recurrent.connection: must map n neurons to themselves, got 3 -> 4"),
        (nn.Identity(), "Recurrent.connection: must be SparseLinear or nn.Linear, got Identity"),
    ],
)
def test_recurrent_connections_that_cannot_be_are_refused(connection: nn.Module, message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        ns.Recurrent(snn.Leaky(0.9), connection)


def test_a_state_goes_from_one_network_to_another_with_other_synapses() -> None:
    first, second = two_layers(), two_layers()
    ns.GlobalDeepR(alpha=1.0).attach(first, torch.optim.SGD(first.parameters(), lr=1.0)).step()
    assert first.layers()[0].connection.n_synapses != second.layers()[0].connection.n_synapses
    second.load_state_dict(first.state_dict())
    x = torch.ones(4, 2, 10)
    assert torch.equal(first(x).voltages, second(x).voltages)


# neurons that are none of ours


def changed(neuron: Any, name: str, value: Any) -> Any:
    setattr(neuron, name, value)
    return neuron


REFUSED = {
    "another neuron": (lambda: snn.Lapicque(beta=0.9), "Lapicque is not supported; use snntorch.Leaky or"),
    "no neuron": (nn.ReLU, "ReLU is not supported"),
    "a subclass": (lambda: type("Mine", (snn.Leaky,), {})(beta=0.9), "Mine is not supported"),
    "hidden state": (lambda: snn.Leaky(0.9, init_hidden=True), "Leaky(init_hidden=True) keeps its state in the"),
    "output": (lambda: snn.Synaptic(0.9, 0.9, output=True), r"leave init_hidden and output out"),
    "quantised state": (
        lambda: snn.Leaky(0.9, state_quant=lambda x: x),
        "Leaky(state_quant=...): quantise at deployment instead",
    ),
    "graded spikes": (
        lambda: snn.Leaky(0.9, graded_spikes_factor=2.0),
        "Leaky(graded_spikes_factor=...): spikes are 0 or 1; put the factor into the next connection's weights",
    ),
    "learned graded spikes": (lambda: snn.Leaky(0.9, learn_graded_spikes_factor=True), "graded_spikes_factor=..."),
    "too many decays": (
        lambda: snn.Leaky(torch.full((5,), 0.9)),
        "Leaky.beta has shape (5,); the layer has 3 neurons, it takes one value or one per neuron, shape (3,)",
    ),
    "a column of decays": (lambda: snn.Leaky(torch.full((3, 1), 0.9)), "Leaky.beta has shape (3, 1)"),
    "too many thresholds": (lambda: snn.Leaky(0.9, threshold=torch.ones(2)), "Leaky.threshold has shape (2,)"),
    "too many alphas": (lambda: snn.Synaptic(torch.ones(4), 0.9), "Synaptic.alpha has shape (4,)"),
    "threshold 0": (lambda: snn.Leaky(0.9, threshold=0.0), "Leaky.threshold: must be > 0, got 0.0"),
    "threshold NaN": (lambda: snn.Leaky(0.9, threshold=float("nan")), "Leaky.threshold: must be > 0, got nan"),
    "infinite threshold with reset": (
        lambda: snn.Leaky(0.9, threshold=float("inf")),
        "reset then computes 0 * inf = NaN; a neuron that never fires is readout(beta)",
    ),
    "reset renamed": (
        lambda: changed(snn.Leaky(0.9), "reset_mechanism", "zero"),
        "Leaky.reset_mechanism was changed to 'zero' after construction, which snnTorch 1.0 half ignores",
    ),
    "reset value changed": (
        lambda: changed(snn.Leaky(0.9, reset_mechanism="zero"), "reset_mechanism_val", torch.tensor(0)),
        "Leaky.reset_mechanism was changed to 'subtract' after construction",
    ),
    "immediate subtraction": (
        lambda: snn.Leaky(0.9, reset_delay=False),
        "Leaky(reset_mechanism='subtract', reset_delay=False) needs twice the threshold to fire again",
    ),
    "immediate subtraction with current": (
        lambda: snn.Synaptic(0.9, 0.9, reset_delay=False),
        "Synaptic(reset_mechanism='subtract', reset_delay=False) needs twice the threshold",
    ),
    "delayed zero with current": (
        lambda: snn.Synaptic(0.9, 0.9, reset_mechanism="zero"),
        "Synaptic(reset_mechanism='zero', reset_delay=True) discards the input of the step after a spike; use",
    ),
    "read-out with current": (
        lambda: snn.Synaptic(0.9, 0.9, threshold=float("inf"), reset_mechanism="none"),
        "Synaptic without threshold: a read-out is a leaky integrator; use readout(beta)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_a_neuron_that_no_engine_has_is_refused_with_the_way_out(what: str) -> None:
    make, message = REFUSED[what]
    assert message in why_not_expressible(make(), 3)
    with pytest.raises(UnsupportedError, match=re.escape("SparseSNN: module 1: ") + ".*" + re.escape(message)):
        ns.SparseSNN(sparse(), make())
    with pytest.raises(UnsupportedError, match=re.escape(message)):
        ns.SparseSNN(sparse(), ns.Recurrent(make(), sparse(3, 3)))


@pytest.mark.filterwarnings("ignore:Inhibition is an unstable feature")
def test_inhibition_is_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"inhibition=True.* lets one neuron of the layer fire at a time"):
        ns.SparseSNN(sparse(), snn.Leaky(0.9, inhibition=True))


def test_everything_else_is_accepted() -> None:
    for neuron in (
        snn.Leaky(0.9),
        snn.Leaky(torch.full((3,), 0.9), threshold=torch.ones(3), learn_beta=True, learn_threshold=True),
        snn.Leaky(torch.full((1,), 0.9), reset_mechanism="zero"),
        snn.Leaky(0.9, reset_mechanism="zero", reset_delay=False),
        snn.Leaky(0.9, reset_mechanism="none", reset_delay=False),
        snn.Leaky(0.9, spike_grad=snn.surrogate.fast_sigmoid(), surrogate_disable=False),
        snn.Synaptic(0.5, 0.9),
        snn.Synaptic(0.5, 0.9, reset_mechanism="zero", reset_delay=False),
        snn.Synaptic(0.5, 0.9, reset_mechanism="none"),
        ns.readout(torch.full((3,), 0.9), learn_beta=True),
    ):
        assert why_not_expressible(neuron, 3) is None


# snnTorch's recurrent neurons


def recurrent_cases() -> list[Any]:
    cases = []
    for kind, reset, delay in (
        ("RLeaky", "subtract", True),
        ("RLeaky", "zero", False),
        ("RLeaky", "none", True),
        ("RSynaptic", "subtract", True),
        ("RSynaptic", "none", True),
        ("RSynaptic", "none", False),
    ):
        cases.append(pytest.param(kind, reset, delay, id=f"{kind}-{reset}-{delay}"))
    return cases


def recurrent(kind: str, **options: Any) -> Any:
    decays = {"beta": 0.9} if kind == "RLeaky" else {"alpha": 0.6, "beta": 0.9}
    return getattr(snn, kind)(**decays, linear_features=6, **options)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("kind", "reset", "delay"), recurrent_cases())
def test_a_rewritten_recurrent_neuron_has_snntorchs_own_spikes(kind: str, reset: str, delay: bool, engine: str) -> None:
    torch.manual_seed(1)
    neuron = recurrent(kind, reset_mechanism=reset, reset_delay=delay)
    neuron.recurrent.weight.data.mul_(3)
    own = copy.deepcopy(neuron)
    net = ns.SparseSNN(ns.SparseLinear(8, 6, density=0.6, gain=1.5), neuron, engine=engine)
    assert isinstance(net.stack[1], ns.Recurrent)
    assert net.layers()[0].recurrent is neuron.recurrent, "the user's own weights, hidden bias included"
    net = net.on_grid()  # sums without rounding, so that their order cannot matter
    own.recurrent.load_state_dict(net.layers()[0].recurrent.state_dict())

    x = torch.from_numpy(inputs_for(net.to_network(), n_steps=40)).float()
    output = net(x)
    state = tuple(torch.zeros(3, 6) for _ in range(2 if kind == "RLeaky" else 3))
    connection = net.layers()[0].connection
    for t in range(40):
        spikes, *rest = own(connection(x[t]), *state)
        state = (spikes, *rest)
        assert torch.equal(output.spikes[t], spikes), t
        torch.testing.assert_close(output.voltages[t], rest[-1])
    assert output.spikes.any()


def test_what_was_learnable_stays_learnable_and_the_rewriting_is_said(caplog: pytest.LogCaptureFixture) -> None:
    learned = {"learn_alpha": True, "learn_threshold": True, "learn_recurrent": False}
    neuron = snn.RSynaptic(alpha=0.5, beta=0.9, threshold=0.7, linear_features=3, **learned)
    with caplog.at_level(logging.INFO, "neurosparse"):
        new = rewrite_recurrent(neuron).neuron
    assert "RSynaptic is rewritten as Recurrent(Synaptic, ...)" in caplog.text
    assert isinstance(new.alpha, nn.Parameter)
    assert isinstance(new.threshold, nn.Parameter)
    assert not isinstance(new.beta, nn.Parameter)
    assert new.threshold.item() == pytest.approx(0.7)
    assert not neuron.recurrent.weight.requires_grad


@pytest.mark.parametrize(
    ("neuron", "message"),
    [
        (
            lambda: recurrent("RLeaky", reset_mechanism="zero"),
            "RLeaky(reset_mechanism='zero', reset_delay=True) discards the input of the step after a spike; use "
            "neurosparse.Recurrent(snntorch.Leaky(..., reset_mechanism='zero', reset_delay=False), connection)",
        ),
        (lambda: recurrent("RSynaptic", reset_mechanism="zero"), "neurosparse.Recurrent(snntorch.Synaptic(..., "),
        (lambda: recurrent("RSynaptic", reset_delay=False), "RSynaptic(reset_delay=False) never resets (snnTorch 1.0)"),
        (lambda: snn.RLeaky(0.9, all_to_all=False), "RLeaky: only all-to-all linear recurrence is rewritten"),
        (
            lambda: snn.RLeaky(0.9, conv2d_channels=1, kernel_size=3),
            "only all-to-all linear recurrence is rewritten; use neurosparse.Recurrent with the connection you want",
        ),
    ],
)
def test_recurrent_neurons_whose_spikes_would_change_are_refused(neuron: Any, message: str) -> None:
    with pytest.raises(UnsupportedError, match=re.escape(message)):
        rewrite_recurrent(neuron())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"init_hidden": True}, "Leaky(init_hidden=True) keeps its state in the module"),
        ({"state_quant": lambda x: x}, "Leaky(state_quant=...)"),
        ({"reset_delay": False}, "needs twice the threshold"),
    ],
)
def test_options_refused_in_a_leaky_are_refused_in_an_rleaky(options: dict, message: str) -> None:
    with pytest.raises(UnsupportedError, match=re.escape(message)):
        ns.SparseSNN(sparse(4, 6), recurrent("RLeaky", **options))


def test_a_readout_never_fires_and_integrates() -> None:
    net = ns.SparseSNN(sparse(1, 1), ns.readout(0.5))
    net.layers()[0].connection.values.data.fill_(8.0)
    output = net(torch.ones(3, 1, 1))
    assert output.voltages.flatten().tolist() == [8.0, 12.0, 14.0]
    assert not output.spikes.any()
    assert isinstance(net.to_network()["output"].neuron, ns.LI)
