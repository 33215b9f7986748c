import { fround } from "./canonical.js";
import { f32 } from "./contents.js";
import { expectSameBits, expectWithin, runOnEveryTrainer } from "./run-op.js";

const { POSITIVE_INFINITY: NONE, NaN: NAN } = Number;

// squares, scale, greatest, limit → norm, factor
test.each([
  [16, 0.5, 10, NONE, 2, 0.5],
  [16, 0.5, 1, NONE, 2, 0.25],
  [16, 0.5, 1, 2, 2, 0.25],
  [16, 0.5, 1, 1.99, 2, 0],
  [0, 0.5, 1, NONE, 0, 0.5],
  [9, 1 / 3, NONE, NONE, 1, 1 / 3],
  [NONE, 1, 1, NONE, NONE, 0],
  [NAN, 1, 1, NONE, NAN, 0],
  [1, 1, 1, NAN, 1, 0],
])(
  "Σ g² = %d, scale %d, greatest %d, limit %d: norm %d, factor %d",
  async (squares, scale, greatest, limit, norm, factor) => {
    const inputs = { squares: f32([1], [squares]), settings: f32([3], [scale, greatest, limit]) };
    const all = await runOnEveryTrainer(inputs, (r, { squares, settings }) => {
      const { norm, factor } = r.clipNorm(squares, settings);
      return [norm, factor];
    });
    for (const { device, outputs } of all) {
      expectWithin(outputs[0]!, [norm], () => 2 ** -22 * norm, `norm, ${device}`);
      expectWithin(outputs[1]!, [factor], () => 2 ** -22 * factor, `factor, ${device}`);
    }
    const length = fround(fround(Math.sqrt(squares)) * fround(scale));
    expectSameBits(all[0]!.outputs[0]!, Float32Array.of(length), "against numerics.md");
  },
);
