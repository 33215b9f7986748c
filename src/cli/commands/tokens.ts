// quipu tokens: count, show or decode.
import { loadTokenizer, modelFolder, QuipuError, type Tokenizer } from "../../index.js";
import type { Context } from "../program.js";
import { type PromptOptions, readPrompt } from "../prompt-input.js";
import { write } from "../terminal/output.js";
import { table } from "../terminal/tables.js";
import { coloured, colourTokens, describeToken, visibleToken } from "../terminal/tokens.js";

export interface TokensOptions extends PromptOptions {
  readonly model?: string;
  readonly count?: boolean;
  readonly ids?: boolean;
  readonly decode?: boolean;
  readonly special?: boolean;
  readonly bos?: boolean;
  readonly json?: boolean;
}

export async function tokens(words: readonly string[], options: TokensOptions, { signal }: Context): Promise<void> {
  const { count, ids: onlyIds, decode, special, bos, json } = options;
  const dir = modelFolder(options.model);
  const text = await readPrompt(words, options, signal, { allowEmpty: true });
  const tokenizer = await loadTokenizer(dir);
  const ids = decode ? parseIds(text) : tokenizer.encode(text, { special, bos });
  if (json) return write(`${JSON.stringify(describe(tokenizer, ids))}\n`);
  if (count) return write(`${ids.length}\n`);
  if (onlyIds) return write(`${ids.join(" ")}\n`);
  if (decode) return write(tokenizer.decode(ids, { special: true }) + (process.stdout.isTTY ? "\n" : ""));
  const rows = Array.from(ids, (id) => [id, visibleToken(tokenizer, id)]);
  const shown = coloured() ? `${colourTokens(tokenizer, ids)}\n\n` : "";
  await write(`${shown}${table(["id", "text"], rows)}${ids.length} tokens\n`);
}

function describe(tokenizer: Tokenizer, ids: Int32Array) {
  return {
    count: ids.length,
    ids: [...ids],
    tokens: Array.from(ids, (id) => describeToken(tokenizer, id)),
    text: tokenizer.decode(ids, { special: true }),
  };
}

function parseIds(text: string): Int32Array {
  const words = text.split(/[\s,[\]]+/).filter((word) => word !== "");
  const wrong = words.find((word) => !/^\d{1,9}$/.test(word));
  if (wrong !== undefined) {
    throw new QuipuError(
      "ERR_USAGE",
      `--decode: expected ids with spaces or commas between them, got ${JSON.stringify(wrong)}`,
    );
  }
  return Int32Array.from(words, Number);
}
