import type { Recorder } from "#quipu/graph/recorder.js";
import type { Value } from "#quipu/graph/recording.js";
import { MUON_SETTINGS } from "#quipu/graph/training-ops.js";
import { dot, fma, fround, gamma } from "./canonical.js";
import { f32, randomF32, randomNumbers } from "./contents.js";
import { expectSameBits, expectWithin, runOnEveryTrainer } from "./run-op.js";

const SETTINGS: Record<(typeof MUON_SETTINGS)[number], number> = {
  ...{ rate: 0.02, keep: 1 - 0.02 * 0.1, epsilon: 1e-8, beta: 0.95, gain: 1 - 0.95 },
};

const inputsOf = (shape: readonly [number, number], factor: number) => {
  const next = randomNumbers(shape[0] * shape[1]);
  const variance = randomF32(next, [shape[0]], 1e-2);
  return {
    ...{ parameter: randomF32(next, shape), update: randomF32(next, shape) },
    ...{ variance: { ...variance, data: variance.data.map(Math.abs) }, factor: f32([1], [factor]) },
    settings: f32(
      [MUON_SETTINGS.length],
      MUON_SETTINGS.map((name) => SETTINGS[name]),
    ),
  };
};

const record = (r: Recorder, inputs: Record<keyof ReturnType<typeof inputsOf>, Value>) => {
  r.norMuon(inputs);
  return [];
};

/** By the letter of numerics.md. */
function canonical({ parameter, update, variance, settings }: ReturnType<typeof inputsOf>) {
  const [rows, columns] = parameter.shape as [number, number];
  const [rate, keep, epsilon, beta, gain] = settings.data as unknown as [number, number, number, number, number];
  const next = variance.data.slice();
  const inverses = new Float32Array(rows);
  let [before, after] = [0, 0];
  for (let row = 0; row < rows; row++) {
    let total = 0;
    for (let first = 0; first < columns; first += 8192) {
      const at = row * columns + first;
      total += dot(update.data, at, update.data, at, Math.min(8192, columns - first));
    }
    const squares = fround(total);
    next[row] = fma(beta, next[row]!, fround(gain * fround(squares / columns)));
    if (next[row]! < 2 ** -100) next[row] = 0;
    inverses[row] = 1 / fround(fround(Math.sqrt(next[row]!)) + epsilon);
    before += squares;
    after += squares * inverses[row]! * inverses[row]!;
  }
  const norm = after > 0 ? Math.sqrt((before / after) * Math.max(1, rows / columns)) : 0;
  const whole = fround(norm * rate);
  const weights = parameter.data.map((value, i) => {
    const u = update.data[i]!;
    const kept = fround(u * value) > 0 ? fround(value * keep) : value;
    return fma(-fround(inverses[Math.floor(i / columns)]! * whole), u, kept);
  });
  return { variance: next, parameter: weights };
}

test.each([
  [1, 1],
  [5, 3],
  [3, 5],
  [17, 8193],
  [64, 192],
  [512, 33],
] as const)("%i × %i", async (...shape) => {
  const inputs = inputsOf(shape, 0.5);
  const expected = canonical(inputs);
  for (const { device, state } of await runOnEveryTrainer(inputs, record)) {
    for (const name of ["variance", "parameter"] as const) {
      if (device !== "reference") expectSameBits(state[name], expected[name], `${name}, ${device}`);
      const tolerance = (i: number) => gamma(512 + 20) * (1 + Math.abs(expected[name][i]!));
      expectWithin(state[name], expected[name], tolerance, `${name}, ${device} against f64`);
    }
  }
});

test("the update keeps its norm, times what a tall matrix gets", async () => {
  for (const [shape, gain] of [
    [[8, 32], 1],
    [[32, 8], 2],
  ] as const) {
    const inputs = inputsOf(shape, 1);
    inputs.parameter.data.fill(0);
    const norm = Math.hypot(...inputs.update.data);
    for (const { device, state } of await runOnEveryTrainer(inputs, record))
      expect([device, Math.hypot(...state.parameter) / (norm * SETTINGS.rate)]).toEqual([
        device,
        expect.closeTo(gain, 5),
      ]);
  }
});

test("a factor of 0 leaves all as it is, and an update of zeros the weights", async () => {
  const inputs = inputsOf([40, 300], 0);
  for (const { device, state } of await runOnEveryTrainer(inputs, record)) {
    expectSameBits(state.parameter, inputs.parameter.data, `parameter, ${device}`);
    expectSameBits(state.variance, inputs.variance.data, `variance, ${device}`);
  }
  const zeros = inputsOf([4, 30], 1);
  zeros.update.data.fill(0);
  zeros.variance.data.fill(2 ** -101);
  for (const { device, state } of await runOnEveryTrainer(zeros, record)) {
    expectSameBits(state.parameter, zeros.parameter.data, `zeros, parameter, ${device}`);
    expectSameBits(state.variance, new Float32Array(4), `zeros, variance, ${device}`);
  }
});
