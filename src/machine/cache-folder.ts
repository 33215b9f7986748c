// The cache folder: prepared files (native/core/prepared_file.h), each in the folder of its kind, named by what it is made of. It
// holds so many bytes and no more; what was not used for longest leaves first. A file's times say when it was last used.
import { createHash } from "node:crypto";
import { lstatSync, readdirSync, statfsSync, unlinkSync, utimesSync } from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { QuipuError } from "../errors.js";
import { makeFolder } from "./make-folder.js";
import { availableMemory } from "./process-limits.js";

/** Folders of the cache, by the ends of the names in them. */
const KINDS = { tokenizers: "tables", weights: "packed" } as const;

export type CacheKind = keyof typeof KINDS;

/** The most that the cache may hold, and which part of the disk's free bytes, its own counted as free. */
const [MOST_BYTES, SHARE] = [20e9, 1 / 5];
/** What is not there under its own name after a day is left over from a process that was killed. */
const LEFT_OVER_MS = 24 * 3600 * 1000;
/** What the system calls a disk of memory (TMPFS_MAGIC of linux/magic.h). */
const TMPFS = 0x01021994;

export interface CachedFile {
  readonly path: string;
  readonly kind: CacheKind;
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly used: number;
  /** Whether it is being written, or was when its process was killed. */
  readonly partial: boolean;
}

/** QUIPU_CACHE, else quipu in the user's cache folder. @throws {QuipuError} ERR_USAGE where the user has none. */
export function cacheFolder(): string {
  const { QUIPU_CACHE } = process.env;
  return QUIPU_CACHE ? resolve(QUIPU_CACHE) : join(userCacheFolder(), "quipu");
}

function userCacheFolder(): string {
  const { XDG_CACHE_HOME = "" } = process.env;
  if (isAbsolute(XDG_CACHE_HOME)) return XDG_CACHE_HOME; // a relative one is to be ignored (XDG Base Directory Specification)
  let home = "";
  attempt(() => {
    home = homedir();
  });
  if (isAbsolute(home)) return join(home, ".cache");
  throw new QuipuError("ERR_USAGE", "there is no cache folder, as the user has no home folder. QUIPU_CACHE names one.");
}

/** Where a file of that kind lies that is named by `key`. @throws {QuipuError} as {@link cacheFolder} does. */
export function cachePath(kind: CacheKind, key: string): string {
  const name = createHash("sha256").update(key).digest("hex").slice(0, 32);
  return join(cacheFolder(), kind, `${name}.${KINDS[kind]}`);
}

/** Makes the folder that a file is to be in; says what keeps it from that. */
export function makeFolderOf(path: string): string | undefined {
  return attempt(() => makeFolder(dirname(path)));
}

/** Notes that it is used now, where the folder may be written. */
export function noteUse(path: string): void {
  const now = new Date();
  attempt(() => utimesSync(path, now, now));
}

/** All files of the cache, the one that was not used for longest first; none where there is no folder. @throws {Error} the system's. */
export function cachedFiles(): CachedFile[] {
  const files = (Object.keys(KINDS) as CacheKind[]).flatMap((kind) => {
    const folder = join(cacheFolder(), kind);
    return namesIn(folder).flatMap((name) => {
      const info = lstatSync(join(folder, name), { throwIfNoEntry: false });
      if (info === undefined || !info.isFile() || !isOurs(name, kind)) return [];
      const partial = !name.endsWith(`.${KINDS[kind]}`);
      return [{ path: join(folder, name), kind, bytes: info.size, used: info.mtimeMs, partial }];
    });
  });
  return files.sort((a, b) => a.used - b.used || (a.path < b.path ? -1 : 1));
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return [];
    throw error;
  }
}

/** "<hash>.packed", and while it gets its name "<hash>.packed.AbCdEf": nothing else there is ours to remove. */
function isOurs(name: string, kind: CacheKind): boolean {
  const [hash = "", end, random, ...more] = name.split(".");
  return /^[0-9a-f]{32}$/.test(hash) && end === KINDS[kind] && more.length === 0 && random !== "";
}

/** Removes one; whoever has it mapped keeps it. @throws {Error} the system's. */
export function removeCached({ path }: { readonly path: string }): void {
  try {
    unlinkSync(path); // Node's rmSync says ENOTDIR where the system says EPERM
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

/** Whether a process that was killed has left it. */
export function isLeftOver({ partial, used }: CachedFile): boolean {
  return partial && Date.now() - used > LEFT_OVER_MS;
}

/**
 * The most that the cache may hold: twenty gigabytes, or a fifth of what its disk would have free without it. A disk of memory has no more
 * than this process may take: the system ends who takes more.
 */
export function cacheLimit(files: readonly CachedFile[]): number {
  const { bavail, bsize, type } = statfsSync(cacheFolder());
  const free = type === TMPFS ? Math.min(bavail * bsize, availableMemory()) : bavail * bsize;
  return Math.floor(Math.min(MOST_BYTES, SHARE * (free + sizeOf(files))));
}

/**
 * Removes what was not used for longest, until a file of `bytes` fits that takes the place of `path`; nothing where it cannot fit. What
 * cannot be removed stays. Says what keeps it from that.
 */
export function makeRoom(path: string, bytes: number): string | undefined {
  return attempt(() => {
    const files = cachedFiles();
    const limit = cacheLimit(files);
    if (bytes > limit) {
      throw new Error(
        `${basename(path)} would have ${bytes} bytes, the cache may have ${limit}: 20 GB, or a fifth of the free disk`,
      );
    }
    let left = sizeOf(files.filter((file) => file.path !== path));
    let problem: string | undefined;
    for (const file of files) {
      if (file.partial ? !isLeftOver(file) : file.path !== path && left + bytes <= limit) continue;
      const stays = attempt(() => removeCached(file));
      if (stays !== undefined) problem ??= stays;
      else if (file.path !== path) left -= file.bytes;
    }
    if (problem !== undefined && left + bytes > limit) throw new Error(problem);
  });
}

function sizeOf(files: readonly CachedFile[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** The message of the error that it throws. */
function attempt(action: () => void): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
