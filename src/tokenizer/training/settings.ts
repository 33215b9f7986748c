// Options of a training: what they may be, and what they are where they are not given.
import { totalmem } from "node:os";
import { availableThreads } from "../../addon/process-limits.js";
import { QuipuError } from "../../errors.js";
import { llama3SpecialTokens } from "../tiktoken-file.js";
import type { CorpusFormat } from "./corpus.js";
import { TRAINING_PATTERNS, type TrainingPattern } from "./patterns.js";

export interface TrainTokenizerOptions {
  /** Files of text, "-" for stdin: plain text or JSON Lines, either may be gzipped. A plain file is one text. */
  readonly files: readonly string[];
  /** Ids in all: 256 bytes, merges, special tokens. */
  readonly vocabSize: number;
  /** How text is cut into pieces before anything is merged; default "llama3". */
  readonly pattern?: TrainingPattern | undefined;
  /** Texts of special tokens in the order of their ids; "llama3" for its 256. Default: <|begin_of_text|>, <|end_of_text|>. */
  readonly specialTokens?: readonly string[] | "llama3" | undefined;
  /** Which special token begins a text; default <|begin_of_text|> where it is one. */
  readonly bosToken?: string | undefined;
  /** Which one ends it; default <|end_of_text|> where it is one. */
  readonly eosToken?: string | undefined;
  /** "auto" takes *.jsonl and *.ndjson (also with .gz) for JSON Lines, all else for text. */
  readonly format?: CorpusFormat | undefined;
  /** The member of a JSON line that holds its text; default "text". */
  readonly field?: string | undefined;
  /** Pairs that are rarer are not merged; default 1. */
  readonly minFrequency?: number | undefined;
  /** Pieces that are rarer are left out before anything is merged; default 1. */
  readonly minPieceCount?: number | undefined;
  /** Default: what the machine gives this process. The result does not depend on it. */
  readonly threads?: number | undefined;
  /** Bytes for the counts of pieces, and after that for learning from them; default: half of the machine's. The result does not depend on it. */
  readonly memory?: number | undefined;
  /** A folder where counts are kept, so that the same call goes on after an interruption. */
  readonly checkpoint?: string | undefined;
  /** The rank file to write, with tokenizer.json and tokenizer_config.json beside it; without it, nothing is written. */
  readonly output?: string | undefined;
  /** Overwrites files of `output` that are there already. */
  readonly force?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told from time to time: bytes of the files read, of all (0 where that is not known); then merges, of those wanted. */
  readonly onProgress?: ((stage: "counting" | "merging", done: number, total: number) => void) | undefined;
}

export interface TrainingSettings {
  readonly pattern: TrainingPattern;
  readonly specialTokens: readonly string[];
  readonly bosToken: string | undefined;
  readonly eosToken: string | undefined;
  readonly format: CorpusFormat;
  readonly field: string;
  readonly merges: number;
  readonly minFrequency: number;
  readonly minPieceCount: number;
  readonly threads: number;
  readonly memory: number;
}

const DEFAULT_BOS = "<|begin_of_text|>";
const DEFAULT_EOS = "<|end_of_text|>";
const MIN_MEMORY = 2 ** 20;
const MAX_VOCABULARY = 2 ** 24;
const BYTES = 256;

/** @throws {QuipuError} ERR_USAGE */
export function settingsOf(options: TrainTokenizerOptions): TrainingSettings {
  const { files, pattern = "llama3", format = "auto", field = "text" } = options;
  if (files.length === 0) throw usage("no files: expected files of text, or - for stdin");
  const stdins = files.filter((file) => file === "-").length;
  if (stdins > 1) throw usage("files: - (stdin) can be read once");
  if (stdins > 0 && options.checkpoint !== undefined) {
    throw usage("checkpoint: stdin (-) cannot be read again from where an interruption left it: give files");
  }
  if (!TRAINING_PATTERNS.includes(pattern)) {
    throw usage(`pattern: expected ${TRAINING_PATTERNS.join(", ")}, got ${JSON.stringify(pattern)}`);
  }
  const specialTokens = specialTokensOf(options.specialTokens);
  const fixed = BYTES + specialTokens.length;
  const vocabSize = whole("vocabSize", options.vocabSize, 1, MAX_VOCABULARY);
  if (vocabSize < fixed) {
    throw usage(
      `vocabSize: expected at least ${fixed} (256 bytes and ${specialTokens.length} special tokens), got ${vocabSize}`,
    );
  }
  return {
    pattern,
    specialTokens,
    bosToken: namedToken("bosToken", options.bosToken, DEFAULT_BOS, specialTokens),
    eosToken: namedToken("eosToken", options.eosToken, DEFAULT_EOS, specialTokens),
    format,
    field,
    merges: vocabSize - fixed,
    minFrequency: whole("minFrequency", options.minFrequency ?? 1, 1, Number.MAX_SAFE_INTEGER),
    minPieceCount: whole("minPieceCount", options.minPieceCount ?? 1, 1, 64),
    threads: whole("threads", options.threads ?? availableThreads(), 1, 1024),
    memory: whole("memory", options.memory ?? defaultMemory(), MIN_MEMORY, Number.MAX_SAFE_INTEGER),
  };
}

function specialTokensOf(list: readonly string[] | "llama3" | undefined): readonly string[] {
  if (list === "llama3") return llama3SpecialTokens(0).map(({ text }) => text);
  const tokens = list ?? [DEFAULT_BOS, DEFAULT_EOS];
  const wrong = tokens.find((text, i) => text === "" || tokens.indexOf(text) !== i);
  if (wrong !== undefined) {
    throw usage(`special token ${JSON.stringify(wrong)}: ${wrong === "" ? "expected a text" : "is there twice"}`);
  }
  return tokens;
}

function namedToken(
  name: string,
  text: string | undefined,
  otherwise: string,
  tokens: readonly string[],
): string | undefined {
  if (text !== undefined && !tokens.includes(text)) {
    throw usage(`${name}: expected one of the special tokens, got ${JSON.stringify(text)}`);
  }
  return text ?? (tokens.includes(otherwise) ? otherwise : undefined);
}

/** Half of what the system, or its control group, gives. */
function defaultMemory(): number {
  const constrained = process.constrainedMemory();
  const all = constrained > 0 ? Math.min(totalmem(), constrained) : totalmem();
  return Math.max(MIN_MEMORY, Math.floor(all / 2));
}

function whole(name: string, value: number, from: number, to: number): number {
  if (Number.isSafeInteger(value) && value >= from && value <= to) return value;
  const range = to === Number.MAX_SAFE_INTEGER ? `of at least ${from}` : `from ${from} to ${to}`;
  throw usage(`${name}: expected a whole number ${range}, got ${value}`);
}

function usage(message: string): QuipuError {
  return new QuipuError("ERR_USAGE", message);
}
