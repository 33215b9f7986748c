import type { Recorder } from "#quipu/graph/recorder.js";
import type { Value } from "#quipu/graph/recording.js";
import { exp, fma, fround, gamma, sumLanes } from "./canonical.js";
import { type Contents, i32, randomF32, randomNumbers } from "./contents.js";
import { expectSameBits, expectWithin, runEverywhere, runOnEveryTrainer, runOp } from "./run-op.js";

interface Shape {
  /** Key/value heads, query heads to one, head size. */
  readonly G: number;
  readonly n: number;
  readonly d: number;
}

const SCALE = 0.3;

type Inputs = Record<"q" | "k" | "v" | "out" | "dOut" | "slots", Contents>;

/** Contents for rows of such slots. `out` is what it is a gradient beside, whatever it is. */
function inputsOf({ G, n, d }: Shape, slots: readonly number[], stretch = 1): Inputs & Record<string, Contents> {
  const [T, W] = [slots.length, G * d];
  const next = randomNumbers(T * W * n);
  return {
    ...{ q: randomF32(next, [T, n * W], stretch), k: randomF32(next, [T, W], stretch), v: randomF32(next, [T, W]) },
    ...{ out: randomF32(next, [T, n * W]), dOut: randomF32(next, [T, n * W]), slots: i32([T], slots) },
  };
}

const record = (headSize: number) => (r: Recorder, inputs: Readonly<Record<string, Value>>) => {
  const { dQ, dK, dV } = r.record("attentionBackward", inputs, { scale: SCALE, headSize });
  return [dQ!, dK!, dV!];
};

/** The first row that a row sees. */
function firstOf(slots: ArrayLike<number>, t: number): number {
  let first = t;
  while (first > 0 && slots[first - 1] === slots[t]) first -= 1;
  return first;
}

const floats = (contents: Contents) => contents.data as Float32Array;
const sum16 = (terms: readonly number[]) => {
  const lanes = new Float32Array(16);
  terms.forEach((term, j) => {
    lanes[j % 16] = fround(lanes[j % 16]! + term);
  });
  return sumLanes(lanes);
};

/** docs/numerics.md to the letter. */
function canonical(inputs: Inputs, { G, n, d }: Shape): Float32Array[] {
  const [q, k, v, out, dOut] = [inputs.q, inputs.k, inputs.v, inputs.out, inputs.dOut].map(floats) as Float32Array[];
  const slots = inputs.slots.data;
  const [T, W, scale] = [slots.length, G * d, fround(SCALE)];
  const [dQ, dK, dV] = [new Float32Array(q!.length), new Float32Array(k!.length), new Float32Array(v!.length)];
  const chain = (a: Float32Array, aAt: number, b: Float32Array, bAt: number) => {
    let total = 0;
    for (let c = 0; c < d; c++) total = fma(a[aAt + c]!, b[bAt + c]!, total);
    return total;
  };
  for (let head = 0; head < n * G; head++) {
    for (let t = 0; t < T; t++) {
      if (slots[t]! < 0) continue;
      const [first, at] = [firstOf(slots, t), t * n * W + head * d];
      const key = (u: number) => u * W + Math.floor(head / n) * d;
      const seen = Array.from({ length: t - first + 1 }, (_, j) => first + j);
      const scores = seen.map((u) => fround(chain(q!, at, k!, key(u)) * scale));
      const greatest = Math.max(...scores);
      const weights = scores.map((s) => exp(fround(s - greatest)));
      const inverse = fround(1 / sum16(weights));
      const lanes = new Float32Array(16);
      for (let c = 0; c < d; c++) lanes[c % 16] = fma(dOut![at + c]!, out![at + c]!, lanes[c % 16]!);
      const along = sumLanes(lanes);
      for (const [j, u] of seen.entries()) {
        const p = fround(weights[j]! * inverse);
        const slope = fround(fround(p * fround(chain(dOut!, at, v!, key(u)) - along)) * scale);
        for (let c = 0; c < d; c++) {
          dQ[at + c] = fma(slope, k![key(u) + c]!, dQ[at + c]!);
          dK[key(u) + c] = fma(slope, q![at + c]!, dK[key(u) + c]!);
          dV[key(u) + c] = fma(p, dOut![at + c]!, dV[key(u) + c]!);
        }
      }
    }
  }
  return [dQ, dK, dV];
}

/** In f64, and the bounds of an f32 result. */
function exact(inputs: Inputs, { G, n, d }: Shape): { values: Float64Array; bounds: Float64Array }[] {
  const [q, k, v, out, dOut] = [inputs.q, inputs.k, inputs.v, inputs.out, inputs.dOut].map(floats) as Float32Array[];
  const slots = inputs.slots.data;
  const [T, W, U] = [slots.length, G * d, 2 ** -24];
  const made = [q!, k!, v!].map(({ length }) => ({
    values: new Float64Array(length),
    bounds: new Float64Array(length),
  }));
  const [dQ, dK, dV] = made as [(typeof made)[0], (typeof made)[0], (typeof made)[0]];
  const dot = (a: Float32Array, aAt: number, b: Float32Array, bAt: number) => {
    let [total, size] = [0, 0];
    for (let c = 0; c < d; c++) {
      total += a[aAt + c]! * b[bAt + c]!;
      size += Math.abs(a[aAt + c]! * b[bAt + c]!);
    }
    return { total, size };
  };
  /** Adds weight · x, the weight off by `error`; a chain of all terms follows. */
  const add = ({ values, bounds }: (typeof made)[0], at: number, weight: number, error: number, x: number) => {
    values[at]! += weight * x;
    bounds[at]! += (error + gamma(n * T) * (Math.abs(weight) + error)) * Math.abs(x);
  };
  for (let head = 0; head < n * G; head++) {
    for (let t = 0; t < T; t++) {
      if (slots[t]! < 0) continue;
      const [first, at] = [firstOf(slots, t), t * n * W + head * d];
      const key = (u: number) => u * W + Math.floor(head / n) * d;
      const seen = Array.from({ length: t - first + 1 }, (_, j) => first + j);
      const products = seen.map((u) => dot(q!, at, k!, key(u)));
      const scores = products.map(({ total }) => total * fround(SCALE));
      const greatest = Math.max(...scores);
      const weights = scores.map((s) => Math.exp(s - greatest));
      const mass = weights.reduce((a, b) => a + b);
      // A score is off by d fma and a product, its difference to the greatest by one rounding; exp by two.
      const off = products.map(({ size }, j) => gamma(d + 1) * size * SCALE + U * (greatest - scores[j]!));
      const relative = Math.expm1(2 * Math.max(...off)) + gamma(2) + gamma(Math.ceil(seen.length / 16) + 4 + 4);
      const along = dot(dOut!, at, out!, at);
      for (const [j, u] of seen.entries()) {
        const p = weights[j]! / mass;
        const toValue = dot(dOut!, at, v!, key(u));
        const slope = p * (toValue.total - along.total) * SCALE;
        const around = Math.abs(toValue.total) + Math.abs(along.total);
        const inSlope = p * SCALE * (2 * relative * around + 2 * gamma(d + 3) * (toValue.size + along.size));
        for (let c = 0; c < d; c++) {
          add(dQ, at + c, slope, inSlope, k![key(u) + c]!);
          add(dK, key(u) + c, slope, inSlope, q![at + c]!);
          add(dV, key(u) + c, p, 2 * relative * p, dOut![at + c]!);
        }
      }
    }
  }
  return made;
}

const run = (length: number, slot: number) => new Array<number>(length).fill(slot);

// Runs at the edges of tiles of six, of sixteen lanes, of chunks of 48 and blocks of 64; padding before, between and behind.
test.each<[string, Shape, number[]]>([
  ["one row", { G: 1, n: 1, d: 1 }, [0]],
  ["one run", { G: 1, n: 2, d: 5 }, run(7, 0)],
  [
    "runs and padding",
    { G: 2, n: 1, d: 16 },
    [...run(2, -1), ...run(17, 3), ...run(1, 0), ...run(3, -1), ...run(13, 1), -1],
  ],
  ["a run over blocks", { G: 1, n: 3, d: 17 }, [...run(5, 1), ...run(70, 0)]],
  ["runs of all lengths", { G: 3, n: 2, d: 8 }, Array.from({ length: 12 }, (_, i) => run(i + 1, i % 5)).flat()],
  ["a long run", { G: 1, n: 1, d: 64 }, [...run(131, 2), ...run(60, 1)]],
  ["a long run of few features", { G: 1, n: 2, d: 8 }, [...run(131, 2), ...run(60, 1)]],
  ["three vectors of features and a part", { G: 1, n: 1, d: 52 }, run(20, 0)],
  ["two vectors of features", { G: 1, n: 1, d: 32 }, run(20, 0)],
])("%s: %j", async (_, shape, slots) => {
  const inputs = inputsOf(shape, slots);
  const all = await runOnEveryTrainer(inputs, record(shape.d));
  const [letter, f64] = [canonical(inputs, shape), exact(inputs, shape)];
  for (const [i, name] of ["dQ", "dK", "dV"].entries()) {
    expectSameBits(all[0]!.outputs[i]!, letter[i]!, `${name} against numerics.md`);
    const { values, bounds } = f64[i]!;
    for (const { device, outputs } of all)
      expectWithin(outputs[i]!, values, (at) => bounds[at]!, `${name}, ${device} against f64`);
  }
});

test("a run longer than those that are taken whole", async () => {
  const [cpu, reference] = await runOnEveryTrainer(inputsOf({ G: 1, n: 1, d: 2 }, run(1040, 0)), record(2));
  for (const [i, name] of ["dQ", "dK", "dV"].entries()) {
    const exact = Float64Array.from(reference!.outputs[i]!);
    const greatest = exact.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expectWithin(cpu!.outputs[i]!, exact, () => 1e-5 * greatest, name); // some ten roundings of what adds up to it
  }
});

test("a run has the same gradients wherever it lies", async () => {
  const shape = { G: 2, n: 2, d: 12 };
  const alone = inputsOf(shape, run(75, 0));
  const width = (of: Contents) => of.data.length / 75;
  const moved = Object.fromEntries(
    Object.entries(inputsOf(shape, [...run(23, 1), ...run(75, 0), ...run(9, 2)])).map(([name, contents]) => {
      const inner = alone[name]!;
      if (name !== "slots") floats(contents).set(floats(inner), 23 * width(inner));
      return [name, contents];
    }),
  );
  const [one, other] = [
    await runEverywhere(alone, record(shape.d)),
    await runEverywhere(moved as typeof alone, record(shape.d)),
  ];
  for (const [i, output] of one.outputs.entries()) {
    const from = 23 * (output.length / 75);
    expectSameBits(other.outputs[i]!.subarray(from, from + output.length), output, `output ${i}`);
  }
});

test("scores that overflow are no numbers in what they reach", async () => {
  const shape = { G: 1, n: 1, d: 4 };
  const inputs = inputsOf(shape, [0, 0, 0, 1, 1]);
  floats(inputs.q)[4] = Number.NaN; // row 1
  const { outputs } = await runEverywhere(inputs, record(4));
  const isNumber = (i: number) =>
    Array.from({ length: 5 }, (_, t) => outputs[i]!.subarray(4 * t, 4 * t + 4).every(Number.isFinite));
  expect(isNumber(0)).toEqual([true, false, true, true, true]);
  expect(isNumber(1)).toEqual([false, false, true, true, true]);
  expect(isNumber(2)).toEqual([false, false, true, true, true]);
});

test.each([0, 3, 2 ** 31])("a head size that does not divide the width: %i", async (headSize) => {
  const inputs = inputsOf({ G: 1, n: 1, d: 4 }, [0, 0]);
  for (const setup of [{ target: "scalar", threads: 2 }, { device: "reference" }] as const)
    await expect(runOp(setup, inputs, record(headSize))).rejects.toMatchObject({ code: "ERR_INTERNAL" });
});
