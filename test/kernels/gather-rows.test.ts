import { i32, randomF32, randomNumbers, stored, WEIGHT_DTYPES } from "./contents.js";
import { expectSameBits, runExactly } from "./run-op.js";

const WIDTHS = [1, 15, 16, 17, 33, 420];

describe.each(WEIGHT_DTYPES)("gatherRows from %s", (dtype) => {
  test.each(WIDTHS)("rows of %i, exactly", async (width) => {
    const rows = 9;
    const { contents, values } = stored(dtype, randomF32(randomNumbers(width), [rows, width], 3));
    const ids = [8, 0, 3, 3, -1, 9, 2 ** 31 - 1, -(2 ** 31), 5];
    const { outputs } = await runExactly({ table: contents, ids: i32([ids.length], ids) }, (r, { table, ids }) => [
      r.gatherRows(table, ids),
    ]);
    const expected = ids.flatMap((id) =>
      Array.from({ length: width }, (_, c) => (id >= 0 && id < rows ? values[id * width + c]! : 0)),
    );
    expectSameBits(outputs[0]!, Float32Array.from(expected), "out");
  });
});

test("every f16 and bf16 there is widens exactly", async () => {
  const data = Uint16Array.from({ length: 2 ** 16 }, (_, bits) => bits);
  for (const dtype of ["f16", "bf16"] as const) {
    const table = { dtype, shape: [256, 256], data };
    const ids = i32([256], data.subarray(0, 256));
    const { outputs } = await runExactly({ table, ids }, (r, { table, ids }) => [r.gatherRows(table, ids)]);
    // A stored half as an f32 of the host: by a DataView for bf16, by its definition for f16.
    const view = new DataView(new ArrayBuffer(4));
    const expected = Float32Array.from(data, (bits) => {
      if (dtype === "bf16") {
        view.setUint16(0, bits);
        return view.getFloat32(0);
      }
      const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
      if (exponent === 31) return fraction > 0 ? Number.NaN : sign * Number.POSITIVE_INFINITY;
      return sign * (exponent === 0 ? fraction / 1024 / 2 ** 14 : (1 + fraction / 1024) * 2 ** (exponent - 15));
    });
    expectSameBits(outputs[0]!, expected, dtype);
  }
});

test("no rows", async () => {
  const { outputs } = await runExactly(
    { table: randomF32(randomNumbers(1), [4, 5]), ids: i32([0], []) },
    (r, { table, ids }) => [r.gatherRows(table, ids)],
  );
  expect(outputs[0]).toHaveLength(0);
});
