// What was typed in earlier sessions: a file of lines in the user's state folder, readable by its user alone and bounded.
import {
  chmodSync,
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";

/** Lines that are kept. The file has up to twice as many before it is written anew. */
export const MOST_LINES = 1000;
/** Bytes of the file's end that are read. */
const MOST_BYTES = 2 ** 20;

/** XDG_STATE_HOME is the place for histories; undefined without a home folder. */
export function historyFile(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const state = env.XDG_STATE_HOME;
  if (state !== undefined && isAbsolute(state)) return join(state, "quipu", "chat_history");
  const home = env.HOME ?? homedir();
  return isAbsolute(home) ? join(home, ".local", "state", "quipu", "chat_history") : undefined;
}

export class History {
  /** The newest first. */
  readonly lines: readonly string[];
  #file: string | undefined;
  readonly #warn: (problem: string) => void;
  #last: string | undefined;

  /**
   * @param file undefined: nothing is read or written.
   * @param warn told once where the file cannot be used; the session goes on without it.
   */
  constructor(file: string | undefined, warn: (problem: string) => void) {
    this.#file = file;
    this.#warn = warn;
    this.lines = this.#try((path) => read(path)) ?? [];
  }

  /** A line was entered. Lines of several sessions at once are all kept. */
  add(line: string): void {
    if (line.trim() === "" || line === this.#last) return;
    this.#last = line;
    this.#try((path) => {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      const file = openSync(path, "a", 0o600);
      try {
        if ((fstatSync(file).mode & 0o077) !== 0) chmodSync(path, 0o600);
        writeSync(file, `${line.replaceAll("\n", " ")}\n`);
      } finally {
        closeSync(file);
      }
    });
  }

  #try<T>(work: (path: string) => T): T | undefined {
    if (this.#file === undefined) return undefined;
    try {
      return work(this.#file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      this.#warn(`what is typed is not kept: ${(error as Error).message}`);
      this.#file = undefined;
      return undefined;
    }
  }
}

/** The newest lines of a file; one that has grown to twice as many is written anew. */
function read(path: string): string[] {
  const file = openSync(path, "r");
  const { size } = fstatSync(file);
  let text: string;
  try {
    const bytes = Buffer.alloc(Math.min(size, MOST_BYTES));
    const count = readSync(file, bytes, 0, bytes.length, Math.max(0, size - bytes.length));
    text = bytes.toString("utf8", 0, count);
    if (size > MOST_BYTES) text = text.slice(text.indexOf("\n") + 1);
  } finally {
    closeSync(file);
  }
  const lines = text.split("\n").filter((line) => line !== "");
  const kept = lines.slice(-MOST_LINES);
  if (lines.length > 2 * MOST_LINES || size > MOST_BYTES) {
    const written = `${path}.${process.pid}`;
    writeFileSync(written, kept.map((line) => `${line}\n`).join(""), { mode: 0o600 });
    renameSync(written, path);
  }
  return kept.reverse();
}
