// Where the entries of a chat come from: a terminal (terminal-input.ts) or lines of stdin.
import { StringDecoder } from "node:string_decoder";
import { QuipuError } from "../../errors.js";
import { checkedUtf8, stdinChunks } from "../byte-input.js";
import { type Entry, EntryReader } from "./entries.js";

export interface ChatSource {
  /** The next entry; undefined where the user leaves. @throws {QuipuError} ERR_ABORTED, ERR_USAGE */
  next(): Promise<Entry | undefined>;
  /** Does work that Ctrl-C ends by calling `stop`. What is entered meanwhile waits. */
  during<T>(stop: () => void, work: () => Promise<T>): Promise<T>;
  /** Puts a text into the next entry, to be changed; false where nobody could. */
  prefill(text: string): boolean;
  close(): void;
}

/** Characters of a line; a pipe without end has no newline either. */
const LONGEST_LINE = 2 ** 28;

/** stdin that is no terminal: a message or a command a line, each taken when the one before is done with. Ctrl-C ends the program, as everywhere. */
export class LineSource implements ChatSource {
  readonly #lines: AsyncIterator<string>;
  readonly #reader = new EntryReader();

  constructor(signal: AbortSignal) {
    this.#lines = linesOf(checkedUtf8(stdinChunks(signal, { expected: true }), "stdin"));
  }

  async next(): Promise<Entry | undefined> {
    for (;;) {
      const { value: line, done } = await this.#lines.next();
      if (done && !this.#reader.isOpen) return undefined;
      if (done) throw new QuipuError("ERR_USAGE", 'stdin: it ends in the middle of a text that begins with """');
      const entry = this.#reader.push(line);
      if (entry !== undefined) return entry;
    }
  }

  during<T>(_stop: () => void, work: () => Promise<T>): Promise<T> {
    return work();
  }

  prefill(): boolean {
    return false;
  }

  close(): void {
    process.stdin.destroy();
  }
}

async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new StringDecoder("utf8");
  let open = "";
  for await (const chunk of chunks) {
    const [first = "", ...others] = decoder.write(Buffer.from(chunk)).split("\n");
    open += first;
    for (const next of others) {
      yield open.replace(/\r$/, "");
      open = next;
    }
    if (open.length > LONGEST_LINE) throw new QuipuError("ERR_USAGE", "stdin: a line of more than 256 Mi characters");
  }
  if (open !== "") yield open;
}
