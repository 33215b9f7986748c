// Vocabularies of text, as SentencePiece's are: ids, decoded text and offsets as tokenizers has them, streams of any cuts the same as the
// whole, and merging held against a plain implementation.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { loadTokenizer } from "#quipu/tokenizer/load-tokenizer.js";
import type { Tokenizer } from "#quipu/tokenizer/tokenizer.js";

interface GoldenSet {
  file: { model: object };
  /** Which of <0x00> to <0xFF> the vocabulary has, a bit each; then come the others. */
  bytes: string;
  tokens: string[];
  /** Text, ids with special tokens as plain text, and as tokens; text of these without special tokens, and with; offsets of the first. */
  cases: [string, number[], number[], string | null, string | null, number[] | null][];
  drawn: [number[], string][];
}
const golden: GoldenSet[] = JSON.parse(readFileSync("test/reference/text_tokens.golden.json", "utf8"));
const exhaustive = process.env.QUIPU_EXHAUSTIVE !== undefined;

const BYTE_TOKENS = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);

const vocabularyOf = (names: readonly string[]) => Object.fromEntries(names.map((name, id) => [name, id]));

async function load(file: object): Promise<Tokenizer> {
  const dir = mkdtempSync(join(tmpdir(), "quipu-text-tokens-"));
  writeFileSync(join(dir, "tokenizer.json"), JSON.stringify(file));
  try {
    return await loadTokenizer(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** What a folder with these two files has. */
async function loadWith(file: object, config: object): Promise<Tokenizer> {
  const dir = mkdtempSync(join(tmpdir(), "quipu-text-tokens-"));
  writeFileSync(join(dir, "tokenizer.json"), JSON.stringify(file));
  writeFileSync(join(dir, "tokenizer_config.json"), JSON.stringify(config));
  try {
    return await loadTokenizer(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

async function streamed(tokenizer: Tokenizer, chunks: Iterable<Uint8Array>, special: boolean): Promise<number[]> {
  const ids: number[] = [];
  for await (const part of tokenizer.encodeStream(chunks, { special })) ids.push(...part);
  return ids;
}

function decodedInParts(tokenizer: Tokenizer, ids: readonly number[]): string {
  const decoder = tokenizer.streamDecoder();
  return ids.map((id) => decoder.push(id)).join("") + decoder.end();
}

/** The bytes in parts that end at `cuts`. */
function cut(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const ends = [...cuts.map((at) => at % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end));
}

test.each(golden.map((set, index) => [index, set] as const))("set %i of tokenizers", async (index, set) => {
  const bits = BigInt(`0x${set.bytes}`);
  const fallback = BYTE_TOKENS.filter((_, byte) => (bits >> BigInt(255 - byte)) & 1n);
  const model = { ...set.file.model, vocab: vocabularyOf([...fallback, ...set.tokens]) };
  const tokenizer = await load({ ...set.file, model });
  for (const [text, plain, special, short, whole, starts] of set.cases) {
    const got = [[...tokenizer.encode(text)], [...tokenizer.encode(text, { special: true })]];
    expect({ text, ids: got }).toEqual({ text, ids: [plain, special] });
    if (short !== null) {
      const decoded = [tokenizer.decode(special), tokenizer.decode(special, { special: true })];
      expect({ text, special, decoded }).toEqual({ text, special, decoded: [short, whole] });
      if (!short.includes("\ufffd")) expect(decodedInParts(tokenizer, special)).toBe(short);
    }
    if (starts !== null) {
      const { offsets, text: same } = tokenizer.decodeTokensWithOffsets(plain);
      expect({ same, offsets: [...offsets] }).toEqual({ same: text, offsets: starts });
    }
    expect(tokenizer.count(text)).toBe(plain.length);
    const bytes = Buffer.from(text);
    const single = Array.from(bytes, (byte) => Buffer.of(byte));
    for (const isSpecial of [false, true]) {
      const ids = isSpecial ? special : plain;
      expect({ text, ids: await streamed(tokenizer, single, isSpecial) }).toEqual({ text, ids });
      for (let at = index % 17; at < bytes.length; at += exhaustive ? 3 : 17) {
        const halves = [bytes.subarray(0, at), bytes.subarray(at)];
        expect({ text, at, ids: await streamed(tokenizer, halves, isSpecial) }).toEqual({ text, at, ids });
      }
    }
  }
  for (const [ids, text] of set.drawn) {
    expect({ ids, text: tokenizer.decode(ids, { special: true }) }).toEqual({ ids, text });
    const special = new Set(tokenizer.specialTokens.values());
    if (!text.includes("\ufffd") && !ids.some((id) => special.has(id)))
      expect(decodedInParts(tokenizer, ids)).toBe(text);
  }
});

/** Merging as it is told: the pair that comes first in the list, of equals the leftmost, until none is in it. */
function plainlyMerged(symbols: readonly string[], merges: readonly (readonly [string, string])[]): string[] {
  const rank = new Map(merges.map(([left, right], i) => [`${left} ${right}`, i]));
  const merged = [...symbols];
  for (;;) {
    let best = -1;
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i + 1 < merged.length; i++) {
      const at = rank.get(`${merged[i]} ${merged[i + 1]}`) ?? Number.POSITIVE_INFINITY;
      if (at < least) [best, least] = [i, at];
    }
    if (best < 0) return merged;
    merged.splice(best, 2, merged[best]! + merged[best + 1]!);
  }
}

const MARK = "\u2581";
const LETTERS = ["a", "b", "é", "日", "😀", MARK];

/** What is read of a vocabulary of those letters and some merges. */
interface Vocabulary {
  readonly names: string[];
  readonly merges: [string, string][];
}

const vocabularies = fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 30 }).map((choices): Vocabulary => {
  const names = [...LETTERS];
  const merges: [string, string][] = [];
  for (const [i, j] of choices) {
    const pair: [string, string] = [names[i % names.length]!, names[j % names.length]!];
    if (pair.join("").length > 8) continue;
    merges.push(pair);
    if (!names.includes(pair.join(""))) names.push(pair.join(""));
  }
  return { names, merges };
});

const fileOf = ({ names, merges }: Vocabulary) => ({
  normalizer: { type: "Replace", pattern: { String: " " }, content: MARK },
  pre_tokenizer: null,
  decoder: { type: "Fuse" },
  model: { type: "BPE", byte_fallback: true, vocab: vocabularyOf([...names, ...BYTE_TOKENS]), merges },
});

test("any merges, any text: what plain merging makes, and streams the same", async () => {
  const unit = fc.constantFrom(...LETTERS, " ", " ", "x", "ab", "aaaa");
  const text = fc.tuple(fc.array(unit, { maxLength: 60 }), fc.array(fc.nat(), { maxLength: 4 }));
  await fc.assert(
    fc.asyncProperty(vocabularies, fc.array(text, { minLength: 10, maxLength: 10 }), async (vocabulary, texts) => {
      const tokenizer = await load(fileOf(vocabulary));
      const idOf = new Map([...vocabulary.names, ...BYTE_TOKENS].map((name, id) => [name, id]));
      for (const [parts, cuts] of texts) {
        const whole = parts.join("");
        const stretches = whole.replaceAll(" ", MARK).split(/(x)/);
        const expected = stretches
          .flatMap((stretch) => (stretch === "x" ? ["<0x78>"] : plainlyMerged([...stretch], vocabulary.merges)))
          .map((name) => idOf.get(name));
        expect({ whole, ids: [...tokenizer.encode(whole)] }).toEqual({ whole, ids: expected });
        expect(await streamed(tokenizer, cut(Buffer.from(whole), cuts), false)).toEqual(expected);
      }
    }),
    { numRuns: exhaustive ? 500 : 40 },
  );
}, 600_000);

describe("legacy of tokenizer_config.json", () => {
  const MARK = "\u2581";
  const replace = (from: string, content: string) => ({ type: "Replace", pattern: { String: from }, content });
  const normalizers = [{ type: "Prepend", prepend: MARK }, replace(" ", MARK)];
  const tokens = ["<unk>", "<s>", ...BYTE_TOKENS, "a", "b", MARK, `${MARK}a`];
  const file = {
    added_tokens: [{ id: 1, content: "<s>", special: true, normalized: false }],
    normalizer: { type: "Sequence", normalizers },
    pre_tokenizer: null,
    decoder: { type: "Sequence", decoders: [replace(MARK, " "), { type: "ByteFallback" }, { type: "Fuse" }] },
    model: { type: "BPE", byte_fallback: true, vocab: vocabularyOf(tokens), merges: [[MARK, "a"]] },
  };
  const encoded = (tokenizer: Tokenizer, text: string) =>
    Array.from(tokenizer.encode(text, { special: true }), (id) => tokens[id]);

  // What transformers' LlamaTokenizer makes of the vocabulary: Metaspace, always or first; the mark is put before no text that begins with it.
  test.each([
    [{ tokenizer_class: "LlamaTokenizer" }, "a<s>a", [`${MARK}a`, "<s>", `${MARK}a`], " a"],
    [{ legacy: false }, " a<s>a", [MARK, `${MARK}a`, "<s>", `${MARK}a`], "  a"],
    [{ legacy: true, tokenizer_class: "LlamaTokenizer" }, " a<s>a", [`${MARK}a`, "<s>", `${MARK}a`], "a"],
    [{ legacy: false, tokenizer_class: "LlamaTokenizer" }, "a<s>a", [`${MARK}a`, "<s>", "a"], "a"],
    [{ legacy: false, tokenizer_class: "LlamaTokenizerFast" }, "<s>a a", ["<s>", "a", `${MARK}a`], "a a"],
    [{ legacy: false, tokenizer_class: "LlamaTokenizer", add_prefix_space: false }, "a a", ["a", `${MARK}a`], "a a"],
    [{ legacy: false, tokenizer_class: "PreTrainedTokenizerFast" }, "<s>a", ["<s>", `${MARK}a`], " a"],
  ])("%j: %j", async (config, text, expected, decoded) => {
    const tokenizer = await loadWith(file, config);
    expect(encoded(tokenizer, text)).toEqual(expected);
    const ids = tokenizer.encode(text, { special: true }).filter((id) => id !== 1);
    expect(tokenizer.decode(ids.slice(0, decoded.length === 1 ? 1 : undefined)).startsWith(decoded)).toBe(true);
  });
});

test("legacy leaves a file neither ignore_merges nor an unknown token", async () => {
  const mark = "\u2581";
  const tokens = ["<unk>", ...BYTE_TOKENS, "a", "b", mark, "ab", `${mark}ab`];
  const model = { byte_fallback: true, unk_token: "<unk>", vocab: vocabularyOf(tokens), merges: [["a", "b"]] };
  const file = { model: { type: "BPE", ...model, ignore_merges: true } };
  // transformers 5.24, LlamaTokenizer with legacy false: the word is not reached by merges.
  const tokenizer = await loadWith(file, { tokenizer_class: "LlamaTokenizer", legacy: false });
  expect(Array.from(tokenizer.encode("ab"), (id) => tokens[id])).toEqual([mark, "ab"]);
});

test("an id without a token leaves the next the first", async () => {
  const mark = "\u2581";
  const tokenizer = await load({
    decoder: { type: "Metaspace", replacement: mark, prepend_scheme: "always" },
    model: { type: "BPE", vocab: { a: 0, [`${mark}a`]: 5, [mark]: 6 }, merges: [] },
  });
  expect(tokenizer.decode([3, 5, 5])).toBe("a a");
  expect(decodedInParts(tokenizer, [3, 5, 5])).toBe("a a");
  expect([...tokenizer.decodeTokensWithOffsets([3, 6, 5]).offsets]).toEqual([0, 0, 0]);
});
