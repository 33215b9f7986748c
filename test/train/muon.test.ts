// Muon: what its ops make together, beside PyTorch in float64, and that a model learns by it.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Device, openDevice } from "#quipu/device/device.js";
import type { Tensor } from "#quipu/device/tensor.js";
import { compile } from "#quipu/graph/program.js";
import { Recorder } from "#quipu/graph/recorder.js";
import { MUON_SETTINGS } from "#quipu/graph/training-ops.js";
import { recordMuon, recordOrthogonal } from "#quipu/train/muon.js";
import { createTrainingRuntime, planTraining } from "#quipu/train/training-runtime.js";
import { randomF32, randomNumbers } from "../kernels/contents.js";
import { expectSameBits } from "../kernels/run-op.js";
import { packed, randomDocument, TINY } from "./batches.js";

let device: Device;
beforeAll(() => {
  device = openDevice({ threads: 2 });
});
afterAll(() => device.dispose());

interface Case {
  readonly shape: [number, number];
  readonly weight: string;
  readonly gradients: string[];
  readonly after: string;
  readonly variance: string;
}

const golden = JSON.parse(readFileSync(join("test/reference/muon.golden.json"), "utf8")) as {
  readonly rate: number;
  readonly decay: number;
  readonly beta: number;
  readonly cases: Case[];
};

const floats = (base64: string) => new Float32Array(Uint8Array.from(Buffer.from(base64, "base64")).buffer);

test.each(golden.cases.map((one) => [one.shape.join(" × "), one] as const))(
  "%s learns as in PyTorch",
  async (_, { shape, weight, gradients, after, variance }) => {
    const allocate = (name: string, of: readonly number[]) => device.allocate(name, "f32", [...of]);
    const [parameter, gradient, momentum] = ["parameter", "gradient", "momentum"].map((name) => allocate(name, shape));
    const [rows, factor, settings] = [allocate("v", [shape[0]]), allocate("f", [1]), allocate("s", [5])];
    const values: Record<(typeof MUON_SETTINGS)[number], number> = {
      ...{ rate: golden.rate, keep: 1 - golden.rate * golden.decay, epsilon: 1e-8 },
      ...{ beta: golden.beta, gain: 1 - golden.beta },
    };
    const r = new Recorder();
    const matrix = { parameter: parameter!, gradient: gradient!, momentum: momentum!, variance: rows };
    recordMuon(r, matrix, factor, settings);
    const program = compile(device, r.finish());
    await device.run(null, {
      writes: [
        [parameter!, floats(weight)],
        [momentum!, new Float32Array(shape[0] * shape[1])],
        [rows, new Float32Array(shape[0])],
        [factor, Float32Array.of(1)],
        [settings, Float32Array.from(MUON_SETTINGS, (name) => values[name])],
      ],
    });
    for (const each of gradients) await program.run({ writes: [[gradient!, floats(each)]] });
    const read = async (tensor: Tensor, elements: number) => {
      const data = new Float32Array(elements);
      await device.run(null, { reads: [[tensor, data]] });
      return data;
    };
    const [expected, before] = [floats(after), floats(weight)];
    const moved = Math.max(...expected.map((value, i) => Math.abs(value - before[i]!)));
    (await read(parameter!, expected.length)).forEach((value, i) => {
      expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-4 * moved);
    });
    (await read(rows, shape[0])).forEach((value, i) => {
      expect(value / floats(variance)[i]!).toBeCloseTo(1, 4);
    });
    program.dispose();
  },
);

test("an update's singular values come near to 1, whatever they were", async () => {
  const [rows, columns] = [24, 10];
  const x = device.allocate("x", "f32", [rows, columns]);
  const out = device.allocate("out", "f32", [rows, columns]);
  const r = new Recorder();
  const y = r.output(recordOrthogonal(r, r.input(x)));
  const program = compile(device, r.finish(), { places: new Map([[y, out]]) });
  const found = new Float32Array(rows * columns);
  const data = randomF32(randomNumbers(3), [rows, columns], 1e3).data;
  await program.run({ writes: [[x, data]], reads: [[out, found]] });
  // Of found · found' on vectors: lengths are between the least and the greatest singular value.
  const next = randomNumbers(9);
  for (let probe = 0; probe < 50; probe++) {
    const vector = randomF32(next, [columns]).data;
    const image = Array.from({ length: rows }, (_, row) =>
      vector.reduce((sum, value, i) => sum + value * found[row * columns + i]!, 0),
    );
    const stretch = Math.hypot(...image) / Math.hypot(...vector);
    expect(stretch).toBeGreaterThan(0.5);
    expect(stretch).toBeLessThan(1.3);
  }
  program.dispose();
});

const options = { batchTokens: 80, maxDocuments: 4, optimizer: "muon" } as const;

test("four documents are learned by heart, in fewer steps than by AdamW, with the same bits for any threads", async () => {
  const config = { ...TINY, hiddenSize: 48, headSize: 12, intermediateSize: 96 };
  const batch = packed([0, 1, 2, 3].map((i) => [i, ...randomDocument(i, 19, TINY.vocabSize)]));
  const learn = async (threads: number, optimizer: "adamw" | "muon") => {
    const own = openDevice({ threads });
    const runtime = await createTrainingRuntime(own, config, { ...options, optimizer });
    await runtime.initialise(1);
    let step = 0;
    for (let loss = Number.POSITIVE_INFINITY; step < 200 && loss >= 0.05; ) {
      step += 1;
      void runtime.accumulate(batch);
      loss = (await runtime.step({ step, rate: 0.01, muonRate: 0.02, weightDecay: 0 })).loss;
    }
    const weights = await runtime.read("model.layers.1.mlp.down_proj.weight");
    runtime.dispose();
    await own.dispose();
    return { step, weights };
  };
  const [one, three, adamW] = [await learn(1, "muon"), await learn(3, "muon"), await learn(2, "adamw")];
  expect(one.step).toBeLessThan(adamW.step);
  expect(three.step).toBe(one.step);
  expectSameBits(three.weights, one.weights, "a matrix");
});

test("a step that is left out changes nothing", async () => {
  const runtime = await createTrainingRuntime(device, TINY, options);
  await runtime.initialise(1);
  const state = async () => {
    const all = [];
    for (const part of runtime.parts)
      for (const name of runtime.shapes.keys()) all.push(await runtime.read(name, part));
    return all;
  };
  const before = await state();
  void runtime.accumulate(packed([randomDocument(1, 20, TINY.vocabSize)]));
  expect((await runtime.step({ step: 1, rate: 0.01, weightDecay: 0.1, skipAbove: 1e-9 })).skipped).toBe(true);
  for (const [i, values] of (await state()).entries()) expectSameBits(values, before[i]!, `state ${i}`);
  runtime.dispose();
});

test("a matrix's variance is a number a row, and embedding, head and norms are AdamW's", async () => {
  const runtime = await createTrainingRuntime(device, TINY, options);
  const shapes = new Map(Array.from(runtime.shapes.keys(), (name) => [name, runtime.shapeOf(name, "variance")]));
  for (const [name, shape] of runtime.shapes) {
    const isOfMuon = name.startsWith("model.layers.") && shape.length === 2;
    expect([name, shapes.get(name)]).toEqual([name, isOfMuon ? [shape[0]] : shape]);
  }
  runtime.dispose();
  const plan = (optimizer: "adamw" | "muon") => planTraining(TINY, { ...options, optimizer }).state;
  expect(plan("muon")).toBeLessThan(plan("adamw"));
});

test("a mean of the parameters is what it is asked to be", async () => {
  const runtime = await createTrainingRuntime(device, TINY, { ...options, averages: true });
  await runtime.initialise(1);
  const name = "model.norm.weight";
  const one = new Float32Array(TINY.hiddenSize).fill(1);
  await runtime.average(1);
  expectSameBits(await runtime.read(name, "average"), one, "the first");
  await runtime.write(name, new Float32Array(TINY.hiddenSize).fill(3));
  await runtime.average(0.25);
  expectSameBits(
    await runtime.read(name, "average"),
    one.map(() => 1.5),
    "and a quarter of the next",
  );
  runtime.dispose();
  const without = await createTrainingRuntime(device, TINY, options);
  await expect(without.average(1)).rejects.toThrow("ask for one by `averages`");
  without.dispose();
});
