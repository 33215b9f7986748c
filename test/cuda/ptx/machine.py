"""Runs an entry of PTX, some blocks of a grid at a time, all of their threads in step: one array a register, one element a lane.

Lanes that are at one instruction run together, those that are the furthest behind first, so that they meet again behind a branch.
Barriers, shuffles, votes and products of matrices wait for the lanes that they are of; what never comes is a Fault. An async copy
arrives when its group is waited for, and not before. This is one schedule of many: races are looked for elsewhere.
"""

import numpy as np

import arithmetic as num
from claims import COUNTS
from memory import LOCAL_WINDOW, SHARED_WINDOW, UNSIGNED, WINDOW_BITS, Parts, of_lanes
from memory_instructions import MemoryInstructions
from operations import KINDS, operation
from parse import WIDTHS, Fault, Immediate, Register, Symbol, Vector
from warp_instructions import WARP, WarpInstructions

MOST_STEPS = 2_000_000  # of a launch: more is a loop without an end
NOTHING = {"membar.gl", "membar.cta", "fence.acq_rel.gpu", "griddepcontrol.wait", "griddepcontrol.launch_dependents"}


class Machine(MemoryInstructions, WarpInstructions):
    """Blocks `first` … of a launch. `memory` is Global; `arguments` are bytes, one each of the entry's parameters."""

    def __init__(self, entry, arguments, grid, block, dynamic_shared, memory, first, blocks):
        self.entry, self.memory, self.grid, self.block = entry, memory, grid, block
        threads = block[0] * block[1] * block[2]
        lanes = (threads + WARP - 1) // WARP * WARP
        self.count = lanes * blocks
        lane = np.arange(self.count)
        thread, self.block_of = lane % lanes, lane // lanes
        self.alive = thread < threads
        self.living = int(self.alive.sum())
        index = first + self.block_of
        self.specials = {
            "%laneid": lane % WARP,
            **{f"%tid.{a}": v for a, v in zip("xyz", _position(thread, block))},
            **{f"%ctaid.{a}": v for a, v in zip("xyz", _position(index, grid))},
            **{f"%ntid.{a}": np.full(self.count, n) for a, n in zip("xyz", block)},
            **{f"%nctaid.{a}": np.full(self.count, n) for a, n in zip("xyz", grid)},
        }
        self._place(dynamic_shared, blocks)
        self._pass(arguments)
        self.registers = {}
        self.carry = np.zeros(self.count, np.uint64)
        self.pending = []  # async copies: [lanes, offsets, bytes [lanes, n], group of the lane]
        self.groups = np.zeros(self.count, np.int64)  # committed
        self.waiting = np.full(self.count, -1)  # at a barrier: which
        self.steps = 0
        self.wavefronts = np.zeros(2, np.int64)  # of shared memory, and the fewest that its accesses could take
        self.counts = dict.fromkeys(COUNTS, 0)
        self.code = [self._bind(instruction) for instruction in entry.code]

    def _place(self, dynamic_shared, blocks):
        """Addresses of variables: those of known size one after another, then what the launch asked for."""
        self.addresses, sizes = {}, {"shared": 0, "local": 0}
        for name, variable in sorted(self.entry.variables.items(), key=lambda each: each[1].size is None):
            at = (sizes[variable.space] + variable.align - 1) // variable.align * variable.align
            self.addresses[name] = at
            sizes[variable.space] = at + (dynamic_shared if variable.size is None else variable.size)
        self.shared = Parts("shared", blocks, sizes["shared"])
        self.local = Parts("local", self.count, sizes["local"])

    def _pass(self, arguments):
        if [len(given) for given in arguments] != list(self.entry.params.values()):
            raise Fault(f"parameters of {list(self.entry.params.values())} bytes, arguments of {[len(a) for a in arguments]}")
        self.arguments = b""
        for name, given in zip(self.entry.params, arguments):
            self.addresses[name] = len(self.arguments)
            self.arguments += given.ljust((len(given) + 15) // 16 * 16, b"\0")
        self.constants = {width: np.frombuffer(self.arguments, kind) for width, kind in UNSIGNED.items()}

    # Operands

    def _register(self, name):
        if name == "_":
            return np.zeros(self.count, np.uint32)
        if name not in self.registers:
            bits = self.entry.bits_of(name)
            self.registers[name] = np.zeros(self.count, np.bool_ if bits == 1 else UNSIGNED[max(bits, 8) // 8])
        return self.registers[name]

    def _is_register(self, operand):
        if isinstance(operand, Symbol):  # names in asm need no %
            return operand.name in self.entry.registers
        return isinstance(operand, Register) and operand.name not in self.specials

    def _source(self, operand, kind):
        """A function of the lanes (None: all) that gives an operand as `kind`."""
        dtype = KINDS[kind]
        if isinstance(operand, Immediate):
            value = _immediate(operand, dtype)
            return lambda lanes: value
        if self._is_register(operand):
            register = self._register(operand.name)
            if register.dtype.itemsize != np.dtype(dtype).itemsize:
                if register.dtype.itemsize < np.dtype(dtype).itemsize:
                    raise Fault(f"{operand.name} is narrower than .{kind}")
                narrow = UNSIGNED[np.dtype(dtype).itemsize]
                return lambda lanes: of_lanes(register, lanes).astype(narrow).view(dtype)
            view = register.view(dtype)
            return lambda lanes: of_lanes(view, lanes)
        if isinstance(operand, Register):
            special = self.specials[operand.name].astype(dtype)
            return lambda lanes: of_lanes(special, lanes)
        if isinstance(operand, Symbol) and operand.name in self.addresses:
            address = dtype(self.addresses[operand.name])
            return lambda lanes: address
        raise Fault(f"operand {operand} as .{kind}")

    def _target(self, operand):
        """A function (lanes, values) that writes a register: values of fewer bits are extended by their sign, if they have one."""
        register = self._register(operand.name)

        def write(lanes, values):
            values = np.asarray(values)
            if values.dtype != register.dtype:
                if values.dtype.itemsize != register.dtype.itemsize:
                    wider = np.int64 if values.dtype.kind == "i" else np.uint64
                    values = values.astype(wider).astype(register.dtype)
                elif register.dtype != np.bool_:
                    values = np.atleast_1d(values).view(register.dtype)
            if lanes is None:
                register[:] = values
            else:
                register[lanes] = values

        return write

    def _address(self, operand):
        base = operand.base
        if isinstance(base, Immediate):
            raise Fault("an absolute address")
        if isinstance(base, Symbol) and not self._is_register(base):
            address = np.uint64(self.addresses[base.name] + operand.offset)
            return lambda lanes: np.full(self.count if lanes is None else len(lanes), address, np.uint64)
        register = self._register(base.name)
        offset = np.uint64(operand.offset % 2**64)
        if register.dtype == np.uint32:
            return lambda lanes: (of_lanes(register, lanes).astype(np.uint64) + offset) & np.uint64(0xFFFFFFFF)
        return lambda lanes: of_lanes(register, lanes) + offset

    def _offsets(self, space, lanes, addresses, size):
        if space == "generic":
            windows = np.unique(addresses >> np.uint64(WINDOW_BITS))
            if len(windows) > 1:
                raise Fault("a generic access of several memories at once")
            space = {LOCAL_WINDOW: "local", SHARED_WINDOW: "shared"}.get(int(windows[0]) << WINDOW_BITS, "global")
            addresses = addresses & np.uint64((1 << WINDOW_BITS) - 1)
        if space == "global":
            return self.memory, self.memory.offsets(addresses, size)
        if space == "local":
            parts = np.arange(self.count) if lanes is None else lanes
            return self.local, self.local.offsets(addresses, parts, size)
        return self.shared, self.shared.offsets(addresses, of_lanes(self.block_of, lanes), size)

    # Instructions: each becomes (what it does, how it runs: "plain" over all registers, "lanes" of its own, or by its name)

    def _bind(self, instruction):
        base = instruction.op.split(".")[0]
        build = getattr(self, f"_bind_{base}", None)
        try:
            how, run = ("plain", self._bind_plain(instruction)) if build is None else build(instruction)
        except Fault as fault:
            raise Fault(f"{instruction.text}: {fault}") from None
        predicate = instruction.predicate and self._register(instruction.predicate)
        return how, run, predicate, instruction

    def _bind_plain(self, instruction):
        op = instruction.op
        if op in NOTHING:
            return lambda lanes: None
        result, kinds, function = operation(op)
        target, *operands = instruction.operands
        if len(operands) != len(kinds):
            raise Fault(f"expected {len(kinds)} operands, got {len(operands)}")
        write, kind = self._target(target), KINDS[result]
        sources = [self._source(operand, kind) for operand, kind in zip(operands, kinds)]

        def run(lanes):
            values = function(*[source(lanes) for source in sources])
            if values.dtype != kind:
                raise Fault(f"gave {values.dtype}, not .{result}")
            write(lanes, values)

        return run

    def _bind_mov(self, instruction):
        target, source = instruction.operands
        if isinstance(target, Vector):
            bits = WIDTHS[instruction.op.split(".")[1]] // len(target.parts)
            whole = self._source(source, f"b{bits * len(target.parts)}")
            parts = [self._target(part) for part in target.parts]
            kind = KINDS[f"b{bits}"]

            def split(lanes):
                values = whole(lanes)
                for i, write in enumerate(parts):
                    write(lanes, (values >> values.dtype.type(i * bits)).astype(kind))

            return "plain", split
        if isinstance(source, Vector):
            bits = WIDTHS[instruction.op.split(".")[1]] // len(source.parts)
            parts = [self._source(part, f"b{bits}") for part in source.parts]
            write, kind = self._target(target), KINDS[f"b{bits * len(source.parts)}"]

            def join(lanes):
                write(lanes, sum(np.asarray(part(lanes)).astype(kind) << kind(i * bits) for i, part in enumerate(parts)))

            return "plain", join
        return "plain", self._bind_plain(instruction)

    def _bind_lop3(self, instruction):
        if instruction.op != "lop3.b32":
            raise Fault("no instruction that is known here")
        target, *operands, table = instruction.operands
        write, (a, b, c) = self._target(target), [self._source(operand, "b32") for operand in operands]
        return "plain", lambda lanes: write(lanes, num.lookup(a(lanes), b(lanes), c(lanes), table.value))

    def _bind_cvta(self, instruction):
        windows = {"global": 0, "shared": SHARED_WINDOW, "local": LOCAL_WINDOW}
        known = {f"cvta.{space}.u64": window for space, window in windows.items()}
        known |= {f"cvta.to.{space}.u64": -window for space, window in windows.items()}
        if instruction.op not in known:
            raise Fault("no instruction that is known here")
        write, source = self._target(instruction.operands[0]), self._source(instruction.operands[1], "u64")
        by = np.uint64(known[instruction.op] % 2**64)
        return "plain", lambda lanes: write(lanes, source(lanes) + by)

    def _bind_add(self, instruction):
        return self._with_carry(instruction, lambda a, b: a + b)

    def _bind_sub(self, instruction):
        return self._with_carry(instruction, lambda a, b: a - b)

    _bind_addc, _bind_subc = _bind_add, _bind_sub

    def _with_carry(self, instruction, function):
        base, *modifiers, kind = instruction.op.split(".")
        takes, gives = base.endswith("c"), "cc" in modifiers
        if not takes and not gives:
            return "plain", self._bind_plain(instruction)
        if kind not in ("u32", "s32", "u64", "s64", "b32", "b64"):
            raise Fault("no instruction that is known here")
        plain = KINDS["u" + kind[1:]]
        target, *operands = instruction.operands
        write, (a, b) = self._target(target), [self._source(operand, "u" + kind[1:]) for operand in operands]

        def run(lanes):
            x, y = np.asarray(a(lanes)), np.asarray(b(lanes))
            carry = of_lanes(self.carry, lanes).astype(plain) if takes else plain(0)
            first = function(x, y)
            second = function(first, carry)
            write(lanes, second)
            if gives:
                adds = base.startswith("add")
                out = ((first < x) | (second < first)) if adds else ((x < y) | (first < carry))
                self.carry[slice(None) if lanes is None else lanes] = out

        return "plain", run

    # Where to go on

    def _bind_bar(self, instruction):
        if instruction.op == "bar.warp.sync":
            return "warps", self._whole(instruction.operands[0])
        if instruction.op not in ("bar.sync", "barrier.sync") or instruction.operands != (Immediate(0),):
            raise Fault("no barrier that is known here")
        return "barrier", None

    _bind_barrier = _bind_bar

    def _bind_bra(self, instruction):
        return "branch", self.entry.labels[instruction.operands[0].name]

    def _bind_ret(self, instruction):
        return "exit", None

    _bind_exit = _bind_ret

    def run(self):
        self.at = {0: np.flatnonzero(self.alive)}  # lanes by where they are
        self.parked = {}  # lanes that wait for others of their warp
        with np.errstate(all="ignore"):
            while self.at:
                here = min(self.at)
                self._run_from(here, self.at.pop(here))
        if self.parked or (self.waiting >= 0).any():
            places = [self.entry.code[i].text for i in self.parked]
            raise Fault(f"threads wait for others that never come: {places or 'a barrier'}")

    def _run_from(self, here, lanes):
        behind = min(self.at, default=len(self.code))
        while len(lanes) > 0:
            if here == len(self.code):
                return self._leave(lanes)
            if here > behind or (here == behind and here in self.at):
                return self._add(here, lanes)
            self.steps += 1
            if self.steps > MOST_STEPS:
                raise Fault("a loop without an end")
            how, run, predicate, instruction = self.code[here]
            chosen = lanes
            if predicate is not None:
                holds = predicate[lanes] != instruction.negated
                if not holds.all():
                    chosen = lanes[holds]
            try:
                if how == "plain":
                    if len(chosen) > 0:
                        run(None if len(chosen) == self.living else chosen)
                elif how == "lanes":
                    if len(chosen) > 0:
                        run(None if len(chosen) == self.count else chosen)
                elif how == "branch":
                    if len(chosen) == len(lanes):
                        here = run
                        continue
                    if len(chosen) > 0:
                        self._add(run, chosen)
                        behind = min(self.at)
                        lanes = np.setdiff1d(lanes, chosen, assume_unique=True)
                elif how == "exit":
                    self._leave(chosen)
                    lanes = np.setdiff1d(lanes, chosen, assume_unique=True)
                elif chosen is not lanes:
                    raise Fault("a part of the threads leaves it out")
                elif how == "warps":
                    lanes = self._whole_warps(here, lanes)
                    if len(lanes) > 0:
                        run(lanes)
                else:
                    lanes = self._meet(here, lanes)
            except Fault as fault:
                raise Fault(f"{instruction.text}: {fault}") from None
            here += 1

    def _add(self, here, lanes):
        known = self.at.get(here)
        self.at[here] = lanes if known is None else np.union1d(known, lanes)

    def _whole_warps(self, here, lanes):
        """Those of `lanes` whose warps are there whole, but for threads that have ended; the others wait."""
        if here in self.parked:
            lanes = np.union1d(lanes, self.parked.pop(here))
        if len(lanes) == self.count:
            return lanes
        there = np.bincount(lanes // WARP, minlength=self.count // WARP)[lanes // WARP]
        whole = there == WARP
        if not whole.all():
            self.parked[here] = lanes[~whole]
        return lanes[whole]

    def _meet(self, here, lanes):
        """At a barrier: the lanes of blocks that are there whole."""
        if len(lanes) == self.living:
            return lanes
        self.waiting[lanes] = here
        return self._freed(here, np.unique(self.block_of[lanes]))

    def _freed(self, here, blocks):
        there = self.waiting >= 0
        waiting = np.bincount(self.block_of[there], minlength=self.block_of[-1] + 1)
        alive = np.bincount(self.block_of[self.alive], minlength=self.block_of[-1] + 1)
        full = [block for block in blocks if waiting[block] == alive[block]]
        lanes = np.flatnonzero(there & np.isin(self.block_of, full))
        if (self.waiting[lanes] != here).any():
            raise Fault("a block's threads are at several barriers")
        self.waiting[lanes] = -1
        return lanes

    def _leave(self, lanes):
        self._arrive(lanes, 0)
        self.alive[lanes] = False
        self.living -= len(lanes)
        blocks = np.unique(self.block_of[lanes])
        for here in np.unique(self.waiting[self.waiting >= 0]):
            freed = self._freed(here, blocks[np.isin(blocks, self.block_of[self.waiting == here])])
            if len(freed) > 0:
                self._add(int(here) + 1, freed)


def _position(index, size):
    return index % size[0], index // size[0] % size[1], index // (size[0] * size[1])


def _immediate(operand, dtype):
    if operand.bits is not None:
        if np.dtype(dtype).itemsize * 8 != operand.bits:
            raise Fault(f"a number of {operand.bits} bits")
        return np.array(operand.value, UNSIGNED[operand.bits // 8]).view(dtype)[()]
    if dtype == np.bool_:
        return np.bool_(operand.value)
    bits = np.dtype(dtype).itemsize * 8
    return np.array(operand.value % 2**bits, UNSIGNED[bits // 8]).view(dtype)[()]
