import { fma, fround, gamma } from "./canonical.js";
import { f32, i32, randomF32, randomNumbers } from "./contents.js";
import { expectSameBits, expectWithin, runEverywhere, runOnEveryDevice } from "./run-op.js";

/** Angles [rows, half, 2] as cosines and sines of random turns. */
function randomAngles(next: () => number, rows: number, half: number) {
  const turns = Array.from({ length: rows * half }, () => next() * Math.PI);
  return f32(
    [rows, half, 2],
    turns.flatMap((turn) => [Math.cos(turn), Math.sin(turn)]),
  );
}

/** Calls back with the place of each pair (j, j + d/2) in x and its angle. */
function forPairs(
  rows: number,
  width: number,
  half: number,
  angles: Float32Array,
  visit: (first: number, cosine: number, sine: number) => void,
) {
  for (let t = 0; t < rows; t++) {
    for (let head = 0; head < width; head += 2 * half) {
      for (let j = 0; j < half; j++) {
        const at = 2 * (t * half + j);
        visit(t * width + head + j, angles[at]!, angles[at + 1]!);
      }
    }
  }
}

describe("rope", () => {
  test.each([
    { rows: 1, heads: 1, size: 2 },
    { rows: 5, heads: 7, size: 4 },
    { rows: 6, heads: 5, size: 8 },
    { rows: 3, heads: 9, size: 16 },
    { rows: 2, heads: 3, size: 30 },
    { rows: 7, heads: 2, size: 34 },
    { rows: 65, heads: 3, size: 40 },
    { rows: 12, heads: 4, size: 64 },
    { rows: 9, heads: 1, size: 128 },
  ])("%j", async ({ rows, heads, size }) => {
    const [next, half, width] = [randomNumbers(size), size / 2, heads * size];
    const x = randomF32(next, [rows, width], 5);
    const angles = randomAngles(next, rows, half);
    const all = await runOnEveryDevice({ x, angles }, (r, { x, angles }) => [r.rope(x, angles)]);

    const canonical = new Float32Array(x.data.length);
    const exact = new Float64Array(x.data.length);
    const terms = new Float64Array(x.data.length); // Σ of the magnitudes of an output's two products
    forPairs(rows, width, half, angles.data, (first, c, s) => {
      const [a, b] = [x.data[first]!, x.data[first + half]!];
      canonical[first] = fma(-b, s, fround(a * c));
      canonical[first + half] = fma(a, s, fround(b * c));
      exact[first] = a * c - b * s;
      exact[first + half] = b * c + a * s;
      terms[first] = Math.abs(a * c) + Math.abs(b * s);
      terms[first + half] = Math.abs(b * c) + Math.abs(a * s);
    });
    expectSameBits(all[0]!.outputs[0]!, canonical, "against numerics.md");
    // One rounding of a product, one of the fma.
    for (const { device, outputs } of all)
      expectWithin(outputs[0]!, exact, (i) => gamma(2) * terms[i]!, `${device} against f64`);
  });
});

test("in the memory of x", async () => {
  const next = randomNumbers(4);
  const inputs = { x: randomF32(next, [3, 80]), angles: randomAngles(next, 3, 20), rows: i32([3], [0, 1, 2]) };
  const { outputs } = await runEverywhere(inputs, (r, { x, angles, rows }) => [
    r.gatherRows(r.rope(r.gatherRows(x, rows), angles), rows),
    r.rope(x, angles),
  ]);
  expectSameBits(outputs[0]!, outputs[1]!, "over x");
});

test("NaN and infinity stay in their pair", async () => {
  const next = randomNumbers(6);
  const x = randomF32(next, [2, 34]);
  const angles = randomAngles(next, 2, 17);
  const clean = await runEverywhere({ x, angles }, (r, { x, angles }) => [r.rope(x, angles)]);
  x.data[3] = Number.NaN;
  x.data[34 + 16] = Number.POSITIVE_INFINITY;
  const { outputs } = await runEverywhere({ x, angles }, (r, { x, angles }) => [r.rope(x, angles)]);
  outputs[0]!.forEach((value, i) => {
    if ([3, 20, 50, 67].includes(i)) expect(Number.isFinite(value)).toBe(false);
    else expect(value).toBe(clean.outputs[0]![i]);
  });
});
