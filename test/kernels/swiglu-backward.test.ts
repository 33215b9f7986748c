import { exp, fma, fround, gamma } from "./canonical.js";
import { f32, i32, randomF32, randomNumbers } from "./contents.js";
import { expectSameBits, expectWithin, runEverywhere, runOnEveryTrainer } from "./run-op.js";

function canonical(gate: Float32Array, up: Float32Array, dOut: Float32Array) {
  const sigmas = gate.map((g) => fround(1 / fround(1 + exp(-g))));
  return {
    dGate: gate.map((g, i) => {
      const slope = fround(sigmas[i]! * fma(g, fround(1 - sigmas[i]!), 1));
      return fround(fround(dOut[i]! * up[i]!) * slope);
    }),
    dUp: gate.map((g, i) => fround(dOut[i]! * fround(g * sigmas[i]!))),
  };
}

const sigmaOf = (g: number) => 1 / (1 + Math.exp(-g));

// A task is 4096 elements.
test.each([
  [1, 1],
  [3, 15],
  [7, 17],
  [1, 4096],
  [3, 1366],
  [65, 420],
])("%i × %i", async (...shape) => {
  const next = randomNumbers(shape[0] * shape[1]);
  const [gate, up, dOut] = [randomF32(next, shape, 12), randomF32(next, shape), randomF32(next, shape)];
  const all = await runOnEveryTrainer({ gate, up, dOut }, (r, { gate, up, dOut }) => {
    const { dGate, dUp } = r.record("swigluBackward", { gate, up, dOut });
    return [dGate!, dUp!];
  });
  const expected = canonical(gate.data, up.data, dOut.data);
  expectSameBits(all[0]!.outputs[0]!, expected.dGate, "dGate against numerics.md");
  expectSameBits(all[0]!.outputs[1]!, expected.dUp, "dUp against numerics.md");
  const slopes = Float64Array.from(gate.data, (g) => sigmaOf(g) * (1 + g * (1 - sigmaOf(g))));
  const dGate = slopes.map((slope, i) => dOut.data[i]! * up.data[i]! * slope);
  const dUp = Float64Array.from(gate.data, (g, i) => dOut.data[i]! * g * sigmaOf(g));
  // σ has four roundings (exp is two); 1 − σ is off by as much of 1, which g stretches; two products, one fma.
  const bounds = dGate.map((value, i) => {
    const outer = Math.abs(dOut.data[i]! * up.data[i]! * sigmaOf(gate.data[i]!));
    return gamma(8) * Math.abs(value) + gamma(6) * outer * (1 + Math.abs(gate.data[i]!));
  });
  for (const { device, outputs } of all) {
    expectWithin(outputs[0]!, dGate, (i) => bounds[i]!, `dGate, ${device} against f64`);
    expectWithin(outputs[1]!, dUp, (i) => gamma(6) * Math.abs(dUp[i]!), `dUp, ${device} against f64`);
  }
});

test("where exp overflows, and a NaN", async () => {
  const gate = f32([1, 5], [-100, -88.8, 100, 0, Number.NaN]);
  const [up, dOut] = [f32([1, 5], [2, 2, 2, 2, 2]), f32([1, 5], [3, 3, 3, 3, 3])];
  const { outputs } = await runEverywhere({ gate, up, dOut }, (r, { gate, up, dOut }) => {
    const { dGate, dUp } = r.record("swigluBackward", { gate, up, dOut });
    return [dGate!, dUp!];
  });
  expect(Array.from(outputs[0]!, (x) => x + 0)).toEqual([0, 0, 6, 3, Number.NaN]);
  expect(Array.from(outputs[1]!, (x) => x + 0)).toEqual([0, 0, 300, 0, Number.NaN]);
});

test("in the memory of its operands", async () => {
  const next = randomNumbers(2);
  const inputs = {
    ...{ gate: randomF32(next, [3, 35], 5), up: randomF32(next, [3, 35]), dOut: randomF32(next, [3, 35]) },
    rows: i32([3], [0, 1, 2]),
  };
  const { outputs } = await runEverywhere(inputs, (r, { gate, up, dOut, rows }) => {
    const copy = (value: typeof gate) => r.gatherRows(value, rows);
    const over = r.record("swigluBackward", { gate: copy(gate), up: copy(up), dOut: copy(dOut) });
    const { dGate, dUp } = r.record("swigluBackward", { gate, up, dOut });
    return [copy(over.dGate!), copy(over.dUp!), dGate!, dUp!];
  });
  expectSameBits(outputs[0]!, outputs[2]!, "dGate");
  expectSameBits(outputs[1]!, outputs[3]!, "dUp");
});
