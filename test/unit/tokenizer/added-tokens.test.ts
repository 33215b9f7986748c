// Added tokens as tokenizers finds them, and which of them the caller allows.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { loadTokenizer } from "#quipu/tokenizer/load-tokenizer.js";
import type { Tokenizer } from "#quipu/tokenizer/tokenizer.js";
import { namedTokenizer, TOKENIZER_FILES } from "./tokenizers.js";

const golden: { added_tokens: object[]; texts: string[]; ids: Record<"true" | "false", number[][]> }[] = JSON.parse(
  readFileSync("test/reference/added_tokens.golden.json", "utf8"),
);
const storyteller = JSON.parse(readFileSync(TOKENIZER_FILES["stories.json"]!, "utf8"));

test.each(golden.map((set, index) => [index, set] as const))("set %i of tokenizers", async (_, set) => {
  const dir = mkdtempSync(join(tmpdir(), "quipu-added-"));
  writeFileSync(join(dir, "tokenizer.json"), JSON.stringify({ ...storyteller, added_tokens: set.added_tokens }));
  const tokenizer = await loadTokenizer(dir);
  rmSync(dir, { recursive: true });
  for (const special of [false, true]) {
    for (const [index, text] of set.texts.entries()) {
      const ids = [...tokenizer.encode(text, { special })];
      expect({ text, special, ids }).toEqual({ text, special, ids: set.ids[`${special}`][index] });
      const cut = Math.floor(text.length / 2);
      const streamed: number[] = [];
      for await (const part of tokenizer.encodeStream([text.slice(0, cut), text.slice(cut)], { special })) {
        streamed.push(...part);
      }
      expect({ text, cut, streamed }).toEqual({ text, cut, streamed: ids });
    }
  }
});

async function withAddedTokens(added_tokens: readonly object[]): Promise<Tokenizer> {
  const dir = mkdtempSync(join(tmpdir(), "quipu-added-"));
  const file = { ...storyteller, normalizer: null, added_tokens, post_processor: null };
  writeFileSync(join(dir, "tokenizer.json"), JSON.stringify(file));
  const tokenizer = await loadTokenizer(dir);
  rmSync(dir, { recursive: true });
  return tokenizer;
}

// Ids and texts of tokenizers 0.23.3: two have the ids that their bytes have anyway, two have new ones.
describe.each([true, false])("special tokens that are single bytes, normalized: %s", (normalized) => {
  const BYTES = [
    [0, "!"],
    [64, "a"],
    [2046, "\n"],
    [2047, "\0"],
  ].map(([id, content]) => ({ id, content, special: true, normalized }));
  test.each<[text: string, asTokens: number[], asText: number[], withoutTokens: string]>([
    ["!", [0], [0], ""],
    ["a!b!", [64, 0, 65, 0], [64, 0, 65, 0], "b"],
    ["once!! upon a time", [287, 343, 0, 0, 437, 220, 64, 397], [287, 343, 0, 0, 437, 258, 397], "once upon  time"],
    ["the cat", [83, 256, 277, 64, 83], [83, 256, 478], "the ct"],
    [
      "é a\n\nb\0\0c",
      [127, 102, 220, 64, 2046, 2046, 65, 2047, 2047, 66],
      [127, 102, 258, 198, 198, 65, 188, 188, 66],
      "é bc",
    ],
  ])("%j", async (text, asTokens, asText, withoutTokens) => {
    const tokenizer = await withAddedTokens(BYTES);
    for (const [special, expected] of [[true, asTokens] as const, [false, asText] as const]) {
      expect([...tokenizer.encode(text, { special })]).toEqual(expected);
      const streamed: number[] = [];
      const single = Array.from(Buffer.from(text), (byte) => Buffer.of(byte));
      for await (const part of tokenizer.encodeStream(single, { special })) streamed.push(...part);
      expect(streamed).toEqual(expected);
      expect(tokenizer.decode(expected, { special: true })).toBe(text);
    }
    expect(tokenizer.decode(asTokens)).toBe(withoutTokens);
    const decoder = tokenizer.streamDecoder();
    expect(asTokens.map((id) => decoder.push(id)).join("") + decoder.end()).toBe(withoutTokens);
    const place = Buffer.from(text).findIndex((byte) => [0, 10, 33, 97].includes(byte));
    expect(() => tokenizer.encode(text, { special: "error" })).toThrow(
      expect.objectContaining({ code: "ERR_USAGE", message: expect.stringContaining(`at byte ${place}:`) }),
    );
  });
});

test("of any tokens the leftmost is found, of several the longest", async () => {
  const none = await withAddedTokens([]);
  const word = (least: number, most: number) =>
    fc.array(fc.constantFrom("a", "a", "b", "c"), { minLength: least, maxLength: most }).map((parts) => parts.join(""));
  const contents = fc.uniqueArray(word(1, 9), { minLength: 1, maxLength: 16 });
  await fc.assert(
    fc.asyncProperty(contents, fc.array(word(0, 60), { minLength: 20, maxLength: 20 }), async (contents, texts) => {
      const tokenizer = await withAddedTokens(contents.map((content, i) => ({ id: 3000 + i, content })));
      const longestFirst = contents.toSorted((a, b) => b.length - a.length);
      for (const text of texts) {
        const expected: number[] = [];
        let done = 0;
        for (let at = 0; at < text.length; ) {
          const found = longestFirst.find((content) => text.startsWith(content, at));
          if (found !== undefined) {
            expected.push(...none.encode(text.slice(done, at)), 3000 + contents.indexOf(found));
            done = at + found.length;
          }
          at += found?.length ?? 1;
        }
        expected.push(...none.encode(text.slice(done)));
        expect({ text, ids: [...tokenizer.encode(text)] }).toEqual({ text, ids: expected });
      }
    }),
  );
});

test("long tokens that texts nearly have are looked for in time by the text's length", async () => {
  const long = `${"a".repeat(50_000)}b`;
  const text = "a".repeat(4e6); // by the product, half an hour
  const tokenizer = await withAddedTokens([
    { id: 3000, content: long },
    { id: 3001, content: "a" },
  ]);
  expect(tokenizer.count(text)).toBe(4e6);
  expect([...tokenizer.encode(`${"a".repeat(3)}${long}c`)].slice(0, 4)).toEqual([3001, 3001, 3001, 3000]);
  let streamed = 0;
  for await (const ids of tokenizer.encodeStream([text, "b"])) streamed += ids.length;
  expect(streamed).toBe(4e6 - 50_000 + 1);
});

// tokenizers itself fails on these ("AddedVocabulary bad split").
test("white space that one token takes and another wants belongs to the first, in a stream too", async () => {
  const tokenizer = await withAddedTokens([
    { id: 2046, content: "a", rstrip: true },
    { id: 2047, content: "\n", lstrip: true },
    { id: 2048, content: " b", lstrip: true },
  ]);
  for (const [text, expected] of [
    ["a\n  a", [2046, 2046]],
    ["a \n b", [2046, 2048]],
    ["\n a\n", [2047, ...tokenizer.encode(" "), 2046]],
  ] as const) {
    expect([...tokenizer.encode(text)]).toEqual(expected);
    for (const chunks of [[text], [...text]]) {
      const streamed: number[] = [];
      for await (const part of tokenizer.encodeStream(chunks)) streamed.push(...part);
      expect({ chunks, streamed }).toEqual({ chunks, streamed: expected });
    }
  }
});

describe("special text", () => {
  let tokenizer: Tokenizer;
  const text = "a<|eot_id|>b<|end_of_text|>";
  const [eot, end] = [128009, 128001];
  beforeAll(async () => {
    tokenizer = (await namedTokenizer("llama3"))!;
  });

  test.each([
    [false, []],
    [true, [eot, end]],
    [["<|eot_id|>"], [eot]],
    [[], []],
  ])("special: %j", (special, found) => {
    expect([...tokenizer.encode(text, { special })].filter((id) => id >= 128000)).toEqual(found);
    expect(tokenizer.decode(tokenizer.encode(text, { special }), { special: true })).toBe(text);
  });

  test("may be an error, also in a stream that cuts it", async () => {
    const refused = expect.objectContaining({ code: "ERR_USAGE", message: expect.stringContaining("<|eot_id|>") });
    expect(() => tokenizer.encode(text, { special: "error" })).toThrow(refused);
    expect(() => tokenizer.count(text, { special: "error" })).toThrow(refused);
    await expect(tokenizer.encodeBatch(["x", text], { special: "error" })).rejects.toEqual(refused);
    const streamed = async () => {
      for await (const _ of tokenizer.encodeStream(["a<|eot", "_id|>b"], { special: "error" }));
    };
    await expect(streamed()).rejects.toEqual(refused);
    expect([...tokenizer.encode("a<|eot", { special: "error" })]).toEqual([...tokenizer.encode("a<|eot")]);
  });

  test("in a stream it is named with its place in the whole text", async () => {
    const streamed = async () => {
      for await (const _ of tokenizer.encodeStream(["some words. ".repeat(20), "a<|eot", "_id|>b"], {
        special: "error",
      }));
    };
    await expect(streamed()).rejects.toMatchObject({ message: expect.stringContaining("<|eot_id|> at byte 241:") });
  });

  test("a token of white space that takes white space finds itself in it, in time by its length", async () => {
    const spaces = await withAddedTokens([{ id: 2046, content: " ", rstrip: true, special: true }]);
    const text = `${" ".repeat(2e6)}x. . . . . . . . `; // by the square, without end
    const count = spaces.count(text, { special: true });
    expect(count).toBeGreaterThan(2e6);
    let streamed = 0;
    for await (const ids of spaces.encodeStream([text], { special: true })) streamed += ids.length;
    expect(streamed).toBe(count);
  });

  test("bytes that are no text behind a token of white space leave the token as it is", async () => {
    const spaces = await withAddedTokens([{ id: 2046, content: " ", rstrip: true, special: true }]);
    const bytes = Buffer.from("a   \n\xff", "latin1");
    const ids = [...spaces.encode(bytes, { special: true })];
    expect(ids[1]).toBe(2046);
    expect(Buffer.from(spaces.decodeBytes(ids, { special: true })).toString("latin1")).toBe("a   \xff"); // each space is one
  });

  test("a name that is none is an error", () => {
    expect(() => tokenizer.encode("a", { special: ["<|nothing|>"] })).toThrow(
      expect.objectContaining({ code: "ERR_USAGE" }),
    );
  });
});
