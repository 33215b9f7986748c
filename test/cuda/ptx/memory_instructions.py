"""Loads, stores, atomics and async copies: part of a Machine."""

import numpy as np

from memory import UNSIGNED
from operations import KINDS
from parse import WIDTHS, Fault
from warp_instructions import WARP

#: Of loads and stores: how they are cached, or ordered among themselves, which changes nothing in one schedule.
HINTS = {"volatile", "relaxed", "weak", "gpu", "cta", "sys", "nc", "ca", "cg", "cs", "lu", "cv", "wb", "wt"}


class MemoryInstructions:
    def _count_wavefronts(self, lanes, offsets, size):
        """Adds the wavefronts of an access of shared memory, of `size` bytes a lane, and the fewest that it could take.

        32 lanes at a time, 16 of 8 bytes, 8 of 16: in one wavefront each of the 32 banks gives one word, to all lanes that want it.
        """
        lanes = np.arange(self.count) if lanes is None else lanes
        unit = max(size, 4)
        units = (offsets - self.block_of[lanes] * self.shared.stride) // unit
        slots = 128 // unit
        phases = lanes // min(WARP, slots)
        different = np.unique((phases * slots + units % slots) * (1 << 20) + units)
        banks, counts = np.unique(different >> 20, return_counts=True)
        first = np.flatnonzero(np.diff(banks // slots, prepend=-1))
        self.wavefronts += np.array([np.maximum.reduceat(counts, first).sum(), len(first)])

    def _bind_ld(self, instruction):
        space, vector, kind = _access(instruction.op)
        target, source = instruction.operands
        targets = [self._target(part) for part in (target.parts if vector > 1 else (target,))]
        width, dtype = WIDTHS[kind] // 8, KINDS[kind]
        if len(targets) != vector:
            raise Fault("a vector of another length")
        if space == "param" and not self._is_register(source.base):
            at = self.addresses[source.base.name] + source.offset
            values = np.frombuffer(self.arguments[at : at + width * vector], dtype)

            def constants(lanes):
                for write, value in zip(targets, values, strict=True):
                    write(lanes, value)

            return "plain", constants
        address, unsigned = self._address(source), UNSIGNED[width]
        if space == "param":

            def arguments(lanes):
                places = address(lanes).astype(np.int64) // width
                for i, write in enumerate(targets):
                    write(lanes, self.constants[width][places + i].view(dtype))

            return "lanes", arguments

        def load(lanes):
            flat, offsets = self._offsets(space, lanes, address(lanes), width * vector)
            if flat is self.shared:
                self._count_wavefronts(lanes, offsets, width * vector)
            elif flat is self.memory:
                self.counts["loaded"] += len(offsets) * width * vector
            for i, write in enumerate(targets):
                write(lanes, flat.load(offsets + i * width, width).astype(unsigned, copy=False).view(dtype))

        return "lanes", load

    def _bind_st(self, instruction):
        space, vector, kind = _access(instruction.op)
        target, source = instruction.operands
        parts = source.parts if vector > 1 else (source,)
        width = WIDTHS[kind] // 8
        sources = [self._source(part, f"b{width * 8}") for part in parts]
        if len(sources) != vector or space == "param":
            raise Fault("no store that is known here")
        address = self._address(target)

        def store(lanes):
            flat, offsets = self._offsets(space, lanes, address(lanes), width * vector)
            if flat is self.shared:
                self._count_wavefronts(lanes, offsets, width * vector)
            elif flat is self.memory:
                self.counts["stored"] += len(offsets) * width * vector
            for i, part in enumerate(sources):
                flat.store(offsets + i * width, width, part(lanes))

        return "lanes", store

    def _bind_atom(self, instruction):
        base, *modifiers, kind = instruction.op.split(".")
        space = next((m for m in modifiers if m in ("global", "shared")), "generic")
        (name,) = [m for m in modifiers if m not in ("global", "shared", "relaxed", "gpu", "cta")] or [None]
        functions = {"add": lambda old, x: old + x, "min": min, "max": max, "exch": lambda old, x: x}
        functions |= {"or": lambda old, x: old | x, "and": lambda old, x: old & x}
        if name not in functions or kind[0] not in "bus":
            raise Fault("no instruction that is known here")
        function, width, dtype = functions[name], WIDTHS[kind] // 8, KINDS[kind]
        operands = list(instruction.operands)
        write = self._target(operands.pop(0)) if base == "atom" else None
        address, source = self._address(operands[0]), self._source(operands[1], kind)

        def run(lanes):
            flat, offsets = self._offsets(space, lanes, address(lanes), width)
            view, places = flat.views[width].view(dtype), (offsets // width).tolist()
            given = np.broadcast_to(source(lanes), offsets.shape)
            if name == "add" and write is None:
                np.add.at(view, places, given)
                return
            olds = []
            for place, value in zip(places, given):  # in the order of the lanes
                old = view[place]
                olds.append(old)
                view[place] = function(old, value)
            if write is not None:
                write(lanes, np.array(olds, dtype))

        return "lanes", run

    _bind_red = _bind_atom

    def _bind_cp(self, instruction):
        op, operands = instruction.op, instruction.operands
        if op == "cp.async.commit_group":
            return "lanes", self._commit
        if op in ("cp.async.wait_group", "cp.async.wait_all"):
            left = operands[0].value if operands else 0
            return "lanes", lambda lanes: self._arrive(lanes, left)
        if op.removesuffix(".L2::cache_hint") != "cp.async.cg.shared.global" or operands[2].value != 16:
            raise Fault("no instruction that is known here")
        to, source, size = self._address(operands[0]), self._address(operands[1]), self._source(operands[3], "u32")

        def copy(lanes):
            lanes = np.arange(self.count) if lanes is None else lanes
            _, offsets = self._offsets("shared", lanes, to(lanes), 16)
            self._count_wavefronts(lanes, offsets, 16)
            sizes = np.broadcast_to(size(lanes), offsets.shape)
            if not np.isin(sizes, (0, 16)).all():
                raise Fault("an async copy of a part of its bytes")
            data = np.zeros((len(lanes), 2), np.uint64)
            there = sizes == 16
            self.counts["copied"] += 16 * int(there.sum())
            if there.any():
                places = self.memory.offsets(source(lanes)[there], 16)
                data[there] = np.stack([self.memory.load(places + 8 * i, 8) for i in (0, 1)], 1)
            self.pending.append((lanes, offsets, data, self.groups[lanes]))

        return "lanes", copy

    def _commit(self, lanes):
        self.groups[slice(None) if lanes is None else lanes] += 1

    def _arrive(self, lanes, left):
        here = np.zeros(self.count, np.bool_)
        here[slice(None) if lanes is None else lanes] = True
        kept = []
        for of, offsets, data, group in self.pending:
            arrives = here[of] & (group < self.groups[of] - left)
            for i in (0, 1):
                self.shared.store(offsets[arrives] + 8 * i, 8, data[arrives, i])
            if not arrives.all():
                kept.append((of[~arrives], offsets[~arrives], data[~arrives], group[~arrives]))
        self.pending = kept


def _access(op):
    """Space, length of the vector and type of a load or store."""
    _, *modifiers, kind = op.split(".")
    space, vector = "generic", 1
    for modifier in modifiers:
        if modifier in ("global", "shared", "param", "local"):
            space = modifier
        elif modifier in ("v2", "v4"):
            vector = int(modifier[1])
        elif modifier not in HINTS and not modifier.startswith(("L1::", "L2::")):
            raise Fault(f"{op}: no access that is known here")
    return space, vector, kind
