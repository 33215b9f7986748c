// tokenizer_config.json: which tokens begin a text, and which are special.
import { join } from "node:path";
import { isJsonObject, type JsonObject, readJsonFile } from "../checkpoint/json.js";
import type { Warn } from "../warnings.js";

const FILE = "tokenizer_config.json";

export interface TokenizerConfig {
  readonly bosToken: string | undefined;
  readonly eosToken: string | undefined;
  readonly padToken: string | undefined;
  readonly unkToken: string | undefined;
  readonly addsBos: boolean | undefined;
  /** transformers' `legacy`, of LlamaTokenizer. */
  readonly legacy?: boolean | undefined;
  readonly tokenizerClass?: string | undefined;
  readonly addsPrefixSpace?: boolean | undefined;
  /** added_tokens_decoder: text by id. */
  readonly addedTokens: ReadonlyMap<number, { readonly text: string; readonly special: boolean }>;
}

/** @throws {QuipuError} ERR_TOKENIZER_INVALID. A missing file is an empty configuration. */
export async function readTokenizerConfig(dir: string, warn: Warn): Promise<TokenizerConfig> {
  const config = (await readJsonFile(join(dir, FILE), "ERR_TOKENIZER_INVALID", warn)) ?? {};
  const added = isJsonObject(config.added_tokens_decoder) ? Object.entries(config.added_tokens_decoder) : [];
  return {
    bosToken: textOf(config.bos_token),
    eosToken: textOf(config.eos_token),
    padToken: textOf(config.pad_token),
    unkToken: textOf(config.unk_token),
    addsBos: flagOf(config.add_bos_token),
    legacy: flagOf(config.legacy),
    tokenizerClass: textOf(config.tokenizer_class),
    addsPrefixSpace: flagOf(config.add_prefix_space),
    addedTokens: new Map(
      added.flatMap(([id, token]) => {
        const text = textOf(token);
        return text === undefined ? [] : [[Number(id), { text, special: (token as JsonObject).special !== false }]];
      }),
    ),
  };
}

/** A token that a file names as the end of a text. */
export interface EosToken {
  readonly file: string;
  readonly text: string;
}

/**
 * The eos_token of tokenizer_config.json, and that of special_tokens_map.json.
 *
 * @throws {QuipuError} ERR_TOKENIZER_INVALID for a file that cannot be read.
 */
export async function readEosTokens(dir: string, warn: Warn = () => {}): Promise<EosToken[]> {
  const files = [FILE, "special_tokens_map.json"];
  const read = files.map(async (file) => {
    const text = textOf((await readJsonFile(join(dir, file), "ERR_TOKENIZER_INVALID", warn))?.eos_token);
    return text === undefined ? [] : [{ file, text }];
  });
  return (await Promise.all(read)).flat();
}

function flagOf(value: unknown): boolean | undefined {
  return typeof value === "boolean" ? value : undefined;
}

/** A token is written as its text, or as an object with its `content`. */
function textOf(token: unknown): string | undefined {
  const text = isJsonObject(token) ? token.content : token;
  return typeof text === "string" && text !== "" ? text : undefined;
}
