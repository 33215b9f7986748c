"""Instructions of whole warps, which run for lanes of complete ones, in their order: part of a Machine."""

import re

import numpy as np

import arithmetic as num
from parse import Fault, Vector

WARP = 32
EVERY_LANE = 0xFFFFFFFF


class WarpInstructions:
    def _whole(self, mask):
        """Checks that a mask names every lane."""
        source = self._source(mask, "b32")

        def check(lanes):
            if (source(lanes) != EVERY_LANE).any():
                raise Fault("a part of a warp")

        return check

    def _bind_shfl(self, instruction):
        match = re.fullmatch(r"shfl\.sync\.(bfly|up|down|idx)\.b32", instruction.op)
        target, *operands = instruction.operands
        if match is None:
            raise Fault("no shuffle that is known here")
        whole = self._whole(operands[-1])
        value, predicate = target.parts if isinstance(target, Vector) else (target, None)
        write, hit = self._target(value), predicate and self._target(predicate)
        a, (b, c) = self._source(operands[0], "b32"), [self._source(o, "b32") for o in operands[1:3]]
        how = match[1]

        def run(lanes):
            whole(lanes)
            given = np.broadcast_to(a(lanes), lanes.shape)
            lane = lanes % WARP
            by, clamp = (np.broadcast_to(x(lanes), lanes.shape).astype(np.int64) for x in (b, c))
            by &= 31
            segment, end = clamp >> 8 & 31, clamp & 31
            low, high = lane & segment, (lane & segment) | (end & ~segment)
            at = {"bfly": lane ^ by, "up": lane - by, "down": lane + by, "idx": low | (by & ~segment)}[how]
            inside = at >= high if how == "up" else at <= high
            at = np.where(inside, at, lane)
            write(lanes, given.reshape(-1, WARP)[np.arange(len(lanes)) // WARP, at])
            if hit is not None:
                hit(lanes, inside)

        return "warps", run

    def _bind_vote(self, instruction):
        target, predicate, mask = instruction.operands
        if instruction.op != "vote.sync.ballot.b32":
            raise Fault("no vote that is known here")
        whole = self._whole(mask)
        write, source = self._target(target), self._source(predicate, "pred")

        def run(lanes):
            whole(lanes)
            votes = np.broadcast_to(source(lanes), lanes.shape).reshape(-1, WARP).astype(np.uint64) << np.arange(WARP, dtype=np.uint64)
            write(lanes, np.repeat(votes.sum(1).astype(np.uint32), WARP))

        return "warps", run

    def _bind_mma(self, instruction):
        shape = "mma.sync.aligned.m16n8k16.row.col.f32"
        decoders = {
            f"{shape}.bf16.bf16.f32": num.bf16_values,
            f"{shape}.f16.f16.f32": lambda bits: bits.view(np.float16).astype(np.float32),
        }
        if instruction.op not in decoders:
            raise Fault("no product of matrices that is known here")
        d, a, b, c = (operand.parts for operand in instruction.operands)
        targets = [self._target(part) for part in d]
        a, b = ([self._source(part, "b32") for part in parts] for parts in (a, b))
        added, decode = [self._source(part, "f32") for part in c], decoders[instruction.op]

        def run(lanes):
            self.counts["mma"] += len(lanes) // WARP
            left, right = ([np.broadcast_to(x(lanes), lanes.shape).reshape(-1, WARP) for x in xs] for xs in (a, b))
            sums = [
                before(lanes) + product.reshape(-1) for before, product in zip(added, num.product_16_8_16(left, right, decode), strict=True)
            ]
            for write, total in zip(targets, sums):
                write(lanes, total)

        return "warps", run

    def _bind_ldmatrix(self, instruction):
        match = re.fullmatch(r"ldmatrix\.sync\.aligned\.m8n8\.x(\d)(\.trans)?\.shared(?:::cta)?\.b16", instruction.op)
        if match is None:
            raise Fault("no load of matrices that is known here")
        count, transposed = int(match[1]), match[2] is not None
        targets = [self._target(part) for part in instruction.operands[0].parts]
        address = self._address(instruction.operands[1])

        def run(lanes):  # lane 8 m + r has the address of row r of matrix m
            of = lanes.reshape(-1, WARP)[:, : 8 * count].reshape(-1)
            _, offsets = self._offsets("shared", of, address(of), 16)
            self._count_wavefronts(of, offsets, 16)
            rows = np.stack([self.shared.load(offsets + 2 * i, 2) for i in range(8)], 1).reshape(-1, count, 8, 8)
            if transposed:
                rows = rows.transpose(0, 1, 3, 2)
            pairs = np.ascontiguousarray(rows).view(np.uint32).reshape(-1, count, WARP)
            for i, write in enumerate(targets):
                write(lanes, pairs[:, i].reshape(-1))

        return "warps", run
