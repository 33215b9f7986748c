// Where texts come from, and how they are cut: formats, long texts in parts, and what is refused with its place.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { callNative } from "#quipu/addon/addon.js";
import { isQuipuError } from "#quipu/errors.js";
import { type TrainTokenizerOptions, trainTokenizer } from "#quipu/tokenizer/train.js";
import { incompleteEnd, invalidAt } from "#quipu/utf8.js";
import { countPieces, piecesOf } from "./train-reference.js";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "quipu-corpus-test-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(dir, name);
  writeFileSync(path, content);
  return path;
}

const train = (files: readonly string[], options: Partial<TrainTokenizerOptions> = {}) =>
  trainTokenizer({ files, vocabSize: 300, specialTokens: [], ...options });

const lines = (texts: readonly string[], field = "text") =>
  texts.map((text) => `${JSON.stringify({ id: 1, [field]: text })}\n`).join("");

const TEXTS = ["one text\nof two lines", "", "  another – with “quotes”, 한국어", "and\tone\u2028more 😀"];

describe("the same texts", () => {
  const forms: [string, () => string[], Partial<TrainTokenizerOptions>?][] = [
    ["JSON Lines", () => [file("a.jsonl", lines(TEXTS))]],
    [
      "without a last newline, with blank lines and a BOM",
      () => [file("a.ndjson", `\ufeff\n${lines(TEXTS)} \r\n`.trimEnd())],
    ],
    ["with CRLF", () => [file("a.jsonl", lines(TEXTS).replaceAll("\n", "\r\n"))]],
    ["gzipped, whatever the name says", () => [file("a.jsonl", gzipSync(lines(TEXTS)))]],
    [
      "gzipped in two members",
      () => [
        file(
          "a.jsonl.gz",
          Buffer.concat([lines(TEXTS.slice(0, 2)), lines(TEXTS.slice(2))].map((part) => gzipSync(part))),
        ),
      ],
    ],
    ["under another field", () => [file("a.jsonl", lines(TEXTS, "story"))], { field: "story" }],
    ["in a file of another name", () => [file("a.txt", lines(TEXTS))], { format: "jsonl" }],
    ["plain files, one text each", () => TEXTS.map((text, i) => file(`${i}.txt`, text))],
    ["plain files, gzipped, in another order", () => TEXTS.map((text, i) => file(`${i}.gz`, gzipSync(text))).reverse()],
  ];
  test.each(forms)("%s", async (_, make, options = {}) => {
    const { merges, counts, stats } = await train(make(), options);
    const expected = await train([file("expected.jsonl", lines(TEXTS))]);
    expect({ merges, counts, stats }).toEqual({
      merges: expected.merges,
      counts: expected.counts,
      stats: expected.stats,
    });
    const pieces = countPieces(TEXTS);
    expect(stats).toEqual({
      documents: TEXTS.length,
      bytes: TEXTS.reduce((sum, text) => sum + Buffer.byteLength(text), 0),
      pieces: [...pieces.values()].reduce((sum, count) => sum + count, 0),
      distinctPieces: pieces.size,
    });
  });

  test.each([
    ["text", TEXTS[2]!, []],
    ["gzipped text", gzipSync(TEXTS[2]!), []],
    ["JSON Lines", lines([TEXTS[2]!]), ["--format", "jsonl"]],
    ["one byte, then nothing", "x", []],
    ["nothing", "", []],
  ])("on stdin: %s", async (_, input, options) => {
    const args = ["bin/quipu.js", "tokenizer", "train", "--vocab-size", "300", "--json", "-o", join(dir, "out.model")];
    const run = spawnSync(process.execPath, [...args, ...options, "-"], { input, encoding: "utf8" });
    const text = typeof input === "string" && input.length < 2 ? input : TEXTS[2]!;
    expect(JSON.parse(run.stdout)).toMatchObject({ documents: 1, bytes: Buffer.byteLength(text) });
  });
});

describe("long texts are read in parts, and counted as one", () => {
  const words = (number: number, word: (i: number) => string) =>
    Array.from({ length: number }, (_, i) => word(i)).join("");
  // Each is longer than the parts, and offers other places to cut at, or none for long.
  const long: [string, string][] = [
    ["words", words(300_000, (i) => ` word${i % 7}s are`)],
    ["lines", words(200_000, (i) => `- ${i % 977}, ${"日本語"[i % 3]}!\r\n`)],
    ["no spaces", words(900_000, (i) => String.fromCodePoint(0x4e00 + ((i * 7) % 500)) + (i % 90 === 0 ? "。" : ""))],
    ["spaces without end", `a${" ".repeat(2_500_000)}b\n${" \n".repeat(700_000)} c's${"\u3000".repeat(500_000)}d`],
    ["one piece", "ab".repeat(1_300_000)],
    ["punctuation", words(400_000, (i) => `'${"'.!?"[i % 4]}\n  '`)],
  ];
  test.each(long)("%s", async (_, text) => {
    const pieces = countPieces([text]);
    const expected = {
      pieces: [...pieces.values()].reduce((sum, count) => sum + count, 0),
      distinctPieces: pieces.size,
    };
    const files = [file("a.txt", text), file("a.jsonl", lines([text]))];
    for (const path of files) {
      const { stats } = await train([path], { vocabSize: 260 });
      expect(stats).toMatchObject({ documents: 1, bytes: Buffer.byteLength(text), ...expected });
    }
  });
});

test.each(["llama3", "gpt2", "o200k"] as const)("a cut changes no piece, whatever follows: %s", (pattern) => {
  const trainer = callNative((addon) => new addon.TokenizerTrainer(pattern, 1, 2 ** 20, dir, []));
  const unit = fc.constantFrom(..."aZ' \n\r\t1!/\u00a0\u3000é漢ſ", "'ll", "  ", "\n\n", "word", " 'RE", "。", "😀");
  let cuts = 0;
  fc.assert(
    fc.property(
      fc.string({ unit, minLength: 20, maxLength: 60, size: "max" }),
      fc.string({ unit, maxLength: 6 }),
      (begin, rest) => {
        const bytes = Buffer.from(begin);
        const cut = trainer.cut(bytes);
        const [before, behind] = [bytes.subarray(0, cut).toString(), bytes.subarray(cut).toString() + rest];
        expect([...piecesOf(before, pattern), ...piecesOf(behind, pattern)]).toEqual(piecesOf(begin + rest, pattern));
        if (cut > 0) cuts += 1;
      },
    ),
    { numRuns: 2000 },
  );
  expect(cuts).toBeGreaterThan(1000);
  trainer.dispose();
});

describe("refused, with the place", () => {
  const bad = Buffer.concat([Buffer.from("é".repeat(700_000)), Buffer.of(0xc3, 0x28)]);
  const half = (lead: number[]) => Buffer.concat([Buffer.from("abc"), Buffer.from(lead)]);
  const cases: [string, string, string | Uint8Array, string][] = [
    ["a wrong byte", "a.txt", Buffer.from("caf\xe9 noir", "latin1"), "byte 3 (0xe9)"],
    ["one behind the first part", "a.txt", bad, "byte 1400000 (0xc3)"],
    ["one in gzipped text", "a.gz", gzipSync(bad), "byte 1400000"],
    ["an end in the middle of a character", "a.txt", half([0xf0, 0x9f, 0x98]), "byte 3"],
    ["a surrogate", "a.txt", half([0xed, 0xa0, 0x80]), "byte 3"],
    [
      "a wrong byte in JSON Lines",
      "a.jsonl",
      Buffer.concat([Buffer.from(lines(["x"])), half([0xff])]),
      `byte ${lines(["x"]).length + 3}`,
    ],
    ["JSON that is none", "a.jsonl", `${lines(["x", "y"])}{"text": \n`, "a.jsonl: line 3: not valid JSON"],
    [
      "a line without the field",
      "a.jsonl",
      `${lines(["x"])}{"content": "y"}\n`,
      'line 2: expected an object with a string "text", got an object with content',
    ],
    ["a field that is no text", "a.jsonl", '{"text": 5}\n', "line 1"],
    ["a line that is no object", "a.jsonl", '["text"]\n', "line 1"],
    ["half of a surrogate pair", "a.jsonl", '{"text": "\\ud83d"}\n', "surrogate"],
    ["damaged gzip data", "a.gz", gzipSync("text ".repeat(1000)).subarray(0, 40), "damaged gzip"],
  ];
  test.each(cases)("%s", async (_, name, content, said) => {
    const error = await train([file("good.txt", "good"), file(name, content)]).catch((caught) => caught);
    expect(isQuipuError(error) && error.code).toBe("ERR_USAGE");
    expect(error.message).toContain(said);
    expect(error.message).toContain(name);
  });

  test("a piece without end, as in /dev/zero", async () => {
    await expect(train(["/dev/zero"])).rejects.toMatchObject({
      code: "ERR_USAGE",
      message: expect.stringMatching(/^\/dev\/zero: \d+ bytes from byte 0 on are one piece, which may have 268435456/),
    });
  });

  test("a folder", async () => {
    await expect(train([dir])).rejects.toMatchObject({ code: "ERR_USAGE" });
  });
});

test("UTF-8 in chunks: every cut of a text, and every wrong byte in it", () => {
  const bytes = Buffer.from("aé漢😀z");
  const starts = [0, 1, 3, 6, 10, 11];
  for (let cut = 0; cut <= bytes.length; cut++) {
    const start = Math.max(...starts.filter((at) => at <= cut));
    expect(incompleteEnd(bytes.subarray(0, cut))).toBe(cut - start);
    expect(invalidAt(bytes.subarray(0, cut))).toBe(start);
  }
  for (let at = 0; at < bytes.length; at++) {
    const wrong = Buffer.from(bytes);
    wrong[at] = 0xff;
    expect(invalidAt(wrong)).toBe(Math.max(...starts.filter((start) => start <= at)));
  }
  for (const form of ["c080", "e08080", "f0808080", "f4908080", "f5808080", "80", "eda080"]) {
    expect(invalidAt(Buffer.from(form, "hex"))).toBe(0);
  }
});
