// The goldens themselves: whole, lively, and able to fail a wrong model.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { testWhere } from "../where.js";
import {
  firstWrongToken,
  isCertain,
  LOGIT_TOLERANCE,
  loadSmollm2,
  loadTiny,
  sampledIds,
  smollm2Folder,
  tinyNames,
} from "./reference.js";

const argmax = (row: Float32Array) => row.reduce((best, value, i) => (value > row[best]! ? i : best), 0);

describe.each(tinyNames())("tiny checkpoint %s", (name) => {
  const reference = loadTiny(name);
  const rowOf = (prompt: (typeof reference.prompts)[number], i: number) =>
    prompt.logits.slice(i * reference.vocabSize, (i + 1) * reference.vocabSize);

  test("has a checkpoint in the published layout beside it", () => {
    const config = JSON.parse(readFileSync(join(reference.folder, "config.json"), "utf8"));
    expect(config).toMatchObject({
      model_type: expect.stringMatching(/^(llama|mistral)$/),
      vocab_size: reference.vocabSize,
    });
    const weights = ["model.safetensors", "model.safetensors.index.json"];
    expect(weights.filter((file) => existsSync(join(reference.folder, file)))).toHaveLength(1);
  });

  test("its logits are lively and its ids within the vocabulary", () => {
    for (const prompt of reference.prompts) {
      const mean = prompt.logits.reduce((sum, x) => sum + x, 0) / prompt.logits.length;
      const variance = prompt.logits.reduce((sum, x) => sum + (x - mean) ** 2, 0) / prompt.logits.length;
      expect(Math.sqrt(variance)).toBeGreaterThan(2);
      expect(prompt.positions).toContain(prompt.ids.length - 1);
      expect(Math.max(...prompt.ids)).toBe(reference.vocabSize - 1);
      expect(Math.min(...prompt.ids)).toBe(0);
      expect(argmax(rowOf(prompt, prompt.positions.length - 1))).toBe(prompt.greedy.ids[0]);
    }
  });

  test("relativeError is 0 for its own logits and sees one that is off by twice the tolerance, or NaN", () => {
    for (const prompt of reference.prompts) {
      for (const [i, position] of prompt.positions.entries()) {
        const row = rowOf(prompt, i);
        expect(prompt.relativeError(position, row)).toBe(0);
        const largest = row.reduce((worst, x) => Math.max(worst, Math.abs(x)), 0);
        row[(7 * position) % row.length]! += 2 * LOGIT_TOLERANCE * largest;
        expect(prompt.relativeError(position, row)).toBeGreaterThan(LOGIT_TOLERANCE);
        row[row.length - 1] = Number.NaN;
        expect(prompt.relativeError(position, row)).toBe(Number.POSITIVE_INFINITY);
      }
    }
  });
});

test("taps of one checkpoint, in the order of the network", () => {
  const { prompts } = loadTiny("gqa-f32");
  const { ids, taps } = prompts.find((prompt) => prompt.taps)!;
  const layers = [0, 1].flatMap((i) => [`layers.${i}.attention`, `layers.${i}.mlp`]);
  expect(taps!.map((tap) => tap.name)).toEqual(["embedding", ...layers, "norm"]);
  for (const { data, shape } of taps!) {
    expect(shape).toEqual([ids.length, 48]);
    expect(data).toHaveLength(ids.length * 48);
  }
});

test("several prompts are longer than two key pages, one checkpoint has three shards", () => {
  const all = tinyNames().map(loadTiny);
  expect(all.filter(({ prompts }) => prompts.some(({ ids }) => ids.length > 128)).length).toBeGreaterThanOrEqual(2);
  expect(all.filter(({ folder }) => existsSync(join(folder, "model-00003-of-00003.safetensors")))).toHaveLength(1);
});

describe("SmolLM2", () => {
  const { vocabSize, prompts } = loadSmollm2();

  test("eight prompts, 48 tokens each, nearly all of them certain", () => {
    expect(prompts).toHaveLength(8);
    for (const { greedy } of prompts) {
      expect(greedy.ids).toHaveLength(48);
      expect(greedy.ids.filter((_, i) => isCertain(greedy, i)).length).toBeGreaterThanOrEqual(46);
    }
  });

  test("the sampled ids are distinct and visit the whole vocabulary as the position moves", () => {
    const seen = new Set<number>();
    for (let position = 0; position < 768; position++) {
      for (const id of sampledIds(3, position, vocabSize, 64)) seen.add(id);
    }
    expect(seen.size).toBe(vocabSize);
    expect(Math.max(...seen)).toBe(vocabSize - 1);
  });

  test("the compact form agrees with the complete logits, and sees what is off", () => {
    const index = prompts.findIndex((prompt) => prompt.full);
    const { full, relativeError } = prompts[index]!;
    for (const [i, position] of full!.positions.entries()) {
      const row = full!.logits.slice(i * vocabSize, (i + 1) * vocabSize);
      expect(relativeError(position, row)).toBe(0);
      for (const id of [argmax(row), sampledIds(index, position, vocabSize, 64)[63]!]) {
        const changed = row.slice();
        changed[id]! -= 0.01;
        expect(relativeError(position, changed)).toBeGreaterThan(LOGIT_TOLERANCE);
        changed[id] = Number.NaN;
        expect(relativeError(position, changed)).toBe(Number.POSITIVE_INFINITY);
      }
    }
    const last = full!.logits.slice(vocabSize);
    expect(argmax(last)).toBe(prompts[index]!.greedy.ids[0]);
  });

  const folder = smollm2Folder();
  testWhere(folder !== undefined, "the SmolLM2 of the goldens")(
    "the folder holds the checkpoint that the goldens were made from",
    () => {
      expect(JSON.parse(readFileSync(join(folder!, "config.json"), "utf8"))).toMatchObject({ vocab_size: vocabSize });
      expect(existsSync(join(folder!, "model.safetensors.index.json"))).toBe(true);
    },
  );
});

test("firstWrongToken forgives only an uncertain choice", () => {
  const greedy = { ids: [4, 5, 6], margins: [1, 0.001, 1], maxAbsLogit: [20, 20, 20] };
  expect(firstWrongToken(greedy, [4, 5, 6])).toBe(-1);
  expect(firstWrongToken(greedy, [4, 9, 9])).toBe(-1);
  expect(firstWrongToken(greedy, [4, 5, 7])).toBe(2);
  expect(firstWrongToken(greedy, [4, 5])).toBe(2);
  expect(firstWrongToken(greedy, [])).toBe(0);
});
