// Progress on a terminal's stderr: one line, drawn over, erased before anything else is printed.

export class Progress {
  readonly #shown: boolean;
  #drawn = false;
  #last = 0;

  constructor({ quiet }: { quiet: boolean }) {
    this.#shown = !quiet && process.stderr.isTTY === true;
  }

  /** "loading 40 %"; drawn at most twenty times a second, and not for what is done. */
  draw(what: string, done: number, total: number): void {
    const now = performance.now();
    if (!this.#shown || now - this.#last < 50 || done >= total) return;
    this.#last = now;
    this.#drawn = true;
    process.stderr.write(`\r\x1b[K${what} ${Math.floor((100 * done) / total)} %`);
  }

  erase(): void {
    if (this.#drawn) process.stderr.write("\r\x1b[K");
    this.#drawn = false;
  }
}
