"""The Triton kernels of `gpu_leaky`; imported only where Triton is, and compiled by it at their first call.

A lane is one (sample, neuron); arrays are (time, lane), the neuron running fastest. ``TRITON_INTERPRET=1`` runs them on
the CPU, which is how they are tested without a GPU.
"""

# Triton reads the annotations of its kernels, so they must not become strings.

import triton
import triton.language as tl

__all__ = ["leaky_backward", "leaky_forward"]


@triton.jit
def leaky_forward(
    currents,
    spikes,
    voltages,
    beta,
    threshold,
    n_steps,
    n_lanes,
    n,
    step_of_currents,
    RESET: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Write spikes and voltages of every step; `RESET` 0: none, 1: subtract, 2: to zero."""
    lane = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = lane < n_lanes
    b = tl.load(beta + lane % n, mask=inside, other=0.0)
    limit = tl.load(threshold + lane % n, mask=inside, other=0.0)
    v = tl.zeros_like(b)
    fired = tl.zeros_like(b)
    # Pointers advance step by step: a product of step and lanes would overflow 32 bits in a long sequence.
    currents += lane
    spikes += lane
    voltages += lane
    for _ in range(n_steps):
        if RESET == 2:
            v = (1 - fired) * v
        v = b * v + tl.load(currents, mask=inside, other=0.0)
        if RESET == 1:
            v = tl.where(fired > 0, v - limit, v)  # an infinite threshold times 0 would be NaN
        fired = (v - limit > 0).to(v.dtype)
        tl.store(spikes, fired, mask=inside)
        tl.store(voltages, v, mask=inside)
        currents += step_of_currents
        spikes += n_lanes
        voltages += n_lanes


@triton.jit
def leaky_backward(
    g_spikes,
    g_voltages,
    voltages,
    g_currents,
    beta,
    threshold,
    parameter,
    n_steps,
    n_lanes,
    n,
    last_step,
    RESET: tl.constexpr,
    SURROGATE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Write the gradient of the currents, from the offset `last_step` on; `SURROGATE` names a class in `surrogates`."""
    lane = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = lane < n_lanes
    b = tl.load(beta + lane % n, mask=inside, other=0.0)
    limit = tl.load(threshold + lane % n, mask=inside, other=0.0)
    p = tl.load(parameter)
    g_spikes += last_step + lane
    g_voltages += last_step + lane
    voltages += last_step + lane
    g_currents += last_step + lane
    carried = tl.zeros_like(b)
    for _ in range(n_steps):
        x = tl.load(voltages, mask=inside, other=0.0) - limit
        if RESET == 2:
            carried = tl.where(x > 0, 0.0, carried)
        if SURROGATE == "Atan":
            y = 1.5707963267948966 * p * x
            slope = p / 2 / (1 + y * y)
        elif SURROGATE == "FastSigmoid":
            y = p * tl.abs(x) + 1
            slope = 1 / (y * y)
        elif SURROGATE == "Sigmoid":
            e = tl.exp(-p * tl.abs(x))
            slope = p * e / ((1 + e) * (1 + e))
        elif SURROGATE == "Triangular":
            slope = tl.maximum(1 - tl.abs(x) / p, 0.0) / p
        elif SURROGATE == "Boxcar":
            slope = tl.where(tl.abs(x) < p, 0.5 / p, 0.0)
        else:
            slope = tl.zeros_like(x)
        g = tl.load(g_voltages, mask=inside, other=0.0) + tl.load(g_spikes, mask=inside, other=0.0) * slope + carried
        tl.store(g_currents, g, mask=inside)
        carried = b * g
        g_spikes -= n_lanes
        g_voltages -= n_lanes
        voltages -= n_lanes
        g_currents -= n_lanes
