// Ids equal to those of tokenizers, tiktoken and the published vectors.
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { bytesOfAlphabet } from "#quipu/tokenizer/byte-alphabet.js";
import { loadTokenizer } from "#quipu/tokenizer/load-tokenizer.js";
import type { Tokenizer } from "#quipu/tokenizer/tokenizer.js";
import { namedTokenizer, present, SHARED, TOKENIZER_FILES } from "./tokenizers.js";

const golden: {
  tricky: string[];
  tokenizers: Record<string, { tricky: number[][]; corpora: Record<string, string[]> }>;
} = JSON.parse(readFileSync("test/reference/tokenizers.golden.json", "utf8"));

const lines = (text: string) => text.split("\n").filter((line) => line !== "");

describe.each(Object.keys(golden.tokenizers))("%s", (name) => {
  let tokenizer: Tokenizer | undefined;
  beforeAll(async () => {
    tokenizer = await namedTokenizer(name);
  });

  test.each(golden.tricky.map((text, index) => [JSON.stringify(text).slice(0, 50), index]))("%s", (_, index) => {
    if (tokenizer === undefined) return;
    const ids = tokenizer.encode(golden.tricky[index as number]!);
    expect([...ids]).toEqual(golden.tokenizers[name]!.tricky[index as number]);
  });

  test.each(Object.keys(golden.tokenizers[name]!.corpora))("every text of %s", (corpus) => {
    const file = join(SHARED, `data/multilingual/${corpus}.jsonl.gz`);
    if (tokenizer === undefined || !present(file)) return;
    const texts = lines(gunzipSync(readFileSync(file)).toString("utf8")).map((line) => JSON.parse(line).text as string);
    const digests = golden.tokenizers[name]!.corpora[corpus]!;
    expect(digests).toHaveLength(Math.ceil(texts.length / 100));
    // Every group in CI, else every eighth: the Llama 3 vocabulary takes seconds.
    const step = process.env.QUIPU_EXHAUSTIVE ? 1 : 8;
    for (let group = 0; group < digests.length; group += step) {
      const digest = createHash("sha256");
      for (const text of texts.slice(group * 100, group * 100 + 100)) {
        const ids = tokenizer.encode(text);
        digest.update(new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength)).update(Int32Array.of(-1));
        const known = name === "smollm2" ? text : tokenizer.decode(ids);
        if (known !== text)
          throw new Error(`${name}: ${corpus}: ${JSON.stringify(text.slice(0, 80))} does not decode to itself`);
      }
      expect([group, digest.digest("hex").slice(0, 16)]).toEqual([group, digests[group]]);
    }
  });
});

interface Vector {
  readonly text: string;
  readonly ids: number[];
  readonly parses_special_tokens?: boolean;
}

/** Llama 3's tokenizer.model as a rank file, from the vocabulary of its tokenizer.json. */
function llama3RankFile(): string {
  const { model } = JSON.parse(readFileSync(TOKENIZER_FILES.llama3!, "utf8"));
  return Object.entries(model.vocab as Record<string, number>)
    .sort(([, a], [, b]) => a - b)
    .map(([token, rank]) => `${Buffer.from(bytesOfAlphabet(token)!).toString("base64")} ${rank}\n`)
    .join("");
}

describe("Llama 3's published vectors", () => {
  const dir = mkdtempSync(join(tmpdir(), "quipu-llama3-"));
  const tokenizers: [string, Tokenizer][] = [];
  beforeAll(async () => {
    writeFileSync(join(dir, "tokenizer.model"), llama3RankFile());
    tokenizers.push(["tokenizer.json", await loadTokenizer(TOKENIZER_FILES.llama3!)]);
    tokenizers.push(["tokenizer.model", await loadTokenizer(dir)]);
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  test.each(["llama3_llamacpp_vectors", "llama3_generated_vectors"])("%s", (name) => {
    const file = join(SHARED, `data/tokenizer_oracles/${name}.jsonl`);
    if (!present(file)) return;
    const vectors = lines(readFileSync(file, "utf8")).map((line) => JSON.parse(line) as Vector);
    expect(vectors.length).toBeGreaterThan(40);
    for (const [kind, tokenizer] of tokenizers) {
      for (const { text, ids, parses_special_tokens } of vectors) {
        const got = [...tokenizer.encode(text, { special: parses_special_tokens ?? false })];
        expect({ kind, text, ids: got }).toEqual({ kind, text, ids });
        expect(tokenizer.decode(got, { special: true })).toBe(text);
      }
    }
  });

  test("ids as asserted in llama-models", () => {
    const file = join(SHARED, "data/tokenizer_oracles/llama3_chat_format_vectors.jsonl");
    if (!present(file)) return;
    const cases = lines(readFileSync(file, "utf8")).map((line) => JSON.parse(line));
    const encoded = cases.filter(({ kind }) => kind === "encode");
    expect(encoded).not.toEqual([]);
    for (const [, tokenizer] of tokenizers) {
      for (const { text, bos, ids } of encoded) {
        expect([...tokenizer.encode(text, { bos })]).toEqual(ids.filter((id: number) => id !== 128001));
      }
      const message = (role: string, content: string) =>
        `<|start_header_id|>${role}<|end_header_id|>\n\n${content}<|eot_id|>`;
      for (const { message: one, ids } of cases.filter(({ kind }) => kind === "message")) {
        expect([...tokenizer.encode(message(one.role, one.content), { special: true })]).toEqual(ids);
      }
    }
  });

  test("both files give the same ids, and special tokens keep their places", () => {
    const [[, json], [, model]] = tokenizers as [[string, Tokenizer], [string, Tokenizer]];
    for (const text of golden.tricky) expect([...model.encode(text)]).toEqual([...json.encode(text)]);
    for (const name of ["begin_of_text", "end_of_text", "start_header_id", "end_header_id", "eot_id"]) {
      expect(model.specialTokens.get(`<|${name}|>`)).toBe(json.specialTokens.get(`<|${name}|>`));
    }
    expect([model.vocabSize, model.specialTokens.size]).toEqual([128256, 256]);
    expect([json.bosId, json.addsBos, model.bosId, model.addsBos]).toEqual([128000, true, 128000, true]);
  });
});

test("torchtune's vectors for its small rank file", async () => {
  const tokenizer = await namedTokenizer("small.model");
  const file = join(SHARED, "data/tokenizer_oracles/torchtune_small_vectors.jsonl");
  if (tokenizer === undefined || !present(file)) return;
  const [first] = lines(readFileSync(file, "utf8")).map((line) => JSON.parse(line));
  const { message, ids } = first;
  // <|begin|> <|start_header|> role <|end_header|> "\n\n" content <|eot|>, control tokens from 128 000 on there
  const content = ids.slice(ids.lastIndexOf(128007) + 1, -1);
  expect([...tokenizer.encode(`\n\n${message.content}`)]).toEqual(content);
});
