// What the options of tokenizers may be.
import { abortSignal, either, flag, type Kinds, listOf, oneOf, string, whole } from "../arguments.js";
import type { BatchOptions, DecodeOptions, EncodeOptions, StreamDecoderOptions, StreamOptions } from "./tokenizer.js";

export const ENCODE_OPTIONS: Kinds<EncodeOptions> = {
  bos: flag,
  special: either(flag, oneOf("error"), listOf(string, "a list of special tokens")),
};

export const STREAM_OPTIONS: Kinds<StreamOptions> = { ...ENCODE_OPTIONS, signal: abortSignal };

export const BATCH_OPTIONS: Kinds<BatchOptions> = { ...ENCODE_OPTIONS, threads: whole(1, 1024) };

export const DECODE_OPTIONS: Kinds<DecodeOptions> = { special: flag };

export const STREAM_DECODER_OPTIONS: Kinds<StreamDecoderOptions> = { goesOn: flag };
