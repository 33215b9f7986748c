import { gamma } from "./canonical.js";
import { f32, i32, randomF32, randomNumbers, stored, WEIGHT_DTYPES } from "./contents.js";
import { expectSameBits, expectWithin, ownRoundings, runEverywhere, runOnEveryDevice } from "./run-op.js";

// Up to 8 rows in dot form, panels above; features around the panels' 16 and 32; one block of k, its end, several.
const CASES = [1, 2, 3, 8, 9, 13, 65].flatMap((rows, i) =>
  [1, 15, 17, 49, 130].map((features, j) => {
    const depth = [1, 17, 1024, 1025, 2063, 40][(i + 2 * j) % 6]!;
    return { rows, features, depth, dtype: WEIGHT_DTYPES[(i + j) % 3]! };
  }),
);

test.each(CASES)("$rows × $depth by $features rows of $dtype: as matmul and add", async (shape) => {
  const { rows, features, depth, dtype } = shape;
  const next = randomNumbers(rows * depth + features);
  const [a, residual] = [randomF32(next, [rows, depth]), randomF32(next, [rows, features], 8)];
  const { contents: b, values } = stored(dtype, randomF32(next, [features, depth]));
  const devices = await runOnEveryDevice({ a, b, residual }, (r, { a, b, residual }) => [
    r.record("matmulAdd", { a, b, residual }).out!,
    r.add(residual, r.matmul(a, b)),
    r.add(r.matmul(a, b), residual),
  ]);
  const { outputs } = devices[0]!;
  expectSameBits(outputs[0]!, outputs[1]!, "against add(residual, matmul)");
  expectSameBits(outputs[0]!, outputs[2]!, "against add(matmul, residual)");
  const exact = new Float64Array(rows * features);
  const magnitude = new Float64Array(rows * features);
  for (let i = 0; i < exact.length; i++) {
    const [t, n] = [Math.floor(i / features), i % features];
    for (let k = 0; k < depth; k++) {
      const term = a.data[t * depth + k]! * values[n * depth + k]!;
      exact[i]! += term;
      magnitude[i]! += Math.abs(term);
    }
    exact[i]! += residual.data[i]!;
    magnitude[i]! += Math.abs(residual.data[i]!);
  }
  // A product's terms pass as many roundings as a lane is long, and those of its tree and of the blocks; then one addition.
  const roundings = Math.ceil(Math.min(depth, 1024) / 16) + 4 + Math.ceil(depth / 1024) + 1;
  for (const { device, outputs } of devices) {
    const bound = gamma(roundings) + ownRoundings(device, dtype, depth);
    expectWithin(outputs[0]!, exact, (i) => bound * magnitude[i]!, `${device} against f64`);
  }
});

test.each([1, 9])("a residual that is read again stays as it is (%i rows)", async (rows) => {
  const next = randomNumbers(rows);
  const [features, depth] = [40, 2100];
  const inputs = {
    a: randomF32(next, [rows, depth]),
    b: randomF32(next, [features, depth]),
    residual: randomF32(next, [rows, features]),
    all: i32(
      [rows],
      Array.from({ length: rows }, (_, t) => t),
    ),
  };
  const { outputs } = await runEverywhere(inputs, (r, { a, b, residual, all }) => {
    const copy = r.gatherRows(residual, all); // in the arena, where memory is taken over
    const sum = r.record("matmulAdd", { a, b, residual: copy }).out!;
    return [r.gatherRows(sum, all), r.add(residual, r.matmul(a, b))];
  });
  expectSameBits(outputs[0]!, outputs[1]!, "sum");
});

test.each([1, 20])("NaN and infinity of the residual stay in their element (%i rows)", async (rows) => {
  const next = randomNumbers(8);
  const [a, b] = [randomF32(next, [rows, 33]), randomF32(next, [20, 33])];
  const residual = f32([rows, 20], new Array<number>(20 * rows).fill(0.5));
  residual.data[3] = Number.NaN;
  residual.data[20 * rows - 1] = Number.NEGATIVE_INFINITY;
  const { outputs } = await runEverywhere({ a, b, residual }, (r, { a, b, residual }) => [
    r.record("matmulAdd", { a, b, residual }).out!,
  ]);
  const odd = [...outputs[0]!].flatMap((value, i) => (Number.isFinite(value) ? [] : [i]));
  expect(odd).toEqual([3, 20 * rows - 1]);
});

test("no rows, no features", async () => {
  for (const [rows, features] of [
    [0, 3],
    [3, 0],
    [20, 0],
  ] as const) {
    const inputs = {
      a: randomF32(randomNumbers(1), [rows, 5]),
      b: randomF32(randomNumbers(2), [features, 5]),
      residual: randomF32(randomNumbers(3), [rows, features]),
    };
    const { outputs } = await runEverywhere(inputs, (r, given) => [r.record("matmulAdd", { ...given }).out!]);
    expect(outputs[0]).toHaveLength(0);
  }
});
