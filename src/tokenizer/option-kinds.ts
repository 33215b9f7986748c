// What the options of tokenizers and of training may be.
import {
  abortSignal,
  callback,
  either,
  flag,
  isObject,
  type Kind,
  type Kinds,
  listOf,
  nonEmptyString,
  oneOf,
  path,
  string,
  whole,
} from "../arguments.js";
import type { ChatOptions } from "./chat-message.js";
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

/** What is in them is checked where they are rendered. */
const objects: Kind = { expected: "a list of objects", accepts: Array.isArray };

export const CHAT_OPTIONS: Kinds<ChatOptions> = {
  addGenerationPrompt: flag,
  continueFinalMessage: either(flag, nonEmptyString),
  tools: objects,
  documents: objects,
  templateVariables: {
    expected: "an object: values by name",
    accepts: (value) => isObject(value) && !Array.isArray(value),
  },
  chatTemplate: string,
};

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
