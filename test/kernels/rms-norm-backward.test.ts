import { fma, fround, gamma, sumLanes } from "./canonical.js";
import { randomF32, randomNumbers, stored, WEIGHT_DTYPES } from "./contents.js";
import { expectSameBits, expectWithin, runOnEveryTrainer } from "./run-op.js";

const EPSILON = 1e-5;

/** docs/numerics.md to the letter. */
function canonical(x: Float32Array, weight: Float64Array, dOut: Float32Array, width: number) {
  const rows = x.length / width;
  const dX = new Float32Array(x.length);
  const scales = Array.from({ length: rows }, (_, t) => {
    const [squares, products] = [new Float32Array(16), new Float32Array(16)];
    for (let k = 0; k < width; k++) {
      const i = t * width + k;
      squares[k % 16] = fma(x[i]!, x[i]!, squares[k % 16]!);
      products[k % 16] = fma(fround(dOut[i]! * weight[k]!), x[i]!, products[k % 16]!);
    }
    const scale = fround(1 / fround(Math.sqrt(fround(fround(sumLanes(squares) / width) + fround(EPSILON)))));
    const part = fround(fround(fround(scale * scale) * scale) * fround(sumLanes(products) / width));
    for (let k = 0; k < width; k++) {
      const i = t * width + k;
      dX[i] = fma(fround(dOut[i]! * weight[k]!), scale, -fround(x[i]! * part));
    }
    return scale;
  });
  const dWeight = Float32Array.from({ length: width }, (_, k) => {
    let total = 0;
    for (let first = 0; first < rows; first += 1024) {
      let block = 0;
      for (let t = first; t < Math.min(first + 1024, rows); t++)
        block = fma(dOut[t * width + k]!, fround(x[t * width + k]! * scales[t]!), block);
      total = first === 0 ? block : fround(total + block);
    }
    return total;
  });
  return { dX, dWeight };
}

describe.each(WEIGHT_DTYPES)("a weight of %s", (dtype) => {
  test.each([
    [1, 3],
    [15, 1],
    [17, 7],
    [64, 5],
    [130, 9],
    [3, 1025],
  ])("rows of %i: %i of them", async (width, rows) => {
    const next = randomNumbers(width * rows);
    const x = randomF32(next, [rows, width], 4);
    const dOut = randomF32(next, [rows, width]);
    const { contents: weight, values } = stored(dtype, randomF32(next, [width]));
    const all = await runOnEveryTrainer({ x, weight, dOut }, (r, { x, weight, dOut }) => {
      const { dX, dWeight } = r.record("rmsNormBackward", { x, weight, dOut }, { epsilon: EPSILON });
      return [dX!, dWeight!];
    });
    const letter = canonical(x.data, values, dOut.data, width);
    expectSameBits(all[0]!.outputs[0]!, letter.dX, "dX against numerics.md");
    expectSameBits(all[0]!.outputs[1]!, letter.dWeight, "dWeight against numerics.md");

    const [dX, sizes] = [new Float64Array(x.data.length), new Float64Array(x.data.length)];
    const [dWeight, weightSizes] = [new Float64Array(width), new Float64Array(width)];
    for (let t = 0; t < rows; t++) {
      const at = (k: number) => t * width + k;
      const range = [...Array(width).keys()];
      const scale = 1 / Math.sqrt(range.reduce((sum, k) => sum + x.data[at(k)]! ** 2, 0) / width + EPSILON);
      const along = range.reduce((sum, k) => sum + dOut.data[at(k)]! * values[k]! * x.data[at(k)]!, 0) / width;
      const size = range.reduce((sum, k) => sum + Math.abs(dOut.data[at(k)]! * values[k]! * x.data[at(k)]!), 0) / width;
      for (const k of range) {
        dX[at(k)] = dOut.data[at(k)]! * values[k]! * scale - x.data[at(k)]! * scale ** 3 * along;
        sizes[at(k)] = Math.abs(dOut.data[at(k)]! * values[k]! * scale) + Math.abs(x.data[at(k)]! * scale ** 3) * size;
        dWeight[k]! += dOut.data[at(k)]! * x.data[at(k)]! * scale;
        weightSizes[k]! += Math.abs(dOut.data[at(k)]! * x.data[at(k)]! * scale);
      }
    }
    // The scale as in rmsNorm, cubed; the sum along x; a few products. ε itself is an f32.
    const ofScale = Math.ceil((Math.ceil(width / 16) + 4 + 3) / 2) + 2;
    const roundings = 3 * ofScale + Math.ceil(width / 16) + 4 + 8;
    for (const { device, outputs } of all) {
      expectWithin(outputs[0]!, dX, (i) => gamma(roundings) * sizes[i]!, `dX, ${device} against f64`);
      const ofRows = ofScale + Math.min(rows, 1024) + Math.ceil(rows / 1024) + 2;
      expectWithin(outputs[1]!, dWeight, (k) => gamma(ofRows) * weightSizes[k]!, `dWeight, ${device} against f64`);
    }
  });
});
