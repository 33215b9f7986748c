// What the options of tokenizers and of training may be.
import {
  abortSignal,
  callback,
  either,
  flag,
  type Kinds,
  listOf,
  nonEmptyString,
  oneOf,
  path,
  string,
  whole,
} from "../arguments.js";
import type { BatchOptions, DecodeOptions, EncodeOptions, StreamOptions } from "./tokenizer.js";
import { TRAINING_PATTERNS } from "./training/patterns.js";
import type { TrainTokenizerOptions } from "./training/settings.js";
import type { SaveOptions } from "./training/trained-tokenizer.js";

/** 256 bytes, merges, special tokens. */
const MAX_VOCABULARY = 2 ** 24;

export const ENCODE_OPTIONS: Kinds<EncodeOptions> = {
  bos: flag,
  special: either(flag, oneOf("error"), listOf(string, "a list of special tokens")),
};

export const STREAM_OPTIONS: Kinds<StreamOptions> = { ...ENCODE_OPTIONS, signal: abortSignal };

export const BATCH_OPTIONS: Kinds<BatchOptions> = { ...ENCODE_OPTIONS, threads: whole(1, 1024) };

export const DECODE_OPTIONS: Kinds<DecodeOptions> = { special: flag };

export const SAVE_OPTIONS: Kinds<SaveOptions> = { force: flag };

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
