// Ids of a text that comes in chunks (native/tokenizer/stream_encoder.h holds back what can still change).
import { setImmediate } from "node:timers/promises";
import { fromNative } from "../addon/addon.js";
import type { NativeEncodeStream } from "../addon/addon-types.js";
import { textOrBytes, wrongArgument } from "../arguments.js";
import { QuipuError } from "../errors.js";
import type { Text } from "./tokenizer.js";

// Large chunks are encoded in parts of this length, with the event loop in between: about a millisecond each.
const PART = 2 ** 16;

/**
 * Yields the ids that are certain after each part; never an empty array.
 *
 * @throws {QuipuError} ERR_ABORTED when `signal` says so, in the middle of a long piece too.
 */
export async function* encodeChunks(
  stream: NativeEncodeStream,
  chunks: Iterable<Text> | AsyncIterable<Text>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Int32Array> {
  const cancel = () => stream.cancel();
  signal?.addEventListener("abort", cancel);
  const encoded = async (call: () => ArrayBuffer | Promise<ArrayBuffer>) => {
    try {
      return new Int32Array(await call());
    } catch (error) {
      throw signal?.aborted ? encodingAborted(signal) : fromNative(error);
    }
  };
  let first = true;
  try {
    for await (const part of textParts(chunks)) {
      if (!first) await setImmediate();
      first = false;
      if (signal?.aborted) throw encodingAborted(signal);
      const ids = await encoded(() => stream.push(part));
      if (ids.length > 0) yield ids;
    }
    const ids = await encoded(() => stream.end());
    if (ids.length > 0) yield ids;
  } finally {
    signal?.removeEventListener("abort", cancel);
  }
}

export function encodingAborted(signal: AbortSignal): QuipuError {
  return new QuipuError("ERR_ABORTED", "encoding was aborted", { cause: signal.reason });
}

/** The chunks in parts that no pair of surrogates crosses. */
export async function* textParts(chunks: Iterable<Text> | AsyncIterable<Text>): AsyncGenerator<Text> {
  let half = ""; // of a pair, where a string ended in it
  for await (const chunk of chunks) {
    if (typeof chunk !== "string") {
      if (!textOrBytes.accepts(chunk)) throw wrongArgument("chunks", `${textOrBytes.expected} each time`, chunk);
      if (half !== "") yield half;
      half = "";
      for (let at = 0; at < chunk.length; at += PART) yield chunk.subarray(at, at + PART);
      continue;
    }
    const text = half + chunk;
    half = "";
    for (let at = 0; at < text.length; ) {
      let end = Math.min(at + PART, text.length);
      if (isHighSurrogate(text.charCodeAt(end - 1))) end -= 1;
      if (end === at) {
        half = text.slice(at);
        break;
      }
      yield text.slice(at, end);
      at = end;
    }
  }
  if (half !== "") yield half;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00;
}
