import { openDevice } from "#quipu/device/device.js";
import type { Tensor } from "#quipu/device/tensor.js";
import { chainProducts } from "#quipu/graph/passes/chain-products.js";
import { compile } from "#quipu/graph/program.js";
import { Recorder } from "#quipu/graph/recorder.js";
import type { Recording } from "#quipu/graph/recording.js";

const device = openDevice({ threads: 2 });
afterAll(() => device.dispose());

const [ROWS, DEPTH, WIDTH] = [37, 300, 50];
const ops = (recording: Recording) => recording.ops.map(({ op, region }) => (region === "" ? op : `${region} ${op}`));

const rows = device.allocate("rows", "f32", [ROWS, DEPTH]);
const weights = device.allocate("weights", "f32", [WIDTH, DEPTH]);
const number = (i: number) => ((Math.imul(i + 1, 0x9e3779b1) >>> 8) / 2 ** 23 - 1) / 8;
const numbersOf = ({ shape: [height, width] }: Tensor) =>
  Float32Array.from({ length: height! * width! }, (_, i) => number(i));

test("products by f32 weights are of their transpose, which is made once", () => {
  const r = new Recorder();
  const x = r.input(rows);
  r.output(r.matmul(x, weights));
  r.output(r.matmul(r.add(x, x), weights));
  expect(ops(chainProducts(r.finish()))).toEqual(["transpose", "matmulPlain", "add", "matmulPlain"]);
});

test("in each region: what the one before made need not be kept", () => {
  const r = new Recorder();
  const x = r.input(rows);
  for (const layer of ["layers.0", "layers.1", "layers.0"]) r.region(layer, () => r.output(r.matmul(x, weights)));
  expect(ops(chainProducts(r.finish()))).toEqual(
    ["layers.0", "layers.1", "layers.0"].flatMap((layer) => [`${layer} transpose`, `${layer} matmulPlain`]),
  );
});

test("weights of other types stay as they are", () => {
  const r = new Recorder();
  r.output(r.matmul(rows, device.allocate("bf16", "bf16", [WIDTH, DEPTH])));
  expect(ops(chainProducts(r.finish()))).toEqual(["matmul"]);
});

test("the sums are those of matmul but for their rounding", async () => {
  await device.run(null, {
    writes: [
      [rows, numbersOf(rows)],
      [weights, numbersOf(weights)],
    ],
  });
  const r = new Recorder();
  r.output(r.matmul(rows, weights));
  const [plain, chained] = [r.finish(), chainProducts(r.finish())];
  const run = async (recording: Recording) => {
    const place = device.allocate("out", "f32", [ROWS, WIDTH]);
    const program = compile(device, recording, { passes: [], places: new Map([[recording.outputs[0]!, place]]) });
    const out = new Float32Array(ROWS * WIDTH);
    await program.run({ reads: [[place, out]] });
    program.dispose();
    return out;
  };
  const [expected, got] = [await run(plain), await run(chained)];
  const [a, b] = [numbersOf(rows), numbersOf(weights)];
  for (let row = 0; row < ROWS; row++) {
    for (let column = 0; column < WIDTH; column++) {
      let [sum, absolute] = [0, 0];
      for (let k = 0; k < DEPTH; k++) {
        const term = a[row * DEPTH + k]! * b[column * DEPTH + k]!;
        sum += term;
        absolute += Math.abs(term);
      }
      const at = row * WIDTH + column;
      expect(Math.abs(got[at]! - sum)).toBeLessThanOrEqual(DEPTH * 2 ** -24 * absolute);
      expect(Math.abs(expected[at]! - sum)).toBeLessThanOrEqual(DEPTH * 2 ** -24 * absolute);
    }
  }
});
