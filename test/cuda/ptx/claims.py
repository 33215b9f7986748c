"""What launches move and multiply, as docs/cuda-kernels.md says of their kernels: formulas of shapes, which replay.py holds against what
the interpreter counts.

Counts of a launch: bytes `copied` from global to shared memory (cp.async), `loaded` from global memory to registers and `stored` there, as
the threads ask for them, whatever caches make of it; and `mma`, instructions of 2 · 16 · 8 · 16 flops. A claim names those that follow from
shapes and positions; what kernels load besides (positions, pages, scales) is in none.
"""

import re

import numpy as np

COUNTS = ("copied", "loaded", "stored", "mma")
VIEW_BYTES = 40  # native/cuda/op_call.h: data, dtype, dims [4], bound, scales
PAGE_KEYS, CHUNK_KEYS, SAMPLE_BLOCK = 64, 256, 512
DTYPE_BYTES = {0: 4, 1: 2, 2: 2, 4: 1}  # f32, f16, bf16, i8 (native/core/formats.inc)
SUPER_BYTES = {5: 2048 + 128, 6: 1536 + 128, 7: 1024 + 128}  # q8, q6, q4 (native/cuda/kernels/packed.h)
Q4 = 7


def up(count, unit):
    return -(-count // unit)


class Launch:
    """Arguments of a recorded launch, and what its memory held before."""

    def __init__(self, launch, memory):
        self.arguments = [bytes.fromhex(text) for text in launch["arguments"]]
        self.grid, self.memory = launch["grid"], memory

    def number(self, argument, at=0, size=4):
        return int.from_bytes(self.arguments[argument][at : at + size], "little")

    def last(self, count):
        return [self.number(i) for i in range(len(self.arguments) - count, len(self.arguments))]

    def dims(self, argument, view=0):
        return [self.number(argument, view + 12 + 4 * i) for i in range(4)]

    def element_bytes(self, argument, view=0):
        return DTYPE_BYTES[self.number(argument, view + 8, 1)]

    def ids(self, argument, view, count):
        """So many i32 of a view."""
        address = self.number(argument, view, 8)
        return np.frombuffer(self.memory(address, 4 * count), np.int32)


def product(launch, match):
    packed, tiles_of_tokens, inline = match["format"], int(match["tiles"]), match["inline"] == "true"
    depth, tokens, tiles = launch.last(3)
    groups = up(tokens, 8 * tiles_of_tokens)
    if packed is not None:
        supers, dtype = up(depth, 256), int(packed)
        return {
            "copied": tiles * groups * 2 * supers * SUPER_BYTES[dtype],
            "mma": tiles * groups * supers * tiles_of_tokens * (16 + (dtype == Q4)),
        }
    stages = up(depth, 64)
    activations = tiles * tokens * stages * 128 if not inline and tiles_of_tokens <= 2 else 0
    return {"copied": tiles * groups * 16 * depth * 2 + activations, "mma": tiles * groups * stages * 4 * tiles_of_tokens}


def dense(launch, _):
    depth, tokens, tiles = launch.last(3)
    blocks, stages = up(tiles, 8) * up(tokens, 64), up(depth, 64)
    return {"copied": blocks * (128 * depth * 2 + 64 * stages * 128), "mma": blocks * stages * 8 * 8 * 4}


def wide(launch, match):
    depth, tokens, tiles = launch.last(3)
    supers, dtype, rows = up(depth, 256), int(match["format"]), up(tiles, 8)
    blocks, sums = rows * up(tokens, 64), 32 * (dtype == Q4)
    return {
        "copied": blocks * 16 * supers * SUPER_BYTES[dtype] + rows * tokens * supers * (512 + sums),
        "mma": blocks * 8 * supers * 8 * (16 + (dtype == Q4)),
    }


def plain_product(launch, match):
    """Of StoreOp {b, residual, out} and SwigluOp {gate, up, out}: a Matrix has data, dtype, rows, depth and scales, in 32 bytes."""
    (tiles, groups, _), (depth, tokens), rows = launch.grid, launch.last(2), launch.number(0, 12)
    weights = tiles * groups * 16 * depth * DTYPE_BYTES[launch.number(0, 8, 1)]
    residual = tokens * rows * 4 if match["op"] == "StoreOp" and launch.number(0, 32, 8) else 0
    return {"loaded": weights + tiles * 8 * tokens * depth * 4 + residual, "stored": tokens * rows * 4}


def scaled_half(launch, _):
    (rows, *_), columns = launch.grid, launch.number(1)
    return {"loaded": rows * columns * 4, "stored": rows * (columns * 2 + 4)}


def repack(launch, match):
    (supers, octets, _), depth, dtype = launch.grid, launch.number(0, 8), int(match["format"])
    if dtype == Q4:
        return {"stored": octets * supers * (1024 + 17 * 32)}
    return {"stored": octets * (supers * (2048 + 128) + up(depth, 32) * 32)}


def narrow(launch, match):
    (tokens, *_), depth = launch.grid, launch.number(1)
    width, norm = up(depth, 256) * 256, launch.number(0, 8, 8)
    sums = width // 32 * 4 if match["narrow"] == "1" else 0
    of_norm = DTYPE_BYTES[launch.number(0, 16, 1)] if norm else 0
    return {"loaded": tokens * depth * (4 + of_norm), "stored": tokens * (width * 2 + sums + 4)}


def normed(launch, _):
    tokens, depth = launch.grid[0], launch.number(1)
    return {"loaded": tokens * depth * (8 + DTYPE_BYTES[launch.number(0, 16, 1)]), "stored": tokens * depth * 4}


def norm(launch, _):
    rows, width = launch.dims(0)[:2]
    return {"loaded": rows * width * (8 + launch.element_bytes(1)), "stored": rows * width * 4}


def elements(launch, _):
    count = launch.number(3, 0, 8)
    return {"loaded": 8 * count, "stored": 4 * count}


def rope(launch, _):
    rows, width = launch.dims(0)[:2]
    return {"loaded": rows * width * 8, "stored": rows * width * 4}


def angles(launch, _):
    rows, half = launch.dims(2)[:2]
    return {"stored": rows * half * 8}


def gather(launch, _):
    rows, width = launch.dims(2)[:2]
    return {"stored": rows * width * 4}


def gather_norm(launch, _):
    rows, width = launch.dims(3)[:2]
    return {"stored": 2 * rows * width * 4}


def cached(launch, argument, at, tokens):
    """Of a Cache: heads, features and bytes of an element; slots and positions of the tokens."""
    _, heads, size, _ = launch.dims(argument, at)
    slots, positions = (launch.ids(argument, at + i * VIEW_BYTES, tokens) for i in (4, 5))
    return heads, size, launch.element_bytes(argument, at), slots, positions


def append(launch, _):
    heads, size, width, slots, positions = cached(launch, 2, 0, launch.grid[0])
    rows = int(((slots >= 0) & (positions >= 0)).sum())
    return {"stored": rows * heads * size * 2 * width}


def append_codes(launch, _):
    heads, size, _, slots, positions = cached(launch, 2, 0, launch.grid[0])
    rows = int(((slots >= 0) & (positions >= 0)).sum())
    return {"stored": rows * heads * 2 * (size + 4)}


def attention_of(launch):
    """Of an AttentionCall: tokens, query heads to a key/value head, and its cache."""
    tokens, group = launch.number(0, 16 + 7 * VIEW_BYTES), launch.number(0, 20 + 7 * VIEW_BYTES)
    return tokens, group, *cached(launch, 0, 16, tokens)


def chunks(launch, _):
    _, _, heads, size, width, slots, positions = attention_of(launch)
    pages = sum(int(p) // PAGE_KEYS + 1 for s, p in zip(slots, positions) if s >= 0 and p >= 0) * heads * launch.last(1)[0]
    return {"copied": pages * 2 * size * PAGE_KEYS * width, "mma": pages * size}


def prompt(launch, _):
    tokens, group, heads, size, _, slots, positions = attention_of(launch)
    pages = 0
    for first_row in range(0, tokens * group, 16):
        first, last = first_row // group, (min(first_row + 16, tokens * group) - 1) // group
        while first <= last:
            behind = first
            while behind <= last and slots[behind] == slots[first]:
                behind += 1
            if slots[first] >= 0:
                pages += (int(positions[first:behind].max()) + PAGE_KEYS) // PAGE_KEYS
            first = behind
    return {"mma": pages * heads * (size // 64) * (size // 2 + 32)}


def merge(launch, _):
    tokens, group, heads, size, _, slots, positions = attention_of(launch)
    few = launch.number(2, 0, 1)
    rows = sum(1 for s, p in zip(slots, positions) if s < 0 or p < 0 or not few or p >= CHUNK_KEYS)
    return {"stored": rows * heads * group * size * 4}


def plain_attention(launch, _):
    tokens, group, heads, size, _, slots, positions = attention_of(launch)
    if launch.grid[2] != tokens:
        return None  # a part of the rows: the others are another launch's
    chunks = sum(int(p) // CHUNK_KEYS + 1 for s, p in zip(slots, positions) if s >= 0 and p >= 0)
    return {"stored": chunks * heads * group * (size * 4 + 8)}


def resume(launch, _):
    return {"stored": launch.dims(0, VIEW_BYTES)[0] * 12}


def scan(launch, _):
    rows, vocabulary = launch.dims(0)[:2]
    blocks = up(vocabulary, SAMPLE_BLOCK)
    return {"loaded": rows * blocks * (SAMPLE_BLOCK + 32) * 4, "stored": rows * blocks * 8}


def sums(launch, _):
    rows, vocabulary = launch.dims(0)[:2]
    return {"stored": rows * up(vocabulary, SAMPLE_BLOCK) * 4}


FORMAT = r"(?:DenseFormat|PackedFormat<\(DType\)(?P<format>\d)>)"
CLAIMS = {
    rf"productKernel<{FORMAT}, (?P<tiles>\d), (?P<inline>\w+), \w+>": product,
    r"denseKernel<\w+>": dense,
    rf"wideKernel<{FORMAT}, \w+>": wide,
    r"plainProductKernel<(?P<op>StoreOp|SwigluOp)>": plain_product,
    r"repackKernel<\(DType\)(?P<format>\d)>": repack,
    r"scaledHalfKernel": scaled_half,
    r"narrowKernel<\(Narrow\)(?P<narrow>\d)>": narrow,
    r"normedKernel": normed,
    r"normKernel": norm,
    r"elementsKernel<\w+>": elements,
    r"ropeKernel": rope,
    r"anglesKernel": angles,
    r"gatherKernel": gather,
    r"gatherNormKernel": gather_norm,
    r"appendKernel": append,
    r"appendCodesKernel": append_codes,
    r"plainKernel": plain_attention,
    r"resumeKernel": resume,
    r"chunkKernel<\d+>": chunks,
    r"promptKernel<\d+>": prompt,
    r"mergeKernel": merge,
    r"scanKernel": scan,
    r"sumKernel": sums,
}


def claimed(name, launch, memory):
    """What is claimed of a launch of kernel `name`; None: nothing. `memory(address, bytes)`: what lay there before."""
    for pattern, claim in CLAIMS.items():
        if match := re.fullmatch(pattern, name):
            return claim(Launch(launch, memory), match)
    return None
