// Checkpoints: what is in them, who reads them, and what is left when one cannot be written or read.
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openCheckpoint } from "#quipu/checkpoint/checkpoint.js";
import { toBf16 } from "#quipu/checkpoint/save.js";
import { parseConfig, readConfig } from "#quipu/model/config.js";
import { expectedTensors } from "#quipu/model/tensors.js";
import {
  listCheckpoints,
  readState,
  removeParts,
  restore,
  saveCheckpoint,
  saveModel,
  type TokenizerFile,
  type TrainingState,
} from "#quipu/train/checkpoint.js";
import { safetensorsBytes, TINY_CONFIG, temporaryFolder } from "../../checkpoint-writer.js";

const dir = temporaryFolder();
let folders = 0;
const folder = () => {
  const path = join(dir, String(folders++));
  mkdirSync(path);
  return path;
};
const NAMES = expectedTensors(parseConfig(TINY_CONFIG));
const STATE: TrainingState = {
  ...{ step: 7, tokens: 900, longDocuments: 1, seconds: 2.5, position: { epoch: 1, document: 3, row: 9 } },
  ...{ guard: { steps: 7, meanNorm: 0.1 + 0.2, skipped: 0 }, averaged: 0.5, settings: { seed: 1 } },
};

/** Weights whose every element is another number. */
function memory(names = NAMES) {
  const data = new Map<string, Float32Array>();
  const key = (name: string, of: string) => `${of} ${name}`;
  let next = 1;
  const parts = ["parameter", "momentum", "variance"] as const;
  for (const of of parts) {
    for (const { name, shape } of names) {
      const size = shape.reduce((a, b) => a * b, 1);
      data.set(
        key(name, of),
        Float32Array.from({ length: size }, () => 1 / ++next),
      );
    }
  }
  return {
    ...{ shapes: new Map(names.map(({ name, shape }) => [name, shape])), data, parts },
    shapeOf: (name: string) => names.find((tensor) => tensor.name === name)!.shape,
    read: async (name: string, of = "parameter") => data.get(key(name, of))!,
    write: async (name: string, values: Float32Array, of = "parameter") => {
      data.set(key(name, of), Float32Array.from(values));
    },
  };
}
const files = (extra: TokenizerFile[] = []) => ({
  ...{ config: { ...TINY_CONFIG, dtype: "float16" }, generationConfig: { eos_token_id: 3 } },
  tokenizer: [{ name: "tokenizer.json", bytes: readFileSync("models/storyteller/tokenizer.json") }, ...extra],
});

/** config.json is a file. */
const PLACELESS: TokenizerFile = { name: "config.json/more", bytes: new Uint8Array(1) };

test("is a folder in Hugging Face layout, and gives back every bit", async () => {
  const [output, weights] = [folder(), memory()];
  const path = await saveCheckpoint(output, weights, files(), STATE, 2);
  expect(path).toBe(join(output, "step-00000007"));
  expect(readdirSync(path).sort()).toEqual([
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "optimizer.safetensors",
    "tokenizer.json",
    "training.json",
  ]);
  expect(await readState(path)).toMatchObject(STATE);
  const other = memory();
  for (const values of other.data.values()) values.fill(0);
  await restore(path, other);
  expect(other.data).toEqual(weights.data);

  const { tensors } = await openCheckpoint(path);
  expect([...tensors.values()].map(({ name, shape, dtype }) => [name, [...shape], dtype]).sort()).toEqual(
    NAMES.map(({ name, shape }) => [name, [...shape], "F32"]).sort(),
  );
  expect((await readConfig(path)).hiddenSize).toBe(16);
  expect(JSON.parse(readFileSync(join(path, "config.json"), "utf8"))).toEqual({
    ...TINY_CONFIG,
    torch_dtype: "float32",
  });
});

test("the model alone is in bf16, the nearest numbers", async () => {
  const [output, weights] = [folder(), memory()];
  await saveModel(join(output, "model"), weights, files(), false);
  await saveModel(join(output, "model"), weights, files(), true); // over one that is there
  writeFileSync(join(output, "model", "notes"), "of somebody");
  await expect(saveModel(join(output, "model"), weights, files(), false)).rejects.toMatchObject({ code: "ERR_WRITE" });
  expect(readFileSync(join(output, "model", "notes"), "utf8")).toBe("of somebody");
  rmSync(join(output, "model", "notes"));
  expect(readdirSync(output)).toEqual(["model"]);
  const { tensors } = await openCheckpoint(join(output, "model"));
  expect([...tensors.values()].every(({ dtype }) => dtype === "BF16")).toBe(true);

  const bits = (word: number) => new Float32Array(Uint32Array.of(word).buffer);
  const rounded = (word: number) => toBf16(bits(word))[0];
  expect([0x3f800000, 0x3f807fff, 0x3f808000, 0x3f808001, 0x3f818000, 0xbf818000].map(rounded)).toEqual([
    0x3f80, 0x3f80, 0x3f80, 0x3f81, 0x3f82, 0xbf82,
  ]);
  // Infinities, the largest number, numbers that are none.
  expect([0x7f800000, 0xff800000, 0x7f7fffff, 0x7f800001, 0xffffffff].map(rounded)).toEqual([
    0x7f80, 0xff80, 0x7f80, 0x7fc0, 0xffff,
  ]);
});

test.each([1, 2, 3])("the last %d are kept", async (keep) => {
  const [output, weights] = [folder(), memory()];
  for (const step of [5, 10, 15, 20]) await saveCheckpoint(output, weights, files(), { ...STATE, step }, keep);
  const steps = (await listCheckpoints(output)).map(({ step }) => step);
  expect(steps).toEqual([5, 10, 15, 20].slice(-keep));
});

test("one that is there is replaced; what a killed process left goes; other files stay", async () => {
  const [output, weights] = [folder(), memory()];
  await saveCheckpoint(output, weights, files(), STATE, 2);
  const path = await saveCheckpoint(output, weights, files(), { ...STATE, tokens: 901 }, 2);
  expect((await readState(path)).tokens).toBe(901);
  mkdirSync(join(output, ".step-00000009.123.part"));
  writeFileSync(join(output, ".step-00000009.123.part", "model.safetensors"), "x");
  writeFileSync(join(output, "step-notes"), "");
  mkdirSync(join(output, "model.123.part"));
  writeFileSync(join(output, "log.jsonl.123.part"), "");
  await removeParts(output);
  expect(readdirSync(output).sort()).toEqual(["step-00000007", "step-notes"]);
  expect(await listCheckpoints(join(output, "none"))).toEqual([]);
});

describe("what cannot be written leaves those before it as they were", () => {
  test("a file of the tokenizer that has no place", async () => {
    const [output, weights] = [folder(), memory()];
    const path = await saveCheckpoint(output, weights, files(), STATE, 1);
    const failing = saveCheckpoint(output, weights, files([PLACELESS]), { ...STATE, step: 8 }, 1);
    await expect(failing).rejects.toMatchObject({ code: "ERR_WRITE", message: expect.stringContaining("config.json") });
    expect(readdirSync(output)).toEqual(["step-00000007"]);
    await restore(path, memory());
  });

  test("a full disk", async () => {
    const [output, weights] = [folder(), memory()];
    const path = await saveCheckpoint(output, weights, { ...files(), tokenizer: [] }, STATE, 1);
    // No file may be larger than 4 KiB, the weights are.
    const script = `
      import { saveCheckpoint } from ${JSON.stringify(join(process.cwd(), "dist/train/checkpoint.js"))};
      const shapes = new Map([["w", [4096]]]);
      const weights = { shapes, parts: ["parameter"], shapeOf: () => [4096], read: async () => new Float32Array(4096), write: async () => {} };
      const files = { config: {}, generationConfig: {}, tokenizer: [] };
      const state = { ...${JSON.stringify(STATE)}, step: 8 };
      await saveCheckpoint(${JSON.stringify(output)}, weights, files, state, 1).catch((error) => console.log(error.code, error.message));`;
    const command = 'ulimit -f 4; exec "$0" --input-type=module -e "$1"';
    const { stdout } = spawnSync("bash", ["-c", command, process.execPath, script], { encoding: "utf8" });
    expect(stdout).toMatch(/^ERR_WRITE .*step-00000008\.\d+\.part\/model\.safetensors: cannot be written: EFBIG/);
    expect(readdirSync(output)).toEqual(["step-00000007"]);
    await restore(path, memory());
  });
});

describe("refused", () => {
  test("one of another shape, before anything is written", async () => {
    const [output, weights] = [folder(), memory()];
    const path = await saveCheckpoint(output, weights, files(), STATE, 1);
    const wider = NAMES.map(({ name, shape }) => ({ name, shape: shape.map((dim) => 2 * dim) }));
    const other = memory(wider);
    const before = structuredClone(other.data);
    await expect(restore(path, other)).rejects.toMatchObject({
      code: "ERR_USAGE",
      message: expect.stringMatching(
        /model\.safetensors: model\.embed_tokens\.weight: expected F32 \[64, 32\], as the model has it, got F32 \[32, 16\]$/,
      ),
    });
    expect(other.data).toEqual(before);
    const more = memory([...NAMES, { name: "more", shape: [1] }]);
    await expect(restore(path, more)).rejects.toThrow(/more: expected F32 \[1\], as the model has it, got nothing/);
  });

  test("a folder without a state, one of another version, weights that were cut", async () => {
    const output = folder();
    await expect(readState(output)).rejects.toMatchObject({
      code: "ERR_USAGE",
      message: expect.stringContaining("no checkpoint of a training"),
    });
    writeFileSync(join(output, "training.json"), JSON.stringify({ version: 1, ...STATE }));
    await expect(readState(output)).rejects.toThrow("expected training.json, version 2");
    writeFileSync(
      join(output, "model.safetensors"),
      safetensorsBytes({ w: { dtype: "F32", shape: [9], data: new Uint8Array(36) } }).subarray(0, -4),
    );
    await expect(restore(output, memory())).rejects.toMatchObject({ code: "ERR_MODEL_INVALID" });
  });
});
