// Progress of several files on a terminal's stderr: a bar for each that is on its way and a line for all, drawn over and erased in the
// end. Where stderr is no terminal there are none.
import { widthOf } from "./columns.js";
import { formatBytes, formatTime } from "./tables.js";

/** How far a file is. */
export interface FileProgress {
  readonly path: string;
  /** Bytes. */
  readonly done: number;
  readonly size: number;
  readonly state: "waiting" | "fetching" | "fetched" | "kept";
}

/** Between two drawings. */
const DRAW_MS = 50;
const BAR = 20;
/** Of the time over which the rate is taken. */
const RATE_MS = 5000;

export class ProgressBars {
  readonly #shown: boolean;
  readonly #files = new Map<string, FileProgress>();
  readonly #seen: { readonly at: number; readonly fetched: number }[] = [];
  #fetched = 0;
  #lines = 0;
  #last: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor({ quiet }: { quiet: boolean }) {
    this.#shown = !quiet && process.stderr.isTTY === true && process.env.TERM !== "dumb";
  }

  update(progress: FileProgress): void {
    const before = this.#files.get(progress.path);
    // What was there when it began is not fetched now.
    if (before?.state === "fetching") this.#fetched += Math.max(0, progress.done - before.done);
    this.#files.set(progress.path, progress);
    if (!this.#shown) return;
    this.#last ??= performance.now(); // until all files are known
    const wait = this.#last + DRAW_MS - performance.now();
    if (wait <= 0) this.#draw();
    else this.#timer ??= setTimeout(() => this.#draw(), wait); // the last state is drawn, too
  }

  /** A line that stays, above the bars. */
  print(line: string): void {
    const drawn = this.#lines > 0;
    this.erase();
    process.stderr.write(`${line}\n`);
    if (drawn) this.#draw();
  }

  erase(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#lines > 0) process.stderr.write(this.#back());
    this.#lines = 0;
  }

  #back(): string {
    return this.#lines > 1 ? `\r\x1b[${this.#lines - 1}A\x1b[J` : "\r\x1b[J";
  }

  #draw(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#last = performance.now();
    const width = Math.max(20, widthOf(process.stderr) - 1);
    const under = Array.from(this.#files.values()).filter(({ state }) => state === "fetching");
    const lines = [...under.map((file) => barOf(file, width)), this.#total()].map((line) => line.slice(0, width));
    const back = this.#lines > 0 ? this.#back() : "";
    process.stderr.write(back + lines.join("\n"));
    this.#lines = lines.length;
  }

  /** "3 of 12 files, 1.2 of 9.1 GiB, 34.2 MiB/s, 4 min". */
  #total(): string {
    const files = Array.from(this.#files.values());
    const ended = files.filter(({ state }) => state === "fetched" || state === "kept").length;
    const done = files.reduce((sum, file) => sum + file.done, 0);
    const size = files.reduce((sum, file) => sum + file.size, 0);
    const rate = this.#rate();
    const speed = rate === undefined ? "" : `, ${formatBytes(Math.round(rate))}/s, ${formatTime((size - done) / rate)}`;
    return `${ended} of ${files.length} files, ${formatBytes(done)} of ${formatBytes(size)}${speed}`;
  }

  /** Bytes a second of late; undefined while there is nothing to tell it by. */
  #rate(): number | undefined {
    const now = performance.now();
    this.#seen.push({ at: now, fetched: this.#fetched });
    while (this.#seen.length > 2 && now - this.#seen[1]!.at > RATE_MS) this.#seen.shift();
    const [first] = this.#seen;
    const seconds = (now - first!.at) / 1000;
    const bytes = this.#fetched - first!.fetched;
    return seconds >= 1 && bytes > 0 ? bytes / seconds : undefined;
  }
}

/** Names are a stranger's: what is no plain character would move the cursor, or take no or two columns. */
function barOf({ path, done, size }: FileProgress, width: number): string {
  const share = size === 0 ? 1 : done / size;
  const far = `${String(Math.floor(100 * share)).padStart(3)} % of ${formatBytes(size)}`;
  const room = width - far.length - BAR - 3;
  const plain = path.replace(/[^\x20-\x7e]/g, "?");
  if (room < 8) return `${plain.slice(0, Math.max(4, width - far.length - 1))} ${far}`;
  const name = plain.length > room ? `…${plain.slice(plain.length - room + 1)}` : plain.padEnd(room);
  const filled = Math.floor(BAR * share);
  return `${name} ${"█".repeat(filled)}${"░".repeat(BAR - filled)}  ${far}`;
}
