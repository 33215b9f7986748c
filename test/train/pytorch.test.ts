// Gradients and a loss curve as PyTorch's autograd and AdamW have them in float64 (test/reference/training.py).
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { openCheckpoint } from "#quipu/checkpoint/checkpoint.js";
import { type Device, openDevice } from "#quipu/device/device.js";
import { elementsOf } from "#quipu/device/tensor.js";
import { PAGE_KEYS } from "#quipu/graph/ops.js";
import { compile } from "#quipu/graph/program.js";
import { Recorder } from "#quipu/graph/recorder.js";
import type { Value } from "#quipu/graph/recording.js";
import { readConfig } from "#quipu/model/config.js";
import { disposeWeights, loadWeights } from "#quipu/model/weights.js";
import { createTrainingRuntime, type TrainingOptions, type TrainingRuntime } from "#quipu/train/training-runtime.js";
import { packed } from "./batches.js";

interface Stored {
  readonly shape: readonly number[];
  readonly data: string;
}

interface Golden {
  readonly ops: readonly {
    readonly op: string;
    readonly attributes: Readonly<Record<string, number>>;
    readonly inputs: Readonly<Record<string, Stored>>;
    readonly dOut: Stored;
    readonly gradients: Readonly<Record<string, Stored>>;
  }[];
  readonly gradients: readonly {
    readonly name: string;
    readonly documents: readonly (readonly number[])[];
    readonly weights: readonly (readonly number[])[];
    readonly loss: number;
    readonly tensors: readonly { readonly name: string; readonly shape: readonly number[] }[];
  }[];
  readonly curve: {
    readonly name: string;
    readonly documents: readonly (readonly number[])[];
    readonly rates: readonly number[];
    readonly losses: readonly number[];
    readonly norms: readonly number[];
  };
}

const REFERENCE = join(process.cwd(), "test", "reference");
const golden = JSON.parse(readFileSync(join(REFERENCE, "training.golden.json"), "utf8")) as Golden;

const floats = (bytes: Buffer) => new Float32Array(Uint8Array.from(bytes).buffer);
const numbers = ({ data }: Stored) => floats(Buffer.from(data, "base64"));

let device: Device;
beforeAll(() => {
  device = openDevice({ threads: 2 });
});
afterAll(() => device.dispose());

/** ‖given − expected‖ ≤ 10⁻⁴ ‖expected‖, and no element is further off than 10⁻³ of the greatest. */
function expectGradient(given: Float32Array, expected: Float32Array, what: string): void {
  expect(given.length).toBe(expected.length);
  let [size, off, greatest, furthest] = [0, 0, 0, 0];
  expected.forEach((value, i) => {
    const apart = given[i]! - value;
    size += value ** 2;
    off += apart ** 2;
    greatest = Math.max(greatest, Math.abs(value));
    furthest = Math.max(furthest, Math.abs(apart));
  });
  if (Math.sqrt(off) <= 1e-4 * Math.sqrt(size) && furthest <= 1e-3 * greatest) return;
  throw new Error(`${what}: off by ${Math.sqrt(off / size)} of its norm, ${furthest / greatest} of its greatest`);
}

async function runtimeOf(name: string, options: TrainingOptions): Promise<TrainingRuntime> {
  const folder = join(REFERENCE, "tiny", name);
  const config = await readConfig(folder);
  const { weights } = await loadWeights(device, await openCheckpoint(folder), config, { mmap: true });
  const runtime = await createTrainingRuntime(device, config, options);
  await runtime.load(weights);
  disposeWeights(device, weights);
  return runtime;
}

test.each(golden.gradients.map((each) => [each.name, each] as const))(
  "all gradients of %s",
  async (name, { documents, weights, loss, tensors }) => {
    const runtime = await runtimeOf(name, { batchTokens: 128, maxDocuments: 4, lossRows: 50 });
    const batch = packed(documents);
    const given = await runtime.accumulate({ ...batch, weights: Float32Array.from(weights.flat()) });
    expect(Math.abs(given.loss / loss - 1)).toBeLessThan(1e-5);
    const all = floats(readFileSync(join(REFERENCE, "gradients", `${name}.f32`)));
    let first = 0;
    for (const { name: tensor, shape } of tensors) {
      const expected = all.subarray(first, first + elementsOf(shape));
      first += expected.length;
      expectGradient(await runtime.read(tensor, "gradient"), expected, tensor);
    }
    expect([first, tensors.length]).toEqual([all.length, runtime.shapes.size]);
    runtime.dispose();
  },
);

test("50 steps have the losses that they have in PyTorch", async () => {
  const { name, documents, rates, losses, norms } = golden.curve;
  const runtime = await runtimeOf(name, { batchTokens: 96, maxDocuments: 2 });
  for (const [step, rate] of rates.entries()) {
    for (const first of [0, 2])
      void runtime.accumulate(packed([0, 1].map((i) => documents[(4 * step + first + i) % 8]!)));
    const result = await runtime.step({ step: step + 1, rate, weightDecay: 0.1, clip: 1 });
    const [loss, norm] = [result.loss / losses[step]! - 1, result.gradientNorm / norms[step]! - 1];
    if (!(Math.abs(loss) < 1e-3 && Math.abs(norm) < 1e-2))
      throw new Error(`step ${step + 1}: off by ${loss}, its norm by ${norm}`);
  }
  expect(losses.at(-1)!).toBeLessThan(losses[0]! / 2);
  runtime.dispose();
});

// The ops that the VJPs record, given dOut.
test.each(golden.ops.map((each, i) => [`${each.op}, ${i}`, each] as const))(
  "%s",
  async (_, { op, attributes, inputs, dOut, gradients }) => {
    const r = new Recorder();
    const tensors = new Map<string, ReturnType<typeof device.allocate>>();
    for (const [name, stored] of Object.entries(inputs)) {
      const isIds = name === "targets";
      const tensor = device.allocate(name, isIds ? "i32" : "f32", stored.shape);
      const data = isIds ? Int32Array.from(numbers(stored)) : numbers(stored);
      await device.run(null, { writes: [[tensor, data]] });
      tensors.set(name, tensor);
    }
    const at = (name: string) => r.input(tensors.get(name)!);
    const rows = Object.values(inputs)[0]!.shape[0]!;
    const gradient = device.allocate("dOut", "f32", dOut.shape);
    await device.run(null, { writes: [[gradient, numbers(dOut)]] });
    const given = { dOut: r.input(gradient) };
    const made: Record<string, Value> = {};
    const sumOf = (name: string) => {
      const { shape } = inputs[name]!;
      return device.allocate(`sum of ${name}`, "f32", shape);
    };
    const sums = new Map<string, ReturnType<typeof device.allocate>>();
    switch (op) {
      case "matmul": {
        made.a = r.record("matmulPlain", { a: given.dOut, b: at("b") }).out!;
        sums.set("b", sumOf("b"));
        r.record("matmulOverRows", { a: given.dOut, b: at("a"), sum: sums.get("b")! });
        break;
      }
      case "rmsNorm": {
        const { dX, dWeight } = r.record("rmsNormBackward", { x: at("x"), weight: at("weight"), ...given }, attributes);
        Object.assign(made, { x: dX, weight: dWeight });
        break;
      }
      case "swiglu": {
        const { dGate, dUp } = r.record("swigluBackward", { gate: at("gate"), up: at("up"), ...given });
        Object.assign(made, { gate: dGate, up: dUp });
        break;
      }
      case "rope":
        made.x = r.record("ropeBackward", { ...given, angles: at("angles") }).dX!;
        break;
      case "attention": {
        const slots = device.allocate("slots", "i32", [rows], 1);
        const positions = device.allocate("positions", "i32", [rows], 2 * PAGE_KEYS);
        const pageTable = device.allocate("pageTable", "i32", [1, 2], 2);
        const [heads, size] = [inputs.k!.shape[1]! / attributes.headSize!, attributes.headSize!];
        const cache = {
          keys: device.allocate("keys", "f32", [2, heads, size, PAGE_KEYS]),
          values: device.allocate("values", "f32", [2, heads, PAGE_KEYS, size]),
        };
        const writes = [
          [positions, Int32Array.from({ length: rows }, (_, t) => t)],
          [pageTable, Int32Array.of(1, 0)],
        ] as const;
        await device.run(null, { writes });
        const places = { slots, positions, pageTable };
        const out = r.attention(at("q"), r.appendKv(at("k"), at("v"), cache, places), places, attributes.scale!);
        const operands = { q: at("q"), k: at("k"), v: at("v"), out, ...given, slots };
        const { dQ, dK, dV } = r.record("attentionBackward", operands, attributes);
        Object.assign(made, { q: dQ, k: dK, v: dV });
        break;
      }
      case "crossEntropy": {
        made.logits = r.crossEntropy(at("logits"), at("targets"), given.dOut).dLogits;
        break;
      }
      default:
        throw new Error(`there is no way to run ${op}`);
    }
    const values = Object.entries(made).map(([name, value]) => [name, r.output(value)] as const);
    const program = compile(device, r.finish(), { passes: [] });
    await program.run();
    for (const [name, stored] of Object.entries(gradients)) {
      const value = values.find(([other]) => other === name);
      const tensor = value === undefined ? sums.get(name)! : program.output(value[1]);
      const read = new Float32Array(elementsOf(tensor.shape));
      await device.run(null, { reads: [[tensor, read]] });
      expectGradient(read, numbers(stored), name);
    }
    program.dispose();
  },
);
