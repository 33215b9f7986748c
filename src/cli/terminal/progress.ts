// Progress on a terminal's stderr: one line, drawn over, erased before anything else is printed. Not on one that cannot erase.
import { formatBytes } from "./tables.js";

export class Progress {
  readonly #shown: boolean;
  #drawn = false;
  #last = 0;

  constructor({ quiet }: { quiet: boolean }) {
    this.#shown = !quiet && process.stderr.isTTY === true && process.env.TERM !== "dumb";
  }

  /**
   * "loading 40 %"; drawn at most twenty times a second, and not for what is done.
   *
   * @param total undefined where it is unknown: `done` are bytes, "counting 1.5 MiB".
   */
  draw(what: string, done: number, total: number | undefined): void {
    const now = performance.now();
    if (!this.#shown || now - this.#last < 50 || (total !== undefined && done >= total)) return;
    this.#last = now;
    this.#drawn = true;
    const far = total === undefined ? formatBytes(done) : `${Math.floor((100 * done) / total)} %`;
    process.stderr.write(`\r\x1b[K${what} ${far}`);
  }

  erase(): void {
    if (this.#drawn) process.stderr.write("\r\x1b[K");
    this.#drawn = false;
  }
}
