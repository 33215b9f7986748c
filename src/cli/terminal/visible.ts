// Text that a terminal shows and never obeys: a model, a file or a file's name may hold any characters.

/** What moves a cursor, changes a terminal or reports from it: all control characters but newline and tab; and what turns the direction of others' text. */
const OBEYED = /[^\P{Cc}\n\t]|[\u202A-\u202E\u2066-\u2069]/gu;

/** The text with such characters as \xNN or \uNNNN. */
export function visible(text: string): string {
  return text.replace(OBEYED, (character) => {
    const code = character.codePointAt(0)!.toString(16);
    return code.length > 2 ? `\\u${code.padStart(4, "0")}` : `\\x${code.padStart(2, "0")}`;
  });
}

/** A text that comes in pieces, made visible; a carriage return belongs to the newline behind it. */
export class VisibleStream {
  #held = "";

  push(piece: string): string {
    const text = this.#held + piece;
    this.#held = text.endsWith("\r") ? "\r" : "";
    return visible(text.slice(0, text.length - this.#held.length).replaceAll("\r\n", "\n"));
  }

  /** What was held back. */
  end(): string {
    const text = visible(this.#held);
    this.#held = "";
    return text;
  }
}
