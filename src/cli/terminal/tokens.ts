// Tokens made visible: where one ends and the next begins, what in them is white space, and which bytes are only part of a character.
import { isUtf8 } from "node:buffer";
import { styleText } from "node:util";
import type { Tokenizer } from "../../index.js";
import { visible } from "./visible.js";

const COLOURS = ["cyan", "yellow", "green", "magenta"] as const;

/** Whether stdout shows colours: a terminal that can, and NO_COLOR is not set (no-color.org). */
export function coloured(): boolean {
  return process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== "dumb";
}

/** A token as a JSON string; bytes that are no whole character as \xNN. */
export function visibleToken(tokenizer: Tokenizer, id: number): string {
  const shown = pieces(bytesOf(tokenizer, id)).map((piece) =>
    typeof piece === "string" ? JSON.stringify(piece).slice(1, -1) : hex(piece),
  );
  return `"${shown.join("")}"`;
}

/** Ids and texts, a row for each token. */
export function tokenTable(tokenizer: Tokenizer, ids: Int32Array): string {
  const width = widthOfIds(ids);
  return tokenHeader(width) + tokenRows(tokenizer, ids, width);
}

/** Columns of a table that holds `ids`. */
export function widthOfIds(ids: Int32Array): number {
  return Math.max(2, String(ids.reduce((a, b) => Math.max(a, b), 0)).length);
}

export function tokenHeader(width: number): string {
  return `${"id".padStart(width)}  text\n`;
}

export function tokenRows(tokenizer: Tokenizer, ids: Int32Array, width: number): string {
  return Array.from(ids, (id) => `${String(id).padStart(width)}  ${visibleToken(tokenizer, id)}\n`).join("");
}

/** A token's text, and its bytes where they are not all whole characters. */
export function describeToken(tokenizer: Tokenizer, id: number): { id: number; text: string; bytes?: number[] } {
  const bytes = bytesOf(tokenizer, id);
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  return isUtf8(bytes) ? { id, text } : { id, text, bytes: [...bytes] };
}

/** The text of the tokens, neighbours in different colours; control characters and bytes of split characters as \xNN. */
export function colourTokens(tokenizer: Tokenizer, ids: Int32Array): string {
  const texts = Array.from(ids, (id) =>
    pieces(bytesOf(tokenizer, id))
      .map((piece) => (typeof piece === "string" ? visible(piece) : hex(piece)))
      .join(""),
  );
  return texts.map((text, index) => paint(COLOURS[index % COLOURS.length]!, text)).join("");
}

function hex(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, "0")}`;
}

function bytesOf(tokenizer: Tokenizer, id: number): Uint8Array {
  return id < tokenizer.vocabSize ? tokenizer.decodeSingleTokenBytes(id) : new Uint8Array(); // a vocabulary that the model pads
}

/** Whole characters as text; other bytes as numbers. */
function pieces(bytes: Uint8Array): (string | number)[] {
  if (isUtf8(bytes)) return [Buffer.from(bytes).toString()];
  const found: (string | number)[] = [];
  for (let at = 0; at < bytes.length; ) {
    const byte = bytes[at]!;
    const character = bytes.subarray(at, at + (byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4));
    const whole = isUtf8(character);
    found.push(whole ? Buffer.from(character).toString() : byte);
    at += whole ? character.length : 1;
  }
  return found;
}

function paint(colour: (typeof COLOURS)[number], text: string): string {
  // A colour that spans lines would colour the whole of each in some terminals.
  return text
    .split("\n")
    .map((line) => (line === "" ? "" : styleText(["underline", colour], line, { validateStream: false })))
    .join("\n");
}
