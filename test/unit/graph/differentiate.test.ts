// Every VJP against central differences of the reference device, and what differentiate refuses. An op's operands are rows of tables that
// learn, and its result is the logits of a loss.
import { type Device, openDevice } from "#quipu/device/device.js";
import { elementsOf, type Shape, type Tensor } from "#quipu/device/tensor.js";
import { PAGE_KEYS } from "#quipu/graph/ops.js";
import { differentiate } from "#quipu/graph/passes/differentiate.js";
import { VJPS } from "#quipu/graph/passes/vjps.js";
import { compile } from "#quipu/graph/program.js";
import { Recorder } from "#quipu/graph/recorder.js";
import type { Recording, Value } from "#quipu/graph/recording.js";
import { randomNumbers } from "../../kernels/contents.js";

const ROWS = 5;

let device: Device;
beforeAll(() => {
  device = openDevice({ device: "reference" });
});
afterAll(() => device.dispose());

type Numbers = Float32Array | Int32Array;

/** State with contents. */
async function state(name: string, shape: Shape, data: Numbers, bound = 0): Promise<Tensor> {
  const tensor = device.allocate(name, data instanceof Int32Array || bound > 0 ? "i32" : "f32", shape, bound);
  await device.run(null, { writes: [[tensor, data]] });
  return tensor;
}

const ids = (count: number, of: (i: number) => number = (i) => i) =>
  Int32Array.from({ length: count }, (_, i) => of(i));

/** Draws tables that learn; a vector's gradient is [1, D]. */
class Tables {
  readonly next = randomNumbers(7);
  readonly made: { tensor: Tensor; gradient: Tensor; data: Float32Array }[] = [];

  async make(...shape: number[]): Promise<Tensor> {
    const data = Float32Array.from({ length: elementsOf(shape) }, () => this.next());
    const tensor = await state(`table ${this.made.length}`, shape, data);
    const gradient = device.allocate("gradient", "f32", shape.length === 1 ? [1, ...shape] : shape);
    this.made.push({ tensor, gradient, data });
    return tensor;
  }
}

interface Case {
  /** Makes the tables; the result records logits [ROWS, any]. */
  readonly make: (tables: Tables) => Promise<(r: Recorder, rows: (table: Tensor) => Value) => Value>;
}

/** A cache for ROWS rows: two runs of slots, and padding between. */
async function cacheOf(G: number, d: number) {
  const [pages, slots] = [2, [0, 0, -1, 1, 1]];
  return {
    cache: {
      keys: device.allocate("keys", "f32", [pages, G, d, PAGE_KEYS]),
      values: device.allocate("values", "f32", [pages, G, PAGE_KEYS, d]),
    },
    places: {
      slots: await state("slots", [ROWS], Int32Array.from(slots), 2),
      positions: await state("positions", [ROWS], Int32Array.of(0, 1, -1, 0, 1), PAGE_KEYS),
      pageTable: await state("pageTable", [2, 1], Int32Array.of(0, 1), pages),
    },
  };
}

const CASES: Readonly<Record<string, Case>> = {
  matmul: {
    make: async (tables) => {
      const [a, b] = [await tables.make(ROWS, 4), await tables.make(6, 4)];
      return (r, rows) => r.matmul(rows(a), b);
    },
  },
  add: {
    make: async (tables) => {
      const [a, b] = [await tables.make(ROWS, 4), await tables.make(ROWS, 4)];
      return (r, rows) => {
        const twice = rows(a); // its gradients meet
        return r.add(twice, r.add(rows(b), twice));
      };
    },
  },
  rmsNorm: {
    make: async (tables) => {
      const [x, weight] = [await tables.make(ROWS, 6), await tables.make(6)];
      return (r, rows) => r.rmsNorm(rows(x), weight, 0.01);
    },
  },
  rope: {
    make: async (tables) => {
      const x = await tables.make(ROWS, 8);
      const positions = await state("positions", [ROWS], Int32Array.of(0, 1, 5, 40, 2));
      const frequencies = await state("frequencies", [2], Float32Array.of(1, 0.1));
      return (r, rows) => r.rope(rows(x), r.ropeAngles(positions, frequencies, { scale: 1.5 }));
    },
  },
  swiglu: {
    make: async (tables) => {
      const [gate, up] = [await tables.make(ROWS, 5), await tables.make(ROWS, 5)];
      return (r, rows) => r.swiglu(rows(gate), rows(up));
    },
  },
  gatherRows: {
    make: async (tables) => {
      const table = await tables.make(4, 5);
      const [first, second] = [
        await state("ids", [ROWS], Int32Array.of(3, 0, 3, -1, 1)),
        await state("ids", [ROWS], Int32Array.of(1, 1, 0, 4, 9)),
      ];
      return (r) => r.gatherRows(r.gatherRows(table, first), second);
    },
  },
  attention: {
    make: async (tables) => {
      const [G, n, d] = [2, 2, 3];
      const [q, k, v] = [
        await tables.make(ROWS, n * G * d),
        await tables.make(ROWS, G * d),
        await tables.make(ROWS, G * d),
      ];
      const { cache, places } = await cacheOf(G, d);
      return (r, rows) => r.attention(rows(q), r.appendKv(rows(k), rows(v), cache, places), places, 0.7);
    },
  },
};

/** Records a case with its loss. */
async function recorded({ make }: Case, tables = new Tables()) {
  const record = await make(tables);
  const r = new Recorder();
  const iota = await state("rows", [ROWS], ids(ROWS));
  const logits = record(r, (table) => r.gatherRows(table, iota));
  const targets = await state(
    "targets",
    [ROWS],
    ids(ROWS, (t) => (t === 3 ? -1 : t % logits.shape[1]!)),
  );
  const weights = await state("weights", [ROWS], Float32Array.of(1, 2, 1, 1, 0.5));
  const losses = r.output(r.crossEntropy(logits, targets, weights).losses);
  return { tables: tables.made, recording: r.finish(), losses };
}

test.each(Object.keys(VJPS))("there is a case for %s", (op) => expect(CASES).toHaveProperty(op));

test.each(Object.entries(CASES))("%s against central differences", async (_, each) => {
  const { tables, recording, losses } = await recorded(each);
  const forward = compile(device, recording, { passes: [] });
  const loss = async () => {
    const data = new Float32Array(ROWS);
    await forward.run({ reads: [[forward.output(losses), data]] });
    return data.reduce((sum, value) => sum + value, 0);
  };
  const gradients = new Map(tables.map(({ tensor, gradient }) => [tensor, gradient]));
  const passes = [differentiate([losses], gradients)];
  const backward = compile(device, recording, { passes });
  await backward.run();
  for (const { tensor, gradient, data } of tables) {
    const given = new Float32Array(data.length);
    await device.run(null, { reads: [[gradient, given]] });
    const differences = new Float64Array(data.length);
    for (let i = 0; i < data.length; i++) {
      const at = async (step: number) => {
        await device.run(null, { writes: [[tensor, data.with(i, data[i]! + step)]] });
        return loss();
      };
      const h = 2 ** -5;
      // Of fourth order: h⁴ of what is left, and the roundings of losses, of some 10⁻⁷, by h.
      const [near, far] = [(await at(h)) - (await at(-h)), (await at(2 * h)) - (await at(-2 * h))];
      differences[i] = (8 * near - far) / (12 * h);
    }
    await device.run(null, { writes: [[tensor, data]] });
    const size = Math.hypot(...differences);
    const off = Math.hypot(...differences.map((value, i) => value - given[i]!));
    expect(size).toBeGreaterThan(0.05);
    expect(off / size).toBeLessThan(1e-3);
  }
  // Gradients add up.
  await backward.run();
  const { gradient } = tables[0]!;
  const [twice, once] = [new Float32Array(elementsOf(gradient.shape)), new Float32Array(elementsOf(gradient.shape))];
  await device.run(null, { reads: [[gradient, twice]] });
  await device.run(null, { writes: [[gradient, once]] });
  await backward.run({ reads: [[gradient, once]] });
  once.forEach((value, i) => {
    expect(twice[i]).toBeCloseTo(2 * value, 5);
  });
});

describe("what is recorded", () => {
  const opsOf = (recording: Recording) => recording.ops.map(({ op }) => op);
  const all = (tables: Tables["made"]) => new Map(tables.map(({ tensor, gradient }) => [tensor, gradient]));

  test("a frozen weight has no gradient, and what leads to it alone is not gone through", async () => {
    const { tables, recording, losses } = await recorded(CASES.matmul!);
    const [a, b] = tables;
    const ofA = opsOf(differentiate([losses], new Map([[a!.tensor, a!.gradient]]))(recording));
    expect(ofA.slice(recording.ops.length)).toEqual(["matmulPlain", "scatterAddRows", "accumulate"]);
    const ofB = opsOf(differentiate([losses], new Map([[b!.tensor, b!.gradient]]))(recording));
    expect(ofB.slice(recording.ops.length)).toEqual(["matmulOverRows"]);
    expect(opsOf(differentiate([losses], new Map())(recording))).toEqual(opsOf(recording));
  });

  test("a chunk's head is gone through before the next chunk is recorded", async () => {
    const tables = new Tables();
    const [x, head] = [await tables.make(ROWS, 4), await tables.make(6, 4)];
    const r = new Recorder();
    const losses = [];
    for (const chunk of [0, 1]) {
      const rows = r.gatherRows(
        x,
        await state(
          `rows ${chunk}`,
          [2],
          ids(2, (i) => 2 * chunk + i),
        ),
      );
      const targets = await state("targets", [2], ids(2));
      losses.push(
        r.output(r.crossEntropy(r.matmul(rows, head), targets, await state("ones", [2], Float32Array.of(1, 1))).losses),
      );
    }
    const ops = opsOf(differentiate(losses, all(tables.made))(r.finish()));
    const chunk = [
      "gatherRows",
      "matmul",
      "crossEntropy",
      "matmulPlain",
      "matmulOverRows",
      "scatterAddRows",
      "accumulate",
    ];
    expect(ops).toEqual([...chunk, ...chunk]);
  });

  test("what is computed again has the same gradients, and the values of a region are not kept", async () => {
    const tables = new Tables();
    const [x, weight, up, down] = [
      await tables.make(ROWS, 4),
      await tables.make(4),
      await tables.make(6, 4),
      await tables.make(4, 6),
    ];
    const iota = await state("rows", [ROWS], ids(ROWS));
    const targets = await state(
      "targets",
      [ROWS],
      ids(ROWS, (t) => t % 4),
    );
    const weights = await state("weights", [ROWS], new Float32Array(ROWS).fill(1));
    const r = new Recorder();
    let h = r.gatherRows(x, iota);
    for (const layer of [0, 1]) {
      h = r.region(`layers.${layer}`, () => {
        const inner = r.matmul(r.rmsNorm(h, weight, 0.01), up);
        return r.add(h, r.matmul(r.swiglu(inner, inner), down));
      });
    }
    const losses = r.output(r.crossEntropy(h, targets, weights).losses);
    const recording = r.finish();
    const given: Float32Array[][] = [];
    for (const recompute of [false, true]) {
      const again = differentiate([losses], all(tables.made), { recompute: (region) => recompute && region !== "" })(
        recording,
      );
      const extra = again.ops.filter(({ op, region }) => op === "matmul" && region === "layers.0").length;
      expect(extra).toBe(recompute ? 3 : 2); // not the last of a layer, which nothing reads
      await compile(device, again, { passes: [] }).run();
      given.push(
        await Promise.all(
          tables.made.map(async ({ gradient }) => {
            const data = new Float32Array(elementsOf(gradient.shape));
            await device.run(null, { reads: [[gradient, data]] });
            await device.run(null, { writes: [[gradient, new Float32Array(data.length)]] });
            return data;
          }),
        ),
      );
    }
    expect(given[1]).toEqual(given[0]);
  });
});

describe("refused", () => {
  const apply = (recording: Recording, losses: readonly Value[], tables: Tables["made"]) => () =>
    differentiate(losses, new Map(tables.map(({ tensor, gradient }) => [tensor, gradient])))(recording);

  test("what is no loss", async () => {
    const { tables, recording } = await recorded(CASES.add!);
    const { out } = recording.ops[0]!.results;
    expect(apply(recording, [out!], tables)).toThrow(/gatherRows.out is no loss, expected one of crossEntropy/);
  });

  test("an op without a VJP, and an operand that has none", async () => {
    const tables = new Tables();
    const frequencies = await tables.make(2);
    const positions = await state("positions", [ROWS], ids(ROWS));
    const { recording, losses } = await recorded(
      {
        make: async (tables) => {
          const x = await tables.make(ROWS, 8);
          return (r, rows) => r.region("layers.3", () => r.rope(rows(x), r.ropeAngles(positions, frequencies)));
        },
      },
      tables,
    );
    expect(apply(recording, [losses], tables.made)).toThrow(/layers\.3\.rope: it has no gradient for .*ropeAngles/);
  });

  test("a weight that other ops have made", async () => {
    const { tables, recording, losses } = await recorded({
      make: async (tables) => {
        const [a, b] = [await tables.make(ROWS, 4), await tables.make(ROWS, 4)];
        return (r, rows) => r.matmul(rows(a), rows(b));
      },
    });
    expect(apply(recording, [losses], tables)).toThrow(/matmul: it has no gradient for gatherRows/);
  });

  test("attention over keys from before the recording, of two appendKv, or of other rows", async () => {
    const [G, d] = [1, 4];
    const attentionOf = async (how: "before" | "twice" | "others") => {
      const { tables, recording, losses } = await recorded({
        make: async (tables) => {
          const [q, k] = [await tables.make(ROWS, G * d), await tables.make(ROWS, G * d)];
          const { cache, places } = await cacheOf(G, d);
          const others = {
            ...places,
            positions: await state("positions", [ROWS], Int32Array.of(0, 1, -1, 0, 1), PAGE_KEYS),
          };
          return (r, rows) => {
            if (how === "before")
              return r.attention(rows(q), { keys: r.input(cache.keys), values: r.input(cache.values) }, places, 1);
            let written = r.appendKv(rows(k), rows(k), cache, how === "others" ? others : places);
            if (how === "twice") written = r.appendKv(rows(k), rows(k), written, places);
            return r.attention(rows(q), written, places, 1);
          };
        },
      });
      return apply(recording, [losses], tables);
    };
    expect(await attentionOf("before")).toThrow(
      /attention: it reads keys that no appendKv of the recording has written/,
    );
    expect(await attentionOf("twice")).toThrow(/attention: it reads keys of two appendKv/);
    expect(await attentionOf("others")).toThrow(/attention: its rows are not those of the appendKv/);
  });
});
