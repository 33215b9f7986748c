import { randomF32, randomNumbers } from "./contents.js";
import { expectSameBits, runOnEveryTrainer } from "./run-op.js";

test.each([
  [0, 3],
  [1, 1],
  [3, 5],
  [16, 16],
  [1, 100],
  [33, 17],
  [130, 191],
])("%i × %i", async (rows, columns) => {
  const x = randomF32(randomNumbers(columns), [rows, columns]);
  const expected = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) expected[column * rows + row] = x.data[row * columns + column]!;
  for (const { device, outputs } of await runOnEveryTrainer({ x }, (r, { x }) => [r.transpose(x)]))
    expectSameBits(outputs[0]!, expected, device);
});
