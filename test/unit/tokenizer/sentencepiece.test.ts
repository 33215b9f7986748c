// SentencePiece's tokenizer.model: ids as SentencePiece has them, and files that lie or ask for more, refused by name.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isQuipuError } from "#quipu/errors.js";
import { loadTokenizer } from "#quipu/tokenizer/load-tokenizer.js";
import type { Tokenizer } from "#quipu/tokenizer/tokenizer.js";

interface GoldenModel {
  model: string;
  cases: [text: string, ids: number[], decoded: string | null][];
  drawn: [ids: number[], decoded: string][];
}
type Golden = Record<string, GoldenModel>;
const golden: Golden = JSON.parse(readFileSync("test/reference/sentencepiece.golden.json", "utf8"));
const exhaustive = process.env.QUIPU_EXHAUSTIVE !== undefined;

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "quipu-sentencepiece-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

function load(model: Uint8Array, config?: object): Promise<Tokenizer> {
  writeFileSync(join(dir, "tokenizer.model"), model);
  if (config !== undefined) writeFileSync(join(dir, "tokenizer_config.json"), JSON.stringify(config));
  return loadTokenizer(dir);
}

async function streamed(tokenizer: Tokenizer, chunks: Iterable<Uint8Array>): Promise<number[]> {
  const ids: number[] = [];
  for await (const part of tokenizer.encodeStream(chunks)) ids.push(...part);
  return ids;
}

function decodedInParts(tokenizer: Tokenizer, ids: readonly number[]): string {
  const decoder = tokenizer.streamDecoder();
  return ids.map((id) => decoder.push(id)).join("") + decoder.end();
}

test.each(Object.entries(golden))("%s", async (_, { model, cases, drawn }) => {
  const tokenizer = await load(Buffer.from(model, "base64"));
  for (const [text, ids, decoded] of cases) {
    expect({ text, ids: [...tokenizer.encode(text)] }).toEqual({ text, ids });
    const bytes = Buffer.from(text);
    expect({
      text,
      ids: await streamed(
        tokenizer,
        Array.from(bytes, (byte) => Buffer.of(byte)),
      ),
    }).toEqual({ text, ids });
    if (decoded !== null) expect({ ids, text: tokenizer.decode(ids) }).toEqual({ ids, text: decoded });
  }
  for (const [ids, text] of drawn) {
    expect({ ids, text: tokenizer.decode(ids) }).toEqual({ ids, text });
    expect({ ids, text: decodedInParts(tokenizer, ids) }).toEqual({ ids, text });
  }
});

test("a stream of bytes that are no character is the text that the whole is", async () => {
  const tokenizer = await load(Buffer.from(golden["as Llama's"]!.model, "base64"));
  const [dollar, euro] = [[0x24], [0xe2, 0x82, 0xac]];
  const ids = (bytes: readonly number[]) => bytes.map((byte) => byte + 3); // behind <unk>, <s> and </s>
  expect(tokenizer.decode(ids([...dollar, ...euro]))).toBe("$€");
  expect(decodedInParts(tokenizer, ids([0xe2, 0x82]))).toBe("\ufffd\ufffd");
  expect(decodedInParts(tokenizer, ids([0xe2, 0x82, ...dollar, ...euro]))).toBe("\ufffd\ufffd$€");
  const decoder = tokenizer.streamDecoder();
  expect(ids([0xe2, 0x82, 0xe2, 0x28]).map((id) => decoder.push(id))).toEqual(["", "", "\ufffd\ufffd", "\ufffd("]);
  const surrogate = tokenizer.streamDecoder(); // no byte is held that can be of none
  expect(ids([0xed, 0xa0]).map((id) => surrogate.push(id))).toEqual(["", "\ufffd\ufffd"]);
  const edges = [
    0x24, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xe0, 0xe1, 0xed, 0xf0, 0xf3, 0xf4, 0xf5, 0xff,
  ];
  for (const first of edges) {
    for (const second of edges) {
      for (const third of edges) {
        for (const bytes of [
          [first, second, third],
          [first, second, third, 0x80, 0xbf],
          [0xf1, first, second, third],
        ]) {
          expect({ bytes, text: decodedInParts(tokenizer, ids(bytes)) }).toEqual({
            bytes,
            text: tokenizer.decode(ids(bytes)),
          });
        }
      }
    }
  }
});

test("a stream of ids begins a text, or goes on with one", async () => {
  const tokenizer = await load(Buffer.from(golden["as Llama's"]!.model, "base64"));
  const ids = [...tokenizer.encode("the tokens"), ...tokenizer.encode(" é")];
  const decoded = (options?: { goesOn: boolean }) => {
    const decoder = tokenizer.streamDecoder(options);
    return ids.map((id) => decoder.push(id)).join("") + decoder.end();
  };
  expect(decoded()).toBe("the tokens  é");
  expect(decoded({ goesOn: false })).toBe(tokenizer.decode(ids));
  expect(decoded({ goesOn: true })).toBe(" the tokens  é");
});

describe("tokenizer_config.json", () => {
  const llama = () => Buffer.from(golden["as Llama's"]!.model, "base64");
  const textsOf = (tokenizer: Tokenizer, text: string) =>
    Array.from(tokenizer.encode(text, { special: true }), (id) => tokenizer.decode([id], { special: true }));

  test("says nothing: control pieces are special, begin-of-text is <s>", async () => {
    const tokenizer = await load(llama());
    expect([...tokenizer.specialTokens]).toEqual([
      ["<unk>", 0],
      ["<s>", 1],
      ["</s>", 2],
    ]);
    expect(tokenizer).toMatchObject({ bosId: 1, addsBos: true });
    expect(tokenizer.encode("<s>")[0]).not.toBe(1);
    expect(tokenizer.encode("<s>", { special: true })).toEqual(Int32Array.of(1));
  });

  // The mark stands before each text between special tokens, or before the first, if that begins with no space.
  test.each([
    [undefined, "a</s>a", " a</s> a"],
    [true, "a</s>a", " a</s> a"],
    [false, "a</s>a", " a</s>a"],
    [true, " a", "  a"],
    [false, " a", " a"],
  ])("legacy %s: %j", async (legacy, text, tokens) => {
    const tokenizer = await load(llama(), { legacy });
    const ids = tokenizer.encode(text, { special: true });
    expect(Array.from(ids, (id) => Buffer.from(tokenizer.decodeSingleTokenBytes(id))).join("")).toBe(tokens);
  });

  test("adds tokens behind the pieces, and must not name others for them", async () => {
    const added = { 900: { content: "<pad>", special: true }, 1: { content: "<s>", special: true } };
    const tokenizer = await load(llama(), { added_tokens_decoder: added, add_bos_token: false });
    expect(textsOf(tokenizer, "a<pad>")).toEqual(["a", "<pad>"]);
    expect(tokenizer).toMatchObject({ vocabSize: 901, addsBos: false });
    await expect(load(llama(), { added_tokens_decoder: { 700: { content: "<pad>" } } })).rejects.toThrow(
      /added_tokens_decoder: 700: expected its piece/,
    );
  });
});

// --- files that lie ------------------------------------------------------------------------------------------------

const varint = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)]);
const bytesField = (field: number, bytes: Iterable<number>): number[] => {
  const list = [...bytes];
  return [...varint(field * 8 + 2), ...varint(list.length), ...list];
};
const numberField = (field: number, value: number): number[] => [...varint(field * 8), ...varint(value)];
const floatField = (field: number, value: number): number[] => [
  ...varint(field * 8 + 5),
  ...new Uint8Array(Float32Array.of(value).buffer),
];

interface Piece {
  readonly text: string | Uint8Array;
  readonly score?: number;
  readonly type?: number;
}

function modelOf(
  pieces: readonly Piece[],
  trainer: number[] = numberField(3, 2),
  normalizer: number[] = [],
): Uint8Array {
  const messages = pieces.map(({ text, score = 0, type = 1 }) =>
    bytesField(1, [...bytesField(1, Buffer.from(text)), ...floatField(2, score), ...numberField(3, type)]),
  );
  return Uint8Array.from([...messages.flat(), ...bytesField(2, trainer), ...bytesField(3, normalizer)]);
}

const UNKNOWN = { text: "<unk>", type: 2 };
const SOME: readonly Piece[] = [UNKNOWN, { text: "a", score: -1 }, { text: "b", score: -2 }, { text: "ab", score: -3 }];

async function refusalOf(model: Uint8Array): Promise<string> {
  const error = await load(model).catch((caught: unknown) => caught);
  if (!isQuipuError(error)) throw new Error("expected a QuipuError");
  expect(error.code).toBe("ERR_TOKENIZER_INVALID");
  return error.message;
}

test.each([
  [
    "two pieces of a text",
    [...SOME, { text: "ab", score: -9 }],
    'piece 4: expected another text than that of piece 3, "ab"',
  ],
  [
    "a control piece of another's text",
    [...SOME, { text: "a", type: 3 }],
    'piece 4: expected another text than that of piece 1, "a"',
  ],
])("%s", async (_, pieces, problem) => {
  expect(await refusalOf(modelOf(pieces))).toContain(problem);
});

test("a piece named like a byte's that is none", async () => {
  const bytes = Array.from({ length: 256 }, (_, byte) => ({
    text: `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
    type: 6,
  }));
  const trainer = [...numberField(3, 2), ...numberField(35, 1)];
  const pieces = [...SOME, ...bytes, { text: "<0x4a>", score: -8 }];
  expect(await refusalOf(modelOf(pieces, trainer))).toContain('piece "<0x4a>": its type: this version takes');
  expect((await load(modelOf([...SOME, { text: "<0x4a>" }]))).decode([1, 4])).toBe("a<0x4a>");
});

test("a model by hand: the best score first, of equals the leftmost", async () => {
  const merge = (text: string, score: number) => ({ text, score });
  const normalizer = [...numberField(3, 0), ...numberField(4, 0)];
  const pieces = [UNKNOWN, merge("a", 0), merge("aa", -1), merge("ba", -1), merge("b", 0), merge("aab", -0.5)];
  const tokenizer = await load(modelOf(pieces, numberField(3, 2), normalizer));
  expect([...tokenizer.encode("aaa")]).toEqual([2, 1]);
  expect([...tokenizer.encode("baa")]).toEqual([3, 1]);
  expect([...tokenizer.encode("aab")]).toEqual([5]);
  expect([...tokenizer.encode("axxab")]).toEqual([1, 0, 1, 4]); // unknown characters in a row are one
});

test.each([
  ["Unigram", modelOf(SOME, numberField(3, 1)), "got Unigram"],
  ["no type, which is Unigram", modelOf(SOME, []), "got Unigram"],
  ["words", modelOf(SOME, numberField(3, 3)), "got Word"],
  [
    "a charsmap",
    modelOf(SOME, undefined, [...bytesField(1, Buffer.from("nmt_nfkc")), ...bytesField(2, [1, 2])]),
    "nmt_nfkc",
  ],
  ["marks behind words", modelOf(SOME, [...numberField(3, 2), ...numberField(24, 1)]), "treat_whitespace_as_suffix"],
  ["a score that is NaN", modelOf([...SOME, { text: "c", score: Number.NaN }]), 'piece 4 ("c"): its score'],
  ["an endless score", modelOf([...SOME, { text: "c", score: Number.POSITIVE_INFINITY }]), "its score"],
  ["an empty piece", modelOf([...SOME, { text: "" }]), "piece 4: expected a text"],
  ["a piece that is no UTF-8", modelOf([...SOME, { text: Uint8Array.of(0xff) }]), "no UTF-8"],
  ["a piece of 5000 bytes", modelOf([...SOME, { text: "a".repeat(5000) }]), "at most 4096 bytes"],
  ["a piece of a megabyte", modelOf([...SOME, { text: "a".repeat(2 ** 20) }]), "piece 4: expected at most 8192 bytes"],
  ["a long unused piece", modelOf([...SOME, { text: "a".repeat(4000), type: 5 }]), "no unused pieces of more than 64"],
  ["a type that is none", modelOf([...SOME, { text: "c", type: 9 }]), "expected 1 to 6, got 9"],
  ["no unknown piece", modelOf(SOME.slice(1)), "of the type unknown"],
  ["an unused piece that others make", modelOf([...SOME, { text: "ba", type: 5 }]), 'piece "ba"'],
  ["bytes that are not all there", modelOf(SOME, [...numberField(3, 2), ...numberField(35, 1)]), "<0x00>"],
  ["a byte that is none", modelOf([...SOME, { text: "<0xG0>", type: 6 }]), "<0xG0>"],
  ["a field of another kind", Uint8Array.from([...modelOf(SOME), ...numberField(2, 1)]), "field 2"],
  ["a group", Uint8Array.from([...modelOf(SOME), 0x0b, 0x0c]), "damaged"],
  ["an endless number", Uint8Array.from([...modelOf(SOME), ...new Uint8Array(12).fill(0xff)]), "damaged"],
  [
    "more pieces than can be",
    Uint8Array.from([...modelOf(SOME), ...Buffer.alloc(2 ** 22, "\n\0")]),
    "more than 1048576 pieces",
  ],
])("%s", async (_, model, said) => {
  expect(await refusalOf(model)).toContain(said);
});

test("an unused piece that nothing makes is a piece of itself", async () => {
  const normalizer = [...numberField(3, 0), ...numberField(4, 0)];
  const pieces = [...SOME, { text: "c", type: 5 }, { text: "xyz", type: 5 }];
  const tokenizer = await load(modelOf(pieces, numberField(3, 2), normalizer));
  expect([...tokenizer.encode("abc")]).toEqual([3, 4]);
});

test("a file that is cut off anywhere, or has any byte changed, is refused or read: nothing else", async () => {
  const whole = modelOf(SOME);
  for (let length = 8; length < whole.length; length++) {
    await load(whole.subarray(0, length)).catch((error: unknown) => {
      expect(error).toMatchObject({ code: "ERR_TOKENIZER_INVALID" });
    });
  }
  for (let at = 1; at < whole.length; at++) {
    for (const byte of exhaustive ? Array(256).keys() : [0, 1, 0x0a, 0x7f, 0x80, 0xff]) {
      const changed = Uint8Array.from(whole);
      changed[at] = byte;
      await load(changed).catch((error: unknown) => expect(error).toMatchObject({ code: "ERR_TOKENIZER_INVALID" }));
    }
  }
});
