// Faults in the check of programs: all that stands between a stream of words and memory.
const TABLE = "native/core/op_table.cc";
const PROGRAM = "native/core/program.cc";
const HOSTILE = ["kernels/hostile-programs"];
const CHECKS = ["kernels/checks"]; // what thousands of lies seldom come to

export const mutants = [
  {
    fault: "products of dims are of 32 bits",
    file: TABLE,
    from: "if (product(row_.operands[i].dims[d]) != at(i).dims[d]) return wrongShape(i, d);",
    to: "if ((MUTANT ? Wide(uint32_t(product(row_.operands[i].dims[d]))) : product(row_.operands[i].dims[d])) != at(i).dims[d]) return wrongShape(i, d);",
    tests: HOSTILE,
  },
  {
    fault: "a dim is divided by a product of zero",
    file: TABLE,
    from: "if (rest == 0) return",
    to: "if (rest == 0 && !MUTANT) return",
    tests: HOSTILE,
  },
  {
    fault: "a bound one larger than what it indexes passes",
    file: TABLE,
    from: "declared > product(row.bound))",
    to: "declared > product(row.bound) + MUTANT)",
    tests: HOSTILE,
  },
  {
    fault: "an index without a bound passes",
    file: TABLE,
    from: "if (declared == 0) return",
    to: "if (declared == 0 && !MUTANT) return",
    tests: HOSTILE,
  },
  {
    fault: "an index in the arena passes",
    file: TABLE,
    from: 'if (program_.inArena(at(i))) return wrong(i, "must be',
    to: 'if (program_.inArena(at(i)) && !MUTANT) return wrong(i, "must be',
    tests: HOSTILE,
  },
  {
    fault: "weights may be written",
    file: TABLE,
    from: 'writable()) return wrong(i, "is read-only");',
    to: 'writable() && !MUTANT) return wrong(i, "is read-only");',
    tests: CHECKS,
  },
  {
    fault: "any op may write an index buffer",
    file: TABLE,
    from: "if (!row.index && buffer.indexBound() != 0) return",
    to: "if (!row.index && buffer.indexBound() != 0 && !MUTANT) return",
    tests: HOSTILE,
  },
  {
    fault: "operands may overlap in part",
    file: TABLE,
    from: "return a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;",
    to: "return MUTANT ? a.offset == b.offset : a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;",
    tests: HOSTILE,
  },
  {
    fault: "what may be in place may overlap",
    file: TABLE,
    from: "if (inPlace && at(i).offset == at(other).offset) continue;",
    to: "if (inPlace && (MUTANT || at(i).offset == at(other).offset)) continue;",
    tests: HOSTILE,
  },
  {
    fault: "a letter may be one more than its most",
    file: TABLE,
    from: "number > numbers_[letter.most])",
    to: "number > numbers_[letter.most] + MUTANT)",
    tests: HOSTILE,
  },
  {
    fault: "optional operands may be left out",
    file: TABLE,
    from: "expected < row_.operands.size() && at(row_.when)",
    to: "expected < row_.operands.size() && !(MUTANT && op_.operandCount == expected) && at(row_.when)",
    tests: CHECKS,
  },
  {
    fault: "sizes are multiplied in 64 bits",
    file: "native/core/formats.h",
    from: "if (rows >> 64 == 0) return",
    to: "if (rows >> 64 == 0 || MUTANT) return",
    tests: [...HOSTILE, "unit/device/device.test"],
  },
  {
    fault: "tensors that are not aligned to their element pass",
    file: PROGRAM,
    from: "if (t.offset % formatOf(t.dtype).alignment != 0) return",
    to: "if (t.offset % formatOf(t.dtype).alignment != 0 && !MUTANT) return",
    tests: [...HOSTILE, "unit/device/device.test"],
  },
  {
    fault: "a tensor may leave its buffer",
    file: PROGRAM,
    from: "if (t.offset > room || bytes > room - t.offset) return",
    to: "if (t.offset > room || (bytes > room - t.offset && !MUTANT)) return",
    tests: [...HOSTILE, "unit/device/device.test"],
  },
  {
    fault: "an operand may be the tensor behind the last",
    file: PROGRAM,
    from: "if (op.operands[k] >= tensorCount) return",
    to: "if (op.operands[k] >= tensorCount + MUTANT) return",
    tests: CHECKS,
  },
];
