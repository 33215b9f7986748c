// Public encodings by their names and by those of models.
import { ENCODING_NAMES, encodingOfModel } from "#quipu/tokenizer/encoding-models.js";
import { loadEncoding } from "#quipu/tokenizer/encodings.js";

// tiktoken 0.14.0: encoding_name_for_model; scripts/prove-tokenizer.sh asks it for every name of its tables.
test.each([
  ["gpt-4o", "o200k_base"],
  ["gpt-4o-mini-2024-07-18", "o200k_base"],
  ["gpt-4", "cl100k_base"],
  ["gpt-4-0613", "cl100k_base"],
  ["gpt-4.1-nano", "o200k_base"],
  ["gpt-3.5-turbo-0125", "cl100k_base"],
  ["gpt-35-turbo-16k", "cl100k_base"],
  ["o1", "o200k_base"],
  ["o3-mini", "o200k_base"],
  ["gpt-5", "o200k_base"],
  ["gpt-oss-120b", "o200k_harmony"],
  ["davinci-002", "cl100k_base"],
  ["davinci", "r50k_base"],
  ["text-davinci-003", "p50k_base"],
  ["text-davinci-edit-001", "p50k_edit"],
  ["text-embedding-3-small", "cl100k_base"],
  ["ft:gpt-4o:mine", "o200k_base"],
  ["ft:davinci-002:mine", "cl100k_base"],
  ["gpt2", "gpt2"],
  ["gpt-2", "gpt2"],
  ["gpt", undefined],
  ["llama", undefined],
  ["toString", undefined],
])("%s is %s", (model, encoding) => {
  expect(encodingOfModel(model)).toBe(encoding);
});

test("a model's name loads its encoding", async () => {
  const tokenizer = await loadEncoding("gpt-4o");
  expect([...tokenizer.encode("Hello world")]).toEqual([...(await loadEncoding("o200k_base")).encode("Hello world")]);
  expect(tokenizer.specialTokens.get("<|endofprompt|>")).toBe(200018);
});

test("o200k_harmony has its tokens, and those in reserve", async () => {
  const tokenizer = await loadEncoding("o200k_harmony");
  expect([tokenizer.vocabSize, tokenizer.specialTokens.size]).toEqual([201088, 1091]);
  const text = "<|start|>user<|message|>Hi<|end|><|reserved_201087|><|reserved_200000|>";
  const ids = [...tokenizer.encode(text, { special: true })];
  expect(ids.filter((id) => id >= 199998)).toEqual([200006, 200008, 200007, 201087, 200000]);
  expect(tokenizer.decode(ids, { special: true })).toBe(text);
  // Two texts of one id, as in tiktoken.
  expect([...tokenizer.encode("<|endofprompt|><|reserved_200018|>", { special: true })]).toEqual([200018, 200018]);
});

test("p50k_edit has the tokens of insertions", async () => {
  const tokenizer = await loadEncoding("p50k_edit");
  expect([...tokenizer.encode("<|fim_prefix|>a<|fim_suffix|>", { special: true })]).toEqual([50281, 64, 50283]);
});

test.each<[string, RegExp]>([
  ["gpt9", /^encoding: expected cl100k_base, gpt2, .*, or a model of OpenAI's such as gpt-4o, got "gpt9"/],
  ["o200k-base", /did you mean o200k_base\?$/],
  ["gpt4o", /did you mean gpt-4o\?$/],
  ["toString", /expected/],
])("%s is neither", async (name, message) => {
  await expect(loadEncoding(name)).rejects.toMatchObject({
    code: "ERR_USAGE",
    option: "encoding",
    message: expect.stringMatching(message),
  });
});

test("names are those of tiktoken, in order", () => {
  expect(ENCODING_NAMES).toEqual([
    ...["cl100k_base", "gpt2", "o200k_base", "o200k_harmony", "p50k_base", "p50k_edit", "r50k_base"],
  ]);
});
