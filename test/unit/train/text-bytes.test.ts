// Bytes of ids one by one: together those of the text that they were made from.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadTokenizer } from "#quipu/tokenizer/load-tokenizer.js";
import { TextBytes } from "#quipu/train/text-bytes.js";
import { temporaryFolder } from "../../checkpoint-writer.js";

const dir = temporaryFolder();
const TEXTS = ["the tokens of the text", "a", " with spaces  and é, 😀\n"];

/** A SentencePiece model that puts a space before a text. */
function spacing(): string {
  const { model } = JSON.parse(readFileSync("test/reference/sentencepiece.golden.json", "utf8"))["as Llama's"];
  const path = join(dir, "tokenizer.model");
  writeFileSync(path, Buffer.from(model, "base64"));
  return path;
}

test.each([
  ["SentencePiece's", spacing],
  ["of bytes", () => "models/storyteller"],
])("%s", async (_, path) => {
  const tokenizer = await loadTokenizer(path());
  const bytes = new TextBytes(tokenizer);
  const begin = tokenizer.bosId!;
  for (const text of TEXTS) {
    const ids = [...tokenizer.encode(text)];
    const sum = ids.reduce((total, id, i) => total + bytes.of(id, ids[i - 1] ?? begin), 0);
    expect({ text, sum }).toEqual({ text, sum: Buffer.byteLength(text) });
  }
  expect([...tokenizer.specialTokens.values()].map((id) => bytes.of(id, 5))).toEqual(
    Array(tokenizer.specialTokens.size).fill(0),
  );
});
