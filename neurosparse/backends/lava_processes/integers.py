"""Neurons in Loihi's integers that Lava's own ``LIF`` cannot be: a subtractive reset, none, one value per neuron.

Loihi's own neuron resets to zero and has a few parameter sets per core. On silicon a population of these needs
microcode of its own (Loihi 2): for the subtraction, one conditional ``v -= v_threshold`` and one bit of state.
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

HALF = 2**23


class IntegerLIF(AbstractProcess):
    """Integrate-and-fire neurons with the fixed-point update of Lava's ``LIF`` and more kinds of reset.

    ``v = v - s(t-1) * (vth << 6)`` (reset "subtract") is computed together with the bias, before the voltage saturates.

    Parameters
    ----------
    du, dv, vth, bias_exp : int arrays, shape (n,)
    reset : {"subtract", "zero", "none"}
    """

    def __init__(self, *, du, dv, vth, bias_exp, reset):
        super().__init__(reset=reset)
        shape = du.shape
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.u = Var(shape=shape, init=0)
        self.v = Var(shape=shape, init=0)
        self.s = Var(shape=shape, init=0)
        self.du = Var(shape=shape, init=du)
        self.dv = Var(shape=shape, init=dv)
        self.vth = Var(shape=shape, init=vth)
        self.bias_mant = Var(shape=shape, init=0)
        self.bias_exp = Var(shape=shape, init=bias_exp)


@implements(proc=IntegerLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class IntegerLIFModel(PyLoihiProcessModel):
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    u: np.ndarray = LavaPyType(np.ndarray, np.int32)
    v: np.ndarray = LavaPyType(np.ndarray, np.int32)
    s: np.ndarray = LavaPyType(np.ndarray, np.int32)
    du: np.ndarray = LavaPyType(np.ndarray, np.int32)
    dv: np.ndarray = LavaPyType(np.ndarray, np.int32)
    vth: np.ndarray = LavaPyType(np.ndarray, np.int32)
    bias_mant: np.ndarray = LavaPyType(np.ndarray, np.int32)
    bias_exp: np.ndarray = LavaPyType(np.ndarray, np.int32)

    def run_spk(self):
        reset, threshold = self.proc_params["reset"], self.vth.astype(np.int64) << 6
        u = decayed(self.u, 4096 - (self.du + 1)) + (self.a_in.recv().astype(np.int64) << 6)
        u = HALF - (HALF - u) % (2 * HALF)  # 24 bits; +2**23 stays what it is
        v = decayed(self.v, 4096 - self.dv) + u + (self.bias_mant.astype(np.int64) << self.bias_exp)
        if reset == "subtract":
            v -= self.s * threshold
        v = np.clip(v, 1 - HALF, HALF - 1)
        spikes = v > threshold
        if reset == "zero":
            v[spikes] = 0
        # in place: probes keep a reference to these arrays
        self.u[:], self.v[:], self.s[:] = u, v, spikes
        self.s_out.send(spikes)


def decayed(state, factor):
    """Return ``state * factor / 4096``, rounded toward zero."""
    product = state.astype(np.int64) * factor
    return np.sign(product) * (np.abs(product) >> 12)
