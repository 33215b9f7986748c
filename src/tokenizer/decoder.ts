// The decoder of tokenizer.json: how tokens become text. Where they are bytes they are joined; where they are text, the engine does these
// steps (native/tokenizer/decoding.h).
import { isJsonObject, type JsonObject, shownJson } from "../checkpoint/json.js";
import { checkGrowth, checkSteps, growthOf } from "./steps.js";

/** As the engine does them. */
export interface DecodingSteps {
  /** In each token, one after the other. */
  readonly replacements: readonly (readonly [from: string, to: string])[];
  /** The tokens <0x00> to <0xFF> are bytes. */
  readonly bytes: boolean;
  /** Of bytes that are no UTF-8 those that are stay, else all in a row become U+FFFD. */
  readonly keepsValid: boolean;
  /** A character, as many of which go at the start of a text. */
  readonly stripped: string;
  readonly strips: number;
  /** A character that goes wherever it is in the first token; "" for none. */
  readonly droppedInFirst: string;
  /** It goes only where the token begins with it, once; */
  readonly onlyPrefix: boolean;
  /** and as long as that leaves no text, in the next token too. */
  readonly untilText: boolean;
}

export const NO_DECODING: DecodingSteps = {
  replacements: [],
  bytes: false,
  keepsValid: false,
  stripped: "",
  strips: 0,
  droppedInFirst: "",
  onlyPrefix: false,
  untilText: false,
};

/** Steps of tokens that are bytes: ByteLevel, and what changes nothing. */
export function checkByteDecoder(decoder: unknown, refuse: (problem: string) => never): void {
  if (decoder === undefined || decoder === null) return;
  for (const step of stepsOf(decoder)) {
    if (step.type === "ByteLevel" || step.type === "Fuse") continue;
    if (step.type === "Strip" && step.start === 0 && step.stop === 0) continue;
    refuse(`decoder: this version has ByteLevel; got ${shownJson(decoder, 120)}`);
  }
}

/** Those of tokens that are text: Replace of strings, ByteFallback, Fuse and Strip, in that order; or Metaspace. */
export function parseTextDecoder(decoder: unknown, refuse: (problem: string) => never): DecodingSteps {
  const steps = stepsOf(decoder);
  if (steps.some(({ type }) => type === "ByteLevel")) {
    refuse("decoder: ByteLevel, for tokens that are bytes; pre_tokenizer: without that step tokens are text");
  }
  const unknown = (): never =>
    refuse(
      `decoder: this version has Sequence, Replace (of a String), ByteFallback, Fuse, Strip (at the start) in this order, and Metaspace; got ${shownJson(decoder, 160)}`,
    );
  if (steps.length === 0) return unknown(); // tokenizers would put spaces between tokens
  checkSteps("decoder", steps.length, refuse);
  const [first] = steps;
  if (first?.type === "Metaspace") {
    return steps.slice(1).every(({ type }) => type === "Fuse") ? (metaspaceSteps(first) ?? unknown()) : unknown();
  }
  const done: DecodingSteps & { fuses: boolean } = { ...NO_DECODING, fuses: false };
  const all = steps.reduce((before, step) => next(before, step) ?? unknown(), done);
  checkGrowth(
    "decoder",
    all.replacements.map(([from, to]) => growthOf(from, to)),
    refuse,
  );
  return all;
}

function next(before: DecodingSteps & { fuses: boolean }, step: JsonObject) {
  const { type, pattern, content, start, stop } = step;
  switch (type) {
    case "Replace": {
      const from = isJsonObject(pattern) ? pattern.String : undefined;
      if (typeof from !== "string" || from === "" || typeof content !== "string") return undefined;
      if (before.bytes || before.fuses) return undefined;
      return { ...before, replacements: [...before.replacements, [from, content] as const] };
    }
    case "ByteFallback":
      return before.fuses ? undefined : { ...before, bytes: true };
    case "Fuse":
      return { ...before, fuses: true };
    case "Strip": {
      if (start === 0 && stop === 0) return before;
      const isCharacter = typeof content === "string" && [...content].length === 1;
      const isCount = Number.isInteger(start) && (start as number) >= 0 && (start as number) < 2 ** 16;
      if (!before.fuses || before.strips > 0 || !isCharacter || !isCount || stop !== 0) return undefined;
      return { ...before, stripped: content, strips: start as number };
    }
  }
  return undefined;
}

function metaspaceSteps({ replacement, prepend_scheme, add_prefix_space }: JsonObject): DecodingSteps | undefined {
  if (typeof replacement !== "string" || [...replacement].length !== 1) return undefined;
  const drops = prepend_scheme === undefined ? add_prefix_space !== false : prepend_scheme !== "never";
  return { ...NO_DECODING, replacements: [[replacement, " "]], droppedInFirst: drops ? replacement : "" };
}

function stepsOf(decoder: unknown): JsonObject[] {
  if (decoder === undefined || decoder === null) return [];
  const step = isJsonObject(decoder) ? decoder : {};
  return step.type === "Sequence" && Array.isArray(step.decoders) ? step.decoders.flatMap(stepsOf) : [step];
}
