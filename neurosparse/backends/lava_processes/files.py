"""Sources and sinks that exchange whole time steps with ``.npy`` files, and a delay line.

Lava's own ring buffers and monitors hand every single value over as one message (20 microseconds each).
"""

from collections import deque

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort, PyRefPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort, RefPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class FileSource(AbstractProcess):
    """Sends row t of the array (steps, n) in the file `path` at step t, and zeros after its end."""

    def __init__(self, *, path, n):
        super().__init__(path=path, n=n)
        self.s_out = OutPort(shape=(n,))


class _Source(PyLoihiProcessModel):
    def __init__(self, proc_params):
        super().__init__(proc_params)
        rows = np.load(proc_params["path"], mmap_mode="r", allow_pickle=False)
        self.rows = rows.reshape(rows.shape[0], proc_params["n"])

    def run_spk(self):
        step = self.time_step - 1
        row = self.rows[step] if step < len(self.rows) else np.zeros(self.rows.shape[1], self.rows.dtype)
        self.s_out.send(row)


@implements(proc=FileSource, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FileSourceFloat(_Source):
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)


@implements(proc=FileSource, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FileSourceInteger(_Source):
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)


class Switches(AbstractProcess):
    """Line i sends 1 at every step from ``starts[i]`` on; through synapses, a bias that is switched on late."""

    def __init__(self, *, starts):
        super().__init__(starts=starts)
        self.s_out = OutPort(shape=(len(starts),))


@implements(proc=Switches, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt", "fixed_pt")
class SwitchesModel(PyLoihiProcessModel):
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)

    def run_spk(self):
        self.s_out.send(np.asarray(self.proc_params["starts"]) <= self.time_step - 1)


class DelayLine(AbstractProcess):
    """Sends what it received `steps` steps earlier, zeros until then.

    Lava's ``DelaySparse`` rebuilds a matrix of (delay x targets) rows at every step; one delay line serves all
    synapses of a source.
    """

    def __init__(self, *, n, steps, dtype):
        super().__init__(steps=steps, dtype=dtype)
        self.s_in = InPort(shape=(n,))
        self.s_out = OutPort(shape=(n,))


class _Line(PyLoihiProcessModel):
    def __init__(self, proc_params):
        super().__init__(proc_params)
        self.waiting = deque()

    def run_spk(self):
        values = self.s_in.recv()
        self.waiting.append(values.astype(self.proc_params["dtype"]))
        late = len(self.waiting) > self.proc_params["steps"]
        self.s_out.send(self.waiting.popleft() if late else np.zeros_like(values))


@implements(proc=DelayLine, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class DelayLineFloat(_Line):
    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)


@implements(proc=DelayLine, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class DelayLineInteger(_Line):
    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)


class FileSink(AbstractProcess):
    """Writes what it receives at step t into row t of a ``.npy`` file (steps, n) of `dtype`."""

    def __init__(self, *, path, n, steps, dtype):
        super().__init__(path=path, shape=(steps, n), dtype=dtype)
        self.a_in = InPort(shape=(n,))


class _Writer(PyLoihiProcessModel):
    def __init__(self, proc_params):
        super().__init__(proc_params)
        self.rows = np.lib.format.open_memmap(
            proc_params["path"], mode="w+", dtype=proc_params["dtype"], shape=proc_params["shape"]
        )

    def write(self, values):
        self.rows[self.time_step - 1] = values
        if self.time_step == len(self.rows):
            self.rows.flush()


class _Sink(_Writer):
    def run_spk(self):
        self.write(self.a_in.recv())


@implements(proc=FileSink, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FileSinkFloat(_Sink):
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)


@implements(proc=FileSink, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FileSinkInteger(_Sink):
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)


class FileProbe(AbstractProcess):
    """Writes the variable `var` of another process, as it is after step t, into row t of a ``.npy`` file (steps, n)."""

    def __init__(self, *, var, path, steps, dtype):
        super().__init__(path=path, shape=(steps, *var.shape), dtype=dtype)
        self.state = RefPort(shape=var.shape)
        self.state.connect_var(var)


class _Probe(_Writer):
    def post_guard(self):
        return True

    def run_post_mgmt(self):
        self.write(self.state.read())


@implements(proc=FileProbe, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FileProbeFloat(_Probe):
    # float64 holds every float32 voltage exactly
    state: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, np.float64)


@implements(proc=FileProbe, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FileProbeInteger(_Probe):
    state: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, np.int32)
