// One file of a repository to a file on disk: its parts are fetched side by side and written one after another, so that what is there
// is always the file's beginning. A download that was killed, by whoever, goes on where that ends; the hash is computed on the way.
import { createHash, type Hash } from "node:crypto";
import { type FileHandle, open, rm } from "node:fs/promises";
import { abortedError, QuipuError } from "../../errors.js";
import type { FileHash, HubClient, HubFile, OpenRange } from "./client.js";
import { connectionFailure, PassingFailure } from "./http.js";

/** Large enough that a round trip hardly counts, small enough that those which wait for their turn fit into memory. */
const PART_BYTES = 8 * 2 ** 20;
const READ_BYTES = 2 ** 20;
/** Of a part, with nothing gained: half a minute. */
const ATTEMPTS = 6;
/** Of a file whose bytes were not those that the hub names. */
const MOST_PASSES = 2;

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

export interface Download {
  readonly client: HubClient;
  readonly repo: string;
  readonly commit: string;
  readonly file: HubFile;
  /** Where it goes; what is there is its beginning. */
  readonly partial: string;
  readonly slots: Slots;
  /** Told how many bytes are there. */
  readonly onBytes?: ((done: number) => void) | undefined;
  /** Told of what was wrong and is mended. */
  readonly onNotice?: ((message: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Bytes of a part; for tests. */
  readonly partBytes?: number | undefined;
}

/**
 * Fetches the file, or what is missing of it, and verifies it.
 *
 * @returns how many bytes were fetched.
 * @throws {QuipuError} ERR_PULL: what is fetched so far stays in place, but where it is wrong; ERR_ABORTED.
 */
export async function download(given: Download): Promise<number> {
  const { file, partial, onNotice } = given;
  let fetched = 0;
  for (let pass = 1; ; pass++) {
    const { bytes, problem } = await fetchOnce(given);
    fetched += bytes;
    if (problem === undefined) return fetched;
    await rm(partial, { force: true });
    const message = `${file.path}: ${problem}`;
    if (pass >= MOST_PASSES) {
      throw new QuipuError(
        "ERR_PULL",
        `${message}. It was fetched ${pass} times, and is not kept. Is there a proxy that alters files?`,
      );
    }
    onNotice?.(`${message}; fetching it anew`);
  }
}

async function fetchOnce(given: Download): Promise<{ bytes: number; problem: string | undefined }> {
  const { file, partial, signal } = given;
  const handle = await openPartial(partial);
  try {
    const hasher = new FileHasher(file);
    const there = await readBeginning(handle, file.size, hasher, signal);
    given.onBytes?.(there);
    await new Parts(given, handle, hasher, there).run();
    // After a power cut a file must not have its name without its bytes.
    await writing(partial, () => handle.sync());
    return { bytes: file.size - there, problem: hasher.problem() };
  } catch (error) {
    const { size } = await handle.stat();
    if (size === 0) await rm(partial, { force: true }); // nothing to go on from
    throw error;
  } finally {
    await handle.close();
  }
}

async function openPartial(path: string): Promise<FileHandle> {
  try {
    return await open(path, "r+");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw writeFailure(path, error);
  }
  return writing(path, () => open(path, "wx+"));
}

/** How many bytes are there and could be the file's; they are hashed. */
async function readBeginning(
  handle: FileHandle,
  size: number,
  hasher: FileHasher,
  signal?: AbortSignal,
): Promise<number> {
  const { size: there } = await handle.stat();
  if (there > size) {
    await handle.truncate(0);
    return 0;
  }
  const buffer = Buffer.alloc(Math.min(READ_BYTES, there));
  for (let at = 0; at < there; ) {
    if (signal?.aborted) throw abortedError(signal);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) throw new QuipuError("ERR_PULL", "a partial file has become shorter while it was read");
    hasher.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
  return there;
}

/** Verifies a whole file. @throws {QuipuError} ERR_ABORTED */
export async function isIntact(path: string, file: HubFile, signal?: AbortSignal): Promise<boolean> {
  const handle = await open(path, "r");
  try {
    const { size } = await handle.stat();
    if (size !== file.size) return false;
    const hasher = new FileHasher(file);
    await readBeginning(handle, size, hasher, signal);
    return hasher.problem() === undefined;
  } finally {
    await handle.close();
  }
}

class FileHasher {
  readonly #expected: FileHash | undefined;
  readonly #hash: Hash | undefined;

  constructor({ hash, size }: HubFile) {
    this.#expected = hash;
    if (hash?.kind === "sha256") this.#hash = createHash("sha256");
    if (hash?.kind === "git-sha1") this.#hash = createHash("sha1").update(`blob ${size}\0`);
  }

  update(bytes: Uint8Array): void {
    this.#hash?.update(bytes);
  }

  /** To be called once, at the end. */
  problem(): string | undefined {
    const got = this.#hash?.digest("hex");
    const expected = this.#expected?.hex;
    return got === expected
      ? undefined
      : `its bytes are wrong: expected ${this.#expected?.kind} ${expected}, got ${got}`;
  }
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
  readonly #given: Download;
  readonly #handle: FileHandle;
  readonly #hasher: FileHasher;
  /** Of this file: what else ends it than the caller. */
  readonly #controller = new AbortController();
  readonly #partBytes: number;
  readonly #queue: Part[] = [];
  #next: number;
  #written: number;
  /** Where the file was found, if the hub leads elsewhere. */
  #known: URL | undefined;
  #wake: () => void = () => {};

  constructor(given: Download, handle: FileHandle, hasher: FileHasher, there: number) {
    this.#given = given;
    this.#handle = handle;
    this.#hasher = hasher;
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
        if (head !== undefined && !head.isIdle) await this.#write(head);
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
  async #write(head: Part): Promise<void> {
    const { file, partial, slots, onBytes } = this.#given;
    const chunks = head.take();
    if (chunks.length === 0) throw head.failure;
    for (const chunk of chunks) this.#hasher.update(chunk);
    await writing(partial, () => writeAll(this.#handle, chunks, this.#written));
    this.#written += chunks.reduce((sum, { length }) => sum + length, 0);
    onBytes?.(Math.min(this.#written, file.size));
    if (this.#written < head.end) return;
    this.#queue.shift();
    slots.give();
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
      const { body, first, isWhole, url } = await this.#open(part);
      answered();
      let skip = part.at - first;
      try {
        for await (const chunk of body as AsyncIterable<Buffer>) {
          const from = Math.min(skip, chunk.length);
          skip -= from;
          const wanted = chunk.subarray(from, from + part.end - part.at);
          if (isWhole && part.at === part.end) return; // the rest belongs to other parts
          if (wanted.length === 0) continue;
          part.push(wanted);
          progressed();
          this.#wake();
          await part.drained(this.#partBytes);
        }
      } catch (error) {
        if (part.at < part.end) throw connectionFailure(url, error, signal);
      }
      if (part.at === part.end) return; // read to its end, so that the connection can be used again
      throw new PassingFailure(
        `${url.host}: ${this.#given.file.path} ended at byte ${part.at}, before byte ${part.end}`,
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

async function writeAll(handle: FileHandle, chunks: readonly Buffer[], position: number): Promise<void> {
  let at = position;
  for (const chunk of chunks) {
    for (let done = 0; done < chunk.length; ) {
      const { bytesWritten } = await handle.write(chunk, done, chunk.length - done, at);
      done += bytesWritten;
      at += bytesWritten;
    }
  }
}

/** @throws {QuipuError} ERR_PULL where the system refuses. */
export async function writing<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw writeFailure(path, error);
  }
}

export function writeFailure(path: string, cause: unknown): QuipuError {
  const { code = "", message } = cause as NodeJS.ErrnoException;
  const advice = "HF_HUB_CACHE names another folder for the cache";
  const full = ["ENOSPC", "EDQUOT"].includes(code);
  const why = full
    ? `the disk is full (${message}). What has been fetched is kept; free some space, or`
    : `cannot be written: ${message}.`;
  return new QuipuError("ERR_PULL", `${path}: ${why} ${full ? `set HF_HUB_CACHE: ${advice}` : advice}.`, { cause });
}
