// Faults in recordings, passes and the plan of memory.
const PLAN = "src/graph/passes/plan-memory.ts";
const RECORDER = "src/graph/recorder.ts";

const FUSE = "src/graph/passes/fuse.ts";

export const mutants = [
  {
    fault: "a value that an output is may be fused away",
    file: FUSE,
    from: "length === readers && !recording.isOutput(value);",
    to: "length === readers;",
    tests: ["unit/graph"],
  },
  {
    fault: "queries and keys may be turned by different angles",
    file: FUSE,
    from: "queryRope.operands.angles!.id !== angles.id",
    to: "queryRope.operands.angles!.id < 0",
    tests: ["unit/graph"],
  },
  {
    fault: "queries and values may be of others than the norm",
    file: FUSE,
    from: "    if (query.operands.a!.id !== h.id || value.operands.a!.id !== h.id) return undefined;\n",
    to: "",
    tests: ["unit/graph"],
  },
  {
    fault: "queries of a fused op are not those that attention reads",
    file: FUSE,
    from: "      yields: { out: queryRope.results.out! },\n",
    to: "",
    tests: ["unit/graph"],
  },
  {
    fault: "values that meet at one op may share memory",
    file: PLAN,
    from: "for (const { id } of [...Object.values(results), ...Object.values(operands)]) lastUse.set(id, index);",
    to: "for (const { id } of [...Object.values(results), ...Object.values(operands)]) lastUse.set(id, Object.values(operands).some((value) => value.id === id) ? index - 1 : index);",
    tests: ["unit/graph"],
  },
  {
    fault: "an op works in place of a value that lives on",
    file: PLAN,
    from: "lastUse.get(operand.id) === index &&",
    to: "lastUse.get(operand.id)! >= index &&",
    tests: ["unit/graph"],
  },
  {
    fault: "outputs lie in the arena",
    file: PLAN,
    from: "value.tensor === undefined && !recording.isOutput(value)",
    to: "value.tensor === undefined",
    tests: ["unit/graph"],
  },
  {
    fault: "places in the arena are not aligned",
    file: PLAN,
    from: "Math.ceil(bytes / ARENA_ALIGNMENT) * ARENA_ALIGNMENT",
    to: "Math.ceil(bytes / 4) * 4",
    tests: ["unit/graph"],
  },
  {
    fault: "state of which there is a newer version may be read",
    file: RECORDER,
    from: "if (!this.isCurrent(value))",
    to: "if (!this.isCurrent(value) && value.tensor === undefined)",
    tests: ["unit/graph"],
  },
  {
    fault: "a tensor that was updated is read as it was",
    file: RECORDER,
    from: "if (this.#updatesOf(input).length > 0) {",
    to: "if (this.#updatesOf(input).length > 9) {",
    tests: ["unit/graph"],
  },
  {
    fault: "an output is one as often as it is named",
    file: RECORDER,
    from: "this.#outputs.set(value.id, value);",
    to: "this.#outputs.set(this.#values++, value);",
    tests: ["unit/graph"],
  },
  {
    fault: "the upper half of an offset is lost",
    file: "src/graph/program.ts",
    from: "tensorWords.push(buffer, offset % 2 ** 32, Math.floor(offset / 2 ** 32));",
    to: "tensorWords.push(buffer, offset % 2 ** 32, 0);",
    tests: ["unit/graph"],
  },
  {
    fault: "an op's operands may differ in what their rows are",
    file: "src/graph/check-operands.ts",
    from: "if (value.leading === expected)",
    to: "if (letter >= 0)",
    tests: ["unit/graph/recorder"],
  },
  {
    fault: "an input may have fewer rows than the capacity",
    file: RECORDER,
    from: "tensor.shape[0] === most)",
    to: "tensor.shape[0] <= most)",
    tests: ["unit/graph/recorder"],
  },
];
