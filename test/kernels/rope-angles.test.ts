import { inverseFrequencies } from "#quipu/model/rope.js";
import { fround } from "./canonical.js";
import { f32, i32, randomNumbers } from "./contents.js";
import { expectSameBits, runEverywhere, runOnEveryDevice } from "./run-op.js";

/** Our f64 polynomial and the host's Math.cos are within 2⁻⁵⁰ of the truth: rounded to f32 they differ only beside a tie. */
function expectRounded(actual: number, exact: number, what: string) {
  const near = [fround(exact - 2 ** -50), fround(exact), fround(exact + 2 ** -50)];
  if (!near.includes(actual)) throw new Error(`${what}: expected ${fround(exact)}, got ${actual}`);
}

async function expectAngles(positions: number[], frequencies: Float32Array) {
  const half = frequencies.length;
  const all = await runOnEveryDevice(
    { positions: i32([positions.length], positions), frequencies: f32([half], frequencies) },
    (r, { positions, frequencies }) => [r.ropeAngles(positions, frequencies)],
  );
  for (const { device, outputs } of all) {
    positions.forEach((position, t) => {
      for (let j = 0; j < half; j++) {
        const angle = fround(Math.max(position, 0) * frequencies[j]!);
        const at = 2 * (t * half + j);
        expectRounded(outputs[0]![at]!, Math.cos(angle), `cos ${angle} (${device})`);
        expectRounded(outputs[0]![at + 1]!, Math.sin(angle), `sin ${angle} (${device})`);
      }
    });
  }
}

test.each([1, 2, 8, 15, 16, 17, 32, 64])("%i frequencies of a model", async (half) => {
  const positions = [0, 1, 2, 63, 64, 65, 200, 8191, 131071];
  await expectAngles(positions, inverseFrequencies({ theta: 500_000 }, 2 * half));
});

test("positions up to 2²⁴ − 1, frequencies up to 1", async () => {
  const next = randomNumbers(3);
  const positions = [2 ** 24 - 1, 2 ** 24 - 2, 2 ** 23 + 1];
  for (let i = 0; i < (process.env.QUIPU_EXHAUSTIVE ? 100_000 : 1000); i++)
    positions.push(Math.floor((next() + 1) * 2 ** 23));
  await expectAngles(positions, Float32Array.of(1, 0.7498942, 0.1, 2 ** -10, 1e-7));
});

test("angles beside multiples of π/2", async () => {
  // The f32 nearest to n π/2, where sine or cosine is almost 0: no digit of the reduction may be lost.
  const position = 1;
  const angles = Array.from({ length: 400 }, (_, n) => fround(((n < 300 ? n : n * 25_013) * Math.PI) / 2));
  await expectAngles([position], Float32Array.from(angles));
});

test("a scale multiplies what is rounded already", async () => {
  const frequencies = Float32Array.of(1, 0.3, 0.01);
  const [positions, scale] = [[0, 3, 5000], 1.2079441541679836];
  const { outputs } = await runEverywhere(
    { positions: i32([3], positions), frequencies: f32([3], frequencies) },
    (r, { positions, frequencies }) => [
      r.ropeAngles(positions, frequencies),
      r.ropeAngles(positions, frequencies, { scale }),
    ],
  );
  const expected = outputs[0]!.map((x) => fround(x * fround(scale)));
  expectSameBits(outputs[1]!, Float32Array.from(expected), "scaled angles");
});

test("padding turns nothing", async () => {
  const { outputs } = await runEverywhere(
    { positions: i32([2], [-1, 0]), frequencies: f32([3], [1, 0.5, 0.25]) },
    (r, { positions, frequencies }) => [r.ropeAngles(positions, frequencies)],
  );
  expectSameBits(outputs[0]!, Float32Array.of(1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0), "angles");
});

test("a frequency that is no number gives NaN, beside it nothing changes", async () => {
  const { outputs } = await runEverywhere(
    { positions: i32([1], [1]), frequencies: f32([3], [Number.NaN, 1, Number.POSITIVE_INFINITY]) },
    (r, { positions, frequencies }) => [r.ropeAngles(positions, frequencies)],
  );
  const [nan, one] = [Number.NaN, [fround(Math.cos(1)), fround(Math.sin(1))]];
  expect([...outputs[0]!]).toEqual([nan, nan, ...one, nan, nan]);
});
