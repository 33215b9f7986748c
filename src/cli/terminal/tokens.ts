// Tokens made visible: where one ends and the next begins, and what in them is white space.
import { styleText } from "node:util";

const COLOURS = ["cyan", "yellow", "green", "magenta"] as const;

/** Whether stdout shows colours: a terminal, and NO_COLOR is not set (no-color.org). */
export function coloured(): boolean {
  return process.stdout.isTTY === true && !process.env.NO_COLOR;
}

/** A token's text as a JSON string: white space and partial characters can be seen. */
export function visible(text: string): string {
  return JSON.stringify(text);
}

/** The tokens' texts one after another, neighbours in different colours. */
export function colourTokens(texts: readonly string[]): string {
  return texts.map((text, index) => paint(COLOURS[index % COLOURS.length]!, text)).join("");
}

function paint(colour: (typeof COLOURS)[number], text: string): string {
  // A colour that spans lines would colour the whole of each in some terminals.
  return text
    .split("\n")
    .map((line) => (line === "" ? "" : styleText(["underline", colour], line, { validateStream: false })))
    .join("\n");
}
