// A file's parts are fetched side by side and handed on one after another: those that come early wait in memory for their turn.
import { abortedError } from "../../errors.js";
import { bytesFrom, type HubClient, type HubFile, type OpenRange } from "./client.js";
import { PassingFailure } from "./http.js";

/** Large enough that a round trip hardly counts, small enough that those which wait for their turn fit into memory. */
const PART_BYTES = 8 * 2 ** 20;
/** Of a part, with nothing gained: half a minute. */
const ATTEMPTS = 6;

/** Requests that may be open, and parts that may be in memory, of all files of a pull together. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async take(): Promise<void> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  give(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }
}

export interface PartsOfFile {
  readonly client: HubClient;
  readonly repo: string;
  readonly commit: string;
  readonly file: HubFile;
  readonly slots: Slots;
  readonly signal?: AbortSignal | undefined;
  /** Bytes of a part; for tests. */
  readonly partBytes?: number | undefined;
}

/** Takes what has come, which goes to `position` of the file, directly after what came before. */
export type WriteChunks = (chunks: readonly Buffer[], position: number) => Promise<void>;

/**
 * Fetches a file from byte `there` to its end.
 *
 * @throws {QuipuError} ERR_PULL, ERR_ABORTED; and whatever `write` throws.
 */
export function fetchParts(given: PartsOfFile, there: number, write: WriteChunks): Promise<void> {
  return new Parts(given, there, write).run();
}

/** A range that is fetched, and what of it waits to be written. */
class Part {
  readonly first: number;
  /** The byte after its last. */
  end: number;
  received = 0;
  failure: unknown;
  #chunks: Buffer[] = [];
  #waiting = 0;
  #drained: () => void = () => {};

  constructor(first: number, end: number) {
    this.first = first;
    this.end = end;
  }

  /** Where it goes on. */
  get at(): number {
    return this.first + this.received;
  }

  get isIdle(): boolean {
    return this.#chunks.length === 0 && this.failure === undefined;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#waiting += chunk.length;
    this.received += chunk.length;
  }

  take(): Buffer[] {
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#waiting = 0;
    this.#drained();
    return chunks;
  }

  /** Waits while more than so many bytes are not taken. */
  async drained(most: number): Promise<void> {
    if (this.#waiting <= most) return;
    await new Promise<void>((resolve) => {
      this.#drained = resolve;
    });
  }
}

class Parts {
  readonly #given: PartsOfFile;
  readonly #write: WriteChunks;
  /** Of this file: what else ends it than the caller. */
  readonly #controller = new AbortController();
  readonly #partBytes: number;
  readonly #queue: Part[] = [];
  #next: number;
  #written: number;
  /** Where the file was found, if the hub leads elsewhere. */
  #known: URL | undefined;
  #wake: () => void = () => {};

  constructor(given: PartsOfFile, there: number, write: WriteChunks) {
    this.#given = given;
    this.#write = write;
    this.#partBytes = given.partBytes ?? PART_BYTES;
    this.#next = there;
    this.#written = there;
  }

  async run(): Promise<void> {
    const { signal, file, slots } = this.#given;
    const abort = () => {
      this.#controller.abort(signal?.reason);
      this.#wake();
    };
    signal?.addEventListener("abort", abort, { once: true });
    try {
      if (this.#written < file.size) void this.#startAll();
      while (this.#written < file.size) {
        if (signal?.aborted) throw abortedError(signal);
        const [head] = this.#queue;
        if (head !== undefined && !head.isIdle) await this.#writeHead(head);
        else await this.#news();
      }
    } finally {
      signal?.removeEventListener("abort", abort);
      this.#controller.abort();
      for (const part of this.#queue) {
        part.take();
        slots.give();
      }
    }
  }

  #news(): Promise<void> {
    return new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  /** What has come of the first part. Its failure counts when all before it is written. */
  async #writeHead(head: Part): Promise<void> {
    const chunks = head.take();
    if (chunks.length === 0) throw head.failure;
    await this.#write(chunks, this.#written);
    this.#written += chunks.reduce((sum, { length }) => sum + length, 0);
    if (this.#written < head.end) return;
    this.#queue.shift();
    this.#given.slots.give();
  }

  /** One part, whose answer tells whether the server knows ranges; then as many as there are slots for. */
  async #startAll(): Promise<void> {
    const { file, slots } = this.#given;
    const { signal } = this.#controller;
    while (this.#next < file.size) {
      await slots.take();
      if (signal.aborted || this.#next >= file.size) return slots.give();
      const part = new Part(this.#next, Math.min(file.size, this.#next + this.#partBytes));
      this.#next = part.end;
      this.#queue.push(part);
      await new Promise<void>((answered) => {
        const isFirst = this.#queue.length === 1 && part.received === 0;
        if (!isFirst) answered();
        this.#fetch(part, answered).catch((failure: unknown) => {
          part.failure = failure;
          this.#wake();
          answered();
        });
      });
      if (part.failure !== undefined) return;
    }
  }

  async #fetch(part: Part, answered: () => void): Promise<void> {
    const { client } = this.#given;
    const { signal } = this.#controller;
    await client.retrying(ATTEMPTS, signal, async (progressed) => {
      const opened = await this.#open(part);
      answered();
      for await (const chunk of bytesFrom(opened, part.at, signal)) {
        part.push(chunk.subarray(0, part.end - part.at));
        progressed();
        this.#wake();
        if (part.at === part.end) return;
        await part.drained(this.#partBytes);
      }
      throw new PassingFailure(
        `${opened.url.host}: ${this.#given.file.path} ended at byte ${part.at}, before byte ${part.end}`,
      );
    });
  }

  async #open(part: Part): Promise<OpenRange> {
    const { client, repo, commit, file } = this.#given;
    const known = this.#known;
    try {
      const last = part.end - 1;
      const opened = await client.openRange(repo, commit, file.path, part.at, last, this.#controller.signal, known);
      if (opened.url.origin !== client.endpoint.origin) this.#known = opened.url;
      if (opened.isWhole && this.#next === part.end) {
        // The server knows no ranges: one answer has all, and to ask for other parts would bring as many copies.
        part.end = file.size;
        this.#next = file.size;
      }
      return opened;
    } catch (error) {
      if (this.#known === known) this.#known = undefined;
      throw error;
    }
  }
}
