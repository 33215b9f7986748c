import fc from "fast-check";
import type { Tensor } from "#quipu/device/tensor.js";
import { bytesOf } from "#quipu/device/tensor.js";
import { ARENA_ALIGNMENT, planMemory } from "#quipu/graph/passes/plan-memory.js";
import { Recorder, type Recording, type Value } from "#quipu/graph/recorder.js";

const state = (name: string, shape: number[]): Tensor => ({
  name,
  shape,
  dtype: "f32",
  buffer: { dispose() {} },
  offset: 0,
  indexBound: 0,
});

/** Runs the plan in mind: a value's bytes are intact from the op that makes it to its last reader. */
function expectSound(recording: Recording) {
  const { offsets, arenaBytes } = planMemory(recording);
  const owner = new Map<number, number>(); // 64-byte cell of the arena → id of the value whose bytes are there
  const cells = (value: Value) => {
    const first = offsets.get(value.id)! / ARENA_ALIGNMENT;
    const count = Math.ceil(bytesOf(value.dtype, value.shape) / ARENA_ALIGNMENT);
    return Array.from({ length: count }, (_, i) => first + i);
  };
  for (const op of recording.ops) {
    for (const operand of op.operands) {
      if (!offsets.has(operand.id)) continue;
      for (const cell of cells(operand)) expect(owner.get(cell)).toBe(operand.id);
    }
    for (const result of op.results) {
      if (!offsets.has(result.id)) continue;
      for (const cell of cells(result)) {
        expect((cell + 1) * ARENA_ALIGNMENT).toBeLessThanOrEqual(arenaBytes);
        owner.set(cell, result.id);
      }
    }
  }
  return { offsets, arenaBytes };
}

describe("planMemory", () => {
  test("a chain works in place", () => {
    const r = new Recorder();
    let x = r.add(
      r.gatherRows(state("table", [9, 16]), { ...state("ids", [4]), dtype: "i32" }),
      r.gatherRows(state("t2", [9, 16]), { ...state("i2", [4]), dtype: "i32" }),
    );
    for (let i = 0; i < 5; i++) x = r.rmsNorm(x, state("w", [16]), 1e-5);
    r.output(x);
    const { arenaBytes } = expectSound(r.finish());
    expect(arenaBytes).toBe(2 * 4 * 16 * 4);
  });

  test("an output is in no arena, and a value that lives on is not overwritten", () => {
    const r = new Recorder();
    const x = r.gatherRows(state("table", [9, 16]), { ...state("ids", [4]), dtype: "i32" });
    const normed = r.rmsNorm(x, state("w", [16]), 1e-5); // x is read again below
    const out = r.output(r.add(x, normed));
    const { offsets } = expectSound(r.finish());
    expect(offsets.has(out.id)).toBe(false);
    expect(offsets.get(normed.id)).not.toBe(offsets.get(x.id));
  });

  test("is sound for any recording", () => {
    const steps = fc.array(
      fc.tuple(fc.nat(), fc.nat(), fc.constantFrom("add", "norm", "matmul"), fc.integer({ min: 1, max: 40 })),
      { minLength: 1, maxLength: 40 },
    );
    fc.assert(
      fc.property(steps, fc.array(fc.nat(), { maxLength: 4 }), (list, outputs) => {
        const r = new Recorder();
        const values = [r.gatherRows(state("table", [9, 16]), { ...state("ids", [4]), dtype: "i32" })];
        for (const [a, b, op, width] of list) {
          const x = values[a % values.length]!;
          const same = values.filter((value) => value.shape[1] === x.shape[1]);
          if (op === "add") values.push(r.add(x, same[b % same.length]!));
          else if (op === "norm") values.push(r.rmsNorm(x, state("w", [x.shape[1]!]), 1e-5));
          else values.push(r.matmul(x, state("w", [width, x.shape[1]!])));
        }
        for (const index of new Set(outputs.map((output) => output % values.length))) r.output(values[index]!);
        expectSound(r.finish());
      }),
      { numRuns: 300 },
    );
  });
});
