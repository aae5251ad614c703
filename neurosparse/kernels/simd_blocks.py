"""Sixteen neurons by sixteen samples at a time: between the user's layout and rows, as bits and as floats.

Intrinsics like those of simd.py, for the conversions of lanes.py.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import types

from neurosparse.kernels.simd import Emitter, positions
from neurosparse.kernels.vectors import LANES, LLVM_MASK, intrinsic, llvm_vector

_I16, _I32 = ir.IntType(16), ir.IntType(32)


@intrinsic
def pack_block(typingctx, words, words_start, words_stride, x, x_start, x_stride, count):
    """Pack 16 neurons of `count` <= 16 samples: bit b of word i is ``x[b, i] != 0``. Tells whether any is not 0 or 1.

    Neurons are side by side in `x`, samples `x_stride` apart; the words of two neurons are `words_stride` apart.
    """
    whole = isinstance(x.dtype, types.Integer)
    element = ir.IntType(x.dtype.bitwidth) if whole else llvm_vector(x.dtype).element
    vector, shorts = ir.VectorType(element, LANES), ir.VectorType(_I16, LANES)

    def codegen(context, builder, sig, args):
        words_p = context.make_array(sig.args[0])(context, builder, args[0]).data
        x_p = context.make_array(sig.args[3])(context, builder, args[3]).data
        _, words_start, words_stride, _, x_start, x_stride, count = args
        e = Emitter(context, builder, types.float32)
        zero, one = (ir.Constant(vector, [number if whole else float(number)] * LANES) for number in (0, 1))
        nothing = ir.Constant(shorts, [0] * LANES)

        def differs(value: ir.Value, other: ir.Value) -> ir.Value:
            return builder.icmp_signed("!=", value, other) if whole else builder.fcmp_unordered("!=", value, other)

        def sample(b: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            bits, bit, strange = carried
            where = builder.add(x_start, builder.mul(b, x_stride))
            value = builder.load(builder.bitcast(builder.gep(x_p, [where]), vector.as_pointer()))
            value.align = x.dtype.bitwidth // 8
            spike = differs(value, zero)
            bits = builder.or_(bits, builder.select(spike, bit, nothing))
            strange = builder.or_(strange, builder.and_(spike, differs(value, one)))
            return [bits, builder.add(bit, bit), strange]

        first_bit = ir.Constant(shorts, [1] * LANES)
        nobody = ir.Constant(LLVM_MASK, [0] * LANES)
        _, (bits, _, strange) = e.loop(e.const(0), count, 1, [nothing, first_bit, nobody], sample)
        for i in range(LANES):
            place = builder.add(words_start, builder.mul(words_stride, e.const(i)))
            builder.store(builder.extract_element(bits, ir.Constant(_I32, i)), builder.gep(words_p, [place])).align = 2
        return builder.icmp_unsigned("!=", builder.bitcast(strange, _I16), ir.Constant(_I16, 0))

    return types.boolean(words, *positions(2), x, *positions(3)), codegen


@intrinsic
def transpose_block(typingctx, out, out_start, out_stride, x, x_start, x_stride):
    """Transpose a 16 x 16 block: ``out[i, j] = x[j, i]``, rows of `out` and `x` a stride apart.

    Four rounds of exchanging half-blocks, so that memory is touched in whole vectors only.
    """
    dtype = x.dtype

    def codegen(context, builder, sig, args):
        e = Emitter(context, builder, dtype)
        out_p, x_p = e.data(sig.args[0], args[0]), e.data(sig.args[3], args[3])
        _, out_start, out_stride, _, x_start, x_stride = args
        rows = [e.load(x_p, builder.add(x_start, builder.mul(x_stride, e.const(i)))) for i in range(LANES)]
        half = LANES // 2
        while half:
            # Lanes whose bit `half` differs from the row's belong to the partner row.
            low = [i if not i & half else LANES + i - half for i in range(LANES)]
            high = [i + half if not i & half else LANES + i for i in range(LANES)]
            exchanged = list(rows)
            for i in range(LANES):
                if not i & half:
                    for target, pick in ((i, low), (i + half, high)):
                        mask = ir.Constant(ir.VectorType(_I32, LANES), pick)
                        exchanged[target] = builder.shuffle_vector(rows[i], rows[i + half], mask)
            rows = exchanged
            half //= 2
        for i, row in enumerate(rows):
            e.store(row, out_p, builder.add(out_start, builder.mul(out_stride, e.const(i))))
        return context.get_dummy_value()

    return types.void(out, types.intp, types.intp, x, types.intp, types.intp), codegen
