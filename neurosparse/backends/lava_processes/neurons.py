"""Neurons with the exact update of neurosparse's `LIF`, `CubaLIF` and `LI`, in float64 and float32.

Lava's own ``LIF`` is used where it says the same (reset "zero" or no threshold, one parameter value for all neurons);
its float32 model here replaces Lava's float64 one in a float32 network. Everything else is a `SnnLIF`.
"""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.lif.process import LIF


class SnnLIF(AbstractProcess):
    """Integrate-and-fire neurons as `snntorch.Leaky` and `snntorch.Synaptic` compute them.

    ``c = alpha * c + a_in; v = beta * v + c; v = v - s(t-1) * v_threshold`` (reset "subtract"); ``s = v >
    v_threshold``; ``v = 0`` where s (reset "zero"). Neurons without synaptic current have alpha 0: then c is a_in,
    bit for bit.

    Parameters
    ----------
    alpha, beta, v_threshold : arrays, shape (n,)
    reset : {"subtract", "zero", "none"}
    """

    def __init__(self, *, alpha, beta, v_threshold, reset):
        super().__init__(reset=reset)
        shape = beta.shape
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.u = Var(shape=shape, init=0)
        self.v = Var(shape=shape, init=0)
        self.s = Var(shape=shape, init=0)
        self.alpha = Var(shape=shape, init=alpha)
        self.beta = Var(shape=shape, init=beta)
        self.v_threshold = Var(shape=shape, init=v_threshold)


class _SnnLIFModel(PyLoihiProcessModel):
    """The update of `SnnLIF`, one rounding per operation, in the precision of its variables."""

    def run_spk(self):
        # The current arrives as a float64 sum; of a float32 network on its exact grid it is a float32 number.
        current = self.a_in.recv().astype(self.v.dtype)
        self.u = self.alpha * self.u + current
        v = self.beta * self.v + self.u
        reset = self.proc_params["reset"]
        if reset == "subtract":
            v = v - self.s * self.v_threshold
        spikes = v > self.v_threshold
        if reset == "zero":
            v[spikes] = 0
        self.v, self.s = v, spikes.astype(v.dtype)
        self.s_out.send(spikes)


@implements(proc=SnnLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class SnnLIFFloat64(_SnnLIFModel):
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)
    u: np.ndarray = LavaPyType(np.ndarray, np.float64)
    v: np.ndarray = LavaPyType(np.ndarray, np.float64)
    s: np.ndarray = LavaPyType(np.ndarray, np.float64)
    alpha: np.ndarray = LavaPyType(np.ndarray, np.float64)
    beta: np.ndarray = LavaPyType(np.ndarray, np.float64)
    v_threshold: np.ndarray = LavaPyType(np.ndarray, np.float64)


@implements(proc=SnnLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("float32")
class SnnLIFFloat32(_SnnLIFModel):
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)
    u: np.ndarray = LavaPyType(np.ndarray, np.float32)
    v: np.ndarray = LavaPyType(np.ndarray, np.float32)
    s: np.ndarray = LavaPyType(np.ndarray, np.float32)
    alpha: np.ndarray = LavaPyType(np.ndarray, np.float32)
    beta: np.ndarray = LavaPyType(np.ndarray, np.float32)
    v_threshold: np.ndarray = LavaPyType(np.ndarray, np.float32)


@implements(proc=LIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("float32")
class LIFFloat32(PyLoihiProcessModel):
    """Lava's LIF in float32, which its own floating-point model does not know. `bias_mant` is unused."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)
    u: np.ndarray = LavaPyType(np.ndarray, np.float32)
    v: np.ndarray = LavaPyType(np.ndarray, np.float32)
    bias_mant: np.ndarray = LavaPyType(np.ndarray, np.float32)
    bias_exp: np.ndarray = LavaPyType(np.ndarray, np.float32)
    du: float = LavaPyType(float, float)
    dv: float = LavaPyType(float, float)
    vth: float = LavaPyType(float, float)

    def run_spk(self):
        # du and dv are Python floats (float64), so that 1 - du gives back a float32 decay without loss
        self.u = np.float32(1 - self.du) * self.u + self.a_in.recv().astype(np.float32)
        self.v = np.float32(1 - self.dv) * self.v + self.u
        spikes = self.v > np.float32(self.vth)
        self.v[spikes] = 0
        self.s_out.send(spikes)
