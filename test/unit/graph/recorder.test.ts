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
    expect(new Set(ops.map(({ results }) => results.out!.id)).size).toBe(3);
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
    expect(append!.results).toEqual(written);
    expect(attention!.operands.keys).toBe(written.keys);
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
      /expected weight, got i8/,
    ],
    [
      "heads that do not divide",
      (r: Recorder) => r.rope(r.gatherRows(state("t", [9, 20]), ids), r.ropeAngles(ids, state("f", [8]))),
      /no multiple of 16/,
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
    expect(() => r.appendKv(k, k, cache, rows)).toThrow(/operand slots: expected index/);
  });

  test("operands, results and attributes go by the names of the row; producer and users of a value are at hand", () => {
    const r = new Recorder();
    const [table, weight] = [state("table", [9, 16]), state("w", [16])];
    const x = r.gatherRows(table, ids);
    const normed = r.rmsNorm(x, weight, 1e-5);
    const sum = r.output(r.add(x, x));
    const recording = r.finish();
    const [gather, norm, add] = recording.ops;
    expect(norm).toMatchObject({
      op: "rmsNorm",
      operands: { x },
      results: { out: normed },
      attributes: { epsilon: 1e-5 },
    });
    expect(norm!.operands.weight!.tensor).toBe(weight);
    expect(recording.producer(x)).toBe(gather);
    expect(recording.producer(r.input(table))).toBeUndefined();
    expect(recording.users(x)).toEqual([norm, add]);
    expect(recording.users(sum)).toEqual([]);
    expect([sum, x].map((value) => recording.isOutput(value))).toEqual([true, false]);
  });

  test("ops know the part of the model that they belong to", () => {
    const r = new Recorder();
    const x = r.gatherRows(state("table", [9, 16]), ids);
    r.region("layers.3", () => {
      r.add(x, x);
      r.region("mlp", () => r.add(x, x));
      expect(() => r.region("attention", () => r.matmul(x, state("w", [5, 16], "i8")))).toThrow(
        /^layers\.3\.attention\.matmul: operand b: expected weight/,
      );
      r.add(x, x);
    });
    expect(r.finish().ops.map(({ region }) => region)).toEqual(["", "layers.3", "layers.3.mlp", "layers.3"]);
  });

  test("an output is one, however often it is asked for", () => {
    const r = new Recorder({ taps: true });
    const x = r.output(r.tap("x", r.gatherRows(state("table", [9, 16]), ids)));
    expect(r.output(x)).toBe(x);
    expect(r.finish().outputs).toEqual([x]);
  });

  test("taps are outputs when they are on, and cost nothing when they are off", () => {
    for (const taps of [false, true]) {
      const r = new Recorder({ taps });
      const x = r.tap("embedding", r.gatherRows(state("table", [9, 16]), ids));
      const normed = r.region("layers.0", () => r.tap("norm", r.rmsNorm(x, state("w", [16]), 1e-5)));
      expect(r.taps.map(({ name }) => name)).toEqual(taps ? ["embedding", "layers.0.norm"] : []);
      expect(r.finish().outputs).toEqual(taps ? [x, normed] : []);
      expect(r.finish().ops).toHaveLength(2);
    }
  });
});

describe("versions of state", () => {
  const cache = { keys: state("keys", [3, 2, 16, 64]), values: state("values", [3, 2, 64, 16]) };
  const rows = {
    slots: state("slots", [4], "i32", 1),
    positions: state("positions", [4], "i32", 64),
    pageTable: state("pages", [1, 3], "i32", 3),
  };
  const start = () => {
    const r = new Recorder();
    const before = { keys: r.input(cache.keys), values: r.input(cache.values) };
    const k = r.gatherRows(state("table", [9, 32]), ids);
    return { r, k, before };
  };

  test("the newest is read; what was made of an older one before stays", () => {
    const { r, k, before } = start();
    const early = r.attention(k, before, rows, 0.25);
    const first = r.appendKv(k, k, before, rows);
    const second = r.appendKv(early, k, first, rows);
    r.attention(k, second, rows, 0.25);
    expect([before, first, second].map(({ keys }) => r.isCurrent(keys))).toEqual([false, false, true]);
    expect(r.isCurrent(early)).toBe(true);
  });

  test("an older version is neither read nor written", () => {
    const { r, k, before } = start();
    const first = r.appendKv(k, k, before, rows);
    const message = /keys was updated: pass its new version/;
    expect(() => r.attention(k, before, rows, 0.25)).toThrow(message);
    expect(() => r.appendKv(k, k, before, rows)).toThrow(message);
    r.appendKv(k, k, first, rows);
    expect(() => r.attention(k, first, rows, 0.25)).toThrow(message);
    expect(() => r.attention(k, { ...first, values: before.values }, rows, 0.25)).toThrow(message);
  });

  test("a tensor that was updated is passed no more, whether it was read before or not, nor a part of it", () => {
    const { r, k } = start();
    const other = new Recorder();
    for (const recorder of [r, other]) {
      const written = recorder.appendKv(k, k, cache, rows);
      const message = /keys was updated in this recording/;
      const { keys } = cache;
      expect(() => recorder.attention(k, { ...written, keys } as never, rows, 0.25)).toThrow(message);
      expect(() => recorder.input({ ...keys, offset: 4096, shape: [1, 16], dtype: "f32" })).toThrow(message);
      expect(recorder.input({ ...keys, offset: 4 * 3 * 2 * 16 * 64 }).shape).toEqual(keys.shape);
    }
  });
});
