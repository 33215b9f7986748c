// Normalizers and added tokens as tokenizers has them, and streams of any cuts the same as the whole.
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { loadTokenizer } from "#quipu/tokenizer/load-tokenizer.js";
import { type NormalizerStep, parseNormalizer } from "#quipu/tokenizer/normalizer.js";
import type { Text, Tokenizer } from "#quipu/tokenizer/tokenizer.js";
import { TOKENIZER_FILES } from "./tokenizers.js";

interface GoldenSet {
  normalizer: unknown;
  added_tokens: { content: string; normalized: boolean }[];
  /** The text, its ids with special tokens as plain text, and as tokens. */
  cases: [string, number[], number[]][];
  /** By which text is cut, if not as the storyteller's. */
  pre_tokenizer?: unknown;
}
const golden: { blocks: Record<string, string[]>; sets: GoldenSet[]; patterns: GoldenSet[] } = JSON.parse(
  readFileSync("test/reference/normalizers.golden.json", "utf8"),
);
const storyteller = JSON.parse(readFileSync(TOKENIZER_FILES["stories.json"]!, "utf8"));
const exhaustive = process.env.QUIPU_EXHAUSTIVE !== undefined;

async function tokenizerWith(changes: object): Promise<Tokenizer> {
  const dir = mkdtempSync(join(tmpdir(), "quipu-normalizer-"));
  writeFileSync(join(dir, "tokenizer.json"), JSON.stringify({ ...storyteller, ...changes }));
  const tokenizer = await loadTokenizer(dir);
  rmSync(dir, { recursive: true });
  return tokenizer;
}

async function streamed(tokenizer: Tokenizer, chunks: Iterable<Text>, special: boolean): Promise<number[]> {
  const ids: number[] = [];
  for await (const part of tokenizer.encodeStream(chunks, { special })) for (const id of part) ids.push(id);
  return ids;
}

function digestOf(ids: Int32Array): string {
  return createHash("sha256").update(ids).digest("hex").slice(0, 16);
}

/** toEqual takes its time over long lists, most of which are equal. */
function expectSame(got: Iterable<number>, expected: readonly number[], what: object): void {
  const list = [...got];
  if (list.join() !== expected.join()) expect({ ...what, ids: list }).toEqual({ ...what, ids: expected });
}

/** The bytes in parts that end at `cuts`. */
function cut(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const ends = [...cuts.map((at) => at % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end));
}

describe.each(Object.keys(golden.blocks))("%s of every character", (form) => {
  const BLOCK = 4096;
  test("is that of tokenizers, whole and in a stream", async () => {
    const tokenizer = await tokenizerWith({ normalizer: { type: form }, added_tokens: [] });
    for (const [block, expected] of golden.blocks[form]!.entries()) {
      let text = "";
      for (let code = block * BLOCK; code < (block + 1) * BLOCK; code++) {
        if (code >= 0xd800 && code < 0xe000) continue;
        const character = String.fromCodePoint(code);
        text += `a${character}\u0334\u0301${character} `;
      }
      const bytes = Buffer.from(text);
      const cuts = Array.from({ length: 20 }, (_, i) => i * 2477);
      const parts = await streamed(tokenizer, cut(bytes, cuts), false);
      const digests = [tokenizer.encode(text), Int32Array.from(parts)].map(digestOf);
      if (digests.some((digest) => digest !== expected))
        expect([block, ...digests]).toEqual([block, expected, expected]);
    }
  });
});

test.each(golden.sets.map((set, index) => [index, set] as const))("set %i of tokenizers", async (_, set) => {
  const tokenizer = await tokenizerWith({ normalizer: set.normalizer, added_tokens: set.added_tokens });
  for (const [text, ...expected] of set.cases) {
    for (const special of [false, true]) {
      const ids = expected[special ? 1 : 0]!;
      expectSame(tokenizer.encode(text, { special }), ids, { text, special });
      const bytes = Buffer.from(text);
      const single = Array.from(bytes, (byte) => Buffer.of(byte));
      expectSame(await streamed(tokenizer, single, special), ids, { text, special, single: true });
      for (let at = 0; at < bytes.length; at += exhaustive ? 2 : 7) {
        const halves = [bytes.subarray(0, at), bytes.subarray(at)];
        expectSame(await streamed(tokenizer, halves, special), ids, { text, special, at });
      }
    }
  }
});

const patterns = golden.patterns.map((set, index) => [index, set] as const);
test.each(patterns.filter(([index]) => exhaustive || index % 3 === 0))("patterns %i of tokenizers", async (_, set) => {
  const { cases, ...file } = set;
  const tokenizer = await tokenizerWith(file);
  for (const [text, ...expected] of cases) {
    for (const special of [false, true]) {
      const ids = expected[special ? 1 : 0]!;
      expectSame(tokenizer.encode(text, { special }), ids, { text, special });
      const bytes = Buffer.from(text);
      const halves = [bytes.subarray(0, bytes.length / 2), bytes.subarray(bytes.length / 2)];
      expectSame(await streamed(tokenizer, halves, special), ids, { text, special });
      const [batched, counted] = [
        (await tokenizer.encodeBatch([text], { special }))[0]!,
        tokenizer.count(text, { special }),
      ];
      expectSame(batched, ids, { text, special });
      expect(counted).toBe(ids.length);
    }
  }
});

describe("Replace of a Regex", () => {
  const replacing = (...steps: [pattern: string, content: string][]) => ({
    type: "Sequence",
    normalizers: steps.map(([Regex, content]) => ({ type: "Replace", pattern: { Regex }, content })),
  });

  test.each([
    ["a reference", replacing(["(a)\\1", "b"]), /normalizer: the pattern uses \\1, which/],
    ["content that makes text a hundred times as long", replacing(["a", "b".repeat(100)]), /100 times as long/],
    ["a pattern that may match nothing", replacing(["a*", "b"]), /a Regex that matches a character or more, got "a\*"/],
    ["what is nothing but an end", replacing(["$", "b"]), /a Regex that matches a character or more/],
  ])("%s is refused", async (_, normalizer, problem) => {
    await expect(tokenizerWith({ normalizer })).rejects.toMatchObject({
      code: "ERR_TOKENIZER_INVALID",
      message: expect.stringMatching(problem),
    });
  });

  test("a pattern that tries ways without end on a text is an error", async () => {
    const tokenizer = await tokenizerWith({ normalizer: replacing(["(?:a+)+b", "c"]) });
    expect(() => tokenizer.encode("a".repeat(3000))).toThrow(/cannot be sought in this text behind 0 characters/);
  });

  test("a signal is heard in the middle of what it changed", async () => {
    const tokenizer = await tokenizerWith({ normalizer: replacing(["a", "bb"]) });
    const text = "Once upon a time. ".repeat(20_000);
    const controller = new AbortController();
    const ids: number[] = [];
    const encode = async () => {
      for await (const part of tokenizer.encodeStream([text], { signal: controller.signal })) {
        ids.push(...part);
        controller.abort();
      }
    };
    await expect(encode()).rejects.toMatchObject({ code: "ERR_ABORTED" });
    expect(ids.length).toBeGreaterThan(0);
    expect(ids.length).toBeLessThan(tokenizer.encode(text).length / 2);
    expect(ids).toEqual([...tokenizer.encode(text).subarray(0, ids.length)]);
  });
});

const FORMS = ["NFC", "NFD", "NFKC", "NFKD"] as const;
test.each(FORMS.flatMap((first) => FORMS.map((second) => [first, second] as const)))(
  "%s and then %s is one form",
  (first, second) => {
    const normalizers = [{ type: first }, { type: "Sequence", normalizers: [] }, { type: second }];
    const steps = parseNormalizer({ type: "Sequence", normalizers }, "tokenizer.json");
    expect(steps).toEqual([[0, expect.any(Number), 0]]);
    const form = FORMS[(steps[0] as NormalizerStep)[1] as number]!;
    for (let code = 0; code < 0x30000; code++) {
      const character = String.fromCodePoint(code);
      const text = `a${character}\u0345\u0334\u0301${character}\u3099\u1161`;
      const [once, twice] = [text.normalize(form), text.normalize(first).normalize(second)];
      if (once !== twice) expect([code, once]).toEqual([code, twice]);
    }
  },
);

test("any added tokens, any text and any cuts: a stream gives the ids of the whole", async () => {
  const unit = fc.constantFrom(..."ab<>xy \n_1.", "  ", "é", "e\u0301", "\u0301", "가", "\u11a8", "日", "ﬁ", "Å");
  const content = fc.array(unit, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(""));
  const token = fc.record({
    content,
    single_word: fc.boolean(),
    lstrip: fc.boolean(),
    rstrip: fc.boolean(),
    normalized: fc.boolean(),
    special: fc.boolean(),
  });
  const normalizer = fc.constantFrom(null, ...Object.keys(golden.blocks).map((type) => ({ type })));
  const tokens = fc.uniqueArray(token, { maxLength: 6, selector: (t) => t.content });
  const file = fc.record({ normalizer, tokens });
  const text = fc.tuple(fc.array(unit, { maxLength: 40 }), fc.array(fc.nat(), { maxLength: 4 }));
  await fc.assert(
    fc.asyncProperty(file, fc.array(text, { minLength: 8, maxLength: 12 }), async ({ normalizer, tokens }, texts) => {
      const added_tokens = tokens.map((token, i) => ({ id: 3000 + i, ...token }));
      const tokenizer = await tokenizerWith({ normalizer, added_tokens });
      for (const [parts, cuts] of texts) {
        // Texts of tokens, not only of letters that tokens have too.
        const whole = parts.map((part, i) => (i % 3 === 0 ? (tokens[i % 5]?.content ?? part) : part)).join("");
        for (const special of [false, true]) {
          const ids = [...tokenizer.encode(whole, { special })];
          expectSame(await streamed(tokenizer, cut(Buffer.from(whole), cuts), special), ids, { whole, cuts, special });
        }
      }
    }),
    { numRuns: exhaustive ? 300 : 100 },
  );
}, 1_800_000); // each run makes a tokenizer and some forty streams: minutes, and ten times that beside neighbours

describe("a long text", () => {
  const replace = (from: string, content: string) => ({ type: "Replace", pattern: { String: from }, content });

  test("goes through many steps in parts, with the same result", async () => {
    const normalizers = [
      replace("ab", "ba"),
      { type: "NFC" },
      replace("  ", " "),
      { type: "Strip", strip_left: true, strip_right: true },
    ];
    const tokenizer = await tokenizerWith({ normalizer: { type: "Sequence", normalizers }, added_tokens: [] });
    const plain = await tokenizerWith({ normalizer: null, added_tokens: [] });
    const unit = `abab e\u0301${" ".repeat(7)}日本`;
    const text = ` ${unit.repeat(20_000)}${" ".repeat(300_000)}`;
    const normalized = text.replaceAll("ab", "ba").normalize("NFC").replaceAll("  ", " ").trim();
    expect(tokenizer.encode(text)).toEqual(plain.encode(normalized));
  });

  test("is sought for what begins within itself, wherever it is cut", async () => {
    const plain = await tokenizerWith({ normalizer: null, added_tokens: [] });
    for (const from of ["aab", "abab", "aabaaa", "abaabab"]) {
      const tokenizer = await tokenizerWith({ normalizer: replace(from, "c"), added_tokens: [] });
      const letters = fc.array(fc.constantFrom("a", "b", from.slice(0, 2), from), { maxLength: 40 });
      const property = fc.asyncProperty(letters, fc.array(fc.nat(), { maxLength: 6 }), async (parts, cuts) => {
        const text = parts.join("");
        const expected = plain.encode(text.replaceAll(from, "c"));
        expectSame(await streamed(tokenizer, cut(Buffer.from(text), cuts), false), [...expected], { from, text, cuts });
      });
      await fc.assert(property, { numRuns: exhaustive ? 1500 : 60 });
    }
  });

  // One byte is sought sixteen at a time.
  test.each(["▁", "", "b", "x".repeat(16), "x".repeat(17)])("has each space replaced by %j", async (content) => {
    const plain = await tokenizerWith({ normalizer: null, added_tokens: [] });
    const tokenizer = await tokenizerWith({ normalizer: replace(" ", content), added_tokens: [] });
    const parts = fc.array(fc.constantFrom(" ", "a", "é", "word", " b ", " ".repeat(16), "c".repeat(15)), {
      maxLength: 20,
    });
    const property = fc.asyncProperty(parts, fc.array(fc.nat(), { maxLength: 4 }), async (parts, cuts) => {
      const text = parts.join("");
      const expected = [...plain.encode(text.replaceAll(" ", content))];
      expectSame(tokenizer.encode(text), expected, { content, text });
      expectSame(await streamed(tokenizer, cut(Buffer.from(text), cuts), false), expected, { content, text, cuts });
    });
    await fc.assert(property, { numRuns: exhaustive ? 1000 : 100 });
  });

  test("is sought for what is long itself, in parts", async () => {
    // What could begin it is held, and looked at again as more comes.
    const long = `${"a".repeat(2 ** 17)}b`;
    const tokenizer = await tokenizerWith({ normalizer: replace(long, "c"), added_tokens: [] });
    const [text, expected] = [`${"a".repeat(2 ** 16)}${long}x`, `${"a".repeat(2 ** 16)}cx`];
    const plain = await tokenizerWith({ normalizer: null, added_tokens: [] });
    const parts = Array.from({ length: 13 }, (_, i) =>
      text.slice((i * text.length) / 13, ((i + 1) * text.length) / 13),
    );
    expect(await streamed(tokenizer, parts, false)).toEqual([...plain.encode(expected)]);
  });
});
