import type { DType, Tensor } from "#quipu/device/tensor.js";
import { fuse } from "#quipu/graph/passes/fuse.js";
import { type CacheState, Recorder, type RowPlaces } from "#quipu/graph/recorder.js";

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
      /expected f32 or f16 or bf16 or q8 or q6 or q4, got i8/,
    ],
    [
      "heads that do not divide",
      (r: Recorder) => r.rope(r.gatherRows(state("t", [9, 20]), ids), r.ropeAngles(ids, state("f", [8]))),
      /operand x: expected \[T = 4, n\*2\*half, a multiple of 16\], got \[4, 20\]/,
    ],
  ])("refuses %s", (_, record, message) => {
    expect(() => record(new Recorder())).toThrow(message);
  });

  describe("rows of a run", () => {
    const capacity = { rows: 4, wanted: 2 };
    const table = state("table", [9, 16]);
    const wanted = state("wanted", [2], "i32", 4);
    const places = { slots: state("slots", [4], "i32", 1), positions: state("positions", [4], "i32", 7) };
    const { resume, ...sampling } = {
      resume: { ids: state("newIds", [4], "i32"), slots: places.slots, positions: places.positions },
      history: state("history", [1, 7], "i32", 9),
      floats: state("floats", [1, 6]),
      ints: state("ints", [1, 4], "i32"),
      biasIds: state("biasIds", [1, 2], "i32", 9),
      biases: state("biases", [1, 2]),
    };
    const slotState = { lastIds: state("lastIds", [1], "i32"), nextPositions: state("next", [1], "i32", 7) };

    test("results have those of their operands, new versions of state its own", () => {
      const r = new Recorder({ capacity });
      const rowsOf = (tensor: Tensor) => r.input(tensor, "rows");
      const given = {
        rowIds: rowsOf(ids),
        rowSlots: rowsOf(state("rowSlots", [4], "i32", 1)),
        rowPositions: rowsOf(ids),
      };
      const own = { ids: rowsOf(resume.ids), slots: rowsOf(resume.slots), positions: rowsOf(resume.positions) };
      const resumed = r.resume({ ...given, ...slotState, ...own });
      expect(Object.values(resumed).map(({ leading }) => leading)).toEqual(["rows", "rows", "rows"]);
      const x = r.gatherRows(table, resumed.ids);
      expect(x.leading).toBe("rows");
      const outputRows = r.input(wanted, "wanted");
      const logits = r.matmul(r.gatherRows(x, outputRows), table); // of some rows, all of which are a run's
      expect([logits.leading, logits.shape]).toEqual(["wanted", [2, 9]]);
      const { slots, positions } = resumed;
      const sampled = r.sample(logits, { ...sampling, outputRows, slots, positions }, 3);
      expect(Object.values(sampled).map(({ leading }) => leading)).toEqual(["wanted", "wanted", "wanted", "wanted"]);
      expect(r.matmul(table, table).leading).toBeUndefined();
      expect(r.finish().capacity).toBe(capacity);
    });

    test("an op's rows are the same ones in all its operands", () => {
      const r = new Recorder({ capacity });
      const some = r.gatherRows(table, r.input(ids, "rows"));
      const fixed = r.gatherRows(table, state("others", [4], "i32"));
      expect(() => r.add(fixed, some)).toThrow(
        /add: operand b: expected its first dim fixed as that of a, got a run's rows \(gatherRows.out\)/,
      );
      expect(() => r.add(some, fixed)).toThrow(
        /add: operand b: expected its first dim a run's rows as that of a, got fixed/,
      );
      const square = r.gatherRows(state("square", [9, 4]), r.input(ids, "rows"));
      expect(() => r.matmul(square, square)).toThrow(
        /matmul: operand b: expected its first dim fixed, got a run's rows/,
      );
    });

    test("an input has as many as the capacity, and is one thing", () => {
      const r = new Recorder({ capacity });
      expect(() => r.input(state("few", [3], "i32"), "rows")).toThrow(
        "i32 [3] few, rows first: expected the capacity of 4 rows",
      );
      expect(() => r.input(wanted, "rows")).toThrow(/expected the capacity of 4 rows/);
      r.input(ids);
      expect(() => r.input(ids, "rows")).toThrow(/ids, rows first: it is known with the fixed dim first/);
      expect(() => new Recorder().input(ids, "rows")).toThrow(/expected the capacity of 0 rows/);
    });

    test("passes keep them, and the capacity", () => {
      const r = new Recorder({ capacity });
      const x = r.gatherRows(table, r.input(ids, "rows"));
      r.output(r.add(x, r.matmul(x, state("w", [16, 16]))));
      const fused = fuse(["matmulAdd"])(r.finish());
      expect(fused.ops.map(({ op }) => op)).toEqual(["gatherRows", "matmulAdd"]);
      expect([fused.capacity, fused.outputs[0]!.leading]).toEqual([capacity, "rows"]);
    });
  });

  describe("appendKv", () => {
    const cacheOf = (dtype: DType) => ({
      keys: state("keys", [3, 2, 16, 64], dtype),
      values: state("values", [3, 2, 64, 16], dtype),
    });
    const scales = { keyScales: state("keyScales", [3, 2, 64]), valueScales: state("valueScales", [3, 2, 64]) };
    const rows = (slots: number, positions: number, pages: number) => ({
      slots: state("slots", [4], "i32", slots),
      positions: state("positions", [4], "i32", positions),
      pageTable: state("pages", [2, 3], "i32", pages),
    });
    const append = (cache: CacheState, places: RowPlaces) => {
      const r = new Recorder();
      const k = r.gatherRows(state("table", [9, 32]), ids);
      return r.appendKv(k, k, cache, places);
    };

    test("indexes reach no further than what they index", () => {
      append(cacheOf("f16"), rows(2, 192, 3));
      const refused = (places: RowPlaces) => expect(() => append(cacheOf("f16"), places));
      refused(rows(0, 192, 3)).toThrow(/operand slots: expected an index tensor, with a declared bound/);
      refused(rows(3, 192, 3)).toThrow(/operand slots: its bound 3 is beyond what it indexes, S = 2/);
      refused(rows(2, 193, 3)).toThrow(/operand positions: its bound 193 is beyond what it indexes, 64\*B = 192/);
      refused(rows(2, 192, 4)).toThrow(/operand pageTable: its bound 4 is beyond what it indexes, pages = 3/);
    });

    test("values are of the keys' dtype, and have scales exactly where that is i8", () => {
      const places = rows(2, 192, 3);
      expect(Object.keys(append({ ...cacheOf("i8"), ...scales }, places))).toHaveLength(4);
      expect(() => append(cacheOf("i8"), places)).toThrow(/operand keyScales: missing/);
      expect(() => append({ ...cacheOf("f16"), ...scales }, places)).toThrow(
        /keyScales: expected only where keys is i8/,
      );
      const mixed = { keys: cacheOf("f16").keys, values: cacheOf("f32").values };
      expect(() => append(mixed, places)).toThrow(/operand values: expected f16, got f32/);
    });
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
    expect(recording.users(x)).toEqual([norm, add, add]);
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
        /^layers\.3\.attention\.matmul: operand b: expected f32 or f16 or bf16/,
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
