// Options of a training: what they may be, and what they are where they are not given.
import { totalmem } from "node:os";
import {
  abortSignal,
  callback,
  checkArgument,
  either,
  flag,
  type Kinds,
  listOf,
  nonEmptyString,
  oneOf,
  path,
  pathOf,
  readOptions,
  string,
  usageError,
  whole,
} from "../../arguments.js";
import { threadsFor } from "../../machine/process-limits.js";
import type { CorpusFormat } from "../corpus.js";
import { llama3SpecialTokens } from "../tiktoken-file.js";
import { TRAINING_PATTERNS, type TrainingPattern } from "./patterns.js";

export interface TrainTokenizerOptions {
  /** Files of text (paths or file URLs), "-" for stdin: plain text or JSON Lines, either may be gzipped. A plain file is one text. */
  readonly files: readonly (string | URL)[];
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
  /** Default, and at most: the processors that this process has. The result does not depend on it. */
  readonly threads?: number | undefined;
  /** Bytes for the counts of pieces, and after that for learning from them; default: half of the machine's. The result does not depend on it. */
  readonly memory?: number | undefined;
  /** A folder where counts are kept, so that the same call goes on after an interruption. */
  readonly checkpoint?: string | URL | undefined;
  /** The rank file to write, with tokenizer.json and tokenizer_config.json beside it; without it, nothing is written. */
  readonly output?: string | URL | undefined;
  /** Overwrites files of `output` that are there already. */
  readonly force?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told from time to time: bytes of the files read, of all (0 where that is not known); then merges, of those wanted. */
  readonly onProgress?: ((stage: "counting" | "merging", done: number, total: number) => void) | undefined;
}

/** 256 bytes, merges, special tokens. */
const MAX_VOCABULARY = 2 ** 24;

export const TRAIN_OPTIONS: Kinds<TrainTokenizerOptions> = {
  files: listOf(path, "a list of paths or file URLs"),
  vocabSize: whole(1, MAX_VOCABULARY),
  pattern: oneOf(...TRAINING_PATTERNS),
  specialTokens: either(oneOf("llama3"), listOf(nonEmptyString, "a list of texts that are not empty")),
  bosToken: string,
  eosToken: string,
  format: oneOf("auto", "text", "jsonl"),
  field: string,
  minFrequency: whole(1),
  minPieceCount: whole(1, 64),
  threads: whole(1, 1024),
  memory: whole(2 ** 20),
  checkpoint: path,
  output: path,
  force: flag,
  signal: abortSignal,
  onProgress: callback,
};

/** The options, checked, with paths as the file system takes them. */
export interface TrainingOptions extends Omit<TrainTokenizerOptions, "files" | "checkpoint" | "output"> {
  readonly files: readonly string[];
  readonly checkpoint: string | undefined;
  readonly output: string | undefined;
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
const BYTES = 256;

/** @throws {QuipuError} ERR_USAGE naming the option. */
export function trainingOptions(given: TrainTokenizerOptions): TrainingOptions {
  const options = readOptions<TrainTokenizerOptions>("trainTokenizer", given, TRAIN_OPTIONS);
  const { files, checkpoint, output, vocabSize } = options;
  checkArgument("files", files, TRAIN_OPTIONS.files);
  checkArgument("vocabSize", vocabSize, TRAIN_OPTIONS.vocabSize);
  return {
    ...options,
    files: files.map((file) => pathOf("files", file)),
    checkpoint: checkpoint === undefined ? undefined : pathOf("checkpoint", checkpoint),
    output: output === undefined ? undefined : pathOf("output", output),
  };
}

/** @throws {QuipuError} ERR_USAGE naming the option. */
export function settingsOf(options: TrainingOptions): TrainingSettings {
  const { files, pattern = "llama3", format = "auto", field = "text", vocabSize } = options;
  if (files.length === 0) throw usageError("files", "expected files of text, or - for stdin, got none");
  const stdins = files.filter((file) => file === "-").length;
  if (stdins > 1) throw usageError("files", "- (stdin) can be read once");
  if (stdins > 0 && options.checkpoint !== undefined) {
    throw usageError("checkpoint", "stdin (-) cannot be read again from where an interruption left it: give files");
  }
  const specialTokens = specialTokensOf(options.specialTokens);
  const fixed = BYTES + specialTokens.length;
  if (vocabSize < fixed) {
    throw usageError(
      "vocabSize",
      `expected at least ${fixed} (256 bytes and ${specialTokens.length} special tokens), got ${vocabSize}`,
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
    minFrequency: options.minFrequency ?? 1,
    minPieceCount: options.minPieceCount ?? 1,
    threads: threadsFor(options.threads),
    memory: options.memory ?? defaultMemory(),
  };
}

function specialTokensOf(list: readonly string[] | "llama3" | undefined): readonly string[] {
  if (list === "llama3") return llama3SpecialTokens(0).map(({ text }) => text);
  const tokens = list ?? [DEFAULT_BOS, DEFAULT_EOS];
  const twice = tokens.find((text, i) => tokens.indexOf(text) !== i);
  if (twice !== undefined) throw usageError("specialTokens", `${JSON.stringify(twice)} is there twice`);
  return tokens;
}

function namedToken(
  name: string,
  text: string | undefined,
  otherwise: string,
  tokens: readonly string[],
): string | undefined {
  if (text !== undefined && !tokens.includes(text)) {
    throw usageError(name, `expected one of the special tokens, got ${JSON.stringify(text)}`);
  }
  return text ?? (tokens.includes(otherwise) ? otherwise : undefined);
}

/** Half of what the system, or its control group, gives. */
function defaultMemory(): number {
  const constrained = process.constrainedMemory();
  const all = constrained > 0 ? Math.min(totalmem(), constrained) : totalmem();
  return Math.max(MIN_MEMORY, Math.floor(all / 2));
}
