import { fround, gamma } from "./canonical.js";
import { i32, randomF32, randomNumbers } from "./contents.js";
import { expectSameBits, expectWithin, runOnEveryTrainer } from "./run-op.js";

// Tasks are 128 rows of out: sizes below, at and above one and several; ids that come again, and that are none.
test.each([
  [1, 1, 1],
  [9, 5, 17],
  [40, 128, 16],
  [200, 129, 33],
  [64, 700, 3],
])("%i rows to %i of %i", async (count, N, width) => {
  const next = randomNumbers(count + N + width);
  const rows = randomF32(next, [count, width]);
  const ids = i32(
    [count],
    Array.from({ length: count }, (_, t) =>
      t % 11 === 3 ? [-1, N, -7, 2 ** 31 - 1][t % 4]! : Math.floor(((next() + 1) / 2) * Math.min(N, 30)) % N,
    ),
  );
  const exact = new Float64Array(N * width);
  const sizes = new Float64Array(N * width);
  const canonical = new Float32Array(N * width);
  ids.data.forEach((id, t) => {
    if (id < 0 || id >= N) return;
    for (let c = 0; c < width; c++) {
      const [to, value] = [id * width + c, rows.data[t * width + c]!];
      exact[to]! += value;
      sizes[to]! += Math.abs(value);
      canonical[to] = fround(canonical[to]! + value);
    }
  });
  const all = await runOnEveryTrainer({ rows, ids }, (r, { rows, ids }) => [
    r.record("scatterAddRows", { rows, ids }, {}, { N }).out!,
  ]);
  expectSameBits(all[0]!.outputs[0]!, canonical, "against numerics.md");
  for (const { device, outputs } of all)
    expectWithin(outputs[0]!, exact, (i) => gamma(count) * sizes[i]!, `${device} against f64`);
});
