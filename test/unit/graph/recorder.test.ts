import type { DType, Tensor } from "#quipu/device/tensor.js";
import { Recorder } from "#quipu/graph/recorder.js";

const state = (name: string, shape: number[], dtype: DType = "f32", indexBound = 0): Tensor => ({
  name,
  shape,
  dtype,
  buffer: { dispose() {} },
  offset: 0,
  indexBound,
});

const ids = state("ids", [4], "i32");

describe("Recorder", () => {
  test("ops return new values with the shapes of their rows", () => {
    const r = new Recorder();
    const x = r.gatherRows(state("table", [9, 16], "bf16"), ids);
    expect(x.shape).toEqual([4, 16]);
    expect(r.matmul(x, state("w", [5, 16], "f16")).shape).toEqual([4, 5]);
    expect(r.ropeAngles(ids, state("frequencies", [8])).shape).toEqual([4, 8, 2]);
    const { ops } = r.finish();
    expect(ops.map(({ op }) => op)).toEqual(["gatherRows", "matmul", "ropeAngles"]);
    expect(new Set(ops.flatMap(({ results }) => results.map(({ id }) => id))).size).toBe(3);
  });

  test("an op that writes state yields a new version at the same place", () => {
    const r = new Recorder();
    const k = r.gatherRows(state("table", [9, 32]), ids);
    const cache = { keys: state("keys", [3, 2, 16, 64]), values: state("values", [3, 2, 64, 16]) };
    const rows = {
      slots: state("slots", [4], "i32", 1),
      positions: state("positions", [4], "i32", 64),
      pageTable: state("pages", [1, 3], "i32", 3),
    };
    const written = r.appendKv(k, k, cache, rows);
    expect(written.keys.tensor).toBe(cache.keys);
    const out = r.attention(k, written, rows, 0.25);
    expect(out.shape).toEqual([4, 32]);
    const [, append, attention] = r.finish().ops;
    expect(append!.results.map(({ id }) => id)).toEqual([written.keys.id, written.values.id]);
    expect(attention!.operands).toContain(written.keys);
  });

  test.each([
    [
      "a shape that does not fit",
      (r: Recorder) => r.rmsNorm(r.gatherRows(state("t", [9, 16]), ids), state("w", [15]), 1e-5),
      /rmsNorm: operand weight: expected \[D = 16\], got \[15\]/,
    ],
    [
      "a dtype that does not fit",
      (r: Recorder) => r.gatherRows(state("t", [9, 16], "i8"), ids),
      /expected f32 or f16 or bf16, got i8/,
    ],
    [
      "heads that do not divide",
      (r: Recorder) => r.rope(r.gatherRows(state("t", [9, 20]), ids), r.ropeAngles(ids, state("f", [8]))),
      /operand x: expected \[T = 4, n\*2\*half, a multiple of 16\], got \[4, 20\]/,
    ],
  ])("refuses %s", (_, record, message) => {
    expect(() => record(new Recorder())).toThrow(message);
  });

  test("refuses an index operand without a bound", () => {
    const r = new Recorder();
    const k = r.gatherRows(state("table", [9, 32]), ids);
    const cache = { keys: state("keys", [3, 2, 16, 64]), values: state("values", [3, 2, 64, 16]) };
    const rows = {
      slots: state("slots", [4], "i32"),
      positions: state("positions", [4], "i32", 64),
      pageTable: state("pages", [1, 3], "i32", 3),
    };
    expect(() => r.appendKv(k, k, cache, rows)).toThrow(
      /operand slots: expected an index tensor, with a declared bound/,
    );
  });

  test("taps are outputs when they are on, and cost nothing when they are off", () => {
    for (const taps of [false, true]) {
      const r = new Recorder({ taps });
      const x = r.tap("embedding", r.gatherRows(state("table", [9, 16]), ids));
      r.rmsNorm(x, state("w", [16]), 1e-5);
      expect(r.finish().outputs.map(({ name }) => name)).toEqual(taps ? ["embedding"] : []);
      expect(r.finish().ops).toHaveLength(2);
    }
  });
});
