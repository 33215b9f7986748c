import fc from "fast-check";
import { openDevice } from "#quipu/device/device.js";
import { chooseFusions, FUSIONS } from "#quipu/device/fusions.js";
import type { Tensor } from "#quipu/device/tensor.js";
import { fuse } from "#quipu/graph/passes/fuse.js";
import { compile } from "#quipu/graph/program.js";
import { Recorder } from "#quipu/graph/recorder.js";
import type { Recording, Value } from "#quipu/graph/recording.js";

const device = openDevice({ threads: 2 });
afterAll(() => device.dispose());

const D = 16;
const names = (recording: Recording) => recording.ops.map(({ op }) => op);
const fused = (r: Recorder, fusions = FUSIONS as readonly (typeof FUSIONS)[number][]) => fuse(fusions)(r.finish());

let seed = 1;
function filled(name: string, shape: readonly number[]): Tensor {
  const tensor = device.allocate(name, "f32", shape);
  const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 31 - 1;
  });
  writes.push([tensor, data]);
  return tensor;
}
const writes: [Tensor, Float32Array][] = [];
const table = filled("table", [9, D]);
const weights = Array.from({ length: 5 }, (_, i) => filled(`w${i}`, [D, D]));
const norm = filled("norm", [D]);
const ids = device.allocate("ids", "i32", [4], 9);
const cache = {
  keys: device.allocate("keys", "f32", [1, 1, D, 64]),
  values: device.allocate("values", "f32", [1, 1, 64, D]),
};
const rows = {
  slots: device.allocate("slots", "i32", [4], 1),
  positions: device.allocate("positions", "i32", [4], 64),
  pageTable: device.allocate("pages", "i32", [1, 1], 1),
};
beforeAll(async () => {
  const at = Int32Array.of(0, 1, 2, 3);
  await device.run(null, { writes: [...writes, [ids, Int32Array.of(3, 1, 4, 1)], [rows.positions, at]] });
});

/** A recorder and a first value. */
const start = (taps = false) => {
  const r = new Recorder({ taps });
  return { r, x: r.gatherRows(table, ids) };
};
const [w0, w1, w2] = weights as [Tensor, Tensor, Tensor];

describe("matmulAdd", () => {
  test.each([
    ["before", (r: Recorder, x: Value, y: Value) => r.add(x, y)],
    ["behind", (r: Recorder, x: Value, y: Value) => r.add(y, x)],
  ])("takes the residual %s the product, where the add is", (_, add) => {
    const { r, x } = start();
    const product = r.matmul(r.rmsNorm(x, norm, 1e-5), w0);
    const other = r.rmsNorm(x, norm, 1e-6);
    r.output(r.region("layers.0", () => add(r, x, product)));
    r.output(other);
    const recording = fused(r);
    expect(names(recording)).toEqual(["gatherRows", "rmsNorm", "rmsNorm", "matmulAdd"]);
    const [gather, first, , last] = recording.ops;
    expect(last).toMatchObject({
      region: "layers.0",
      operands: { a: first!.results.out, residual: gather!.results.out },
    });
    expect(last!.operands.b!.tensor).toBe(w0);
    expect(recording.outputs).toEqual([last!.results.out, recording.ops[2]!.results.out]);
  });

  test("of two products the second is taken in", () => {
    const { r, x } = start();
    r.output(r.add(r.matmul(x, w0), r.matmul(x, w1)));
    const recording = fused(r);
    expect(names(recording)).toEqual(["gatherRows", "matmul", "matmulAdd"]);
    expect(recording.ops[2]!.operands.b!.tensor).toBe(w1);
  });

  test("a product that is an output, a tap, read again or added to itself stays", () => {
    const uses: ((r: Recorder, product: Value) => unknown)[] = [
      (r, product) => r.output(product),
      (r, product) => r.tap("product", product),
      (r, product) => r.output(r.rmsNorm(product, norm, 1e-5)),
    ];
    for (const use of uses) {
      const { r, x } = start(true);
      const product = r.matmul(x, w0);
      use(r, product);
      r.output(r.add(x, product));
      expect(names(fused(r))).toEqual(names(r.finish()));
    }
    const { r, x } = start();
    const product = r.matmul(x, w0);
    r.output(r.add(product, product));
    expect(names(fused(r))).toContain("add");
  });

  test("a tap that is off does not keep a product", () => {
    const { r, x } = start(false);
    r.output(r.add(x, r.tap("product", r.matmul(x, w0))));
    expect(names(fused(r))).toEqual(["gatherRows", "matmulAdd"]);
  });
});

describe("matmulSwiglu", () => {
  test("takes both products, in the order of swiglu's operands", () => {
    const { r, x } = start();
    const up = r.matmul(x, w1);
    r.output(r.swiglu(r.matmul(x, w0), up));
    const recording = fused(r);
    expect(names(recording)).toEqual(["gatherRows", "matmulSwiglu"]);
    const { gate, up: other } = recording.ops[1]!.operands;
    expect([gate!.tensor, other!.tensor]).toEqual([w0, w1]);
  });

  test("products of weights in two formats stay", () => {
    const { r, x } = start();
    const packed = r.quantize(w1, device.allocate("packed", "q8", w1.shape));
    r.output(r.swiglu(r.matmul(x, w0), r.matmul(x, packed)));
    expect(names(fused(r))).toEqual(names(r.finish()));
  });

  test("products of different activations, and one product twice, stay", () => {
    const { r, x } = start();
    r.output(r.swiglu(r.matmul(x, w0), r.matmul(r.rmsNorm(x, norm, 1e-5), w1)));
    const product = r.matmul(x, w2);
    r.output(r.swiglu(product, product));
    expect(names(fused(r))).toEqual(names(r.finish()));
  });
});

/** The first half of an attention block over rows x; `around` may read or change what lies between. */
function attentionBlock(r: Recorder, x: Value, around: Partial<Around> = {}): Value {
  const given = { ...AROUND, ...around };
  const h = given.norm(r, r.rmsNorm(x, norm, 1e-5));
  const angles = r.ropeAngles(rows.positions, frequencies);
  const q = r.rope(given.query(r, r.matmul(h, w0)), angles);
  const k = r.rope(given.key(r, r.matmul(h, w1)), given.angles(r, angles));
  const written = r.appendKv(k, given.value(r, r.matmul(h, w2)), cache, rows);
  return r.attention(q, written, rows, 1);
}
type Around = Record<"norm" | "query" | "key" | "value" | "angles", (r: Recorder, value: Value) => Value>;
const same = (_: Recorder, value: Value) => value;
const readBy = (value: Value, _: Value) => value;
const AROUND: Around = { norm: same, query: same, key: same, value: same, angles: same };
const frequencies = filled("frequencies", [D / 2]);

describe("normQkv", () => {
  test("takes all from the norm to the cache, and yields the queries that attention reads", () => {
    const { r, x } = start();
    r.output(r.region("layers.0", () => attentionBlock(r, x)));
    const recording = fused(r);
    expect(names(recording)).toEqual(["gatherRows", "ropeAngles", "normQkv", "attention"]);
    const [gather, angles, op, attention] = recording.ops;
    expect(op).toMatchObject({ region: "layers.0", attributes: { epsilon: 1e-5 } });
    expect(op!.operands).toMatchObject({ x: gather!.results.out, angles: angles!.results.out });
    const tensors = ["norm", "query", "key", "value", "slots"].map((name) => op!.operands[name]!.tensor);
    expect(tensors).toEqual([norm, w0, w1, w2, rows.slots]);
    expect(attention!.operands).toMatchObject({
      q: op!.results.out,
      keys: op!.results.keys,
      values: op!.results.values,
    });
  });

  test.each<[string, Partial<Around>]>([
    ["the norm is an output", { norm: (r, value) => r.output(value) }],
    ["the norm is read by others", { norm: (r, value) => readBy(value, r.output(r.matmul(value, w0))) }],
    ["there is no norm", { norm: (r, value) => r.add(value, value) }],
    ["queries are an output before they are turned", { query: (r, value) => r.output(value) }],
    ["queries are no product", { query: (r, value) => r.add(value, value) }],
    ["keys are an output before they are turned", { key: (r, value) => r.output(value) }],
    ["keys are no product", { key: (r, value) => r.add(value, value) }],
    ["values are read by others", { value: (r, value) => readBy(value, r.output(r.add(value, value))) }],
    ["values are no product", { value: (r, value) => r.add(value, value) }],
    ["values are of others than the norm", { value: (r, value) => r.matmul(r.output(value), w2) }],
    ["keys have angles of their own", { angles: (r) => r.ropeAngles(rows.positions, frequencies, { scale: 2 }) }],
  ])("nothing is taken where %s", (_, around) => {
    const { r, x } = start();
    r.output(attentionBlock(r, x, around));
    expect(names(fused(r, ["normQkv"]))).toEqual(names(r.finish()));
  });

  test("nothing is taken where the norm is the weight of the queries", () => {
    const rowsOf = (name: string, bound: number) => device.allocate(name, "i32", [D], bound);
    const places = { slots: rowsOf("slots", 1), positions: rowsOf("positions", 64), pageTable: rows.pageTable };
    const r = new Recorder();
    const x = r.gatherRows(table, rowsOf("ids", 9));
    const h = r.rmsNorm(x, norm, 1e-5);
    const angles = r.ropeAngles(places.positions, frequencies);
    const q = r.rope(r.matmul(x, h), angles);
    const written = r.appendKv(r.rope(r.matmul(h, w1), angles), r.matmul(h, w2), cache, places);
    r.output(r.attention(q, written, places, 1));
    expect(names(fused(r))).toEqual(names(r.finish()));
  });

  test("queries that are an output are those of the op", () => {
    const { r, x } = start();
    const h = r.rmsNorm(x, norm, 1e-5);
    const angles = r.ropeAngles(rows.positions, frequencies);
    const q = r.output(r.rope(r.matmul(h, w0), angles));
    r.appendKv(r.rope(r.matmul(h, w1), angles), r.matmul(h, w2), cache, rows);
    expect(names(r.finish())).toHaveLength(9);
    const recording = fused(r);
    expect(names(recording)).toEqual(["gatherRows", "ropeAngles", "normQkv"]);
    expect(recording.outputs).toEqual([recording.ops[2]!.results.out]);
    expect(q.name).toBe("rope.out");
  });
});

describe("normMatmulSwiglu and gatherNorm", () => {
  test("take the norm, where nobody else reads it", () => {
    const { r, x } = start();
    const feedForward = (h: Value) => r.matmul(r.swiglu(r.matmul(h, w0), r.matmul(h, w1)), w2);
    r.output(feedForward(r.rmsNorm(r.add(x, x), norm, 1e-6)));
    const recording = fused(r);
    expect(names(recording)).toEqual(["gatherRows", "add", "normMatmulSwiglu", "matmul"]);
    expect(recording.ops[2]!.attributes).toEqual({ epsilon: 1e-6 });
    expect(names(fused(r, ["matmulSwiglu"]))).toEqual(["gatherRows", "add", "rmsNorm", "matmulSwiglu", "matmul"]);
  });

  test("a norm that others read stays", () => {
    const { r, x } = start();
    const h = r.rmsNorm(x, norm, 1e-5);
    r.output(r.swiglu(r.matmul(h, w0), r.matmul(h, w1)));
    r.output(r.matmul(h, w2));
    expect(names(fused(r))).toEqual(["gatherNorm", "matmulSwiglu", "matmul"]);
  });

  test("rows that others read stay", () => {
    const { r, x } = start();
    r.output(r.add(x, r.rmsNorm(x, norm, 1e-5)));
    expect(names(fused(r))).toEqual(["gatherRows", "rmsNorm", "add"]);
  });
});

describe("matmulSample", () => {
  const head = filled("head", [9, D]);
  const requests = {
    outputRows: device.allocate("outputRows", "i32", [4], 4),
    ...{ slots: rows.slots, positions: rows.positions },
    history: device.allocate("history", "i32", [1, 64], 9),
    floats: device.allocate("floats", "f32", [1, 6]),
    ints: device.allocate("ints", "i32", [1, 4]),
    biasIds: device.allocate("biasIds", "i32", [1, 2], 9),
    biases: device.allocate("biases", "f32", [1, 2]),
  };

  test("takes the head, and reports as many of the best", () => {
    const { r, x } = start();
    for (const value of Object.values(r.sample(r.matmul(x, head), requests, 3))) r.output(value);
    const recording = fused(r);
    expect(names(recording)).toEqual(["gatherRows", "matmulSample"]);
    const [, op] = recording.ops;
    expect([op!.operands.b!.tensor, op!.operands.biases!.tensor]).toEqual([head, requests.biases]);
    expect(op!.results.bestIds!.shape).toEqual([4, 3]);
    expect(recording.outputs).toEqual(Object.values(op!.results));
  });

  test("logits that are an output stay", () => {
    const { r, x } = start();
    for (const value of Object.values(r.sample(r.output(r.matmul(x, head)), requests, 1))) r.output(value);
    expect(names(fused(r))).toEqual(names(r.finish()));
  });
});

test("each can be switched off; without any the recording stays what it is", () => {
  const { r, x } = start();
  r.output(r.add(x, r.matmul(r.swiglu(r.matmul(x, w0), r.matmul(x, w1)), w2)));
  const recording = r.finish();
  expect(names(fused(r))).toEqual(["gatherRows", "matmulSwiglu", "matmulAdd"]);
  expect(names(fused(r, ["matmulAdd"]))).toEqual(["gatherRows", "matmul", "matmul", "swiglu", "matmulAdd"]);
  expect(names(fused(r, ["matmulSwiglu"]))).toEqual(["gatherRows", "matmulSwiglu", "matmul", "add"]);
  expect(fuse([])(recording)).toBe(recording);
});

test("what nobody reads is left out; what writes state is kept, in its order", () => {
  const { r, x } = start();
  const unread = r.matmul(x, w0);
  r.rmsNorm(unread, norm, 1e-5);
  const first = r.appendKv(x, x, cache, rows);
  const second = r.appendKv(x, x, first, rows);
  expect(names(fused(r))).toEqual(["gatherRows", "appendKv", "appendKv"]);
  const [, one, two] = fused(r).ops;
  expect(two!.operands.keys).toBe(one!.results.keys);
  expect(two!.results.keys!.tensor).toBe(second.keys.tensor);
});

test("nothing is fused where an operand would be read too late", () => {
  // The state is written between the product that reads it and the sum: a fused op would read what was written.
  const { r, x } = start();
  const k = r.input({ ...cache.keys, shape: [64, D], offset: 0 });
  const product = r.matmul(x, k);
  const written = r.appendKv(x, x, cache, rows);
  const residual = r.matmul(x, r.input(filled("w", [64, D])));
  r.output(r.add(product, residual));
  r.output(r.attention(x, written, rows, 1));
  const ops = names(fused(r));
  expect(ops).toEqual(["gatherRows", "matmul", "appendKv", "matmulAdd", "attention"]);

  const late = start();
  const early = late.r.matmul(late.x, late.r.input({ ...cache.keys, shape: [64, D], offset: 0 }));
  late.r.appendKv(late.x, late.x, cache, rows);
  late.r.output(late.r.add(early, late.r.input(filled("residual", [4, 64]))));
  expect(names(fused(late.r))).toEqual(names(late.r.finish()));
});

test("any recording gives the same bits, fused or not", async () => {
  const step = fc.tuple(
    fc.nat(),
    fc.nat(),
    fc.nat(4),
    fc.constantFrom("matmul", "matmul", "add", "swiglu", "norm", "kv", "out", "attention", "feed forward"),
  );
  const zero = (tensor: Tensor) => [tensor, new Float32Array(D * 64)] as const;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), async (list) => {
      const { r, x } = start();
      const values = [x];
      let state: { keys: Value; values: Value } = { keys: r.input(cache.keys), values: r.input(cache.values) };
      for (const [i, j, w, op] of list) {
        const [a, b] = [
          values.at(-1 - (i % Math.min(values.length, 4)))!,
          values.at(-1 - (j % Math.min(values.length, 4)))!,
        ];
        if (op === "matmul") values.push(r.matmul(a, weights[w]!));
        else if (op === "add" || op === "swiglu") values.push(r[op](a, b));
        else if (op === "norm") values.push(r.rmsNorm(a, norm, 1e-5));
        else if (op === "out") r.output(a);
        else if (op === "feed forward") {
          const h = r.rmsNorm(a, norm, 1e-5);
          values.push(h, r.swiglu(r.matmul(h, weights[w]!), r.matmul(h, w0)));
        } else if (op === "attention") {
          const h = r.rmsNorm(a, norm, 1e-5);
          const angles = r.ropeAngles(rows.positions, frequencies);
          const q = r.rope(r.matmul(h, weights[w]!), angles);
          state = r.appendKv(r.rope(r.matmul(h, w1), angles), r.matmul(h, w2), state, rows);
          values.push(q, r.attention(q, state, rows, 1));
        } else {
          state = r.appendKv(a, b, state, rows);
          values.push(r.attention(a, state, rows, 1));
        }
      }
      r.output(values.at(-1)!);
      const recording = r.finish();
      const run = async (fusions: readonly (typeof FUSIONS)[number][]) => {
        const program = compile(device, recording, { passes: [fuse(fusions)] });
        const results = recording.outputs.map(() => new Float32Array(4 * D));
        const kv = [new Float32Array(D * 64), new Float32Array(D * 64)] as const;
        const outputs = recording.outputs.map((value, i) => [program.output(value), results[i]!] as const);
        await program.run({
          writes: [zero(cache.keys), zero(cache.values)],
          reads: [...outputs, [cache.keys, kv[0]], [cache.values, kv[1]]],
        });
        program.dispose();
        return [...results, ...kv].map((data) => Buffer.from(data.buffer).toString("hex"));
      };
      expect(await run(FUSIONS)).toEqual(await run([]));
    }),
    { numRuns: 60 },
  );
});

test.each([
  [undefined, undefined, FUSIONS],
  [undefined, "", FUSIONS],
  [undefined, "1", FUSIONS],
  [undefined, "0", []],
  [undefined, "matmulSwiglu", ["matmulSwiglu"]],
  [undefined, FUSIONS.join(), FUSIONS],
  [true, "0", FUSIONS],
  [false, undefined, []],
  [["matmulAdd"] as const, "0", ["matmulAdd"]],
] as const)("asked for %j with QUIPU_FUSE=%s: %j", (wanted, variable, expected) => {
  try {
    if (variable !== undefined) process.env.QUIPU_FUSE = variable;
    expect(chooseFusions(wanted)).toEqual(expected);
    expect(openDevice({ threads: 1, fuse: wanted }).fusions).toEqual(expected);
  } finally {
    delete process.env.QUIPU_FUSE;
  }
});

test("QUIPU_FUSE with a name that is none is an error", () => {
  try {
    process.env.QUIPU_FUSE = "matmuladd";
    expect(() => chooseFusions()).toThrow(
      /QUIPU_FUSE: expected 0, 1 or some of normQkv,\S+,matmulSample, got "matmuladd"/,
    );
  } finally {
    delete process.env.QUIPU_FUSE;
  }
});
