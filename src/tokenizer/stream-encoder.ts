// Ids of a text that comes in chunks (native/tokenizer/stream_encoder.h holds back what can still change).
import { setImmediate } from "node:timers/promises";
import { callNative } from "../addon/addon.js";
import type { NativeEncodeStream } from "../addon/addon-types.js";
import { textOrBytes, wrongArgument } from "../arguments.js";
import type { Text } from "./tokenizer.js";

// Large chunks are encoded in parts of this length, with the event loop in between: about a millisecond each.
const PART = 2 ** 16;

/** Yields the ids that are certain after each part; never an empty array. */
export async function* encodeChunks(
  stream: NativeEncodeStream,
  chunks: Iterable<Text> | AsyncIterable<Text>,
): AsyncGenerator<Int32Array> {
  let first = true;
  for await (const part of textParts(chunks)) {
    if (!first) await setImmediate();
    first = false;
    const ids = new Int32Array(callNative(() => stream.push(part)));
    if (ids.length > 0) yield ids;
  }
  const ids = new Int32Array(callNative(() => stream.end()));
  if (ids.length > 0) yield ids;
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
