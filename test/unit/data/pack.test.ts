// Texts to token files and back: what is in the file, whatever the texts came from; what is refused, and that nothing is left then.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { type PackedCorpus, packCorpus } from "#quipu/data/pack.js";
import type { PackOptions } from "#quipu/data/pack-options.js";
import { openTokens } from "#quipu/data/token-file.js";
import { vocabularyHash } from "#quipu/data/vocabulary-hash.js";
import { loadTokenizer } from "#quipu/tokenizer/load-tokenizer.js";
import type { Tokenizer } from "#quipu/tokenizer/tokenizer.js";
import { temporaryFolder } from "../../checkpoint-writer.js";
import { TOKENIZER_FILES } from "../tokenizer/tokenizers.js";

const MODEL = "models/storyteller";
const dir = temporaryFolder();
let tokenizer: Tokenizer;
let packs = 0;
beforeAll(async () => {
  tokenizer = await loadTokenizer(MODEL);
});

const file = (name: string, content: string | Uint8Array): string => {
  const path = join(dir, name);
  writeFileSync(path, content);
  return path;
};
const lines = (texts: readonly string[]) => texts.map((text) => `${JSON.stringify({ text })}\n`).join("");

/** Packs into a folder of its own. */
async function pack(
  files: readonly string[],
  options: Partial<PackOptions> = {},
): Promise<PackedCorpus & { dir: string }> {
  const folder = join(dir, `pack${packs++}`);
  const result = await packCorpus({ files, tokenizer: MODEL, output: join(folder, "corpus.tokens"), ...options });
  return { dir: folder, ...result };
}

interface Header {
  readonly __metadata__: Readonly<Record<string, string>>;
  readonly tokens: {
    readonly dtype: string;
    readonly shape: readonly number[];
    readonly data_offsets: readonly [number, number];
  };
  readonly documents: {
    readonly dtype: string;
    readonly shape: readonly number[];
    readonly data_offsets: readonly [number, number];
  };
}

/** What any reader of safetensors makes of the file. */
function parsed(path: string): { header: Header; documents: number[][] } {
  const bytes = readFileSync(path);
  const start = 8 + Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.toString("utf8", 8, start)) as Header;
  const data = ({ data_offsets: [from, to] }: { data_offsets: readonly [number, number] }) =>
    new Uint8Array(bytes.subarray(start + from, start + to)).buffer;
  const tokens =
    header.tokens.dtype === "U16" ? new Uint16Array(data(header.tokens)) : new Uint32Array(data(header.tokens));
  const starts = Array.from(new BigUint64Array(data(header.documents)), Number);
  expect(header.tokens.shape).toEqual([tokens.length]);
  expect(start + header.documents.data_offsets[1]).toBe(bytes.length);
  return { header, documents: starts.slice(1).map((end, i) => Array.from(tokens.subarray(starts[i], end))) };
}

const encoded = (text: string) => [tokenizer.bosId!, ...tokenizer.encode(text), tokenizer.eosId!];

const TEXTS = [
  "Once upon a time\nthere was a cat.",
  "  “Hello”, said 한국어 <|end_of_text|>",
  "a",
  "😀\r\n\r\nand\tmore",
];

test("a file is a safetensors file of the documents' ids, and says what it is", async () => {
  const { packed, heldOut, emptyDocuments, longestDocument } = await pack([file("a.jsonl", lines([...TEXTS, ""]))]);
  const { header, documents } = parsed(packed.path);
  expect(documents).toEqual(TEXTS.map(encoded));
  const tokens = documents.flat().length;
  const textBytes = TEXTS.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  expect(header.__metadata__).toEqual({
    format: "quipu-tokens",
    version: "1",
    documents: "4",
    tokens: String(tokens),
    text_bytes: String(textBytes),
    vocabulary_size: "2048",
    vocabulary_sha256: vocabularyHash(tokenizer),
    bos_id: "2046",
    eos_id: "2047",
  });
  expect(header.tokens.dtype).toBe("U16");
  expect(header.documents.data_offsets[0] % 8).toBe(0);
  expect({ heldOut, emptyDocuments, longestDocument }).toEqual({
    heldOut: undefined,
    emptyDocuments: 1,
    longestDocument: Math.max(...documents.map(({ length }) => length)),
  });
  expect(packed).toMatchObject({ documents: 4, tokens, textBytes, bytes: readFileSync(packed.path).length });
});

test("what an earlier pack held out goes where nothing is held out now, and nothing else", async () => {
  const texts = file("held.jsonl", lines(Array.from({ length: 40 }, (_, i) => `a cat and ${i} hats`)));
  const first = await pack([texts], { holdOut: 0.3 });
  const { output, heldOut } = { output: first.packed.path, heldOut: first.heldOut!.path };
  const options = { files: [texts], tokenizer: MODEL, output };
  expect(await packCorpus({ ...options, holdOut: 0.3, force: true })).toMatchObject({ removed: undefined });
  await expect(packCorpus({ ...options, files: [file("none.jsonl", "")], force: true })).rejects.toThrow("no document");
  expect(readdirSync(first.dir).sort()).toEqual(["corpus.held-out.tokens", "corpus.tokens"]);
  expect(await packCorpus({ ...options, force: true })).toMatchObject({ removed: heldOut, heldOut: undefined });
  expect(readdirSync(first.dir)).toEqual(["corpus.tokens"]);
  writeFileSync(heldOut, "of another kind");
  expect(await packCorpus({ ...options, force: true })).toMatchObject({ removed: undefined });
  expect(readFileSync(heldOut, "utf8")).toBe("of another kind");
});

test("any texts come back as they were, read by ranges", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: "grapheme", minLength: 1 }), { minLength: 1, maxLength: 9 }),
      async (texts) => {
        const { packed } = await pack([file("any.jsonl", lines(texts))], { bosToken: false });
        const tokens = await openTokens(packed.path);
        for (const [i, text] of texts.entries()) {
          const ids = await tokens.document(i);
          expect(ids.at(-1)).toBe(tokenizer.eosId);
          expect(tokenizer.decode(ids)).toBe(text);
        }
        await tokens.close();
      },
    ),
    { numRuns: 15 },
  );
});

test("the same texts give the same bytes, whatever they are in and by how many threads", async () => {
  const texts = Array.from({ length: 3000 }, (_, i) => `${TEXTS[i % TEXTS.length]} ${i} `.repeat(1 + (i % 50)));
  const { packed } = await pack([file("many.jsonl", lines(texts))], { threads: 1 });
  const expected = readFileSync(packed.path);
  expect(parsed(packed.path).documents.map(String)).toEqual(texts.map((text) => String(encoded(text))));
  const [first, second] = [texts.slice(0, 1000), texts.slice(1000)];
  const forms: [readonly string[], Partial<PackOptions>][] = [
    [[file("many.jsonl", lines(texts))], { threads: 2 }],
    [[file("first.jsonl.gz", gzipSync(lines(first))), file("second.ndjson", lines(second))], {}],
    [[file("many.txt", lines(texts))], { format: "jsonl" }],
  ];
  for (const [files, options] of forms) {
    expect(readFileSync((await pack(files, options)).packed.path).equals(expected)).toBe(true);
  }
});

test("a plain file is one document, of any length", async () => {
  const long = `${"The cat sat. ".repeat(90_000)}\n${"é한😀".repeat(2000)}`; // in several parts
  const texts = ["short", long, "behind"];
  const plain = texts.map((text, i) => file(`${i}.txt.gz`, i === 1 ? gzipSync(text) : text));
  const { packed, longestDocument } = await pack(plain);
  const { documents } = parsed(packed.path);
  expect(documents.map(String)).toEqual(texts.map((text) => String(encoded(text))));
  expect(longestDocument).toBe(documents[1]!.length);
  expect(packed.textBytes).toBe(texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0));
});

test("a vocabulary of more than 65,536 ids takes four bytes an id", async () => {
  const { packed } = await pack([file("a.jsonl", lines(TEXTS))], {
    tokenizer: TOKENIZER_FILES.llama3!,
    eosToken: "<|end_of_text|>",
  });
  const llama3 = await loadTokenizer(TOKENIZER_FILES.llama3!);
  const { header, documents } = parsed(packed.path);
  expect(header.tokens.dtype).toBe("U32");
  expect(documents).toEqual(TEXTS.map((text) => [128000, ...llama3.encode(text), 128001]));
  const tokens = await openTokens(packed.path);
  expect([...(await tokens.document(3))]).toEqual(documents[3]);
  await tokens.close();
});

describe("held out", () => {
  const texts = Array.from({ length: 4000 }, (_, i) => `${i % 10 === 9 ? "the same" : `story ${i}`}`);

  test("are documents by their text: each is in one of the two files, in the order in which it came", async () => {
    const { packed, heldOut } = await pack([file("a.jsonl", lines(texts))], { holdOut: 0.1 });
    const [kept, held] = [packed, heldOut!].map(({ path }) =>
      parsed(path).documents.map((ids) => tokenizer.decode(ids)),
    );
    expect(heldOut!.path).toBe(packed.path.replace("corpus.tokens", "corpus.held-out.tokens"));
    const inHeld = new Set(held);
    expect(kept).toEqual(texts.filter((text) => !inHeld.has(text)));
    expect(held).toEqual(texts.filter((text) => inHeld.has(text)));
    // 3,601 different texts, each held out with a chance of 0.1: 360 ± 18, here within five of these.
    expect(Math.abs(inHeld.size - 360)).toBeLessThan(90);

    const other = await pack([file("b.jsonl", lines([...texts.toReversed(), "another"]))], { holdOut: 0.1 });
    const again = parsed(other.heldOut!.path).documents.map((ids) => tokenizer.decode(ids));
    expect(again.filter((text) => text !== "another")).toEqual(held!.toReversed());
  });

  test("a text of any length by its beginning, in a plain file as in a line of JSON", async () => {
    // What is hashed ends inside of the last character that all have.
    const long = Array.from(
      { length: 16 },
      (_, i) => `${`${i} `.padEnd(65_535, "x")}😀${"behind ".repeat(i < 2 ? 200_000 : i)}`,
    );
    const json = await pack([file("long.jsonl", lines(long))], { holdOut: 0.5 });
    const plain = await pack(
      long.map((text, i) => file(`long${i}.txt`, text)),
      { holdOut: 0.5 },
    );
    for (const side of ["packed", "heldOut"] as const) {
      expect(readFileSync(plain[side]!.path).equals(readFileSync(json[side]!.path))).toBe(true);
    }
  });
});

describe("refused, and nothing is left", () => {
  const good = lines(TEXTS);
  test.each<[string, () => string[], Partial<PackOptions>, string, RegExp]>([
    ["no files", () => [], {}, "ERR_USAGE", /^files: expected files of text/],
    ["a file that is not there", () => [join(dir, "missing.txt")], {}, "ERR_USAGE", /missing\.txt: cannot be read/],
    ["stdin twice", () => ["-", "-"], {}, "ERR_USAGE", /^files: - \(stdin\) can be read once/],
    [
      "a broken record",
      () => [file("x.jsonl", `${good}{"text": "a\n`)],
      {},
      "ERR_USAGE",
      /x\.jsonl: line 5: not valid JSON/,
    ],
    [
      "a record without text",
      () => [file("x.jsonl", `${good}{"story": "a"}\n`)],
      {},
      "ERR_USAGE",
      /x\.jsonl: line 5: expected an object with a string "text"/,
    ],
    [
      "bytes that are no UTF-8",
      () => [file("x.txt", Buffer.of(0x61, 0xff))],
      {},
      "ERR_USAGE",
      /x\.txt: not valid UTF-8 at byte 1/,
    ],
    [
      "damaged gzip data",
      () => [file("x.gz", gzipSync(good.repeat(50)).subarray(0, 60))],
      {},
      "ERR_USAGE",
      /x\.gz: damaged gzip data/,
    ],
    [
      "an empty corpus",
      () => [file("x.jsonl", "\n\n")],
      {},
      "ERR_USAGE",
      /^files: no document in .*x\.jsonl: nothing is written/,
    ],
    ["documents without text", () => [file("x.txt", "")], {}, "ERR_USAGE", /^files: no document that is not empty in /],
    [
      "none held out",
      () => [file("x.txt", "the")],
      { holdOut: 1e-9 },
      "ERR_USAGE",
      /^holdOut: 1e-9 holds out none of 1 documents/,
    ],
    [
      "no such token",
      () => [file("x.txt", "a")],
      { bosToken: "<s>" },
      "ERR_USAGE",
      /^bosToken: expected a special token of the tokenizer \(<\|begin_of_text\|>, <\|end_of_text\|>\), got "<s>"/,
    ],
    [
      "no token that ends a text",
      () => {
        const files = join(dir, "no-config");
        mkdirSync(files, { recursive: true });
        copyFileSync(join(MODEL, "tokenizer.json"), join(files, "tokenizer.json"));
        return [file("x.txt", "a")];
      },
      { tokenizer: join(dir, "no-config") },
      "ERR_USAGE",
      /^eosToken: the tokenizer names no token that ends a text/,
    ],
    [
      "no tokenizer",
      () => [file("x.txt", "a")],
      { tokenizer: join(dir, "none") },
      "ERR_MODEL_NOT_FOUND",
      /none: no such file or folder/,
    ],
    [
      "a place that cannot be made",
      () => [file("x.txt", "a")],
      { output: join(dir, "x.txt", "y", "a.tokens") },
      "ERR_WRITE",
      /y: cannot be written: .*Name a place that can be written\.$/,
    ],
  ])("%s", async (_, make, options, code, message) => {
    const before = packs;
    await expect(pack(make(), options)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    const folder = join(dir, `pack${before}`);
    expect(readdirSync(dir).includes(`pack${before}`) ? readdirSync(folder) : []).toEqual([]);
  });

  test("files that are there, unless they are to be overwritten", async () => {
    const files = [file("a.jsonl", lines(Array.from({ length: 100 }, (_, i) => `text ${i}`)))];
    const { dir: folder, packed } = await pack(files, { holdOut: 0.5 });
    const before = readFileSync(packed.path);
    const again = (options: Partial<PackOptions>) =>
      packCorpus({ files: [file("b.txt", "b")], tokenizer: MODEL, output: packed.path, ...options });
    await expect(again({})).rejects.toMatchObject({ code: "ERR_USAGE", option: "force" });
    await expect(again({ output: join(folder, "corpus.held-out.tokens") })).rejects.toMatchObject({ option: "force" });
    expect(readFileSync(packed.path).equals(before)).toBe(true);
    await again({ force: true });
    expect(parsed(packed.path).documents).toEqual([encoded("b")]);
    expect(readdirSync(folder)).toEqual(["corpus.tokens"]);
  });

  test("what is there stays as it is when packing over it fails or is aborted", async () => {
    const { packed, dir: folder } = await pack([file("a.jsonl", good)]);
    const before = readFileSync(packed.path);
    const bad = file("bad.jsonl", `${lines(["x".repeat(4_000_000)])}broken\n`);
    const again = (options: Partial<PackOptions>) =>
      packCorpus({ files: [bad], tokenizer: MODEL, output: packed.path, force: true, ...options });
    await expect(again({})).rejects.toMatchObject({ message: expect.stringContaining("bad.jsonl: line 2") });
    const controller = new AbortController();
    const aborted = again({ signal: controller.signal, onProgress: () => controller.abort() });
    await expect(aborted).rejects.toMatchObject({ code: "ERR_ABORTED" });
    expect(readFileSync(packed.path).equals(before)).toBe(true);
    expect(readdirSync(folder)).toEqual(["corpus.tokens"]);
  });
});
