// What ends a completion, and that the end event says which.
import { copyFileSync, existsSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { inspectModel } from "#quipu/generate/inspect.js";
import { loadModel } from "#quipu/generate/load.js";
import type { Model } from "#quipu/generate/model.js";
import { temporaryFolder } from "../checkpoint-writer.js";
import { complete } from "../model/run-model.js";
import { describeWhere } from "../where.js";

let model: Model;
beforeAll(async () => {
  model = await loadModel(undefined, { threads: 2 });
});
afterAll(() => model.dispose());

const PROMPT = "Once upon a time";
const BOS = "<|begin_of_text|>";
const only = (id: number) => ({ logitBias: new Map([[id, Number.POSITIVE_INFINITY]]), maxTokens: 3 });

test("the model's own stop token", async () => {
  expect(model.stopTokens).toEqual([
    { id: 2047, text: "<|end_of_text|>", sources: ["config.json", "generation_config.json", "tokenizer_config.json"] },
  ]);
  const { end } = await complete(model, PROMPT, only(2047));
  expect(end).toMatchObject({ reason: "eos", stoppedBy: { id: 2047, text: "<|end_of_text|>" } });
});

test("stopIds, also with ignoreEos; an id of both counts as the model's own", async () => {
  for (const stopIds of [[2046], [BOS]]) {
    for (const ignoreEos of [false, true]) {
      const { end, ids } = await complete(model, PROMPT, { ...only(2046), stopIds, ignoreEos });
      expect({ end, ids }).toMatchObject({ ids: [], end: { reason: "stop", stoppedBy: { id: 2046, text: BOS } } });
    }
  }
  const both = { ...only(2047), stopIds: [2047] };
  expect((await complete(model, PROMPT, both)).end.reason).toBe("eos");
  expect((await complete(model, PROMPT, { ...both, ignoreEos: true })).end.reason).toBe("stop");
  expect((await complete(model, PROMPT, { ...only(2047), ignoreEos: true })).end).not.toHaveProperty("stoppedBy");
});

test("more ids than the device looks at", async () => {
  const { ids } = await complete(model, PROMPT, { temperature: 0, maxTokens: 30, ignoreEos: true });
  const at = ids.findIndex((id, i) => i > 8 && ids.indexOf(id) === i);
  const others = Array.from({ length: 2048 }, (_, id) => id).filter((id) => !ids.includes(id));
  const stopIds = [...others.slice(0, 40), ids[at]!];
  const stopped = await complete(model, PROMPT, { temperature: 0, maxTokens: 30, stopIds });
  expect(stopped.ids).toEqual(ids.slice(0, at));
  expect(stopped.end).toMatchObject({ reason: "stop", stoppedBy: { id: ids[at] } });
});

test("text that a stop text might have begun in comes out before a stop id", async () => {
  const { ids, text } = await complete(model, PROMPT, { temperature: 0, maxTokens: 2 });
  const held = `${text}?`;
  const { end, ...stopped } = await complete(model, PROMPT, { temperature: 0, stop: [held], stopIds: [ids[1]!] });
  expect(end).toMatchObject({ reason: "stop", stoppedBy: { id: ids[1] } });
  expect(stopped.text).toBe(model.tokenizer!.decode([ids[0]!]));
});

test("a stop text is named", async () => {
  const { end } = await complete(model, PROMPT, { temperature: 0, stop: ["never", "girl"] });
  expect(end).toMatchObject({ reason: "stop", stoppedBy: { text: "girl" } });
  expect(end.stoppedBy).not.toHaveProperty("id");
});

const smollm = resolve("build/models/smollm2");
const shared = resolve("../shared/cases/eos-of-tokenizer");
const available = existsSync(smollm) && existsSync(shared);
const reason = "build/models/smollm2 or ../shared/cases/eos-of-tokenizer does not exist";

describeWhere(available, reason)("where config.json names no end and generation_config.json is not there", () => {
  const dir = join(temporaryFolder(), "eos");
  beforeAll(() => {
    mkdirSync(dir); // a folder of its own: build/models/smollm2 may be a link
    const without = ["config.json", "tokenizer_config.json", "generation_config.json"];
    for (const name of readdirSync(smollm).filter((file) => !without.includes(file))) {
      symlinkSync(join(smollm, name), join(dir, name));
    }
    for (const name of ["config.json", "tokenizer_config.json"]) copyFileSync(join(shared, name), join(dir, name));
  });

  test("the tokenizer's eos_token and the template end the answer", async () => {
    await using loaded = await loadModel(dir);
    const { end, text } = await complete(loaded, "What is the capital of France?", {
      raw: false,
      temperature: 0,
      maxTokens: 40,
    });
    expect(text).toBe("The capital of France is Paris.");
    expect(end).toMatchObject({ reason: "eos", stoppedBy: { id: 2, text: "<|im_end|>" } });
    expect((await inspectModel(dir)).stopTokens).toEqual([
      { id: 2, text: "<|im_end|>", sources: expect.arrayContaining(["tokenizer_config.json", "chat template"]) },
    ]);
  });
});
