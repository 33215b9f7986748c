import type { Recorder } from "#quipu/graph/recorder.js";
import type { Value } from "#quipu/graph/recording.js";
import { ADAMW_SETTINGS } from "#quipu/graph/training-ops.js";
import { fma, fround } from "./canonical.js";
import { f32, randomF32, randomNumbers } from "./contents.js";
import { expectSameBits, expectWithin, runOnEveryTrainer } from "./run-op.js";

const settingsOf = (step: number) => {
  const [rate, decay, beta1, beta2] = [0.01, 0.1, 0.9, 0.95];
  const values: Record<(typeof ADAMW_SETTINGS)[number], number> = {
    ...{ rate, keep: 1 - rate * decay, epsilon: 1e-8 },
    ...{ beta1, gain1: 1 - beta1, correction1: 1 - beta1 ** step },
    ...{ beta2, gain2: 1 - beta2, correction2: 1 - beta2 ** step },
  };
  return f32(
    [ADAMW_SETTINGS.length],
    ADAMW_SETTINGS.map((name) => values[name]),
  );
};

const inputsOf = (count: number, factor: number, step = 3) => {
  const next = randomNumbers(count);
  const variance = randomF32(next, [count], 1e-3);
  return {
    ...{
      parameter: randomF32(next, [count]),
      gradient: randomF32(next, [count], 5),
      momentum: randomF32(next, [count], 0.1),
    },
    ...{
      variance: { ...variance, data: variance.data.map(Math.abs) },
      factor: f32([1], [factor]),
      settings: settingsOf(step),
    },
  };
};

const record = (r: Recorder, inputs: Record<keyof ReturnType<typeof inputsOf>, Value>) => {
  r.adamW(inputs);
  return [];
};

test.each([1, 15, 17, 4096, 4097, 10_000])("%i elements", async (count) => {
  const inputs = inputsOf(count, 0.125);
  const all = await runOnEveryTrainer(inputs, record);
  const { settings } = inputs;
  const [rate, keep, epsilon, beta1, gain1, correction1, beta2, gain2, correction2] =
    settings.data as unknown as number[];
  const [cpu] = all;
  const letter = {
    parameter: new Float32Array(count),
    momentum: new Float32Array(count),
    variance: new Float32Array(count),
  };
  for (let i = 0; i < count; i++) {
    const g = fround(inputs.gradient.data[i]! * 0.125);
    const m = fma(beta1!, inputs.momentum.data[i]!, fround(gain1! * g));
    const v = fma(beta2!, inputs.variance.data[i]!, fround(fround(gain2! * g) * g));
    const spread = fround(fround(Math.sqrt(fround(v / correction2!))) + epsilon!);
    const update = fround(fround(m / correction1!) / spread);
    letter.momentum[i] = m;
    letter.variance[i] = v;
    letter.parameter[i] = fma(-rate!, update, fround(inputs.parameter.data[i]! * keep!));
  }
  for (const name of ["parameter", "momentum", "variance"] as const) {
    expectSameBits(cpu!.state[name], letter[name], `${name} against numerics.md`);
    const reference = all[1]!.state[name] as Float32Array;
    // Sums of two may cancel: what is rounded is as large as they are.
    expectWithin(letter[name], reference, () => 2 ** -22, `${name} against f64`);
  }
  for (const { device, state } of all) expectSameBits(state.gradient, new Float32Array(count), `gradient, ${device}`);
});

test("a factor of 0 leaves all but the gradient, which may be no number", async () => {
  const inputs = inputsOf(5000, 0);
  inputs.gradient.data.fill(Number.NaN, 7, 30);
  for (const { device, state } of await runOnEveryTrainer(inputs, record)) {
    for (const name of ["parameter", "momentum", "variance"] as const)
      expectSameBits(state[name], inputs[name].data, `${name}, ${device}`);
    expectSameBits(state.gradient, new Float32Array(5000), `gradient, ${device}`);
  }
});

test("moments that have faded are 0", async () => {
  const inputs = inputsOf(20, 1);
  inputs.gradient.data.fill(0);
  inputs.momentum.data.fill(2 ** -100);
  inputs.momentum.data[3] = -(2 ** -99);
  inputs.variance.data.fill(1e-40);
  for (const { state } of await runOnEveryTrainer(inputs, record)) {
    expect(Array.from(state.variance).every((v) => v === 0)).toBe(true);
    expect(Array.from(state.momentum, (m, i) => (i === 3 ? m !== 0 : m === 0)).every(Boolean)).toBe(true);
  }
});
