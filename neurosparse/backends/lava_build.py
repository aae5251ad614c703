"""Build one network as a graph of Lava processes; for ``lava_worker.py`` in the Lava environment, and nowhere else.

Samples stand side by side: copy b of neuron i is neuron b * n + i. Both arithmetics have the same wiring; what differs
are the neurons, the parameters of the synapses and how a bias is switched on.
"""

import numpy as np
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.lif.process import LIF
from lava.proc.sparse.process import Sparse
from lava.utils.weightutils import SignMode
from lava_processes.files import DelayLine, FileProbe, FileSink, FileSource, Switches
from lava_processes.integers import IntegerLIF
from lava_processes.neurons import LIFFloat32, SnnLIF, SnnLIFFloat32
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components

INPUT = -1
"""The index under which the input lines appear as the source of a projection."""

UNREACHABLE = 2**17
"""A threshold that no 24-bit voltage exceeds, for read-outs; one more than a chip's 17 bits can say."""


def build(spec, arrays, folder):
    """Return the neuron processes in order, parts of one connected graph: Lava finds all others from any of them."""
    n_samples, n_steps = spec["n_samples"], spec["n_steps"]
    make_neurons, make_synapses = (
        (integer_neurons, integer_synapses) if spec["arithmetic"] == "fixed_pt" else (float_neurons, float_synapses)
    )
    sizes = {INPUT: spec["input"]["n"], **{i: p["n"] for i, p in enumerate(spec["populations"])}}
    neurons = [make_neurons(p, arrays, i, n_samples) for i, p in enumerate(spec["populations"])]
    outputs = {(i, 0): population.s_out for i, population in enumerate(neurons)}
    if any(p["source"] == INPUT for p in spec["projections"]):
        outputs[INPUT, 0] = FileSource(path=str(folder / "input.npy"), n=sizes[INPUT] * n_samples).s_out

    for k, projection in enumerate(spec["projections"]):
        source, target = projection["source"], projection["target"]
        # A Sparse process sends at step t what it received at step t - 1; a line delays for the rest.
        wait = projection["delay"] - 1
        if (source, wait) not in outputs:
            dtype = spec["input"]["dtype"] if source == INPUT else "bool"
            line = DelayLine(n=sizes[source] * n_samples, steps=wait, dtype=dtype)
            outputs[source, 0].connect(line.s_in)
            outputs[source, wait] = line.s_out
        structure = (arrays[f"{name}_{k}"] for name in ("indptr", "indices", "weights"))
        matrix = side_by_side(*structure, (sizes[target], sizes[source]), n_samples)
        message_bits = spec["input"]["message_bits"] if source == INPUT else 0
        synapses = make_synapses(matrix, message_bits, projection)
        outputs[source, wait].connect(synapses.s_in)
        synapses.a_out.connect(neurons[target].a_in)
    connect_switches(spec, arrays, neurons, make_synapses)

    for i, population in enumerate(spec["populations"]):
        n = population["n"] * n_samples
        if population["spikes"]:
            sink = FileSink(path=str(folder / f"spikes_{i}.npy"), n=n, steps=n_steps, dtype="bool")
            neurons[i].s_out.connect(sink.a_in)
        for kind, variable in (("voltages", neurons[i].v), ("currents", neurons[i].u)):
            if kind in population["record"]:
                FileProbe(var=variable, path=str(folder / f"{kind}_{i}.npy"), steps=n_steps, dtype=spec["dtype"])
    return neurons


def float_neurons(population, arrays, index, n_samples):
    """Return the neurons of all samples: Lava's own LIF where it computes the same bits, else a SnnLIF."""
    beta, alpha, v_threshold = (arrays[f"{name}_{index}"] for name in ("beta", "alpha", "v_threshold"))
    reset = population["reset"] if population["spikes"] else "zero"  # without spikes it does not matter
    one_value_each = all((values == values[0]).all() for values in (beta, alpha, v_threshold))
    b, a = float(beta[0]), float(alpha[0])
    # Lava stores 1 - decay, from which a decay below 1/2 does not always come back
    if reset == "zero" and one_value_each and 1 - (1 - b) == b and 1 - (1 - a) == a:
        return LIF(shape=(population["n"] * n_samples,), du=1 - a, dv=1 - b, vth=float(v_threshold[0]))
    alpha, beta, v_threshold = (np.tile(values, n_samples) for values in (alpha, beta, v_threshold))
    return SnnLIF(alpha=alpha, beta=beta, v_threshold=v_threshold, reset=reset)


def integer_neurons(population, arrays, index, n_samples):
    """Return the neurons of all samples: Lava's own LIF where it computes the same, else an IntegerLIF.

    Biases are 0 here; see `bias_switches`.
    """
    names = ("du", "dv", "v_threshold", "bias_exponent")
    values = {name: arrays[f"{name}_{index}"] for name in names}
    if not population["spikes"]:
        values["v_threshold"] = np.full_like(values["v_threshold"], UNREACHABLE)
    reset = population["reset"] if population["spikes"] else "zero"
    exponents = np.tile(values["bias_exponent"], n_samples)
    if reset == "zero" and all((values[name] == values[name][0]).all() for name in names[:3]):
        du, dv, v_threshold = (int(values[name][0]) for name in names[:3])
        return LIF(shape=exponents.shape, du=du, dv=dv, vth=v_threshold, bias_mant=0, bias_exp=exponents)
    du, dv, v_threshold = (np.tile(values[name], n_samples) for name in names[:3])
    return IntegerLIF(du=du, dv=dv, vth=v_threshold, bias_exp=exponents, reset=reset)


def float_synapses(matrix, message_bits, projection):
    """Return the synapses in float64, where sums of float32 grids are exact."""
    return Sparse(weights=matrix.astype(np.float64), num_message_bits=message_bits)


def integer_synapses(matrix, message_bits, projection):
    """Return the synapses as a chip has them. Without its sign mode, Lava would choose one by the looks of the data."""
    return Sparse(
        weights=matrix.astype(np.int32),
        num_message_bits=message_bits,
        weight_exp=projection["exponent"],
        num_weight_bits=projection["bits"],
        sign_mode=SignMode[projection["sign_mode"].upper()],
    )


def connect_switches(spec, arrays, neurons, make_synapses):
    """Connect the biases of float neurons, and whatever is not connected.

    A float bias comes through synapses from lines that are switched on when the first step of a population begins. It
    is thus part of the complete sum I (Lava's ``bias_mant`` would be added after the voltage has been rounded), and no
    population starts before its input arrives. Where the populations fall into parts that nothing connects, an empty
    projection ties each part to the switches: Lava runs only what is connected.
    """
    n = len(neurons)
    ends = [(p["source"] % (n + 1), p["target"]) for p in spec["projections"]]  # the input is node n
    edges = np.array(ends, dtype=int).reshape(-1, 2)
    graph = coo_matrix((np.ones(len(edges)), edges.T), shape=(n + 1, n + 1))
    parts, firsts = np.unique(connected_components(graph, directed=False)[1][:n], return_index=True)
    biases = {} if spec["arithmetic"] == "fixed_pt" else {i: arrays[f"bias_{i}"] for i in range(n)}
    targets = {i for i, bias in biases.items() if bias.any()} | (set(firsts.tolist()) if len(parts) > 1 else set())
    if not targets:
        return
    # synapses cost one step: on at step offset - 1, felt from step offset on
    switches = Switches(starts=[p["offset"] - 1 for p in spec["populations"]])
    for i in sorted(targets):
        bias = np.tile(biases.get(i, np.zeros(spec["populations"][i]["n"])), spec["n_samples"]).astype(np.float64)
        rows = np.flatnonzero(bias)
        matrix = csr_matrix((bias[rows], (rows, np.full(rows.size, i))), shape=(bias.size, n))
        synapses = make_synapses(matrix, 0, {"exponent": 0, "bits": 8, "sign_mode": "mixed"})
        switches.s_out.connect(synapses.s_in)
        synapses.a_out.connect(neurons[i].a_in)


def bias_switches(spec, arrays, neurons):
    """Return ``(step, variable, values)``: what to set when that many steps have been run, in order of the steps.

    An integer bias counts in units 64 times finer than a synapse, so that no synapse can bring it. Set at once, it
    would act before the population's first step; a run is therefore halted there, and the bias then set.
    """
    if spec["arithmetic"] != "fixed_pt":
        return []
    switched = []
    for i, population in enumerate(spec["populations"]):
        if arrays[f"bias_{i}"].any():
            switched.append(
                (population["offset"], neurons[i].bias_mant, np.tile(arrays[f"bias_{i}"], spec["n_samples"]))
            )
    return sorted(switched, key=lambda entry: entry[0])


def side_by_side(indptr, indices, weights, shape, n_samples):
    """Return the block-diagonal CSR matrix of `n_samples` copies."""
    copies = np.arange(n_samples)[:, np.newaxis]
    starts = np.append(0, (indptr[1:] + copies * indices.size).ravel())
    columns = (indices + copies * shape[1]).ravel()
    values = np.tile(weights, n_samples)
    return csr_matrix((values, columns, starts), shape=(shape[0] * n_samples, shape[1] * n_samples))


def run_config(spec):
    """Return Lava's run configuration: which models stand for the processes."""
    if spec["arithmetic"] == "fixed_pt":
        return Loihi2SimCfg(select_tag="fixed_pt")
    single = {LIF: LIFFloat32, SnnLIF: SnnLIFFloat32} if spec["dtype"] == "float32" else {}
    return Loihi2SimCfg(select_tag="floating_pt", exception_proc_model_map=single)
