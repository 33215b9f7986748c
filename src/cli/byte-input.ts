// Bytes of files and of stdin as they come, and the check that they are UTF-8.
import { isUtf8 } from "node:buffer";
import { constants, createReadStream, fstatSync, openSync, readFileSync, statSync } from "node:fs";
import { Socket } from "node:net";
import { QuipuError } from "../errors.js";
import { incompleteEnd, invalidAt } from "../utf8.js";

/** Milliseconds without a byte on stdin, beside a prompt in the arguments, until a hint. */
const SILENCE = 5000;

/** Bytes that are read whole. */
const MOST = 2 ** 28;

/** Of a file, at a time. */
const CHUNK = 2 ** 20;

/**
 * @param expected without it, a stdin on which nothing arrives for a while may never be written or closed: a hint says so.
 * @throws {QuipuError} ERR_ABORTED as soon as `signal` says so.
 */
export async function* stdinChunks(
  signal: AbortSignal,
  { expected }: { expected: boolean },
): AsyncGenerator<Uint8Array> {
  const hint = setTimeout(() => {
    if (!expected) process.stderr.write("quipu: waiting for the end of stdin; --no-stdin leaves it alone\n");
  }, SILENCE).unref();
  const aborted = () => new QuipuError("ERR_ABORTED", "interrupted while reading stdin");
  const abort = () => process.stdin.destroy(aborted());
  signal.addEventListener("abort", abort, { once: true });
  try {
    if (signal.aborted) throw aborted();
    for await (const chunk of process.stdin) {
      clearTimeout(hint);
      yield chunk as Buffer;
    }
  } finally {
    clearTimeout(hint);
    signal.removeEventListener("abort", abort);
  }
}

/** The length of stdin, where it is a file. */
export function stdinBytes(): number | undefined {
  try {
    const stdin = fstatSync(0);
    return stdin.isFile() ? stdin.size : undefined;
  } catch {
    return undefined; // closed
  }
}

/** @throws {InputError} where it cannot be read. */
export async function* fileChunks(file: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of openFile(file)) yield chunk as Buffer;
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

/** Opening a pipe blocks until it has a writer, on a pool thread that not even process.exit ends; a socket can be abandoned. */
export function openFile(file: string): AsyncIterable<Uint8Array> {
  if (!statSync(file, { throwIfNoEntry: false })?.isFIFO()) return createReadStream(file, { highWaterMark: CHUNK });
  return new Socket({ fd: openSync(file, constants.O_RDONLY | constants.O_NONBLOCK), readable: true, writable: false });
}

/** ERR_USAGE: a file, or stdin, that cannot be read or is no text. What else is asked for can be done without it. */
export class InputError extends QuipuError {
  constructor(message: string, options?: ErrorOptions) {
    super("ERR_USAGE", message, options);
  }
}

export function unreadable(file: string, cause: unknown): InputError {
  return new InputError(`-f ${file}: cannot be read: ${(cause as Error).message}`, { cause });
}

/**
 * @param from names the bytes in errors.
 * @throws {QuipuError} ERR_USAGE for more than 256 MiB: a device or a pipe without end, which would only fill the memory.
 */
export async function concatenated(chunks: AsyncIterable<Uint8Array>, from: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    parts.push(chunk);
    bytes += chunk.length;
    if (bytes > MOST) {
      throw new QuipuError("ERR_USAGE", `${from}: more than ${MOST / 2 ** 20} MiB, which no model's context holds`);
    }
  }
  return Buffer.concat(parts);
}

/**
 * The chunks, cut between characters.
 *
 * @param from names them in errors.
 * @throws {QuipuError} ERR_USAGE with the offset of the first wrong byte.
 */
export async function* checkedUtf8(chunks: AsyncIterable<Uint8Array>, from: string): AsyncGenerator<Uint8Array> {
  let before = 0;
  let open: Uint8Array = new Uint8Array(); // the beginning of a character that the next chunk ends
  for await (const chunk of chunks) {
    const bytes = open.length === 0 ? chunk : Buffer.concat([open, chunk]);
    const end = bytes.length - incompleteEnd(bytes);
    const whole = bytes.subarray(0, end);
    if (!isUtf8(whole)) throw invalidUtf8(whole, from, before);
    open = bytes.slice(end);
    before += end;
    if (end > 0) yield whole;
  }
  if (open.length > 0) throw invalidUtf8(open, from, before);
}

/** UTF-8 to text, a byte-order mark kept. @throws {QuipuError} ERR_USAGE with the offset of the first wrong byte. */
export function decode(bytes: Uint8Array, from: string): string {
  if (!isUtf8(bytes)) throw invalidUtf8(bytes, from, 0);
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

/**
 * Node gives arguments as text, with U+FFFD for what is no UTF-8: the bytes tell that from a U+FFFD that the user has typed.
 *
 * @throws {QuipuError} ERR_USAGE
 */
export function checkArguments(args: readonly string[]): void {
  if (!args.some((argument) => argument.includes("\uFFFD"))) return;
  let line: string;
  try {
    line = readFileSync("/proc/self/cmdline", "latin1");
  } catch {
    return; // not Linux: nothing to compare with
  }
  const given = line.split("\0").slice(0, -1).slice(-args.length);
  for (const [i, bytes] of given.entries()) {
    const after = given[i - 1]?.startsWith("-") ? ` after ${given[i - 1]}` : "";
    decode(Buffer.from(bytes, "latin1"), `the argument${after}`);
  }
}

function invalidUtf8(bytes: Uint8Array, from: string, before: number): InputError {
  const offset = invalidAt(bytes);
  const byte = bytes[offset]!.toString(16).padStart(2, "0");
  return new InputError(
    `${from}: not valid UTF-8 at byte ${before + offset} (0x${byte}). Convert it first, for example with iconv.`,
  );
}
