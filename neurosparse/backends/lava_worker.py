"""Run one network in Lava: ``python -I lava_worker.py FOLDER``, in the Lava environment (Python 3.10, numpy < 2).

A standalone script that imports nothing of neurosparse. It reads ``network.json``, ``arrays.npz`` and ``input.npy``
from FOLDER, which `neurosparse.backends.lava` has written, builds all samples of the batch side by side (copy b of
neuron i is neuron b * n + i), and leaves ``spikes_<p>.npy`` and ``voltages_<p>.npy`` (steps, batch * n) of population
p there, then ``result.json``.
"""

import contextlib
import importlib.metadata
import importlib.util
import json
import multiprocessing
import os
import sys
import tempfile
import threading
import time
import traceback
from multiprocessing import connection
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components

SLOTS = 4
"""Messages a channel holds. All processes advance step by step, so one is enough; Lava's 64 would fill /dev/shm."""

INPUT = -1
"""The index under which the input lines appear as the source of a projection."""

ACTORS = []
"""The operating-system processes that Lava has started."""


def main(folder):
    stopping = threading.Event()
    threading.Thread(target=watch, args=(stopping, os.getppid()), daemon=True).start()
    # Sockets of multiprocessing lie in the folder for temporary files: here they go away with it, and "." keeps their
    # paths below the 107 characters that a socket's address may have.
    os.chdir(folder)
    tempfile.tempdir = "."
    install_guards(folder)
    from lava.magma.core.run_conditions import RunSteps

    spec = json.loads((folder / "network.json").read_text())
    with np.load(folder / "arrays.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    first = build(spec, arrays, folder)
    config = run_config(spec["dtype"])
    first.create_runtime(run_cfg=config, compile_config={"pypy_channel_size": SLOTS})
    compiled = time.perf_counter()
    first.run(condition=RunSteps(num_steps=spec["n_steps"]), run_cfg=config)
    ran = time.perf_counter()
    stopping.set()
    first.stop()
    result = {
        "run_seconds": ran - compiled,
        "lava": importlib.metadata.version("lava-nc"),
        "processes": len(ACTORS),
    }
    (folder / "result.json").write_text(json.dumps(result))


# ---- the network as Lava processes


def build(spec, arrays, folder):
    """Return one process of the connected graph that `spec` describes; Lava finds the others from it."""
    from lava.proc.sparse.process import Sparse
    from lava_processes.files import DelayLine, FileProbe, FileSink, FileSource

    n_samples, n_steps = spec["n_samples"], spec["n_steps"]
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
        shape = (sizes[target], sizes[source])
        synapses = Sparse(
            weights=side_by_side(
                *(arrays[f"{name}_{k}"] for name in ("indptr", "indices", "weights")), shape, n_samples
            ),
            num_message_bits=spec["input"]["message_bits"] if source == INPUT else 0,
        )
        outputs[source, wait].connect(synapses.s_in)
        synapses.a_out.connect(neurons[target].a_in)
    add_biases(spec, arrays, neurons)

    for i, population in enumerate(spec["populations"]):
        n = population["n"] * n_samples
        if population["model"] != "LI":
            sink = FileSink(path=str(folder / f"spikes_{i}.npy"), n=n, steps=n_steps, dtype="bool")
            neurons[i].s_out.connect(sink.a_in)
        if population["record_voltages"]:
            FileProbe(var=neurons[i].v, path=str(folder / f"voltages_{i}.npy"), steps=n_steps, dtype=spec["dtype"])
    return neurons[0]


def make_neurons(population, arrays, index, n_samples):
    """Return the neurons of all samples: Lava's own LIF where it computes the same bits, else a SnnLIF."""
    from lava.proc.lif.process import LIF
    from lava_processes.neurons import SnnLIF

    beta, alpha, v_threshold = (arrays[f"{name}_{index}"] for name in ("beta", "alpha", "v_threshold"))
    reset = "zero" if population["model"] == "LI" else population["reset"]  # without spikes it does not matter
    one_value_each = all((values == values[0]).all() for values in (beta, alpha, v_threshold))
    b, a = float(beta[0]), float(alpha[0])
    # Lava stores 1 - decay, from which a decay below 1/2 does not always come back
    if reset == "zero" and one_value_each and 1 - (1 - b) == b and 1 - (1 - a) == a:
        return LIF(shape=(population["n"] * n_samples,), du=1 - a, dv=1 - b, vth=float(v_threshold[0]))
    alpha, beta, v_threshold = (np.tile(values, n_samples) for values in (alpha, beta, v_threshold))
    return SnnLIF(alpha=alpha, beta=beta, v_threshold=v_threshold, reset=reset)


def add_biases(spec, arrays, neurons):
    """Connect biases, as synapses from lines that are switched on when the first step of a population begins.

    A bias is thus part of the complete sum I (Lava's ``bias_mant`` would be added after the voltage has been
    rounded), and no population starts before its input arrives. Where the populations fall into parts that nothing
    connects, an empty projection ties each part to the switches: Lava runs only what is connected.
    """
    from lava.proc.sparse.process import Sparse
    from lava_processes.files import Switches

    n = len(neurons)
    ends = [(p["source"] % (n + 1), p["target"]) for p in spec["projections"]]  # the input is node n
    edges = np.array(ends, dtype=int).reshape(-1, 2)
    graph = coo_matrix((np.ones(len(edges)), edges.T), shape=(n + 1, n + 1))
    parts, firsts = np.unique(connected_components(graph, directed=False)[1][:n], return_index=True)
    targets = {i for i in range(n) if arrays[f"bias_{i}"].any()} | (set(firsts.tolist()) if len(parts) > 1 else set())
    if not targets:
        return
    # synapses cost one step: on at step offset - 1, felt from step offset on
    switches = Switches(starts=[p["offset"] - 1 for p in spec["populations"]])
    for i in sorted(targets):
        bias = np.tile(arrays[f"bias_{i}"], spec["n_samples"]).astype(np.float64)
        rows = np.flatnonzero(bias)
        synapses = Sparse(weights=csr_matrix((bias[rows], (rows, np.full(rows.size, i))), shape=(bias.size, n)))
        switches.s_out.connect(synapses.s_in)
        synapses.a_out.connect(neurons[i].a_in)


def side_by_side(indptr, indices, weights, shape, n_samples):
    """Return the block-diagonal CSR matrix of `n_samples` copies, in float64, where sums of float32 grids are exact."""
    copies = np.arange(n_samples)[:, np.newaxis]
    starts = np.append(0, (indptr[1:] + copies * indices.size).ravel())
    columns = (indices + copies * shape[1]).ravel()
    values = np.tile(weights.astype(np.float64), n_samples)
    return csr_matrix((values, columns, starts), shape=(shape[0] * n_samples, shape[1] * n_samples))


def run_config(dtype):
    """Return Lava's run configuration: floating-point models, with float32 neurons for a float32 network."""
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.lif.process import LIF
    from lava_processes.neurons import LIFFloat32, SnnLIF, SnnLIFFloat32

    single = {LIF: LIFFloat32, SnnLIF: SnnLIFFloat32} if dtype == "float32" else {}
    return Loihi2SimCfg(select_tag="floating_pt", exception_proc_model_map=single)


# ---- failing fast: Lava's runtime waits for a failed process for ever and shows no traceback


def install_guards(folder):
    """Make Lava's processes report how they fail, keep a list of its shared memory, and load our process modules."""
    from lava.magma.runtime.message_infrastructure import multiprocessing as infrastructure
    from lava.magma.runtime.message_infrastructure.shared_memory_manager import SharedMemoryManager

    class Actor(infrastructure.SystemProcess):
        def start(self):
            super().start()
            ACTORS.append(self)

        def run(self):
            try:
                multiprocessing.Process.run(self)
                self._cconn.send(None)
            except BaseException:
                model = getattr(self._kwargs.get("builder"), "proc_model", type(self))
                say(f"exception in {model.__name__}:\n{traceback.format_exc()}")
                os._exit(1)

    infrastructure.SystemProcess = Actor

    create = SharedMemoryManager.create_shared_memory
    space = SharedMemorySpace()

    def create_and_note(self, size):
        space.take(size)
        segment = create(self, size)
        with open(folder / "shared_memory.txt", "a") as listing:
            listing.write(segment.name + "\n")
        return segment

    SharedMemoryManager.create_shared_memory = create_and_note

    # Not through sys.path: the folder above holds a lava.py, which would hide the namespace package lava.
    package = Path(__file__).resolve().parent / "lava_processes"
    module_spec = importlib.util.spec_from_file_location(
        "lava_processes", package / "__init__.py", submodule_search_locations=[str(package)]
    )
    sys.modules["lava_processes"] = importlib.util.module_from_spec(module_spec)


class SharedMemorySpace:
    """Refuses to take more shared memory than there is: a write beyond it kills a process without a word (SIGBUS)."""

    def __init__(self, folder="/dev/shm"):
        self.taken = 0
        self.free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize if os.path.isdir(folder) else None

    def take(self, size):
        self.taken += size
        if self.free is not None and self.taken > self.free:
            raise MemoryError(
                f"/dev/shm has {self.free / 2**20:.0f} MiB free, the channels of this network need more than "
                f"{self.taken / 2**20:.0f} MiB; simulate fewer samples at once or enlarge it (docker run --shm-size=1g)"
            )


def watch(stopping, parent):
    """End this worker when one of its processes dies or the one that started it is gone."""
    while not stopping.is_set():
        time.sleep(0.1)
        dead = connection.wait([actor.sentinel for actor in list(ACTORS)], timeout=0)
        if stopping.is_set():
            return
        if dead:
            time.sleep(0.2)  # for the traceback to come out first
            fail(f"{len(dead)} of {len(ACTORS)} Lava processes ended early")
        if os.getppid() != parent:
            fail("the process that started this worker is gone")


def fail(message):
    """Say why, kill every child, and leave at once: an orderly exit would wait for them."""
    say(f"lava_worker: {message}")
    for child in multiprocessing.active_children():
        child.kill()
    os._exit(1)


def say(message):
    """Print `message`, if anybody is left to read it: the pipe is broken once the caller has been killed."""
    with contextlib.suppress(OSError):
        print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]).resolve())
    except BaseException:
        traceback.print_exc()
        fail("failed")
