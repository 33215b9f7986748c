import { fma, fround, gamma } from "./canonical.js";
import { i32, randomF32, randomNumbers } from "./contents.js";
import { expectSameBits, expectWithin, runEverywhere, runOnEveryTrainer } from "./run-op.js";

test.each([
  [1, 1, 1],
  [3, 2, 5],
  [5, 3, 16],
  [7, 1, 33],
])("%i rows of %i heads, %i pairs", async (rows, heads, half) => {
  const next = randomNumbers(rows * heads * half);
  const dOut = randomF32(next, [rows, heads * 2 * half]);
  const angles = randomF32(next, [rows, half, 2]);
  const canonical = new Float32Array(dOut.data.length);
  const exact = new Float64Array(dOut.data.length);
  const sizes = new Float64Array(dOut.data.length);
  for (let t = 0; t < rows; t++) {
    for (let head = 0; head < heads; head++) {
      for (let j = 0; j < half; j++) {
        const first = (t * heads + head) * 2 * half + j;
        const [a, b] = [dOut.data[first]!, dOut.data[first + half]!];
        const [cosine, sine] = [angles.data[(t * half + j) * 2]!, angles.data[(t * half + j) * 2 + 1]!];
        canonical[first] = fma(b, sine, fround(a * cosine));
        canonical[first + half] = fma(-a, sine, fround(b * cosine));
        exact[first] = a * cosine + b * sine;
        exact[first + half] = b * cosine - a * sine;
        sizes[first] = Math.abs(a * cosine) + Math.abs(b * sine);
        sizes[first + half] = Math.abs(b * cosine) + Math.abs(a * sine);
      }
    }
  }
  const all = await runOnEveryTrainer({ dOut, angles }, (r, { dOut, angles }) => [
    r.record("ropeBackward", { dOut, angles }).dX!,
  ]);
  expectSameBits(all[0]!.outputs[0]!, canonical, "against numerics.md");
  for (const { device, outputs } of all)
    expectWithin(outputs[0]!, exact, (i) => gamma(2) * sizes[i]!, `${device} against f64`);
});

test("in the memory of dOut, and rope undone", async () => {
  const next = randomNumbers(5);
  const inputs = {
    ...{ x: randomF32(next, [4, 12]), positions: i32([4], [0, 3, 9, 50]), frequencies: randomF32(next, [3]) },
    rows: i32([4], [0, 1, 2, 3]),
  };
  const { outputs } = await runEverywhere(inputs, (r, { x, positions, frequencies, rows }) => {
    const angles = r.ropeAngles(positions, frequencies);
    const turned = r.rope(x, angles);
    return [
      r.record("ropeBackward", { dOut: turned, angles }).dX!,
      r.gatherRows(r.record("ropeBackward", { dOut: r.gatherRows(turned, rows), angles }).dX!, rows),
    ];
  });
  expectSameBits(outputs[1]!, outputs[0]!, "over dOut");
  expectWithin(outputs[0]!, inputs.x.data, () => 1e-6, "turned and back");
});
