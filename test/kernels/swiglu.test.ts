import { exp, fround, gamma } from "./canonical.js";
import { f32, f32OfBits, i32, randomF32, randomNumbers } from "./contents.js";
import { expectSameBits, expectWithin, runEverywhere, runOnEveryDevice } from "./run-op.js";

const canonical = (gate: Float32Array, up: Float32Array) =>
  Float32Array.from(gate, (g, i) => fround(g / fround(1 + exp(-g))) * up[i]!);

// A task is 4096 elements: sizes below, at and above one and several.
test.each([
  [1, 1],
  [3, 15],
  [2, 16],
  [7, 17],
  [13, 33],
  [1, 4096],
  [3, 1366],
  [65, 420],
])("%i × %i", async (...shape) => {
  const next = randomNumbers(shape[0] * shape[1]);
  const [gate, up] = [randomF32(next, shape, 12), randomF32(next, shape)];
  const all = await runOnEveryDevice({ gate, up }, (r, { gate, up }) => [r.swiglu(gate, up)]);
  expectSameBits(all[0]!.outputs[0]!, canonical(gate.data, up.data), "against numerics.md");
  // exp is off by 1 ulp, at most two roundings, which 1 + exp passes on; then an addition, a division, a product.
  const exact = Float64Array.from(gate.data, (g, i) => (g / (1 + Math.exp(-g))) * up.data[i]!);
  for (const { device, outputs } of all)
    expectWithin(outputs[0]!, exact, (i) => gamma(5) * Math.abs(exact[i]!), `${device} against f64`);
});

test("the exp of every target is the one of numerics.md, over all of its range", async () => {
  // With a large e = exp(x), 1 + e is e to the bit and x / e shows it; small ones are checked by way of 1 + e.
  const gates: number[] = [];
  const stride = process.env.QUIPU_EXHAUSTIVE ? 1009 : 60_013;
  for (let bits = 0x00000000; bits <= 0x42d20000; bits += stride) gates.push(f32OfBits(bits), -f32OfBits(bits));
  const special = [0, -0, 88.72, 88.73, 88.74, 89, 103.9, 104, 104.1, 105, 1e30, Number.POSITIVE_INFINITY, Number.NaN];
  for (const x of special) gates.push(x, -x);
  const gate = f32([1, gates.length], gates);
  const up = f32([1, gates.length], new Array<number>(gates.length).fill(1));
  const { outputs } = await runEverywhere({ gate, up }, (r, { gate, up }) => [r.swiglu(gate, up)]);
  expectSameBits(outputs[0]!, canonical(gate.data, up.data), "against numerics.md");
  // Where exp(−gate) overflows, the true value is below 88.73 / f32's greatest.
  gate.data.forEach((g, i) => {
    if (g < -88.73) expect(Math.abs(outputs[0]![i]!)).toBe(g === Number.NEGATIVE_INFINITY ? Number.NaN : 0);
  });
});

test("exp is within 1 ulp where its bits can be seen", async () => {
  // For x ≥ 17.4, e = exp(x) ≥ 2²⁵ swallows the 1: the result is −x / e, monotone in e. An e of at most 1 ulp from the
  // truth lies between the results of its two ends.
  const xs = Array.from({ length: 20_000 }, (_, i) => fround(17.4 + (i * (88.7 - 17.4)) / 20_000));
  const gate = f32(
    [1, xs.length],
    xs.map((x) => -x),
  );
  const up = f32([1, xs.length], new Array<number>(xs.length).fill(1));
  const { outputs } = await runEverywhere({ gate, up }, (r, { gate, up }) => [r.swiglu(gate, up)]);
  const wrong = xs.filter((x, i) => {
    const e = Math.exp(x);
    const ulp = 2 ** (Math.floor(Math.log2(e)) - 23);
    const got = -outputs[0]![i]!;
    return !(got >= fround(x / (e + ulp)) && got <= fround(x / (e - ulp)));
  });
  expect(wrong).toEqual([]);
});

test("in the memory of gate or up", async () => {
  const next = randomNumbers(2);
  const inputs = { gate: randomF32(next, [3, 35], 5), up: randomF32(next, [3, 35]), rows: i32([3], [0, 1, 2]) };
  const { outputs } = await runEverywhere(inputs, (r, { gate, up, rows }) => [
    r.gatherRows(r.swiglu(r.gatherRows(gate, rows), up), rows),
    r.gatherRows(r.swiglu(gate, r.gatherRows(up, rows)), rows),
    r.swiglu(gate, up),
  ]);
  expectSameBits(outputs[0]!, outputs[2]!, "over gate");
  expectSameBits(outputs[1]!, outputs[2]!, "over up");
});
