// Options of packing: what they may be, and what they are where they are not given.
import {
  abortSignal,
  callback,
  checkArgument,
  either,
  flag,
  type Kind,
  type Kinds,
  listOf,
  nonEmptyString,
  oneOf,
  path,
  pathOf,
  readOptions,
  real,
  string,
  usageError,
  whole,
} from "../arguments.js";
import type { CorpusFormat } from "../tokenizer/corpus.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";

export interface PackOptions {
  /** Files of text (paths or file URLs), "-" for stdin: plain text or JSON Lines, either may be gzipped. A plain file is one document. */
  readonly files: readonly (string | URL)[];
  /** A checkpoint folder, a name in the hub's cache, or a tokenizer's file. */
  readonly tokenizer: string | URL;
  /** The token file to write. */
  readonly output: string | URL;
  /** The share of documents, by a hash of their text, that goes to a second file, `corpus.held-out.tokens` beside `corpus.tokens`; default 0: none. */
  readonly holdOut?: number | undefined;
  /** The special token that begins each document, false for none; default: the one that the tokenizer puts before a text. */
  readonly bosToken?: string | false | undefined;
  /** The one that ends it, false for none; default: the tokenizer's. */
  readonly eosToken?: string | false | undefined;
  /** "auto" takes *.jsonl and *.ndjson (also with .gz) for JSON Lines, all else for text. */
  readonly format?: CorpusFormat | undefined;
  /** The member of a JSON line that holds its text; default "text". */
  readonly field?: string | undefined;
  /** Default, and at most: the processors that this process has. The result does not depend on it. */
  readonly threads?: number | undefined;
  /** Overwrites files of `output` that are there already. */
  readonly force?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told of bytes of the files read, of all (0 where that is not known). */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

const isFalse: Kind = { expected: "false", accepts: (value) => value === false };
const specialToken = either(nonEmptyString, isFalse);

export const PACK_OPTIONS: Kinds<PackOptions> = {
  files: listOf(path, "a list of paths or file URLs"),
  tokenizer: path,
  output: path,
  holdOut: real(0, 0.5),
  bosToken: specialToken,
  eosToken: specialToken,
  format: oneOf("auto", "text", "jsonl"),
  field: string,
  threads: whole(1, 1024),
  force: flag,
  signal: abortSignal,
  onProgress: callback,
};

/** The options, checked, with paths as the file system takes them. */
export interface CheckedPackOptions extends Omit<PackOptions, "files" | "tokenizer" | "output"> {
  readonly files: readonly string[];
  readonly tokenizer: string;
  readonly output: string;
}

/** @throws {QuipuError} ERR_USAGE naming the option. */
export function packOptions(given: PackOptions): CheckedPackOptions {
  const options = readOptions<PackOptions>("packCorpus", given, PACK_OPTIONS);
  const { files, tokenizer, output } = options;
  for (const name of ["files", "tokenizer", "output"] as const) checkArgument(name, options[name], PACK_OPTIONS[name]);
  if (files.length === 0) throw usageError("files", "expected files of text, or - for stdin, got none");
  if (files.filter((file) => file === "-").length > 1) throw usageError("files", "- (stdin) can be read once");
  return {
    ...options,
    files: files.map((file) => pathOf("files", file)),
    tokenizer: pathOf("tokenizer", tokenizer),
    output: pathOf("output", output),
  };
}

/** The ids that a document begins and ends with. @throws {QuipuError} ERR_USAGE */
export function documentEnds(
  tokenizer: Tokenizer,
  { bosToken, eosToken }: Pick<PackOptions, "bosToken" | "eosToken">,
): { readonly bosId: number | undefined; readonly eosId: number | undefined } {
  const { specialTokens, eosId } = tokenizer;
  const named = (option: string, token: string | false): number | undefined => {
    if (token === false) return undefined;
    const id = specialTokens.get(token);
    if (id !== undefined) return id;
    throw usageError(
      option,
      `expected a special token of the tokenizer (${listed(specialTokens)}), got ${JSON.stringify(token)}`,
    );
  };
  if (eosToken === undefined && eosId === undefined) {
    throw usageError(
      "eosToken",
      `the tokenizer names no token that ends a text: expected one of its special tokens (${listed(specialTokens)}), or none`,
    );
  }
  return {
    bosId: bosToken === undefined ? (tokenizer.addsBos ? tokenizer.bosId : undefined) : named("bosToken", bosToken),
    eosId: eosToken === undefined ? eosId : named("eosToken", eosToken),
  };
}

function listed(tokens: ReadonlyMap<string, number>): string {
  const some = Array.from(tokens.keys()).slice(0, 8);
  return some.length === 0 ? "it has none" : `${some.join(", ")}${tokens.size > some.length ? " …" : ""}`;
}
