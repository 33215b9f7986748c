// Stop texts in a stream: text that might be the beginning of one is held back until that is decided.

export class StopStrings {
  readonly #stops: readonly string[];
  #held = "";

  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /**
   * Takes the next piece of text; returns what is certain by now. `stop`: the stop text that is complete, where one is; `text`
   * is what came before it, and nothing after it counts. Of several the one that is complete first wins, of those that end together the
   * longest: wherever the text is cut into pieces.
   */
  push(piece: string): { text: string; stop: string | undefined } {
    const text = this.#held + piece;
    const found = this.#stops
      .map((stop) => ({ stop, start: text.indexOf(stop) }))
      .filter(({ start }) => start >= 0)
      .sort((a, b) => a.start + a.stop.length - (b.start + b.stop.length) || a.start - b.start);
    if (found[0] !== undefined) {
      this.#held = "";
      return { text: text.slice(0, found[0].start), stop: found[0].stop };
    }
    const open = Math.max(0, ...this.#stops.map((stop) => openEnd(text, stop)));
    this.#held = text.slice(text.length - open);
    return { text: text.slice(0, text.length - open), stop: undefined };
  }

  /** The end of the stream: what was held back is text after all. */
  flush(): string {
    const text = this.#held;
    this.#held = "";
    return text;
  }
}

/** Length of the longest end of `text` that is a beginning of `stop`, but not all of it. */
function openEnd(text: string, stop: string): number {
  for (let length = Math.min(stop.length - 1, text.length); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
