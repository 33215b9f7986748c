// What a prompt becomes: text with BOS, messages through the chat template, ids, and what does not fit the context.
import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { GenerateOptions, Prompt } from "#quipu/generate/events.js";
import { loadModel } from "#quipu/generate/load.js";
import type { Model } from "#quipu/generate/model.js";
import { temporaryFolder } from "../checkpoint-writer.js";
import { complete, someIds } from "../model/run-model.js";

const TEMPLATE =
  "{% for message in messages %}<{{ message.role }}>{{ message.content }}\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";
const CONTEXT = 64;
const dir = join(temporaryFolder(), "chat");
let model: Model; // the embedded one
let chat: Model; // the same with a template
beforeAll(async () => {
  cpSync("models/storyteller", dir, { recursive: true });
  writeFileSync(join(dir, "chat_template.jinja"), TEMPLATE);
  model = await loadModel(undefined, { threads: 2, contextLength: CONTEXT });
  chat = await loadModel(dir, { threads: 2, contextLength: CONTEXT });
});
afterAll(() => Promise.all([model.dispose(), chat.dispose()]));

const system = { role: "system", content: "Be brief." };
const user = { role: "user", content: "Who?" };
test.each<[string, Prompt, GenerateOptions, string]>([
  ["a text", "Who?", {}, "Who?"],
  ["a raw text", "Who?", { raw: true }, "Who?"],
  ["a text for the template", "Who?", { raw: false }, "<user>Who?\n<assistant>"],
  [
    "one with a system message",
    "Who?",
    { raw: false, system: "Be brief." },
    "<system>Be brief.\n<user>Who?\n<assistant>",
  ],
  ["messages", [system, user], {}, "<system>Be brief.\n<user>Who?\n<assistant>"],
  ["messages beside a system option", [user], { system: "Be brief." }, "<system>Be brief.\n<user>Who?\n<assistant>"],
  ["parts", [{ role: "user", content: [{ type: "text", text: "Who?" }] }], {}, "<user>Who?\n<assistant>"],
  [
    "a message without content",
    [user, { role: "assistant", content: null }],
    {},
    "<user>Who?\n<assistant>\n<assistant>",
  ],
  ["no header of an answer", [user], { addGenerationPrompt: false }, "<user>Who?\n"],
  [
    "a last message to go on with",
    [user, { role: "assistant", content: "I" }],
    { continueFinalMessage: true },
    "<user>Who?\n<assistant>I",
  ],
  [
    "tools, documents and variables for a template of one's own",
    [user],
    {
      ...{ tools: [{ a: 1 }], documents: [{ b: 2 }], templateVariables: { c: 1.5 } },
      chatTemplate: "{{ tools }}{{ documents }}{{ c }}{{ messages[0].content }}",
    },
    "[{'a': 1}][{'b': 2}]1.5Who?",
  ],
  ["no text", "", {}, ""],
])("%s", async (_, prompt, options, text) => {
  const tokenizer = chat.tokenizer!;
  const ids = Int32Array.of(tokenizer.bosId!, ...tokenizer.encode(text));
  expect(chat.encode(prompt, options)).toEqual(ids);
  const { start, ids: said } = await complete(chat, prompt, { ...options, temperature: 0, maxTokens: 5 });
  expect(start.promptTokens).toBe(ids.length);
  expect((await complete(chat, ids, { temperature: 0, maxTokens: 5 })).ids).toEqual(said);
});

test("begin-of-text stands once, also where the text begins with it", () => {
  const { bosId, decode } = model.tokenizer!;
  const bos = decode.call(model.tokenizer, [bosId!], { special: true });
  const ids = model.encode("Who?");
  expect(ids[0]).toBe(bosId);
  expect(model.encode(`${bos}Who?`, { special: true })).toEqual(ids);
  expect(model.encode(`${bos}${bos}Who?`, { special: true })).toEqual(Int32Array.of(bosId!, ...ids));
});

test("special tokens in what a user says are plain text", () => {
  const bos = [...model.tokenizer!.specialTokens].find(([, id]) => id === model.tokenizer!.bosId)![0];
  for (const prompt of [bos, [{ role: "user", content: bos }]]) {
    expect(chat.encode(prompt).filter((id) => id === chat.tokenizer!.bosId)).toHaveLength(1);
  }
});

test.each<[string, Prompt, GenerateOptions]>([
  ["messages without a template", [user], {}],
  ["a text for a template that is not there", "Who?", { raw: false }],
  ["a system message without a template", "Who?", { system: "Be brief." }],
  ["ids beyond the vocabulary", Int32Array.of(1, 2048), {}],
  ["no ids", Int32Array.of(), {}],
  ["a bad option", "Who?", { topP: -1 }],
  ["tools beside a raw text", "Who?", { tools: [] }],
  ["tools beside ids", Int32Array.of(1), { tools: [] }],
  ["tools that a template does not read", [user], { tools: [{}], chatTemplate: "{{ messages[0].content }}" }],
  ["a part that is no text", [{ role: "user", content: [{ type: "image" } as never] }], { chatTemplate: "{{ 1 }}" }],
])("%s: ERR_USAGE before anything is computed", async (_, prompt, options) => {
  await expect(complete(model, prompt, options)).rejects.toMatchObject({ code: "ERR_USAGE" });
  await expect(model.next(prompt, options)).rejects.toMatchObject({ code: "ERR_USAGE" });
});

test("a wrong message is named by its place among those that were given", () => {
  expect(() => chat.encode([user, { role: "user", content: 5 as never }], { system: "Be brief." })).toThrow(
    expect.objectContaining({ code: "ERR_USAGE", message: expect.stringContaining("messages[1].content") }),
  );
});

describe("a prompt that leaves no room", () => {
  const bos = () => model.tokenizer!.bosId!;
  const prompt = () => Int32Array.of(bos(), ...someIds(99, 2000));
  const run = (onOverflow: NonNullable<GenerateOptions["onOverflow"]>) =>
    complete(model, prompt(), { onOverflow, temperature: 0, maxTokens: 14, ignoreEos: true });
  const same = (ids: Int32Array) => complete(model, ids, { temperature: 0, maxTokens: 14, ignoreEos: true });

  test("is refused with the counts", async () => {
    const refused = { code: "ERR_CONTEXT_OVERFLOW", message: expect.stringContaining("100 tokens") };
    await expect(run("error")).rejects.toMatchObject(refused);
    await expect(complete(model, prompt())).rejects.toMatchObject(refused);
    await expect(model.next(prompt())).rejects.toMatchObject(refused);
    await expect(model.logits(prompt())).rejects.toMatchObject({ code: "ERR_CONTEXT_OVERFLOW" });
  });

  test("loses its head, but for the begin-of-text id", async () => {
    const cut = Int32Array.of(bos(), ...prompt().subarray(100 - 49));
    const { start, ids, end } = await run("truncate-head");
    expect(start).toMatchObject({ promptTokens: 50, droppedTokens: 50 });
    expect({ ids, reason: end.reason }).toEqual({ ids: (await same(cut)).ids, reason: "length" });
  });

  test("loses its middle", async () => {
    const cut = Int32Array.of(...prompt().subarray(0, 25), ...prompt().subarray(75));
    const { start, ids } = await run("truncate-middle");
    expect(start).toMatchObject({ promptTokens: 50, droppedTokens: 50 });
    expect(ids).toEqual((await same(cut)).ids);
  });

  test("next() keeps the begin-of-text id too", async () => {
    const cut = Int32Array.of(bos(), ...prompt().subarray(100 - 62));
    expect(await model.next(prompt(), { onOverflow: "truncate-head" })).toEqual(await model.next(cut));
  });
});

describe("a prompt in chunks says what it says in one", () => {
  const CHUNK = 8;
  let chunks: Model;
  beforeAll(async () => {
    chunks = await loadModel(undefined, { threads: 2, contextLength: CONTEXT, batchSize: CHUNK });
  });
  afterAll(() => chunks.dispose());

  test.each([1, 7, 8, 9, 15, 16, 17, 24])("of %i ids", async (length) => {
    const ids = someIds(length, 2000);
    const greedy = { temperature: 0, maxTokens: 3, ignoreEos: true };
    const { tokens } = await complete(model, ids, greedy);
    expect((await complete(chunks, ids, greedy)).tokens).toEqual(tokens);
    expect(await chunks.next(ids)).toEqual(await model.next(ids));
    const [some, all] = [await chunks.logits(ids), await model.logits(ids)];
    expect(Buffer.from(some.buffer).equals(Buffer.from(all.buffer))).toBe(true);
  });
});
