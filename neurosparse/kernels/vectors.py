"""Sixteen floats as one value inside ``njit`` functions: explicit SIMD where LLVM's vectoriser cannot be relied on.

The membrane recursion reads five rows and writes two; inside a parallel loop LLVM gives up proving that they do not
overlap, and the same source line runs at scalar speed (measured: 7 ms instead of 2 for the backward pass of a layer).
So these loops are written on vector values: ``load``, arithmetic and comparison operators, ``where``, ``store``.
Every operation is one IEEE operation per lane, nothing is contracted or reassociated. A comparison gives a mask;
``mask_word`` turns a mask into a spike word (bit i for lane i) and ``word_mask`` turns it back.

Usable inside ``njit`` functions only. Positions count elements from the start of the array; nothing is checked.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import extending
from numba.core import types
from numba.extending import lower_builtin, models, register_model, type_callable

LANES = 16
"""Lanes of one vector, and bits of one spike word."""

intrinsic: Any = extending.intrinsic  # its stubs describe the function that emits code, not the one compiled code calls

_I16, _I32 = ir.IntType(16), ir.IntType(32)


class VectorType(types.Type):
    """Sixteen floats of one precision."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        super().__init__(name=f"Vector({dtype})")


class MaskType(types.Type):
    """Sixteen truth values."""

    def __init__(self) -> None:
        super().__init__(name="Mask")


MASK = MaskType()


def llvm_vector(dtype: types.Float) -> ir.VectorType:
    """Return the LLVM type of a vector of `dtype`."""
    return ir.VectorType(ir.FloatType() if dtype.bitwidth == 32 else ir.DoubleType(), LANES)


LLVM_MASK = ir.VectorType(ir.IntType(1), LANES)


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: VectorType) -> None:
        super().__init__(dmm, fe_type, llvm_vector(fe_type.dtype))


@register_model(MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: MaskType) -> None:
        super().__init__(dmm, fe_type, LLVM_MASK)


def _binary(operation: Any, emit: str) -> None:
    @type_callable(operation)
    def typer_of(context: Any) -> Any:
        def typer(a: Any, b: Any) -> Any:
            return a if isinstance(a, VectorType) and a == b else None

        return typer

    @lower_builtin(operation, VectorType, VectorType)
    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return getattr(builder, emit)(*args)


for _operation, _emit in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _binary(_operation, _emit)


def _comparison(operation: Any, symbol: str) -> None:
    @type_callable(operation)
    def typer_of(context: Any) -> Any:
        def typer(a: Any, b: Any) -> Any:
            return MASK if isinstance(a, VectorType) and a == b else None

        return typer

    @lower_builtin(operation, VectorType, VectorType)
    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.fcmp_ordered(symbol, *args)  # ordered: a NaN is above and below nothing


for _operation, _symbol in ((operator.gt, ">"), (operator.lt, "<")):
    _comparison(_operation, _symbol)


def element_pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any, element: ir.Type) -> Any:
    """Address of element `index` of a Numba array, as a pointer to `element` (which may be a vector)."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), element.as_pointer())


@intrinsic
def load(typingctx, array, index):
    """Return ``array[index : index + 16]`` as a vector."""
    vector = VectorType(array.dtype)

    def codegen(context, builder, sig, args):
        pointer = element_pointer(context, builder, sig.args[0], args[0], args[1], llvm_vector(array.dtype))
        value = builder.load(pointer)
        value.align = array.dtype.bitwidth // 8
        return value

    return vector(array, types.intp), codegen


@intrinsic
def store(typingctx, array, index, vector):
    """``array[index : index + 16] = vector``."""

    def codegen(context, builder, sig, args):
        pointer = element_pointer(context, builder, sig.args[0], args[0], args[1], llvm_vector(array.dtype))
        builder.store(args[2], pointer).align = array.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), codegen


@intrinsic
def stream(typingctx, array, index, vector):
    """``array[index : index + 16] = vector`` past the caches; the place must be on a 64-byte line.

    For what nobody reads soon: an ordinary store first fetches the line it is about to overwrite.
    """

    def codegen(context, builder, sig, args):
        pointer = element_pointer(context, builder, sig.args[0], args[0], args[1], llvm_vector(array.dtype))
        instruction = builder.store(args[2], pointer)
        instruction.align = 64
        instruction.set_metadata("nontemporal", builder.module.add_metadata([_I32(1)]))
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), codegen


@intrinsic
def splat(typingctx, scalar):
    """Return a vector of sixteen times `scalar`."""

    def codegen(context, builder, sig, args):
        return repeated(builder, args[0])

    return VectorType(scalar)(scalar), codegen


@intrinsic
def where(typingctx, mask, a, b):
    """Return `a` where the mask holds and `b` elsewhere."""

    def codegen(context, builder, sig, args):
        return builder.select(*args)

    return a(mask, a, b), codegen


@intrinsic
def absolute(typingctx, vector):
    """Return the magnitude of every lane (the sign bit cleared)."""

    def codegen(context, builder, sig, args):
        bits = vector.dtype.bitwidth
        integers = ir.VectorType(ir.IntType(bits), LANES)
        rest = ir.Constant(integers, [(1 << (bits - 1)) - 1] * LANES)
        return builder.bitcast(builder.and_(builder.bitcast(args[0], integers), rest), llvm_vector(vector.dtype))

    return vector(vector), codegen


@intrinsic
def zeros(typingctx, vector):
    """Return the mask of the lanes that are zero; NaN is not."""

    def codegen(context, builder, sig, args):
        return builder.fcmp_ordered("==", args[0], ir.Constant(llvm_vector(vector.dtype), [0.0] * LANES))

    return MASK(vector), codegen


@intrinsic
def mask_word(typingctx, mask):
    """Return the mask as a spike word, bit i for lane i."""

    def codegen(context, builder, sig, args):
        return builder.bitcast(args[0], _I16)

    return types.uint16(mask), codegen


@intrinsic
def word_mask(typingctx, word):
    """Return a spike word as a mask."""

    def codegen(context, builder, sig, args):
        return builder.bitcast(args[0], LLVM_MASK)

    return MASK(types.uint16), codegen


@intrinsic
def total(typingctx, vector):
    """Return the sum of the lanes, halving until one is left."""

    def codegen(context, builder, sig, args):
        return reduce_sum(builder, [args[0]])

    return vector.dtype(vector), codegen


def repeated(builder: Any, scalar: Any, count: int = LANES) -> Any:
    """Emit a vector of `count` times `scalar`."""
    undefined = ir.Constant(ir.VectorType(scalar.type, count), ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(_I32, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_I32, count), [0] * count))


def reduce_sum(builder: Any, vectors: list[Any]) -> Any:
    """Emit the sum of all lanes of a power of two of vectors."""
    while len(vectors) > 1:
        vectors = [builder.fadd(a, b) for a, b in zip(vectors[::2], vectors[1::2], strict=True)]
    value, width = vectors[0], LANES
    while width > 1:
        width //= 2
        undefined = ir.Constant(value.type, ir.Undefined)
        picks = [ir.Constant(ir.VectorType(_I32, width), list(range(at, at + width))) for at in (0, width)]
        value = builder.fadd(*(builder.shuffle_vector(value, undefined, pick) for pick in picks))
    return builder.extract_element(value, ir.Constant(_I32, 0))


def reduce_sums(builder: Any, vectors: list[Any]) -> list[Any]:
    """Emit the sums of the lanes of each of one, two or four vectors: halves of several share an instruction."""
    count, width = len(vectors), LANES

    def pick(a: Any, b: Any, lanes: list[int]) -> Any:
        return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_I32, LANES), lanes))

    while len(vectors) > 1:
        # every vector holds LANES // width sums of `width` lanes each: keep half of the lanes, from two vectors in one
        width //= 2
        starts = [2 * width * i for i in range(LANES // (2 * width))]
        low = [s + i for s in starts for i in range(width)]
        both = low + [LANES + lane for lane in low]
        other = [lane + width for lane in both]
        vectors = [
            builder.fadd(pick(a, b, both), pick(a, b, other)) for a, b in zip(vectors[::2], vectors[1::2], strict=True)
        ]
    value, group = vectors[0], width
    while width > 1:
        width //= 2
        partner = [lane ^ width for lane in range(LANES)]
        value = builder.fadd(value, pick(value, value, partner))
    return [builder.extract_element(value, ir.Constant(_I32, group * q)) for q in range(count)]
