import { fma, fround } from "./canonical.js";
import { f32, randomF32, randomNumbers } from "./contents.js";
import { expectSameBits, expectWithin, runOnEveryTrainer } from "./run-op.js";

const BETA = 0.95;

const inputsOf = (shape: readonly number[], factor: number) => {
  const next = randomNumbers(shape[1]!);
  return { gradient: randomF32(next, shape, 5), momentum: randomF32(next, shape), factor: f32([1], [factor]) };
};

test.each([
  [1, 1],
  [3, 5],
  [1, 4097],
  [64, 65],
])("%i × %i", async (...shape) => {
  const inputs = inputsOf(shape, 0.125);
  const beta = fround(BETA);
  const g = inputs.gradient.data.map((value) => fround(value * 0.125));
  const momentum = inputs.momentum.data.map((value, i) => fma(beta, value, g[i]!));
  const out = momentum.map((value, i) => fma(beta, value, g[i]!));
  for (const { device, outputs, state } of await runOnEveryTrainer(inputs, (r, i) => [r.nesterov(i, BETA).out])) {
    expectSameBits(state.gradient, new Float32Array(g.length), `gradient, ${device}`);
    expectWithin(outputs[0]!, out, () => 2 ** -20, `out, ${device}`);
    expectWithin(state.momentum, momentum, () => 2 ** -20, `momentum, ${device}`);
    if (device === "reference") continue;
    expectSameBits(outputs[0]!, out, `out, ${device}`);
    expectSameBits(state.momentum, momentum, `momentum, ${device}`);
  }
});

test("a factor of 0 leaves the momentum, and gives 0", async () => {
  const inputs = inputsOf([3, 1500], 0);
  inputs.gradient.data.fill(Number.NaN, 7, 30);
  for (const { device, outputs, state } of await runOnEveryTrainer(inputs, (r, i) => [r.nesterov(i, BETA).out])) {
    expectSameBits(outputs[0]!, new Float32Array(4500), `out, ${device}`);
    expectSameBits(state.gradient, new Float32Array(4500), `gradient, ${device}`);
    expectSameBits(state.momentum, inputs.momentum.data, `momentum, ${device}`);
  }
});

test("a momentum that has faded is 0", async () => {
  const inputs = inputsOf([2, 10], 1);
  inputs.gradient.data.fill(0);
  inputs.momentum.data.fill(2 ** -100);
  inputs.momentum.data[3] = -(2 ** -99);
  for (const { state } of await runOnEveryTrainer(inputs, (r, i) => [r.nesterov(i, BETA).out]))
    expect(Array.from(state.momentum, (m, i) => (i === 3 ? m !== 0 : m === 0)).every(Boolean)).toBe(true);
});
