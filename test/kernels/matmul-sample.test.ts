import type { Recorder } from "#quipu/graph/recorder.js";
import type { Value } from "#quipu/graph/recording.js";
import { type Contents, randomF32, randomNumbers } from "./contents.js";
import { FORMATS, matrix, matrixIn } from "./matrices.js";
import { expectFailureEverywhere, expectSameBits, runOnEveryDevice } from "./run-op.js";
import { PLAIN, type Settings } from "./sample-reference.js";
import { type SampleRow, sampleInputs } from "./sample-rows.js";

const NAMES = ["ids", "logprobs", "best ids", "their logprobs"];
const REQUESTS: readonly (Settings | null)[] = [
  PLAIN,
  { ...PLAIN, temperature: 0.8, topK: 20, seedLow: 7 },
  null,
  { ...PLAIN, temperature: 1.1, topP: 0.9, repeatPenalty: 1.2, biases: [[3, 2]] },
  { ...PLAIN, temperature: 0.5, minP: 0.05, presencePenalty: 0.3, frequencyPenalty: 0.1 },
];

/** The inputs of the product, and of sample but for the logits. */
function inputsOf(rows: number, vocabulary: number, depth: number, format: (typeof FORMATS)[number]) {
  const next = randomNumbers(rows * vocabulary + depth);
  const requests = Array.from({ length: rows }, (_, r): SampleRow => {
    const settings = REQUESTS[r % REQUESTS.length]!;
    return { logits: new Float32Array(vocabulary), settings, history: [1, r % vocabulary, 2], position: 2 };
  });
  const { logits: _, ...others } = sampleInputs(requests);
  return { a: randomF32(next, [rows, depth], 2), ...matrix("b", format, vocabulary, depth, next), ...others } as Record<
    string,
    Contents
  >;
}

const record =
  (best: number) =>
  (r: Recorder, { a, b: stored, bRoom, ...requests }: Readonly<Record<string, Value>>) => {
    const b = matrixIn(r, { b: stored!, ...(bRoom && { bRoom }) }, "b");
    const fused = r.record("matmulSample", { a, b, ...requests }, {}, { best });
    const plain = r.record("sample", { logits: r.matmul(a!, b), ...requests }, {}, { best });
    return [...Object.values(fused), ...Object.values(plain)];
  };

const CASES = [1, 2, 5, 17, 66].flatMap((rows, i) =>
  FORMATS.map((format, j) => ({
    ...{ rows, format, best: 1 + ((i + j) % 3) },
    ...{ vocabulary: [40, 301, 4100][(i + j) % 3]!, depth: [1, 33, 100, 257][(i + 2 * j) % 4]! },
  })),
);

test.each(CASES)("$rows rows of $vocabulary ids, $depth features of $format: as matmul and sample", async (shape) => {
  const { rows, vocabulary, depth, format, best } = shape;
  for (const { device, outputs } of await runOnEveryDevice(inputsOf(rows, vocabulary, depth, format), record(best)))
    for (let i = 0; i < 4; i++) expectSameBits(outputs[i]!, outputs[i + 4]!, `${NAMES[i]} (${device})`);
});

test("a logit that is no number fails its row", async () => {
  const inputs = inputsOf(2, 40, 5, "f32");
  (inputs.b!.data as Float32Array)[39 * 5] = Number.NaN;
  await expectFailureEverywhere(inputs, record(1), { code: "ERR_NOT_A_NUMBER" });
});
