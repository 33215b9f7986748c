// Files that are not trusted: examined before they are opened, bounded before they are read, and every error of the
// system is a QuipuError that names the file and the cause. A pipe or a device would be waited for, or read, for ever.
import {
  type BigIntStats,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
  readSync,
  statSync,
} from "node:fs";
import { type FileHandle, open, readdir } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { QuipuError, type QuipuErrorCode } from "../errors.js";

/** What a path leads to, links followed. */
export type Found =
  | { readonly kind: "absent" }
  | { readonly kind: "folder" }
  | { readonly kind: "file"; readonly size: number }
  /** A link that leads nowhere, a pipe, a device or a socket; `problem` follows the path in a sentence. */
  | { readonly kind: "unreadable"; readonly problem: string };

export interface OpenedFile {
  readonly file: FileHandle;
  readonly size: number;
}

// What is no regular file may have taken the path's place since it was looked at: then opening it must not wait.
const FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);
const CHUNK = 2 ** 20;

/** @throws {QuipuError} `code` where the system does not say. */
export function examine(path: string, code: QuipuErrorCode): Found {
  try {
    const info = statSync(path);
    if (info.isFile()) return { kind: "file", size: info.size };
    if (info.isDirectory()) return { kind: "folder" };
    return { kind: "unreadable", problem: `is ${kindOf(info)}: expected a file` };
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code;
    if (why !== "ENOENT" && why !== "ELOOP") throw systemError(path, "cannot be examined", cause, code);
    const target = targetOf(path);
    if (target === undefined) return { kind: "absent" };
    if (why === "ELOOP") return { kind: "unreadable", problem: `is a link to ${target}, which leads back to itself` };
    return { kind: "unreadable", problem: describeDangling(path, target) };
  }
}

/**
 * What tells a file, and what is in it, from all others without reading it: device, inode, size, time of change. Empty where nothing is.
 *
 * @throws {Error} the system's, where it does not say.
 */
export function identify(path: string): string {
  const info = statSync(path, { bigint: true, throwIfNoEntry: false });
  return info === undefined ? "" : identityOf(info);
}

/** {@link identify}, of a file that is open. */
export function identityOf({ dev, ino, size, mtimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs].join(":");
}

/**
 * The size of a regular file; undefined where nothing is.
 *
 * @throws {QuipuError} `code` for anything else than a file.
 */
export function fileSize(path: string, code: QuipuErrorCode): number | undefined {
  const found = examine(path, code);
  if (found.kind === "file") return found.size;
  if (found.kind === "absent") return undefined;
  throw new QuipuError(code, `${path}: ${found.kind === "folder" ? "is a folder: expected a file" : found.problem}`);
}

/**
 * Opens a regular file; undefined where nothing is.
 *
 * @throws {QuipuError} `code` for anything else, and where it cannot be opened.
 */
export async function openFile(path: string, code: QuipuErrorCode): Promise<OpenedFile | undefined> {
  if (fileSize(path, code) === undefined) return undefined;
  let file: FileHandle;
  try {
    file = await open(path, FLAGS);
  } catch (cause) {
    throw systemError(path, "cannot be opened", cause, code);
  }
  try {
    const info = await file.stat();
    if (!info.isFile()) throw new QuipuError(code, `${path}: is ${kindOf(info)}: expected a file`);
    return { file, size: info.size };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * The bytes of a regular file; undefined where nothing is.
 *
 * @param limit how many there may be: also of a file whose size the system does not tell.
 * @throws {QuipuError} `code` for more, for anything but a file, and where it cannot be read.
 */
export async function readWhole(path: string, limit: number, code: QuipuErrorCode): Promise<Buffer | undefined> {
  const opened = await openFile(path, code);
  if (opened === undefined) return undefined;
  const { file, size } = opened;
  try {
    if (size > limit) throw new QuipuError(code, `${path}: ${size} bytes: expected at most ${limit}`);
    const parts: Buffer[] = [];
    let length = 0;
    for (;;) {
      const wanted = Math.min(Math.max(size + 1 - length, 4096), CHUNK);
      const part = await readAt(path, file, length, wanted, code);
      parts.push(part);
      length += part.length;
      if (length > limit) throw new QuipuError(code, `${path}: more than ${limit} bytes`);
      if (part.length < wanted) return parts.length === 1 ? part : Buffer.concat(parts, length);
    }
  } finally {
    await file.close();
  }
}

/** Up to `length` bytes from `position` on; fewer only at the end of the file. @throws {QuipuError} `code` */
export async function readAt(
  path: string,
  file: FileHandle,
  position: number,
  length: number,
  code: QuipuErrorCode,
): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    let bytesRead: number;
    try {
      ({ bytesRead } = await file.read(buffer, done, length - done, position + done));
    } catch (cause) {
      throw systemError(path, "cannot be read", cause, code);
    }
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return buffer.subarray(0, done);
}

/** The first bytes of a regular file, at most `length`; undefined where nothing is. @throws {QuipuError} `code` */
export function readStart(path: string, length: number, code: QuipuErrorCode): Buffer | undefined {
  if (fileSize(path, code) === undefined) return undefined;
  let file: number | undefined;
  try {
    file = openSync(path, FLAGS);
    const info = fstatSync(file);
    if (!info.isFile()) throw new QuipuError(code, `${path}: is ${kindOf(info)}: expected a file`);
    const buffer = Buffer.alloc(length);
    return buffer.subarray(0, readSync(file, buffer, 0, length, 0));
  } catch (cause) {
    if (cause instanceof QuipuError) throw cause;
    throw systemError(path, "cannot be read", cause, code);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** The names in the folder of a checkpoint, in order. @throws {QuipuError} ERR_MODEL_NOT_FOUND */
export async function listFolder(dir: string): Promise<string[]> {
  const found = examine(dir, "ERR_MODEL_NOT_FOUND");
  const fail = (problem: string) => new QuipuError("ERR_MODEL_NOT_FOUND", problem);
  if (found.kind === "absent") throw fail(`${dir}: no such folder`);
  if (found.kind === "unreadable") throw fail(`${dir} ${found.problem}`);
  if (found.kind === "file") throw fail(`${dir} is a file: expected a folder with config.json and *.safetensors`);
  try {
    return (await readdir(dir)).sort();
  } catch (cause) {
    throw systemError(dir, "cannot be read", cause, "ERR_MODEL_NOT_FOUND");
  }
}

/** An error of the system, by the file that it is about. */
export function systemError(path: string, what: string, cause: unknown, code: QuipuErrorCode): QuipuError {
  const why = (cause as Error | undefined)?.message ?? String(cause);
  return new QuipuError(code, `${path}: ${what}: ${why}`, { cause });
}

function kindOf(info: {
  isDirectory(): boolean;
  isFIFO(): boolean;
  isSocket(): boolean;
  isCharacterDevice(): boolean;
  isBlockDevice(): boolean;
}): string {
  if (info.isDirectory()) return "a folder";
  if (info.isFIFO()) return "a named pipe";
  if (info.isSocket()) return "a socket";
  return info.isCharacterDevice() || info.isBlockDevice() ? "a device" : "no regular file";
}

/** Where a symbolic link points to; undefined for what is no link. */
function targetOf(path: string): string | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : undefined;
  } catch {
    return undefined; // nothing is there, not even a link
  }
}

function describeDangling(path: string, target: string): string {
  const partly = existsSync(`${resolve(dirname(path), target)}.incomplete`);
  return `is a link to ${target}, which does not exist${partly ? ": its download is incomplete" : ""}. Fetch the file again.`;
}
