// Tokens made visible: where one ends and the next begins, what in them is white space, and which bytes are only part of a character.
import { styleText } from "node:util";
import type { Tokenizer } from "../../index.js";

const COLOURS = ["cyan", "yellow", "green", "magenta"] as const;

/** Whether stdout shows colours: a terminal, and NO_COLOR is not set (no-color.org). */
export function coloured(): boolean {
  return process.stdout.isTTY === true && !process.env.NO_COLOR;
}

/** A token as a JSON string; bytes that are no whole character as \xNN. */
export function visibleToken(tokenizer: Tokenizer, id: number): string {
  const { text, bytes } = describeToken(tokenizer, id);
  if (bytes === undefined) return JSON.stringify(text);
  const shown = bytes.map((byte) =>
    byte < 0x80 ? JSON.stringify(String.fromCharCode(byte)).slice(1, -1) : `\\x${byte.toString(16)}`,
  );
  return `"${shown.join("")}"`;
}

/** A token's text, and its bytes where they are not all whole characters. */
export function describeToken(tokenizer: Tokenizer, id: number): { id: number; text: string; bytes?: number[] } {
  if (id >= tokenizer.vocabSize) return { id, text: "" }; // a vocabulary that the model pads
  const text = tokenizer.decode([id], { special: true });
  return text.includes("\uFFFD") ? { id, text, bytes: [...tokenizer.decodeSingleTokenBytes(id)] } : { id, text };
}

/** The text of the tokens, neighbours in different colours; a character shows with the token that ends it. */
export function colourTokens(tokenizer: Tokenizer, ids: Int32Array): string {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const texts = Array.from(ids, (id) => decoder.decode(tokenizer.decodeSingleTokenBytes(id), { stream: true }));
  return texts.map((text, index) => paint(COLOURS[index % COLOURS.length]!, text)).join("");
}

function paint(colour: (typeof COLOURS)[number], text: string): string {
  // A colour that spans lines would colour the whole of each in some terminals.
  return text
    .split("\n")
    .map((line) => (line === "" ? "" : styleText(["underline", colour], line, { validateStream: false })))
    .join("\n");
}
