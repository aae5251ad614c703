"""Run one network in Lava: ``python -I lava_worker.py FOLDER``, in the Lava environment (Python 3.10, numpy < 2).

A standalone script that imports nothing of neurosparse. It reads ``network.json``, ``arrays.npz`` and ``input.npy``
from FOLDER, which `neurosparse.backends.lava` has written, builds the network (``lava_build.py``), and leaves
``spikes_<p>.npy``, ``voltages_<p>.npy`` and ``currents_<p>.npy`` (steps, batch * n) of population p there, then
``result.json``.
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

SLOTS = 4
"""Messages a channel holds. All processes advance step by step, so one is enough; Lava's 64 would fill /dev/shm."""

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
    network = load("lava_build", "lava_build.py")
    neurons = network.build(spec, arrays, folder)
    first, config = neurons[0], network.run_config(spec)
    first.create_runtime(run_cfg=config, compile_config={"pypy_channel_size": SLOTS})
    compiled, done = time.perf_counter(), 0
    for step, variable, values in network.bias_switches(spec, arrays, neurons):
        if step > done:
            first.run(condition=RunSteps(num_steps=step - done), run_cfg=config)
            done = step
        variable.set(values)
    first.run(condition=RunSteps(num_steps=spec["n_steps"] - done), run_cfg=config)
    ran = time.perf_counter()
    stopping.set()
    first.stop()
    result = {
        "run_seconds": ran - compiled,
        "lava": importlib.metadata.version("lava-nc"),
        "processes": len(ACTORS),
    }
    (folder / "result.json").write_text(json.dumps(result))


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

    load("lava_processes", "lava_processes/__init__.py", folder="lava_processes")


def load(name, file, *, folder=None):
    """Import `file`, which lies beside this script, as `name`; a `folder` is its package.

    Not through sys.path: beside this script lies a lava.py, which would hide the namespace package lava.
    """
    here = Path(__file__).resolve().parent
    locations = None if folder is None else [str(here / folder)]
    spec = importlib.util.spec_from_file_location(name, here / file, submodule_search_locations=locations)
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


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
