// The generator of random checkpoints: what it writes is a model.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { inspectModel, loadModel } from "#quipu/index.js";

const { makeCheckpoint } = (await import(pathToFileURL(join(process.cwd(), "bench/make-checkpoint.js")).href)) as {
  makeCheckpoint: (folder: string, options: Readonly<Record<string, number | boolean>>) => void;
};

const folders = mkdtempSync(join(tmpdir(), "quipu-random-"));
afterAll(() => rmSync(folders, { recursive: true }));

const SHAPE = { layers: 2, hidden: 64, heads: 4, kvHeads: 2, ffn: 97, vocab: 301 };
const made = (options: Readonly<Record<string, number | boolean>> = {}) => {
  const folder = mkdtempSync(join(folders, "model-"));
  makeCheckpoint(folder, { ...SHAPE, ...options });
  return folder;
};
const bytesOf = (folder: string) => readFileSync(join(folder, "model.safetensors"));

test.each([true, false])("a model of the shape that is asked for, its head tied: %s", async (tied) => {
  const folder = made({ tied });
  const report = await inspectModel(folder);
  expect(report).toMatchObject({
    config: { layers: 2, hiddenSize: 64, heads: 4, kvHeads: 2, intermediateSize: 97, vocabSize: 301 },
    head: tied ? "tied" : "stored",
    formats: [{ format: "bf16" }],
    warnings: [],
  });
  await using model = await loadModel(folder, { tokenizer: false, contextLength: 64 });
  const logits = await model.logits([1, 2, 3]);
  expect(logits.every(Number.isFinite)).toBe(true);
  expect(new Set(logits).size).toBeGreaterThan(300);
});

test("weights are normal, norms are 1", () => {
  const bytes = bytesOf(made());
  const start = 8 + Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.subarray(8, start).toString()) as Record<string, { data_offsets: [number, number] }>;
  const valuesOf = (name: string) => {
    const [from, to] = header[name]!.data_offsets;
    return Array.from({ length: (to - from) / 2 }, (_, i) => {
      const bits = bytes.readUInt16LE(start + from + 2 * i);
      return new Float32Array(Uint32Array.of(bits << 16).buffer)[0]!;
    });
  };
  for (const name of Object.keys(header)) {
    const values = valuesOf(name);
    if (name.endsWith("norm.weight")) {
      expect(new Set(values)).toEqual(new Set([1]));
      continue;
    }
    // Five standard errors of the mean, of the variance and of the kurtosis.
    const moment = (power: number) => values.reduce((sum, x) => sum + (x / 0.02) ** power, 0) / values.length;
    const [mean, variance, kurtosis] = [moment(1), moment(2), moment(4)];
    expect(Math.abs(mean)).toBeLessThan(5 / Math.sqrt(values.length));
    expect(Math.abs(variance - 1)).toBeLessThan(5 * Math.sqrt(2 / values.length));
    expect(Math.abs(kurtosis - 3)).toBeLessThan(5 * Math.sqrt(96 / values.length));
  }
});

test("the same seed gives the same bytes, another one others", () => {
  const bytes = bytesOf(made({ seed: 7 }));
  expect(bytesOf(made({ seed: 7 })).equals(bytes)).toBe(true);
  expect(bytesOf(made({ seed: 8 })).equals(bytes)).toBe(false);
});
