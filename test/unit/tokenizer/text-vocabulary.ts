// A vocabulary of text whose tokens overlap in every way: what makes a careless implementation quadratic.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadTokenizer } from "#quipu/tokenizer/load-tokenizer.js";
import type { Tokenizer } from "#quipu/tokenizer/tokenizer.js";

const MARK = "\u2581";

export async function ofText(): Promise<Tokenizer> {
  const units = ["a", "b", "é", "日", "本", MARK];
  const names = [...units];
  const merges: [string, string][] = [];
  const add = (left: string, right: string) => {
    merges.push([left, right]);
    if (!names.includes(left + right)) names.push(left + right);
  };
  for (let length = 1; length < 16; length *= 2) add("a".repeat(length), "a".repeat(length));
  for (let length = 1; length < 16; length *= 2) add(MARK.repeat(length), MARK.repeat(length));
  for (let length = 15; length > 0; length--) if (names.includes("a".repeat(length))) add("a".repeat(length), "b");
  add(MARK, "a");
  add(MARK, "aa");
  add("日", "本");
  add("本", "日");
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
  const file = {
    normalizer: { type: "Replace", pattern: { String: " " }, content: MARK },
    pre_tokenizer: null,
    decoder: { type: "Fuse" },
    model: {
      type: "BPE",
      byte_fallback: true,
      vocab: Object.fromEntries([...names, ...bytes].map((name, id) => [name, id])),
      merges,
    },
  };
  const dir = mkdtempSync(join(tmpdir(), "quipu-text-vocabulary-"));
  writeFileSync(join(dir, "tokenizer.json"), JSON.stringify(file));
  const tokenizer = await loadTokenizer(dir);
  rmSync(dir, { recursive: true });
  return tokenizer;
}
