// Tokenizer files that lie, or ask for what this version does not do, are refused by name.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isQuipuError } from "#quipu/errors.js";
import { loadTokenizer } from "#quipu/tokenizer/load-tokenizer.js";
import { GPT2_PATTERN, LLAMA3_PATTERN, O200K_PATTERN } from "#quipu/tokenizer/published-patterns.js";
import { splitInto } from "#quipu/tokenizer/split-behavior.js";
import { compileSplitPattern } from "#quipu/tokenizer/split-pattern.js";
import type { Tokenizer } from "#quipu/tokenizer/tokenizer.js";
import { TOKENIZER_FILES } from "./tokenizers.js";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "quipu-tokenizer-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

async function refusalOf(name: string, content: string | Uint8Array): Promise<string> {
  writeFileSync(join(dir, name), content);
  const error = await loadTokenizer(dir).catch((caught: unknown) => caught);
  if (!isQuipuError(error)) throw new Error(`expected a QuipuError, got ${error}`);
  expect(error.code).toBe("ERR_TOKENIZER_INVALID");
  return error.message;
}

const storyteller = () => JSON.parse(readFileSync(TOKENIZER_FILES["stories.json"]!, "utf8"));

const REPLACE = { type: "Replace", pattern: { String: "a" }, content: "" };

/** An object that throws where it is put into a text. */
const NOT_PRINTED = { toString: 1, valueOf: 1 };
const HOSTILE_CLASS = { type: "BertProcessing", cls: [NOT_PRINTED, "x"], sep: ["x", 1] };

const cutBy = (pattern: object) => ({
  type: "Sequence",
  pretokenizers: [
    { type: "Split", pattern, behavior: "Isolated", invert: false },
    { type: "ByteLevel", add_prefix_space: false, use_regex: false },
  ],
});

/** The storyteller's, but cut by a pattern. */
async function loadedWith(regex: string): Promise<Tokenizer> {
  const file = { ...storyteller(), pre_tokenizer: cutBy({ Regex: regex }) };
  writeFileSync(join(dir, "tokenizer.json"), JSON.stringify(file));
  return loadTokenizer(dir);
}

/** A program: says what becomes of a text that the tokenizer in the folder of its argument cuts, and that it hears of Ctrl-C. */
const CUTS = `
import { loadTokenizer } from ${JSON.stringify(join(process.cwd(), "dist/index.js"))};
const tokenizer = await loadTokenizer(process.argv[1]);
const idle = setInterval(() => {}, 1000);
process.on("SIGINT", () => {
  console.log("heard");
  clearInterval(idle);
});
console.log("begins");
try {
  tokenizer.encode("a".repeat(3000));
} catch (error) {
  console.log(error.code);
}
`;

/** Without the byte "!", which is a token and part of no merge that is left. */
// biome-ignore lint/suspicious/noExplicitAny: hostile files have any form
function lackByte(file: any, model: object): void {
  const has = (text: string) => text.includes("!");
  Object.assign(file.model, model);
  file.model.merges = file.model.merges.filter((merge: string[]) => !merge.some(has));
  for (const token of Object.keys(file.model.vocab).filter(has)) delete file.model.vocab[token];
}

describe("tokenizer.json", () => {
  // biome-ignore lint/suspicious/noExplicitAny: hostile files have any form
  const cases: [string, (file: any) => void, string][] = [
    ["another model", (f) => (f.model.type = "Unigram"), 'expected "BPE", got "Unigram"'],
    ["byte fallback without all bytes", (f) => lackByte(f, { byte_fallback: true }), "byte_fallback"],
    ["an unknown token without all bytes", (f) => lackByte(f, { unk_token: "!" }), "unk_token"],
    ["dropout", (f) => (f.model.dropout = 0.1), "model.dropout"],
    ["another normalizer", (f) => (f.normalizer = { type: "Nmt" }), "Nmt"],
    [
      "a normalizer that finds nothing",
      (f) => (f.normalizer = { ...REPLACE, pattern: { String: "" }, content: "b" }),
      "Replace",
    ],
    ["a decoder of its own", (f) => (f.decoder = { type: "Metaspace" }), "decoder"],
    ["another post-processor", (f) => (f.post_processor = { type: "Other" }), "post_processor"],
    ["two tokens before a text", (f) => f.post_processor.single.unshift(f.post_processor.single[0]), "at most one"],
    ["word pieces", (f) => (f.model.continuing_subword_prefix = "##"), "continuing_subword_prefix"],
    ["no vocabulary", (f) => (f.model.vocab = []), "model.vocab"],
    ["an id that is none", (f) => (f.model.vocab["!"] = -1), "model.vocab"],
    ["a huge id", (f) => (f.model.vocab["!"] = 2 ** 31), "model.vocab"],
    ["an id twice", (f) => (f.model.vocab["!"] = 1), "has two tokens"],
    ["a merge of unknown tokens", (f) => f.model.merges.push(["qq", "qq"]), "the vocabulary lacks"],
    ["a token that is a number", (f) => (f.model.vocab["!"] = "0"), 'got "0"'],
    ["a merge of three", (f) => (f.model.merges = [["a", "b", "c"]]), "the vocabulary lacks"],
    ["a token of a megabyte", (f) => (f.model.vocab["a".repeat(2 ** 20)] = 99_999), "at most 4096 bytes"],
    ["a merge that is none", (f) => f.model.merges.push(7), "the vocabulary lacks"],
    ["merges that are no list", (f) => (f.model.merges = {}), "model.merges"],
    ["another pre-tokenizer", (f) => (f.pre_tokenizer = { type: "BertPreTokenizer" }), "BertPreTokenizer"],
    ["no pre-tokenizer for bytes", (f) => (f.pre_tokenizer = null), "decoder: ByteLevel"],
    ["an added token without content", (f) => f.added_tokens.push({ id: 9 }), "added_tokens[2]"],
    ["a class token that prints as nothing", (f) => (f.post_processor = HOSTILE_CLASS), "post_processor.cls"],
    ["a BOS whose name is no text", (f) => (f.post_processor.single[0].SpecialToken.id = NOT_PRINTED), "no ids for"],
    ["a pattern of a megabyte", (f) => (f.pre_tokenizer = cutBy({ Regex: "a".repeat(2 ** 20) })), "1048576 characters"],
    ["a BOS without id", (f) => (f.post_processor.special_tokens = {}), "post_processor"],
  ];
  test.each(cases)("%s", async (_, change, said) => {
    const file = storyteller();
    change(file);
    expect(await refusalOf("tokenizer.json", JSON.stringify(file))).toContain(said);
  });

  test.each([
    ["text that is no JSON", "{", "not valid JSON"],
    ["a list", "[]", "expected a JSON object"],
    ["names twice", '{"model":1,"model":2}', "model"],
    ["bytes that are no UTF-8", Uint8Array.of(0x7b, 0xff, 0x7d), "UTF-8"],
    ["a token that is no UTF-8", Buffer.from('{"model":{"vocab":{"a\xff":0},"merges":[]}}', "latin1"), "UTF-8"],
    ["half a character", Buffer.from('{"model":{"vocab":{"a\xc4":0},"merges":[]}}', "latin1"), "UTF-8"],
    ["a merge that is no UTF-8", Buffer.from('{"model":{"vocab":{"a":0},"merges":["a \xc4a"]}}', "latin1"), "UTF-8"],
    ["a name that is no UTF-8", Buffer.from('{"\xff":1,"model":{"vocab":{"a":0},"merges":[]}}', "latin1"), "UTF-8"],
    ["a nest of lists", `{"a":${"[".repeat(5000)}${"]".repeat(5000)}}`, "deep"],
  ])("%s", async (_, content, said) => {
    expect(await refusalOf("tokenizer.json", content)).toContain(said);
  });
});

const replace = (from: string, content: string) => ({ type: "Replace", pattern: { String: from }, content });

describe("tokenizer.json of text", () => {
  const names = ["<unk>", "a", "b", "ab", "\u2581", "<0x0A>", "<0x0A>a", "<unk>a"];
  const textFile = () => ({
    normalizer: null,
    pre_tokenizer: null,
    decoder: { type: "Fuse" },
    model: {
      type: "BPE",
      unk_token: "<unk>" as unknown,
      byte_fallback: false,
      vocab: Object.fromEntries(names.map((name, id) => [name, id])),
      merges: [["a", "b"]] as unknown[],
    },
  });

  // biome-ignore lint/suspicious/noExplicitAny: hostile files have any form
  const cases: [string, (file: any) => void, string][] = [
    ["an unknown token that is none", (f) => (f.model.unk_token = "<none>"), "model.unk_token"],
    ["an unknown token that is a number", (f) => (f.model.unk_token = 0), "model.unk_token"],
    ["a merge of the unknown token", (f) => f.model.merges.push(["<unk>", "a"]), "none of model.unk_token"],
    [
      "a merge of a byte",
      (f) => {
        f.model.byte_fallback = true;
        f.model.merges.push(["<0x0A>", "a"]);
      },
      "<0x00> to",
    ],
    ["a merge of what is no token", (f) => f.model.merges.push(["b", "a"]), "the vocabulary lacks"],
    ["a merge of nothing", (f) => f.model.merges.push(["", "a"]), "the vocabulary lacks"],
    ["an old merge of three", (f) => (f.model.merges = ["a b b"]), "the vocabulary lacks"],
    ["no decoder", (f) => (f.decoder = null), "decoder"],
    ["a decoder of bytes", (f) => (f.decoder = { type: "ByteLevel" }), "decoder: ByteLevel"],
    [
      "a decoder that doubles again and again",
      (f) => (f.decoder = { type: "Sequence", decoders: Array(8).fill(replace("a", "a".repeat(16))) }),
      "decoder: its Replace steps can make a text 4294967296 times as long",
    ],
    [
      "a normalizer that does",
      (f) => (f.normalizer = { type: "Sequence", normalizers: Array(7).fill(replace("a", "aa")) }),
      "normalizer: its Replace steps can make a text 128 times as long",
    ],
    [
      "ten thousand steps",
      (f) => (f.decoder = { type: "Sequence", decoders: Array(10_000).fill(replace("a", "b")) }),
      "decoder: expected at most 64 steps, got 10000",
    ],
    ["a decoder that strips the end", (f) => (f.decoder = { type: "Strip", content: " ", start: 0, stop: 1 }), "Strip"],
    ["a mark of two characters", (f) => (f.pre_tokenizer = { type: "Metaspace", replacement: "ab" }), "Metaspace"],
    [
      "a scheme that is none",
      (f) => (f.pre_tokenizer = { type: "Metaspace", replacement: "_", prepend_scheme: "x" }),
      "Metaspace",
    ],
    [
      "schemes that differ",
      (f) => (f.pre_tokenizer = { type: "Metaspace", replacement: "_", add_prefix_space: false }),
      "Metaspace",
    ],
    [
      "a beginning that is cut off before it is looked for",
      (f) => {
        f.normalizer = { type: "Strip", strip_left: true, strip_right: true };
        f.pre_tokenizer = { type: "Metaspace", replacement: "\u2581", prepend_scheme: "first" };
      },
      "prepend_scheme first",
    ],
    [
      "an anchor in a normalizer's pattern that is not translated",
      (f) => (f.normalizer = { type: "Replace", pattern: { Regex: "\\Ga" }, content: "" }),
      "normalizer: the pattern uses \\G",
    ],
    ["nothing that comes first", (f) => (f.normalizer = { type: "Prepend", prepend: "" }), "Prepend"],
  ];
  test.each(cases)("%s", async (_, change, said) => {
    const file = textFile();
    change(file);
    expect(await refusalOf("tokenizer.json", JSON.stringify(file))).toContain(said);
  });

  test("the model may come first, and ByteLevel in a text makes no bytes of it", async () => {
    const { model, ...rest } = textFile();
    const pre_tokenizer = { type: "Split", pattern: { String: "ByteLevel" }, behavior: "Isolated", invert: false };
    writeFileSync(join(dir, "tokenizer.json"), JSON.stringify({ model, ...rest, pre_tokenizer }));
    const tokenizer = await loadTokenizer(dir);
    expect([...tokenizer.encode("ab\u2581")]).toEqual([3, 4]);
    expect(() => tokenizer.encode(Uint8Array.of(0x61, 0xff))).toThrow(/no UTF-8/);
  });

  test("bytes that are no UTF-8 are named by their place", async () => {
    writeFileSync(join(dir, "tokenizer.json"), JSON.stringify(textFile()));
    const tokenizer = await loadTokenizer(dir);
    expect(() => tokenizer.encode(Uint8Array.of(0x61, 0xff))).toThrow(/byte 1: the tokens of this tokenizer are text/);
  });
});

describe("a pattern that is not the engine's", () => {
  const withPattern = async (pattern: object) => {
    writeFileSync(join(dir, "tokenizer.json"), JSON.stringify({ ...storyteller(), pre_tokenizer: cutBy(pattern) }));
    return loadTokenizer(dir);
  };

  test("any text that is cut at", async () => {
    const symbols = "-/\\^$*+?.()|[]{}#&~ ,\n\u2028😀";
    const tokenizer = await withPattern({ String: symbols });
    expect(tokenizer.decode(tokenizer.encode(`a${symbols}b`))).toBe(`a${symbols}b`);
    for (const symbol of symbols) await withPattern({ String: symbol });
  });

  test("one whose matches need more stack than there is", async () => {
    const tokenizer = await withPattern({ Regex: "(?:a|bc)+" });
    expect(() => tokenizer.encode("a".repeat(3e7))).toThrow(
      expect.objectContaining({
        code: "ERR_TOKENIZER_INVALID",
        message: expect.stringContaining("cannot be sought in"),
      }),
    );
  });
});

test("spellings that mean the same are read the same", async () => {
  const expected = await loadTokenizer(TOKENIZER_FILES["stories.json"]!);
  const file = storyteller();
  const { vocab, merges, ...model } = file.model;
  const escaped = (value: unknown) =>
    JSON.stringify(value).replace(/"(?:[^"\\]|\\.)*"/g, (text) => text.replaceAll("a", "\\u0061"));
  const spellings = [
    `\ufeff${JSON.stringify(file)}`,
    escaped(file),
    JSON.stringify(file, undefined, 1),
    JSON.stringify({ ...file, model: { merges, vocab, ...model } }),
    JSON.stringify({
      ...file,
      model: { ...file.model, merges: merges.map((merge: string | string[]) => [merge].flat().join(" ")) },
    }),
    JSON.stringify({
      ...file,
      model: {
        ...file.model,
        merges: merges.map((merge: string | string[]) => (typeof merge === "string" ? merge.split(" ") : merge)),
      },
    }),
  ];
  const text = "Once upon a time, “there” was a naïve 日本 dragon.";
  for (const spelling of spellings) {
    writeFileSync(join(dir, "tokenizer.json"), spelling);
    expect([...(await loadTokenizer(dir)).encode(text)]).toEqual([...expected.encode(text)]);
  }
});

describe("rank files", () => {
  const lines = () => readFileSync(TOKENIZER_FILES["stories.model"]!, "latin1").split("\n");
  test.each<[string, (list: string[]) => string[], string]>([
    ["an empty file", () => [], "is empty: its download is incomplete"],
    ["a line without rank", (list) => [...list.slice(0, 5), "abcd", ...list.slice(5)], "line 6"],
    ["base64 that is none", (list) => ["*** 0", ...list.slice(1)], "line 1"],
    ["a rank twice", (list) => [...list.slice(0, -1), "enp6eno= 3"], "twice"],
    ["a token twice", (list) => [...list.slice(0, -1), `${list[0]!.split(" ")[0]} 99999`], "twice"],
    ["a token of a megabyte", (list) => [...list.slice(0, -1), `${"enp6".repeat(2 ** 18)} 99`], "base64 rank"],
    ["a huge rank", (list) => [...list.slice(0, -1), "enp6eno= 99999999"], "base64 rank"],
    ["a byte missing", (list) => list.slice(1), "no token for the byte"],
  ])("%s", async (_, change, said) => {
    expect(await refusalOf("tokenizer.model", change(lines()).join("\n"))).toContain(said);
  });
});

test.each(["abc", "-1", "1.5", "1e9", "__proto__"])("an added token of a rank file with the id %s", async (id) => {
  writeFileSync(join(dir, "tokenizer_config.json"), `{"added_tokens_decoder": {"${id}": {"content": "<x>"}}}`);
  expect(await refusalOf("tokenizer.model", readFileSync(TOKENIZER_FILES["stories.model"]!))).toContain(
    "added_tokens_decoder: <x>: expected an id",
  );
});

describe("split patterns", () => {
  test("what does not mean the same in JavaScript is translated", () => {
    const pieces = (pattern: string, text: string) => [
      ...splitInto("Isolated", compileSplitPattern(pattern, "test"), text, false),
    ];
    expect(pieces("\\s+", "a\ufeffb\u0085c")).toEqual(["a\ufeffb", "\u0085", "c"]);
    expect(pieces("(?i:'s)", "'s'S'ſ's")).toEqual(["'s", "'S", "'ſ", "'s"]);
    expect(pieces("\\d", "1٣x")).toEqual(["1", "٣", "x"]);
  });
  // Each takes longer than a life for this text.
  const FOREVER = ["(?:a+)+b", "(?:a|aa)+b", "a*a*a*a*a*a*b", `${"a?".repeat(60)}b`];
  test.each(FOREVER)(
    "%s ends with an error that says where",
    async (regex) => {
      const tokenizer = await loadedWith(regex);
      const text = `.${"a".repeat(3000)}`;
      const refused = expect.objectContaining({
        code: "ERR_TOKENIZER_INVALID",
        message: expect.stringMatching(
          /pattern cannot be sought in this text behind 0 characters, at "\.aaa.*tries too many ways/,
        ),
      });
      expect(() => tokenizer.encode(text)).toThrow(refused);
    },
    60_000,
  );

  test("Ctrl-C ends such a match at once, and is heard", async () => {
    await loadedWith("(?:a+)+b");
    const child = spawn(process.execPath, ["--input-type=module", "-e", CUTS, dir]);
    let said = "";
    child.stdout.on("data", (text) => {
      said += text;
    });
    await once(child.stdout, "data");
    const sending = setInterval(() => child.kill("SIGINT"), 20); // one that comes too early is only heard
    await once(child, "close");
    clearInterval(sending);
    expect(said).toMatch(/^begins\n(heard\n)*ERR_ABORTED\n(heard\n)+$/);
  }, 60_000);

  test.each(["(?:a|b)+c?|.", "(?:a+|\\n)+|."])("%s: what is cut under a watch is cut alike", (pattern) => {
    const text = "aab\u{1f600}c\n".repeat(60_000);
    const { expression, mostSteps } = compileSplitPattern(pattern, "test");
    expect(mostSteps(2)).toBe(Number.POSITIVE_INFINITY);
    const watched = [...splitInto("Isolated", { expression, mostSteps }, text, false)];
    const free = [...splitInto("Isolated", { expression, mostSteps: () => 0 }, text, false)];
    expect(watched.length).toBeGreaterThan(100_000);
    expect(watched.join("|") === free.join("|")).toBe(true);
  });

  // A watch takes 0.1 ms: texts of a usual length need none.
  test.each([LLAMA3_PATTERN, O200K_PATTERN, GPT2_PATTERN, "\\d{1,3}(?=(?:\\d{3})*\\b)"])(
    "%s takes few steps",
    (pattern) => expect(compileSplitPattern(pattern, "test").mostSteps(4000)).toBeLessThan(2 ** 30),
  );

  test.each([
    ["what is certain is tried for each way of what is before it", "[ab]*(?:b*+c)?d"],
    ["counts within counts are so many steps", "(?:(?:b{100}){100}){50}d"],
  ])("%s: %s", (_, pattern) => {
    expect(compileSplitPattern(pattern, "test").mostSteps(4000)).toBeGreaterThan(2 ** 30);
  });

  test.each(["\\G", "(?i:ß)", "(?i:ss)", "(a)\\1", "(?~a)", "(?:|a)+", "a**", "\\p{Emoji}", "(", ")", "["])(
    "%s is refused",
    (pattern) => {
      expect(() => compileSplitPattern(pattern, "test")).toThrow(
        expect.objectContaining({ code: "ERR_TOKENIZER_INVALID" }),
      );
    },
  );
});
