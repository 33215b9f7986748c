"""What instructions that touch only registers compute: by their full name, so that one of another type is unknown, and a fault."""

import re

import numpy as np

import arithmetic as num
from parse import Fault

INTEGERS = {f"{k}{b}": getattr(np, f"{'int' if k == 's' else 'uint'}{b}") for k in "us" for b in (8, 16, 32, 64)}
BITS = {f"b{b}": getattr(np, f"uint{b}") for b in (8, 16, 32, 64)}
KINDS = INTEGERS | BITS | {"f16": np.float16, "f32": np.float32, "f64": np.float64, "pred": np.bool_}
KINDS |= {"bf16": np.uint16, "bf16x2": np.uint32, "f16x2": np.uint32}
WIDER = {"u16": "u32", "s16": "s32", "u32": "u64", "s32": "s64"}

#: name → (type of the result, types of the operands, function)
TABLE = {}


def define(name, result, operands, function):
    TABLE[name] = (result, operands, function)


def _integers():
    for name in ("u16", "s16", "u32", "s32", "u64", "s64"):
        kind, plain = KINDS[name], "b" + name[1:]  # sums and lower halves are the same with and without a sign
        define(f"add.{name}", plain, (plain,) * 2, np.add)
        define(f"sub.{name}", plain, (plain,) * 2, np.subtract)
        define(f"mul.lo.{name}", plain, (plain,) * 2, np.multiply)
        define(f"mad.lo.{name}", plain, (plain,) * 3, lambda a, b, c: a * b + c)
        define(f"min.{name}", name, (name,) * 2, np.minimum)
        define(f"max.{name}", name, (name,) * 2, np.maximum)
        define(f"div.{name}", name, (name,) * 2, lambda a, b, k=kind: num.divide(a, b, k))
        define(f"rem.{name}", name, (name,) * 2, lambda a, b, k=kind: a - num.divide(a, b, k) * b)
    for name, wider in WIDER.items():
        wide = KINDS[wider]
        define(f"mul.wide.{name}", wider, (name,) * 2, lambda a, b, w=wide: _as(a, w) * _as(b, w))
        define(f"mad.wide.{name}", wider, (name, name, wider), lambda a, b, c, w=wide: _as(a, w) * _as(b, w) + c)
    for name in ("u32", "s32"):
        wide = KINDS[WIDER[name]]
        high = lambda a, b, w=wide, k=KINDS[name]: (_as(a, w) * _as(b, w) >> w(32)).astype(k)  # noqa: E731
        define(f"mul.hi.{name}", name, (name,) * 2, high)
        define(f"mad.hi.{name}", name, (name,) * 3, lambda a, b, c, h=high: h(a, b) + c)
    define("mul.hi.u64", "u64", ("u64",) * 2, num.mul_high_u64)
    for name in ("s16", "s32", "s64"):
        define(f"neg.{name}", name, (name,), np.negative)
        define(f"abs.{name}", name, (name,), np.abs)
    for name in ("b16", "b32", "b64", "pred"):
        define(f"and.{name}", name, (name,) * 2, np.bitwise_and)
        define(f"or.{name}", name, (name,) * 2, np.bitwise_or)
        define(f"xor.{name}", name, (name,) * 2, np.bitwise_xor)
        define(f"not.{name}", name, (name,), np.invert)
    for bits in (16, 32, 64):
        for kind in "bus":
            of = "s" if kind == "s" else "u"
            define(f"shr.{kind}{bits}", f"{of}{bits}", (f"{of}{bits}", "u32"), _shift_right)
        define(f"shl.b{bits}", f"b{bits}", (f"b{bits}", "u32"), _shift_left)
    for bits in (32, 64):
        define(f"popc.b{bits}", "u32", (f"b{bits}",), lambda a: np.bitwise_count(a).astype(np.uint32))
        define(f"clz.b{bits}", "u32", (f"b{bits}",), lambda a, n=bits: num.leading_zeros(a, n))
    # What a cache is told of an access changes nothing that is computed.
    define("createpolicy.fractional.L2::evict_first.b64", "b64", ("f32",), lambda share: np.zeros_like(share, np.uint64))
    define("brev.b32", "b32", ("b32",), num.reversed_bits)
    define("prmt.b32", "b32", ("b32", "b32", "b32"), num.permute)
    define("bfe.u32", "u32", ("u32", "u32", "u32"), lambda a, b, c: a >> (b & 31) & _mask(c))
    for bits in (32, 64):
        define(f"bfi.b{bits}", f"b{bits}", (f"b{bits}", f"b{bits}", "u32", "u32"), _insert)
    define("bfind.shiftamt.u32", "u32", ("u32",), lambda a: np.where(a == 0, ~np.uint32(0), num.leading_zeros(a, 32)))
    define("shf.l.wrap.b32", "b32", ("b32", "b32", "u32"), lambda a, b, c: _funnel(a, b, 32 - (c & 31)))
    define("shf.r.wrap.b32", "b32", ("b32", "b32", "u32"), lambda a, b, c: _funnel(a, b, c & 31))
    define("shf.r.clamp.b32", "b32", ("b32", "b32", "u32"), lambda a, b, c: _funnel(a, b, np.minimum(c, 32)))


def _floats():
    for name in ("f32", "f64"):
        for rounding in ("", ".rn"):
            define(f"add{rounding}.{name}", name, (name,) * 2, np.add)
            define(f"sub{rounding}.{name}", name, (name,) * 2, np.subtract)
            define(f"mul{rounding}.{name}", name, (name,) * 2, np.multiply)
        define(f"div.rn.{name}", name, (name,) * 2, np.divide)
        define(f"rcp.rn.{name}", name, (name,), lambda a: a.dtype.type(1) / a)
        define(f"sqrt.rn.{name}", name, (name,), np.sqrt)
        define(f"neg.{name}", name, (name,), np.negative)
        define(f"abs.{name}", name, (name,), np.abs)
        define(f"min.{name}", name, (name,) * 2, np.fmin)
        define(f"max.{name}", name, (name,) * 2, np.fmax)
    define("fma.rn.f32", "f32", ("f32",) * 3, num.fma_f32)
    define("fma.rn.f64", "f64", ("f64",) * 3, num.fma_f64)
    define("ex2.approx.ftz.f32", "f32", ("f32",), num.exp2_f32)
    define("fma.rn.f16x2", "b32", ("b32",) * 3, _fma_of_pairs)


def _comparisons():
    ordered = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal}
    ordered |= {"gt": np.greater, "ge": np.greater_equal}
    for name in ("u16", "s16", "u32", "s32", "u64", "s64", "b16", "b32", "b64"):
        for relation, function in ordered.items():
            if name[0] != "b" or relation in ("eq", "ne"):
                define(f"setp.{relation}.{name}", "pred", (name,) * 2, function)
    unsigned = {"lo": "lt", "ls": "le", "hi": "gt", "hs": "ge"}
    for name in ("u16", "u32", "u64"):
        for relation, same in unsigned.items():
            define(f"setp.{relation}.{name}", "pred", (name,) * 2, ordered[same])
    for name in ("f32", "f64"):
        for relation, function in ordered.items():
            exact = (lambda a, b: (a < b) | (a > b)) if relation == "ne" else function
            define(f"setp.{relation}.{name}", "pred", (name,) * 2, exact)
            unordered = lambda a, b, f=exact: f(a, b) | np.isnan(a) | np.isnan(b)  # noqa: E731
            define(f"setp.{relation}u.{name}", "pred", (name,) * 2, unordered)
        define(f"setp.nan.{name}", "pred", (name,) * 2, lambda a, b: np.isnan(a) | np.isnan(b))
        define(f"setp.num.{name}", "pred", (name,) * 2, lambda a, b: ~(np.isnan(a) | np.isnan(b)))
    for name, function in (("and", np.bitwise_and), ("or", np.bitwise_or), ("xor", np.bitwise_xor)):
        for key, (_, operands, compare) in list(TABLE.items()):
            match = re.fullmatch(r"setp\.(\w+)\.(\w+)", key)
            if match:
                combined = lambda a, b, p, c=compare, f=function: f(c(a, b), p)  # noqa: E731
                define(f"setp.{match[1]}.{name}.{match[2]}", "pred", (*operands, "pred"), combined)
    for name in ("b16", "b32", "b64", "u16", "s16", "u32", "s32", "u64", "s64", "f32", "f64"):
        define(f"selp.{name}", name, (name, name, "pred"), lambda a, b, p: np.where(p, a, b))
        define(f"mov.{name}", name, (name,), lambda a: a)
    define("mov.pred", "pred", ("pred",), lambda a: a)


def _conversions():
    whole = [name for name in INTEGERS if name]
    for target in whole:
        for source in whole:
            define(f"cvt.{target}.{source}", target, (source,), lambda a, k=KINDS[target]: _as(a, k))
        for source in ("f32", "f64"):
            for rounding, function in (("rzi", np.trunc), ("rni", np.rint), ("rmi", np.floor), ("rpi", np.ceil)):
                convert = lambda a, k=KINDS[target], f=function: num.to_whole(f(a), k)  # noqa: E731
                define(f"cvt.{rounding}.{target}.{source}", target, (source,), convert)
            define(f"cvt.rn.{source}.{target}", source, (target,), lambda a, k=KINDS[source]: _as(a, k))
    for name in ("f32", "f64"):
        for rounding, function in (("rzi", np.trunc), ("rni", np.rint), ("rmi", np.floor), ("rpi", np.ceil)):
            define(f"cvt.{rounding}.{name}.{name}", name, (name,), function)
    define("cvt.f64.f32", "f64", ("f32",), lambda a: _as(a, np.float64))
    define("cvt.rn.f32.f64", "f32", ("f64",), lambda a: _as(a, np.float32))
    define("cvt.f32.f16", "f32", ("f16",), lambda a: _as(a, np.float32))
    define("cvt.rn.f16.f32", "b16", ("f32",), num.f16_bits)
    define("cvt.f32.bf16", "f32", ("b16",), num.bf16_values)
    define("cvt.rn.bf16.f32", "b16", ("f32",), num.bf16_bits)
    # The first operand is the upper half.
    define("cvt.rn.f16x2.f32", "b32", ("f32", "f32"), lambda a, b: _pair(num.f16_bits(b), num.f16_bits(a)))
    define("cvt.rn.bf16x2.f32", "b32", ("f32", "f32"), lambda a, b: _pair(num.bf16_bits(b), num.bf16_bits(a)))


def _as(a, kind):
    return np.asarray(a).astype(kind)


def _pair(low, high):
    return low.astype(np.uint32) | high.astype(np.uint32) << np.uint32(16)


def _halves(pairs):
    pairs = np.asarray(pairs, np.uint32)
    return [(pairs >> np.uint32(shift)).astype(np.uint16).view(np.float16) for shift in (0, 16)]


def _fma_of_pairs(a, b, c):
    (a0, a1), (b0, b1), (c0, c1) = (_halves(np.atleast_1d(x)) for x in (a, b, c))
    low, high = num.fma_f16(a0, b0, c0), num.fma_f16(a1, b1, c1)
    return _pair(*(np.where(np.isnan(x), np.uint16(0x7FFF), x.view(np.uint16)) for x in (low, high)))


def _shift_left(a, n):
    bits = a.dtype.itemsize * 8
    return np.where(n >= bits, a.dtype.type(0), a << np.minimum(n, bits - 1).astype(a.dtype))


def _shift_right(a, n):
    bits = a.dtype.itemsize * 8
    shifted = a >> np.minimum(n, bits - 1).astype(a.dtype)
    if np.issubdtype(a.dtype, np.signedinteger):
        return shifted
    return np.where(n >= bits, a.dtype.type(0), shifted)


def _mask(length, kind=np.uint32):
    bits = np.dtype(kind).itemsize * 8
    ones = (kind(1) << np.minimum(length, bits - 1).astype(kind)) - kind(1)
    return np.where(length >= bits, ~kind(0), ones)


def _insert(a, b, start, length):
    kind = b.dtype.type
    mask = _mask(length, kind) << start.astype(kind)
    return (b & ~mask) | (a << start.astype(kind) & mask)


def _funnel(low, high, by):
    both = _as(low, np.uint64) | _as(high, np.uint64) << np.uint64(32)
    return (both >> _as(by, np.uint64)).astype(np.uint32)


_integers()
_floats()
_comparisons()
_conversions()


def operation(op):
    """(result type, operand types, function) of an instruction; a Fault where nothing here knows it."""
    if op not in TABLE:
        raise Fault(f"{op}: no instruction that is known here")
    return TABLE[op]
