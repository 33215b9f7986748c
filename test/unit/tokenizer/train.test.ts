// What is learned: the merges of a plain reference trainer and of Hugging Face's, whatever the threads and the memory.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { isQuipuError } from "#quipu/errors.js";
import { loadTokenizer } from "#quipu/tokenizer/load-tokenizer.js";
import { type TrainTokenizerOptions, trainTokenizer } from "#quipu/tokenizer/train.js";
import { byteId, countPieces, referenceMerges } from "./train-reference.js";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "quipu-train-test-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

function jsonl(name: string, texts: readonly string[]): string {
  const path = join(dir, name);
  writeFileSync(path, texts.map((text) => `${JSON.stringify({ text })}\n`).join(""));
  return path;
}

const train = (texts: readonly string[], merges: number, options: Partial<TrainTokenizerOptions> = {}) =>
  trainTokenizer({ files: [jsonl("texts.jsonl", texts)], vocabSize: 256 + merges, specialTokens: [], ...options });

describe("against the reference", () => {
  // Few letters, so that pairs tie and overlap; white space, digits and long characters, so that pieces are cut everywhere.
  const alphabets = ["ab", "ab ", "abc d\n", "aé漢😀 ", "a1 2'sS\r\n", "\u00a0\u0301ſ'x\t ", "👩‍👧🏽ab "];
  test.each(alphabets)("random texts of %j", async (alphabet) => {
    const unit = fc.constantFrom(...Array.from(alphabet));
    const texts = fc.array(fc.string({ unit, maxLength: 60 }), { minLength: 1, maxLength: 8 });
    const patterns = fc.constantFrom("llama3" as const, "gpt2" as const, "o200k" as const);
    await fc.assert(
      fc.asyncProperty(
        texts,
        fc.nat(40),
        patterns,
        fc.integer({ min: 1, max: 3 }),
        async (list, merges, pattern, n) => {
          const trained = await train(list, merges, { pattern, minFrequency: n, threads: n });
          const pieces = countPieces(list, pattern);
          const expected = referenceMerges(pieces, merges, { minFrequency: n });
          expect(trained.merges).toEqual(expected.pairs);
          expect([...trained.counts]).toEqual(expected.counts);
          expect(trained.stats.distinctPieces).toBe(pieces.size);
          expect(trained.vocabSize).toBe(256 + expected.pairs.length);
        },
      ),
      { numRuns: 40 },
    );
  });

  test.each([
    ["ties go to the smaller left id, then the smaller right id", ["ba", "ab", "aa"], 1, [["a", "a"]]],
    ["runs count where they overlap", ["aaaa bc bc"], 1, [["a", "a"]]],
    [
      "runs merge from the left",
      ["aaa"],
      2,
      [
        ["a", "a"],
        ["aa", "a"],
      ],
    ],
    ["texts share no piece", ["ab", "ab", "ba"], 1, [["a", "b"]]],
  ] as [string, string[], number, [string, string][]][])("%s", async (_, texts, merges, expected) => {
    const { tokens, merges: learned } = await train(texts, merges);
    const text = (id: number) => Buffer.from(tokens[id]!).toString();
    expect(learned.map(([left, right]) => [text(left), text(right)])).toEqual(expected);
  });
});

test("ids: bytes in the order of GPT-2's alphabet, merges, special tokens", async () => {
  const trained = await train(["the theme"], 3, { vocabSize: 261, specialTokens: ["<s>", "</s>"], bosToken: "<s>" });
  for (let byte = 0; byte < 256; byte++) expect([...trained.tokens[byteId(byte)]!]).toEqual([byte]);
  expect(trained.tokens.slice(256).map((token) => Buffer.from(token).toString())).toEqual(["he", "the", "me"]);
  expect([...trained.specialTokens]).toEqual([
    ["<s>", 259],
    ["</s>", 260],
  ]);
  expect(trained.vocabSize).toBe(261);
});

test("no token has the text of a special one", async () => {
  const texts = ["pad pad pad pads pad", "pad"];
  const trained = await train(texts, 8, { vocabSize: 256 + 8 + 1, specialTokens: ["pad"] });
  expect(trained.merges).toEqual(referenceMerges(countPieces(texts), 8, { forbidden: ["pad"] }).pairs);
  expect(trained.tokens.map((token) => Buffer.from(token).toString())).not.toContain("pad");
});

test("a token may have the name of a member of every object", async () => {
  const trained = await train(
    Array.from({ length: 3 }, () => "__proto__ constructor"),
    40,
    {
      output: join(dir, "tokenizer.model"),
    },
  );
  expect(trained.tokens.map((token) => Buffer.from(token).toString())).toContain(" constructor");
  const { vocab } = JSON.parse(readFileSync(join(dir, "tokenizer.json"), "utf8")).model;
  expect(Object.keys(vocab)).toHaveLength(trained.vocabSize);
});

test.each([
  ["no text", [], 0],
  ["an empty text", [""], 0],
  ["single bytes", ["a", "b", "a"], 0],
  ["few pairs", ["abc"], 2],
])("%s: stops when no pair is left", async (_, texts, merges) => {
  const { vocabSize, stats } = await train(texts, 1000);
  expect(vocabSize).toBe(256 + merges);
  expect(stats.documents).toBe(texts.length);
});

test("rare pieces can be left out", async () => {
  const texts = ["once twice twice thrice thrice thrice"];
  const { merges } = await train(texts, 100, { minPieceCount: 2 });
  const kept = [...countPieces(texts)].filter(([, count]) => count >= 2);
  expect(merges).toEqual(referenceMerges(new Map(kept), 100).pairs);
});

describe("Hugging Face's BpeTrainer", () => {
  const golden = JSON.parse(readFileSync("test/reference/bpe_trainer.golden.json", "utf8"));
  test.each(["llama3", "gpt2"] as const)("%s: the same merges, and both files encode alike", async (pattern) => {
    const output = join(dir, "tokenizer.model");
    const { merges, specialTokens } = golden[pattern];
    const texts: string[] = golden.texts;
    const trained = await train(texts, merges.length, {
      pattern,
      output,
      specialTokens,
      vocabSize: 256 + merges.length + specialTokens.length,
    });
    const json = JSON.parse(readFileSync(join(dir, "tokenizer.json"), "utf8"));
    expect(json.model.merges).toEqual(merges);
    expect(trained.merges).toEqual(referenceMerges(countPieces(texts, pattern), merges.length).pairs);
    const fromJson = await loadTokenizer(join(dir, "tokenizer.json"));
    for (const [i, text] of texts.entries()) {
      expect([...fromJson.encode(text)]).toEqual(golden[pattern].ids[i]);
      expect(fromJson.decode(fromJson.encode(text))).toBe(text);
    }
    expect(fromJson.specialTokens).toEqual(trained.specialTokens);
    if (pattern !== "llama3") return; // a rank file does not name its pattern
    const fromRanks = await loadTokenizer(output);
    for (const text of texts) expect([...fromRanks.encode(text)]).toEqual([...fromJson.encode(text)]);
    expect(fromRanks.specialTokens).toEqual(trained.specialTokens);
    expect(fromRanks.bosId).toBe(fromJson.bosId);
  });
});

test.each([
  ["expected files", { files: [] }, "expected files"],
  ["stdin twice", { files: ["-", "-"] }, "stdin"],
  ["stdin with a checkpoint", { files: ["-"], checkpoint: "x" }, "checkpoint"],
  ["a vocabulary that is too small", { vocabSize: 257 }, "expected at least 258"],
  ["a fractional vocabulary", { vocabSize: 300.5 }, "vocabSize"],
  ["a special token twice", { specialTokens: ["a", "a"] }, "there twice"],
  ["an empty special token", { specialTokens: [""] }, "texts that are not empty"],
  ["a BOS that is no special token", { bosToken: "<s>" }, "bosToken"],
  ["an unknown pattern", { pattern: "bert" as never }, "llama3"],
  ["too little memory", { memory: 1000 }, "memory"],
  ["a file that is missing", { files: ["missing.txt"] }, "missing.txt"],
] as [string, Partial<TrainTokenizerOptions>, string][])("refuses %s", async (_, options, said) => {
  const error = await trainTokenizer({ files: [jsonl("a.jsonl", ["x"])], vocabSize: 300, ...options }).catch((e) => e);
  expect(isQuipuError(error) && error.code).toBe("ERR_USAGE");
  expect(error.message).toContain(said);
});
