// What lies in the cache folder: to list, and to remove.
import { existsSync, readdirSync, realpathSync } from "node:fs";
import { join, sep } from "node:path";
import { path as aPath, type Kinds, pathOf, readOptions, real, whole } from "../arguments.js";
import { identify } from "../checkpoint/file.js";
import { namedCheckpoint } from "../checkpoint/hub.js";
import { isQuipuError } from "../errors.js";
import { type CachedFile, type CacheKind, cachedFiles, isLeftOver, removeCached } from "../machine/cache-folder.js";
import { PreparedFile } from "../machine/prepared-file.js";
import { modelFolder } from "./model-folder.js";

export interface CacheEntry {
  readonly path: string;
  /** Packed weights, or the tables of a vocabulary. */
  readonly kind: CacheKind;
  readonly bytes: number;
  /** When it was last used, or made. */
  readonly used: Date;
  /** The files that it was made of; none where it does not say. */
  readonly files: readonly string[];
  /** The formats of weights that are packed. */
  readonly formats: readonly string[];
  /**
   * Whether it can be used: "current"; "changed" where its files are others now, and it is made anew when they are loaded; "gone" where one
   * is no longer there; "partial" while it is written; "left" by a process that was killed; "damaged" where it does not say what it is.
   */
  readonly state: "current" | "changed" | "gone" | "partial" | "left" | "damaged";
}

export interface PruneOptions {
  /** Also what was not used for so many milliseconds. */
  readonly olderThanMs?: number | undefined;
  /** Also what was not used for longest, until so many bytes are left. */
  readonly maxBytes?: number | undefined;
  /** Also what was made of this model: its folder, or its name, also that in the hub's cache. */
  readonly model?: string | URL | undefined;
}

export const PRUNE_OPTIONS: Kinds<PruneOptions> = {
  olderThanMs: real(0, Number.POSITIVE_INFINITY),
  maxBytes: whole(0),
  model: aPath,
};

/** The files of the cache folder (QUIPU_CACHE, else `quipu` in the user's), the one that was not used for longest first. */
export function listCache(): CacheEntry[] {
  return cachedFiles().map(entryOf);
}

/**
 * Removes what cannot be used any more, as its files are gone or others, or a process was killed; and what the options name. Who uses a
 * file keeps it until it ends.
 *
 * @returns what was removed.
 * @throws {QuipuError} ERR_USAGE, ERR_MODEL_NOT_FOUND; {Error} the system's, where a file cannot be removed; the others are.
 */
export function pruneCache(given?: PruneOptions): CacheEntry[] {
  const { olderThanMs, maxBytes, model } = readOptions<PruneOptions>("pruneCache", given, PRUNE_OPTIONS);
  const entries = listCache().filter(({ state }) => state !== "partial");
  const isOf = model === undefined ? () => false : filesOf(model);
  let left = entries.reduce((sum, { bytes }) => sum + bytes, 0);
  const problems: unknown[] = [];
  const removed = entries.filter((entry) => {
    const tooOld = olderThanMs !== undefined && Date.now() - entry.used.getTime() > olderThanMs;
    const tooMuch = maxBytes !== undefined && left > maxBytes;
    if (entry.state === "current" && !tooOld && !tooMuch && !entry.files.some(isOf)) return false;
    try {
      removeCached(entry);
    } catch (error) {
      problems.push(error);
      return false;
    }
    left -= entry.bytes;
    return true;
  });
  if (problems.length > 0) throw problems[0];
  return removed;
}

/** Removes everything but what is being written. @returns what was removed. @throws as {@link pruneCache} does. */
export function clearCache(): CacheEntry[] {
  return pruneCache({ maxBytes: 0 });
}

function entryOf(file: CachedFile): CacheEntry {
  const { path, kind, bytes, used, partial } = file;
  const described = partial ? undefined : PreparedFile.describe(path);
  const { files, formats } = readDescription(described);
  const stateOf = () => {
    if (partial) return isLeftOver(file) ? "left" : "partial";
    if (described === undefined) return "damaged";
    if (!files.every((source) => existsSync(source.path))) return "gone";
    return files.every(({ path, is }) => `${is}:`.startsWith(`${identify(path)}:`)) ? "current" : "changed";
  };
  const paths = files.map((source) => source.path);
  return { path, kind, bytes, used: new Date(used), files: paths, formats, state: stateOf() };
}

interface Source {
  readonly path: string;
  /** Begins with what {@link identify} said of it. */
  readonly is: string;
}

/** Only undamaged: whoever may write there may put anything into it. */
function readDescription(text = "{}"): { files: readonly Source[]; formats: readonly string[] } {
  try {
    const { files = [], tensors = [] } = JSON.parse(text) as { files?: Source[]; tensors?: { dtype: string }[] };
    const formats = [...new Set(tensors.map(({ dtype }) => String(dtype)))];
    return { files: files.map(({ path, is }) => ({ path: String(path), is: String(is) })), formats };
  } catch {
    return { files: [], formats: [] };
  }
}

/** Whether a file is one of a model's, whose folder may be gone. */
function filesOf(model: string | URL): (file: string) => boolean {
  const given = pathOf("model", model);
  const isName = given === "storyteller" || (!existsSync(given) && isCached(given));
  const folder = isName || existsSync(given) ? realpathSync(modelFolder(model)) : given;
  if (!existsSync(folder)) return (file) => file.startsWith(`${given.replace(/[\\\\/]+$/, "")}${sep}`);
  // In the hub's cache they are links.
  const files = new Set(readdirSync(folder).map((name) => join(folder, name)));
  const real = new Set([...files].filter((file) => existsSync(file)).map((file) => realpathSync(file)));
  return (file) => files.has(file) || real.has(file);
}

/** Whether the hub's cache has a model of that name. */
function isCached(name: string): boolean {
  try {
    return namedCheckpoint(name, false) !== undefined;
  } catch (error) {
    if (!isQuipuError(error)) throw error;
    return false;
  }
}
