// Token files that are none, or damaged, and what tells vocabularies apart.
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { packCorpus } from "#quipu/data/pack.js";
import { openTokens } from "#quipu/data/token-file.js";
import { vocabularyHash } from "#quipu/data/vocabulary-hash.js";
import { loadTokenizer } from "#quipu/tokenizer/load-tokenizer.js";
import { safetensorsBytes, temporaryFolder } from "../../checkpoint-writer.js";
import { TOKENIZER_FILES } from "../tokenizer/tokenizers.js";
import { tokenFile } from "../train/token-files.js";

const dir = temporaryFolder();
const path = join(dir, "a.tokens");
let packed: Buffer;
beforeAll(async () => {
  const text = join(dir, "a.jsonl");
  writeFileSync(text, '{"text": "Once upon"}\n{"text": "a time"}\n');
  await packCorpus({ files: [text], tokenizer: "models/storyteller", output: path });
  packed = readFileSync(path);
});

/** The header with `from` replaced by `to`, which is as long. */
const altered = (from: string, to: string) => {
  expect(packed.indexOf(from)).toBeGreaterThan(0);
  expect(to.length).toBe(from.length);
  return Buffer.from(
    packed.toString("latin1").replace(from, () => to),
    "latin1",
  );
};
const withIndex = (entry: number, value: number) => {
  const bytes = Buffer.from(packed);
  bytes.writeBigUInt64LE(BigInt(value), bytes.length - 8 * (3 - entry));
  return bytes;
};

test.each<[string, () => Uint8Array, RegExp]>([
  [
    "an empty file",
    () => Buffer.alloc(0),
    /other\.tokens: no token file, as quipu data pack makes them: .*is empty: its download is incomplete/,
  ],
  [
    "text",
    () => Buffer.from("Once upon a time there was a token file."),
    /no token file, as quipu data pack makes them: the header's length is /,
  ],
  [
    "weights",
    () => safetensorsBytes({ w: { dtype: "F32", shape: [1], data: new Uint8Array(4) } }),
    /: a safetensors file of something else$/,
  ],
  [
    "another version",
    () => altered('"version":"1"', '"version":"2"'),
    /version 2: this quipu reads version 1\. Pack the texts again$/,
  ],
  ["one that was cut", () => packed.subarray(0, packed.length - 8), /do not lie in the file's|ends at byte/],
  [
    "another number of documents",
    () => altered('"documents":"2"', '"documents":"1"'),
    /its tensors are not what its metadata says/,
  ],
  [
    "a number that is none",
    () => altered('"documents":"2"', '"documents":"x"'),
    /its documents: expected a whole number, got "x"/,
  ],
  ["no number", () => altered('"text_bytes"', '"text_BYTES"'), /its header has no text_bytes/],
  ["an index that begins elsewhere", () => withIndex(0, 1), /its index of documents is damaged/],
  ["an index that ends elsewhere", () => withIndex(2, 3), /its index of documents is damaged/],
])("%s is refused", async (_, make, message) => {
  const other = join(dir, "other.tokens");
  writeFileSync(other, make());
  await expect(openTokens(other)).rejects.toMatchObject({ code: "ERR_USAGE", message: expect.stringMatching(message) });
});

test("no file, and a folder, are refused by their names", async () => {
  await expect(openTokens(join(dir, "none.tokens"))).rejects.toMatchObject({
    code: "ERR_USAGE",
    message: expect.stringContaining("none.tokens"),
  });
  await expect(openTokens(dir)).rejects.toMatchObject({ code: "ERR_USAGE" });
});

test("damage that only reading finds is an error of the place", async () => {
  const other = join(dir, "other.tokens");
  writeFileSync(other, withIndex(1, 1000));
  const wrongIndex = await openTokens(other);
  await expect(wrongIndex.document(0)).rejects.toThrow("damaged: document 1 begins at token 1000");
  await wrongIndex.close();

  const bytes = Buffer.from(packed);
  bytes.writeUInt16LE(2048, 1024 + 2 * 1);
  writeFileSync(other, bytes);
  const wrongToken = await openTokens(other);
  await expect(wrongToken.document(0)).rejects.toThrow("damaged: token 1 is 2048, and there are 2048 ids");
  await wrongToken.document(1);
  await wrongToken.close();

  writeFileSync(other, packed);
  const cut = await openTokens(other);
  truncateSync(other, 1030);
  await expect(cut.document(0)).rejects.toThrow(/ended before byte 10\d\d while it was read/);
  await cut.close();
});

test("a document that is not there is refused", async () => {
  const tokens = await openTokens(path);
  for (const index of [2, -1, 0.5]) {
    await expect(tokens.document(index)).rejects.toMatchObject({ code: "ERR_USAGE", option: "document" });
  }
  await tokens.close();
});

test("a vocabulary is the same in both forms of file, and another is told from it", async () => {
  const [json, ranks, llama3] = await Promise.all(
    ["models/storyteller/tokenizer.json", "models/storyteller/tokenizer.model", TOKENIZER_FILES.llama3!].map((file) =>
      loadTokenizer(file),
    ),
  );
  const tokens = await openTokens(path);
  expect(vocabularyHash(json!)).toBe(tokens.info.vocabularyHash);
  tokens.checkTokenizer(ranks!);
  expect(() => tokens.checkTokenizer(llama3!)).toThrow(
    /^tokenizer: it is not the one that .*a\.tokens was packed with: 128256 ids, and 2048 there; sha256/,
  );

  const other = join(dir, "other");
  const file = JSON.parse(readFileSync(TOKENIZER_FILES["stories.json"]!, "utf8"));
  const hashes = [vocabularyHash(json!)];
  for (const change of [
    () => {
      const [[one, id], [two, other]] = Object.entries(file.model.vocab).slice(-2) as [
        [string, number],
        [string, number],
      ];
      Object.assign(file.model.vocab, { [one]: other, [two]: id });
    },
    () => {
      file.added_tokens.at(-1).special = false;
    },
  ]) {
    change();
    writeFileSync(`${other}.json`, JSON.stringify(file));
    const altered = await loadTokenizer(`${other}.json`);
    hashes.push(vocabularyHash(altered));
    expect(() => tokens.checkTokenizer(altered)).toThrow(/was packed with: both have 2048 ids; sha256/);
  }
  expect(new Set(hashes).size).toBe(3);
  await tokens.close();
});

test("the content hash is of the content, not of the place, and of a small file whole", async () => {
  const hashOf = async (bytes: Uint8Array, name: string) => {
    writeFileSync(join(dir, name), bytes);
    const file = await openTokens(join(dir, name));
    const hash = await file.contentHash();
    await file.close();
    return hash;
  };
  const hash = await hashOf(packed, "b.tokens");
  expect(hash).toMatch(/^[0-9a-f]{64}$/);
  expect(await hashOf(packed, "c.tokens")).toBe(hash);
  const other = Buffer.from(packed);
  other[1024 + 2]! ^= 1; // of the second token
  expect(await hashOf(other, "b.tokens")).not.toBe(hash);
  expect(await hashOf(withIndex(1, 3), "b.tokens")).not.toBe(hash);
  const renamed = altered('"text_bytes":"15"', '"text_bytes":"16"');
  expect(await hashOf(renamed, "b.tokens")).not.toBe(hash);
});

test("the content hash of a large file is over pieces from its beginning to its end", async () => {
  const ids = (changed: number) => {
    const all = new Int32Array(1 << 20).fill(7);
    if (changed >= 0) all[changed] = 8;
    return all;
  };
  const hashes = new Map<string, string>();
  for (const [name, at] of Object.entries({ same: -1, first: 0, last: 2 ** 20 - 1 })) {
    const file = await tokenFile(join(dir, `${name}.tokens`), [ids(at) as never]);
    hashes.set(name, await file.contentHash());
    await file.close();
  }
  expect(new Set(hashes.values()).size).toBe(3);
});
