// One file of a repository to a file on disk, verified. What is there is always the file's beginning (parts.ts): a download that was
// killed, by whoever, goes on where that ends; the hash is computed on the way.
import { createHash, type Hash } from "node:crypto";
import { type FileHandle, open, rm } from "node:fs/promises";
import { abortedError, QuipuError } from "../../errors.js";
import type { FileHash, HubFile } from "./client.js";
import { fetchParts, type PartsOfFile } from "./parts.js";
import { writeFailure, writing } from "./write-failure.js";

const READ_BYTES = 2 ** 20;
/** Of a file whose bytes were not those that the hub names. */
const MOST_PASSES = 2;

export interface Download extends PartsOfFile {
  /** Where it goes; what is there is its beginning. */
  readonly partial: string;
  /** Told how many bytes are there. */
  readonly onBytes?: ((done: number) => void) | undefined;
  /** Told of what was wrong and is mended. */
  readonly onNotice?: ((message: string) => void) | undefined;
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
    await fetchParts(given, there, async (chunks, position) => {
      for (const chunk of chunks) hasher.update(chunk);
      await writing(partial, () => writeAll(handle, chunks, position));
      given.onBytes?.(chunks.reduce((sum, { length }) => sum + length, position));
    });
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
