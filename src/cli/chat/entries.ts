// Lines of input to entries: a message or a command a line; several lines are one message between three quotation marks, or as they were pasted.

export interface Entry {
  readonly text: string;
  /** It is a message, whatever it begins with. */
  readonly isMessage: boolean;
}

const QUOTES = '"""';

export class EntryReader {
  #lines: string[] = [];
  #isQuoted = false;

  /** Whether the next line goes on with an entry that is there. */
  get isOpen(): boolean {
    return this.#isQuoted || this.#lines.length > 0;
  }

  /**
   * Takes a line; returns the entry that it completes.
   *
   * @param isPasted more lines came with it: outside of quotation marks it completes nothing.
   */
  push(line: string, isPasted = false): Entry | undefined {
    if (this.#isQuoted) return this.#quoted(line);
    const start = this.#lines.length === 0 ? line.trimStart() : line;
    if (start.startsWith(QUOTES) && this.#lines.length === 0) {
      this.#isQuoted = true;
      const rest = start.slice(QUOTES.length);
      return rest.trim() === "" ? undefined : this.#quoted(rest);
    }
    this.#lines.push(line);
    if (isPasted) return undefined;
    const isMessage = this.#lines.length > 1;
    return this.#complete(isMessage);
  }

  /** Forgets what is open. */
  cancel(): void {
    this.#lines = [];
    this.#isQuoted = false;
  }

  #quoted(line: string): Entry | undefined {
    const end = line.trimEnd();
    if (!end.endsWith(QUOTES)) {
      this.#lines.push(line);
      return undefined;
    }
    const last = end.slice(0, -QUOTES.length);
    if (last !== "") this.#lines.push(last);
    return this.#complete(true);
  }

  #complete(isMessage: boolean): Entry | undefined {
    const text = this.#lines.join("\n");
    this.cancel();
    return text.trim() === "" ? undefined : { text, isMessage };
  }
}
