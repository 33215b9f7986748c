// Faults in the plan of memory.
const PLAN = "src/graph/passes/plan-memory.ts";

export const mutants = [
  {
    fault: "an op works in place of a value that lives on",
    file: PLAN,
    from: "lastUse.get(operand.id) === index &&",
    to: "lastUse.get(operand.id)! >= index &&",
    tests: ["unit/graph"],
  },
  {
    fault: "places in the arena are not aligned",
    file: PLAN,
    from: "Math.ceil(bytes / ARENA_ALIGNMENT) * ARENA_ALIGNMENT",
    to: "Math.ceil(bytes / 4) * 4",
    tests: ["unit/graph"],
  },
];
