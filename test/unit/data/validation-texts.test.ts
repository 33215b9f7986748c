import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { present, SHARED } from "../tokenizer/tokenizers.js";

const TRAINING = join(SHARED, "data/tinystories/tinystories.jsonl.gz");
const VALIDATION = join(SHARED, "data/validation");

/** What two copies of a text have in common: SHA-256 of its words, lower case, whatever is between them. */
const wordsOf = (text: string): string =>
  createHash("sha256")
    .update((text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []).join(" "))
    .digest("hex");

const documentsOf = (file: string): string[] =>
  gunzipSync(readFileSync(file))
    .toString()
    .split("\n")
    .filter(Boolean)
    .map((line) => (JSON.parse(line) as { text: string }).text);

test("texts that differ in spaces, case and punctuation are copies", () => {
  expect(wordsOf("Tom's cat sat.\nIt slept!")).toBe(wordsOf("  tom’s CAT sat, it slept"));
  expect(wordsOf("Tom's cat sat.")).not.toBe(wordsOf("Tom's cat sits."));
});

if (present(TRAINING)) {
  const texts = documentsOf(TRAINING);
  const trained = new Set(texts.map(wordsOf));

  test.each(readdirSync(VALIDATION).filter((name) => name.endsWith(".jsonl.gz")))(
    "no document of validation/%s is among those that the embedded model was trained on",
    (name) => {
      const documents = documentsOf(join(VALIDATION, name));
      expect(documents.length).toBeGreaterThan(0);
      expect(documents.filter((text) => trained.has(wordsOf(text)))).toEqual([]);
    },
  );

  test("a document that was trained on is found", () => {
    expect(trained.has(wordsOf(`${texts[0]} `.toUpperCase()))).toBe(true);
  });
}
