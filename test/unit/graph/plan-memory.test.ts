import fc from "fast-check";
import type { Tensor } from "#quipu/device/tensor.js";
import { bytesOf } from "#quipu/device/tensor.js";
import { opRow } from "#quipu/graph/ops.js";
import { ARENA_ALIGNMENT, type MemoryPlan, planMemory } from "#quipu/graph/passes/plan-memory.js";
import { Recorder } from "#quipu/graph/recorder.js";
import type { RecordedOp, Recording, Value } from "#quipu/graph/recording.js";

const state = (name: string, shape: number[]): Tensor => ({
  name,
  shape,
  dtype: "f32",
  buffer: { dispose() {} },
  offset: 0,
  indexBound: 0,
});

/**
 * Runs the plan in mind, in cells of 64 bytes: an op reads operands that are whole, and its results lie on no value that is
 * still to be read, on no operand but those whose bytes its row lets them take over, and on no other result.
 */
function runInMind(recording: Recording, { offsets, arenaBytes }: MemoryPlan) {
  const owner = new Map<number, number>(); // cell → id of the value whose bytes are there
  const lastUse = new Map<number, number>();
  recording.ops.forEach(({ operands, results }, index) => {
    for (const { id } of [...Object.values(results), ...Object.values(operands)]) lastUse.set(id, index);
  });
  const cells = (value: Value) => {
    const first = offsets.get(value.id)! / ARENA_ALIGNMENT;
    const count = Math.ceil(bytesOf(value.dtype, value.shape) / ARENA_ALIGNMENT);
    return Array.from({ length: count }, (_, i) => first + i);
  };
  const fail = (op: RecordedOp, value: Value, what: string) => {
    throw new Error(`${op.op}: ${value.name} (value ${value.id}) ${what}`);
  };
  recording.ops.forEach((op, index) => {
    const operands = Object.entries(op.operands).filter(([, { id }]) => offsets.has(id));
    for (const [, operand] of operands) {
      if (!cells(operand).every((cell) => owner.get(cell) === operand.id))
        fail(op, operand, "is read after it is gone");
    }
    const { inPlace } = opRow(op.op);
    const written = new Set<number>();
    for (const [resultName, result] of Object.entries(op.results)) {
      if (!offsets.has(result.id)) continue;
      for (const cell of cells(result)) {
        if ((cell + 1) * ARENA_ALIGNMENT > arenaBytes) fail(op, result, "ends beyond the arena");
        if (written.has(cell)) fail(op, result, "lies where another result does");
        written.add(cell);
        const before = owner.get(cell);
        const readHere = operands.filter(([, { id }]) => id === before);
        const taken = readHere.every(([name]) => inPlace?.[resultName]?.includes(name));
        const dies = before === undefined || lastUse.get(before)! <= index;
        if (!dies || !taken) fail(op, result, "lies on a value that is read");
        if (readHere.some(([, { id }]) => offsets.get(id) !== offsets.get(result.id))) fail(op, result, "is askew");
        owner.set(cell, result.id);
      }
    }
  });
}

function expectSound(recording: Recording): MemoryPlan {
  const plan = planMemory(recording);
  runInMind(recording, plan);
  return plan;
}

const gathered = (r: Recorder, width = 16) =>
  r.gatherRows(state("table", [9, width]), { ...state("ids", [4]), dtype: "i32" });

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
    const x = gathered(r);
    const normed = r.rmsNorm(x, state("w", [16]), 1e-5); // x is read again below
    const out = r.output(r.add(x, normed));
    const { offsets } = expectSound(r.finish());
    expect(offsets.has(out.id)).toBe(false);
    expect(offsets.get(normed.id)).not.toBe(offsets.get(x.id));
  });

  test("is sound for any recording", () => {
    const kinds = fc.constantFrom("add", "norm", "matmul", "swiglu", "sample", "output");
    const steps = fc.array(fc.tuple(fc.nat(), fc.nat(), kinds, fc.integer({ min: 0, max: 40 })), {
      minLength: 1,
      maxLength: 40,
    });
    fc.assert(
      fc.property(steps, (list) => expectSound(randomRecording(list)) !== undefined),
      { numRuns: 500 },
    );
  });

  test("the run in mind refuses a result on an operand's cells, and on a value that is read later", () => {
    const r = new Recorder();
    const x = gathered(r);
    const product = r.matmul(x, state("w", [16, 16]));
    r.output(r.add(r.add(product, x), gathered(r)));
    const recording = r.finish();
    const { offsets, arenaBytes } = planMemory(recording);
    const moved = (id: number, offset: number) => ({ offsets: new Map([...offsets, [id, offset]]), arenaBytes });
    expect(() => runInMind(recording, { offsets, arenaBytes })).not.toThrow();
    expect(() => runInMind(recording, moved(product.id, offsets.get(x.id)!))).toThrow(/matmul.*lies on a value/);
    expect(() => runInMind(recording, moved(x.id, arenaBytes))).toThrow(/beyond the arena/);
  });

  test("the arena of a step is within a few percent of the peak of live bytes", () => {
    for (const rows of [1, 64, 512]) {
      const recording = stepLike(rows, 12);
      const { arenaBytes } = expectSound(recording);
      expect(arenaBytes).toBeLessThanOrEqual(1.03 * peakOf(recording));
    }
  });

  test.each([
    ["a step of 470 layers", stepLike(64, 470)],
    ["a list whose values all live until they are read backwards", forwardAndBack(2667)],
  ])("8,000 ops are planned in under 100 ms: %s", (_, recording) => {
    expect(recording.ops.length).toBeGreaterThanOrEqual(7990);
    const times = Array.from({ length: 5 }, () => {
      const before = process.cpuUsage();
      planMemory(recording);
      return process.cpuUsage(before).user / 1000;
    });
    expect(Math.min(...times)).toBeLessThan(100);
  });
});

/** Steps (which values, which op, a width) as a recording; some values are outputs. */
function randomRecording(list: readonly (readonly [number, number, string, number])[]): Recording {
  const r = new Recorder();
  const values = [gathered(r)];
  const index = (name: string, shape: number[]) => ({ ...state(name, shape), dtype: "i32" as const, indexBound: 1 });
  for (const [a, b, op, width] of list) {
    const x = values[a % values.length]!;
    const columns = x.shape[1]!;
    const same = values.filter((value) => value.shape[1] === columns);
    const y = same[b % same.length]!;
    if (op === "output") r.output(x);
    else if (op === "add" || op === "swiglu") values.push(r[op](x, y));
    else if (op === "norm" && columns > 0) values.push(r.rmsNorm(x, state("w", [columns]), 1e-5));
    else if (op === "matmul" && columns > 0) values.push(r.matmul(x, state("w", [width, columns])));
    else if (op === "sample" && columns > 0) {
      const inputs = {
        ...{ outputRows: index("outputRows", [4]), slots: index("slots", [4]), positions: index("positions", [4]) },
        ...{ history: index("history", [1, 8]), floats: state("floats", [1, 6]), biases: state("biases", [1, 2]) },
        ...{ ints: { ...state("ints", [1, 4]), dtype: "i32" as const }, biasIds: index("biasIds", [1, 2]) },
      };
      values.push(r.sample(x, inputs, 1 + (width % columns)).bestLogprobs);
    }
  }
  return r.finish();
}

/** What the layers of a model record, 17 ops each, with the residual and wider values between. */
function stepLike(rows: number, layers: number): Recording {
  const r = new Recorder();
  const w = (n: number, k: number) => state("w", [n, k]);
  let x = r.gatherRows(w(99, 64), { ...state("ids", [rows]), dtype: "i32" });
  for (let i = 0; i < layers; i++) {
    let h = r.rmsNorm(x, state("w", [64]), 1e-5);
    const [q, k, v] = [r.matmul(h, w(64, 64)), r.matmul(h, w(16, 64)), r.matmul(h, w(16, 64))];
    const kv = r.rmsNorm(r.add(k, v), state("w", [16]), 1e-5);
    const attended = r.add(r.rmsNorm(q, state("w", [64]), 1e-5), r.matmul(kv, w(64, 16)));
    x = r.add(x, r.matmul(attended, w(64, 64)));
    h = r.rmsNorm(x, state("w", [64]), 1e-5);
    x = r.add(x, r.matmul(r.swiglu(r.matmul(h, w(192, 64)), r.matmul(h, w(192, 64))), w(64, 192)));
  }
  r.output(r.matmul(x, w(1000, 64)));
  return r.finish();
}

/** A chain, and a second one that reads every value of the first again, the last one first. */
function forwardAndBack(length: number): Recording {
  const r = new Recorder();
  const values = [gathered(r)];
  for (let i = 1; i < length; i++) {
    values.push(r.matmul(values.at(-1)!, state("w", [16 + 16 * (i % 3), values.at(-1)!.shape[1]!])));
  }
  let back = r.matmul(values.at(-1)!, state("w", [16, values.at(-1)!.shape[1]!]));
  for (const value of values.reverse()) back = r.add(back, r.matmul(value, state("w", [16, value.shape[1]!])));
  r.output(back);
  return r.finish();
}

/** The greatest count of bytes that live at once: no plan has a smaller arena. */
function peakOf(recording: Recording): number {
  const first = new Map<number, number>();
  const change = new Array<number>(recording.ops.length + 1).fill(0);
  const last = new Map<number, Value>();
  const { offsets } = planMemory(recording);
  const ends = new Map<number, number>();
  recording.ops.forEach(({ operands, results }, index) => {
    for (const value of Object.values(results)) {
      if (!offsets.has(value.id)) continue;
      first.set(value.id, index);
      last.set(value.id, value);
    }
    for (const { id } of [...Object.values(results), ...Object.values(operands)]) ends.set(id, index);
  });
  for (const [id, value] of last) {
    const bytes = bytesOf(value.dtype, value.shape);
    const producer = recording.producer(value)!;
    // An operand that dies where it is taken over does not live beside the result.
    const taken = (opRow(producer.op).inPlace?.out ?? []).some(
      (name) => ends.get(producer.operands[name]!.id) === first.get(id),
    );
    change[first.get(id)! + (taken ? 1 : 0)]! += bytes;
    change[Math.max(ends.get(id)!, first.get(id)! + (taken ? 1 : 0)) + 1]! -= bytes;
  }
  let [live, peak] = [0, 0];
  for (const bytes of change) {
    live += bytes;
    peak = Math.max(peak, live);
  }
  return peak;
}
