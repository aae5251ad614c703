"""The neuron's recursion on one row of lanes, forwards and backwards, one IEEE operation at a time.

Compiled code only; layers.py is the checked way in. No `fastmath` and no fused multiply-add here: the recursion must
give the bits that snnTorch gives (``beta * v``, ``+ current``, ``- reset * threshold``, each rounded). A synaptic
current (CubaLIF) is a pass of its own over the row, ``c = alpha * c + I``, after which the membrane is the same for
both models.

Modes of reset, with r = [v(t-1) > threshold] (detached, as snnTorch detaches it) and s = [u > threshold]:

    NONE          v = beta v + I
    SUBTRACT      v = (beta v + I) - r threshold                                  snn.Leaky, snn.Synaptic "subtract"
    ZERO          v = beta ((1 - r) v) + I                                        snn.Leaky "zero"
    ZERO_DISCARD  b = beta v + I,  v = b - b r                                    snn.Synaptic "zero"
    SUBTRACT_NOW  u = (beta v + I) - r threshold,  v = u - (s - r) threshold      "subtract", reset_delay=False
    ZERO_NOW      u = beta v + I,  v = u - s u         (threshold > 0, so r = 0)  "zero", reset_delay=False

The row that is kept for the backward pass is what the threshold saw: u in the two last modes and v in the others.
"""

from __future__ import annotations

import math

import numpy as np

from neurosparse.kernels.jit import jit
from neurosparse.kernels.vectors import LANES, absolute, load, mask_word, splat, store, stream, total, where, zeros

NONE, SUBTRACT, ZERO, ZERO_DISCARD, SUBTRACT_NOW, ZERO_NOW = range(6)
NO_GRADIENT, ATAN, FAST_SIGMOID, SIGMOID, TRIANGULAR, BOXCAR = range(6)


@jit
def filter_row(row, start, n_steps, padded, alpha, state):
    """Turn input currents into synaptic currents in place: ``c = alpha * c + I``."""
    decay = splat(alpha)
    for t in range(n_steps):
        for b in range(0, padded, LANES):
            o = start + t * padded + b
            c = decay * load(state, b) + load(row, o)
            store(state, b, c)
            store(row, o, c)


@jit
def filter_row_backward(row, start, n_steps, padded, alpha, carry, c_start):
    """Turn gradients of the synaptic current into gradients of the input current in place.

    `carry` (padded,) from `c_start` is the gradient one step later, updated.
    """
    decay = splat(alpha)
    for t in range(n_steps - 1, -1, -1):
        for b in range(0, padded, LANES):
            o = start + t * padded + b
            g = load(row, o) + decay * load(carry, c_start + b)
            store(carry, c_start + b, g)
            store(row, o, g)


@jit
def integrate_row(
    mode, current, c_start, c_step, v, v_start, post, p_start, words, n_steps, padded, beta, threshold, state,
    past_caches,
):  # fmt: skip
    """Run the membrane over `n_steps` steps: what the threshold sees to `v`, spikes to `words` (unless of size 0).

    `state` (padded,) is the voltage after the step before, updated. `c_step` is the distance of the currents of two
    steps, 0 for a constant current. `post` (unless of size 0) receives the voltages after the reset in the NOW modes.
    The word of a vector of lanes is where the vector is in `v`. `past_caches`: `v`, whose rows then start on cache
    lines, is too large to be in a cache when it is read.
    """
    decay, level, zero = splat(beta), splat(threshold), splat(v.dtype.type(0))
    keep_words, keep_post = words.size > 0, post.size > 0
    for t in range(n_steps):
        for b in range(0, padded, LANES):
            o = v_start + t * padded + b
            last = load(state, b)
            x = load(current, c_start + t * c_step + b)
            if mode == SUBTRACT:
                u = (decay * last + x) - where(last > level, level, zero)
                after = u
            elif mode == NONE:
                u = decay * last + x
                after = u
            elif mode == ZERO:
                u = decay * where(last > level, zero, last) + x
                after = u
            elif mode == ZERO_DISCARD:
                u = where(last > level, zero, decay * last + x)
                after = u
            elif mode == SUBTRACT_NOW:
                back = where(last > level, level, zero)
                u = (decay * last + x) - back
                after = u - (where(u > level, level, zero) - back)
            else:
                u = decay * last + x
                after = where(u > level, zero, u)
            store(state, b, after)
            if past_caches:
                stream(v, o, u)
            else:
                store(v, o, u)
            if keep_post:
                store(post, p_start + t * padded + b, after)
            if keep_words:
                words[o // LANES] = mask_word(u > level)


@jit
def slope_row(kind, steepness, v, v_start, threshold, out, n):
    """``out = ds/dv`` at ``x = v - threshold`` by the surrogate `kind`; nn/surrogates.py has the formulas."""
    one, zero, level = splat(v.dtype.type(1)), splat(v.dtype.type(0)), splat(threshold)
    if kind == ATAN:
        half, slope = splat(steepness / v.dtype.type(2)), splat(v.dtype.type(math.pi / 2) * steepness)
        for i in range(0, n, LANES):
            x = slope * (load(v, v_start + i) - level)
            store(out, i, half / (one + x * x))
    elif kind == FAST_SIGMOID:
        slope = splat(steepness)
        for i in range(0, n, LANES):
            x = slope * absolute(load(v, v_start + i) - level) + one
            store(out, i, one / (x * x))
    elif kind == SIGMOID:
        for i in range(n):
            # Even in x; written on -|x| because exp(-kx) overflows below threshold (snnTorch's gradient is NaN there).
            e = np.exp(-abs(steepness * (v[v_start + i] - threshold)))
            out[i] = steepness * e / ((v.dtype.type(1) + e) * (v.dtype.type(1) + e))
    elif kind == TRIANGULAR:
        height = splat(v.dtype.type(1) / steepness)
        for i in range(0, n, LANES):
            y = one - absolute(load(v, v_start + i) - level) * height
            store(out, i, where(y > zero, y, zero) * height)
    elif kind == BOXCAR:
        width, height = splat(steepness), splat(v.dtype.type(1) / (steepness + steepness))
        for i in range(0, n, LANES):
            store(out, i, where(absolute(load(v, v_start + i) - level) < width, height, zero))
    else:
        for i in range(0, n, LANES):
            store(out, i, zero)


@jit
def differentiate_row(
    mode, v, v_start, v_step, inside, before, post, slope, g_spike, s_start, g_voltage, u_start, has_voltage, out,
    n_steps, padded, beta, threshold, carry, c_start, sums,
):  # fmt: skip
    """Write the gradient of the membrane sum ``beta v + I`` of every lane to `out`, from the last step to the first.

    `v` is what the threshold saw, from `v_start`, steps `v_step` apart; the voltage before the first of these steps is
    the one before in `v` if `inside` the sequence, else `before` (padded,); `post` holds the voltages after the reset,
    laid out as `v` (read by SUBTRACT_NOW). `g_spike` starts at `s_start`, `g_voltage` (if `has_voltage`) at `u_start`,
    `out` and `slope` (of the surrogate) at 0. `carry` (padded,) from `c_start` is the gradient of the sum one step
    later, updated. The second half of `sums` (2 * padded,) collects the threshold's gradient in the NOW modes;
    `parameter_row` does the others.

    Places are given as numbers because a slice costs as much as the arithmetic on a short row.
    """
    decay, level, zero = splat(beta), splat(threshold), splat(v.dtype.type(0))
    for t in range(n_steps - 1, -1, -1):
        for b in range(0, padded, LANES):
            o = t * padded + b
            x = v_start + t * v_step + b
            later = load(carry, c_start + b)
            direct = load(g_voltage, u_start + o) if has_voltage else zero
            gs, ds = load(g_spike, s_start + o), load(slope, o)
            if mode == SUBTRACT or mode == NONE:  # noqa: SIM109 - `in` a tuple is slower compiled
                g = (direct + decay * later) + gs * ds
            elif mode == ZERO:
                g = (direct + decay * where(load(v, x) > level, zero, later)) + gs * ds
            elif mode == ZERO_DISCARD:
                last = load(v, x - v_step) if t or inside else load(before, b)
                g = where(last > level, zero, (direct + decay * later) + gs * ds)
            elif mode == SUBTRACT_NOW:
                reset = (load(post, x - v_step) if t or inside else load(before, b)) > level
                after = direct + decay * later
                through = (gs - level * after) * ds
                g = after + through
                fired = where(load(v, x) > level, after, zero) - where(reset, after, zero)
                change = fired + through + where(reset, g, zero)
                store(sums, padded + b, load(sums, padded + b) - change)
            else:
                u = load(v, x)
                after = direct + decay * later
                through = (gs - u * after) * ds
                g = where(u > level, zero, after) + through
                store(sums, padded + b, load(sums, padded + b) - through)
            store(carry, c_start + b, g)
            store(out, o, g)


@jit
def parameter_row(
    mode, v, v_start, v_step, inside, before, post, slope, g_spike, s_start, g, n_steps, padded, threshold,
    sums,
):  # fmt: skip
    """Collect in `sums` per sample the gradients of beta, (padded,), and, except in the NOW modes, of the threshold.

    `g` is what `differentiate_row` wrote; the other arguments are as there.
    """
    level, zero = splat(threshold), splat(v.dtype.type(0))
    for t in range(n_steps):
        for b in range(0, padded, LANES):
            o = t * padded + b
            x = v_start + t * v_step + b
            gradient = load(g, o)
            last = load(before, b)
            if t or inside:
                last = load(post, x - v_step) if mode == SUBTRACT_NOW else load(v, x - v_step)
            decayed = where(last > level, zero, last) if mode == ZERO or mode == ZERO_NOW else last  # noqa: SIM109
            store(sums, b, load(sums, b) + gradient * decayed)
            if mode != SUBTRACT_NOW and mode != ZERO_NOW:
                through = load(g_spike, s_start + o) * load(slope, o)
                reset = where(last > level, gradient, zero) if mode == SUBTRACT else zero
                store(sums, padded + b, load(sums, padded + b) - through - reset)


@jit
def add_products(a, a_start, c, c_start, n, sums, padded):
    """``sums[b] += a * c`` over `n` lanes, sample by sample; with `c` of size 0 just the sums of `a`."""
    for o in range(0, n, padded):
        for b in range(0, padded, LANES):
            x = load(a, a_start + o + b)
            if c.size:
                x = x * load(c, c_start + o + b)
            store(sums, b, load(sums, b) + x)


@jit
def row_total(row, start, n):
    """Sum of `n` elements from `start`, a multiple of 16."""
    sums = splat(row.dtype.type(0))
    for i in range(start, start + n, LANES):
        sums = sums + load(row, i)
    return total(sums)


@jit
def all_zero(row, start, n):
    """Whether `n` elements from `start`, a multiple of 16, are zero; NaN is not."""
    i = start
    while i < start + n and mask_word(zeros(load(row, i))) == 0xFFFF:
        i += LANES
    return i >= start + n
