"""Arithmetic of PTX on arrays, where numpy has it not or not so: everything rounds to nearest even, once."""

import ctypes
import ctypes.util

import numpy as np

_LIBM = ctypes.CDLL(ctypes.util.find_library("m"))
for _name, _type, _count in (("exp2f", ctypes.c_float, 1), ("fma", ctypes.c_double, 3)):
    getattr(_LIBM, _name).restype = _type
    getattr(_LIBM, _name).argtypes = [_type] * _count


def rounded_to_odd(a, b):
    """a + b of f64; where that is not exact its last bit is 1, so that rounding it again, to fewer digits, is right."""
    total = a + b
    back = total - a
    lost = (a - (total - back)) + (b - back)
    bits = np.atleast_1d(total).view(np.int64)
    inexact = np.isfinite(total) & (lost != 0) & ((bits & 1) == 0)
    away = (lost > 0) == (total > 0)
    return (bits + np.where(inexact, np.where(away, 1, -1), 0)).view(np.float64)


def fma_f32(a, b, c):
    product = np.asarray(a, np.float64) * np.asarray(b, np.float64)  # exact
    return rounded_to_odd(product, np.asarray(c, np.float64)).astype(np.float32)


def fma_f16(a, b, c):
    product = a.astype(np.float64) * b.astype(np.float64)
    return rounded_to_odd(product, c.astype(np.float64)).astype(np.float16)


def fma_f64(a, b, c):
    a, b, c = np.broadcast_arrays(a, b, c)
    return np.array([_LIBM.fma(x, y, z) for x, y, z in zip(a.tolist(), b.tolist(), c.tolist())], np.float64)


def exp2_f32(x):
    """ex2.approx.ftz.f32 as the emulator has it: the C library's 2ˣ, subnormals 0 on both sides."""
    tiny = np.float32(2.0**-126)
    x = np.where(np.abs(x) < tiny, np.float32(0), x)
    power = np.array([_LIBM.exp2f(v) for v in x.tolist()], np.float32)
    return np.where(power < tiny, np.float32(0), power)


def bf16_bits(x):
    bits = x.view(np.uint32)
    rounded = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(x), np.uint16(0x7FFF), rounded)


def f16_bits(x):
    return np.where(np.isnan(x), np.uint16(0x7FFF), x.astype(np.float16).view(np.uint16))


def bf16_values(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


def to_whole(x, kind):
    """Floating point that has been made whole to whole numbers of `kind`: the nearest that there are, NaN 0."""
    info = np.iinfo(kind)
    x = np.where(np.isnan(x), 0, x).astype(np.float64)
    inside = np.clip(x, float(info.min), float(info.max))
    top = inside >= float(info.max)  # which f64 may have rounded up
    return np.where(top, info.max, np.where(top, 0, inside).astype(kind)).astype(kind)


def mul_high_u64(a, b):
    mask = np.uint64(0xFFFFFFFF)
    s = np.uint64(32)
    a0, a1, b0, b1 = a & mask, a >> s, b & mask, b >> s
    middle = a1 * b0 + (a0 * b0 >> s)
    other = a0 * b1 + (middle & mask)
    return a1 * b1 + (middle >> s) + (other >> s)


def divide(a, b, kind):
    """Towards zero; what is divided by zero has all bits set."""
    zero = b == 0
    safe = np.where(zero, kind(1), b)
    if np.issubdtype(kind, np.unsignedinteger):
        quotient = a // safe
    else:
        quotient = (np.sign(a) * np.sign(safe) * (np.abs(a) // np.abs(safe))).astype(kind)
    return np.where(zero, kind(~kind(0)), quotient)


def permute(a, b, selector):
    """prmt.b32: byte by byte, bit 3 of a selector's digit spreads the byte's sign."""
    both = a.astype(np.uint64) | b.astype(np.uint64) << np.uint64(32)
    result = np.zeros_like(both)
    for place in range(4):
        digit = (np.asarray(selector).astype(np.uint64) >> np.uint64(4 * place)) & np.uint64(15)
        byte = both >> ((digit & np.uint64(7)) * np.uint64(8)) & np.uint64(0xFF)
        sign = np.where(byte & np.uint64(0x80), np.uint64(0xFF), np.uint64(0))
        result |= np.where(digit & np.uint64(8), sign, byte) << np.uint64(8 * place)
    return result.astype(np.uint32)


def lookup(a, b, c, table):
    """lop3.b32: bit i of the table is the result where a, b and c have the bits of i."""
    result = None
    for i in range(8):
        if table >> i & 1:
            term = (a if i & 4 else ~a) & (b if i & 2 else ~b) & (c if i & 1 else ~c)
            result = term if result is None else result | term
    return np.zeros_like(a) if result is None else result


def leading_zeros(x, bits):
    count = np.full(x.shape, bits, np.uint32)
    for bit in range(bits):
        count = np.where(x >> x.dtype.type(bit) & x.dtype.type(1), np.uint32(bits - 1 - bit), count)
    return count


def reversed_bits(x):
    result = np.zeros_like(x)
    for bit in range(32):
        result |= (x >> np.uint32(bit) & np.uint32(1)) << np.uint32(31 - bit)
    return result


def product_16_8_16(a, b, decode):
    """mma.m16n8k16 of whole warps: `a` four and `b` two arrays [warps, 32] of pairs. Returns four of f32.

    Fragments as the PTX ISA has them; sums in f32 with k ascending from 0, as the emulator adds (the hardware's order is its own).
    """
    warps = a[0].shape[0]

    def eights(pairs):  # [warps, group, 8 columns]
        return decode(np.ascontiguousarray(pairs).view(np.uint16)).reshape(warps, 8, 8)

    left = np.empty((warps, 16, 16), np.float32)
    left[:, :8, :8], left[:, 8:, :8] = eights(a[0]), eights(a[1])
    left[:, :8, 8:], left[:, 8:, 8:] = eights(a[2]), eights(a[3])
    right = np.concatenate([eights(b[0]), eights(b[1])], 2)  # [warps, column, k]
    sums = np.zeros((warps, 16, 8), np.float32)
    for k in range(16):
        sums += left[:, :, k, None] * right[:, None, :, k]
    pairs = sums.reshape(warps, 2, 8, 4, 2)  # rows + 0 or 8, group, member, column
    return [pairs[:, half, :, :, column].reshape(warps, 32) for half in (0, 1) for column in (0, 1)]
