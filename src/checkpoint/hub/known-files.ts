// The files that a commit has, as the hub has told. It never tells others of one commit, so it is asked once: a list is kept beside
// the snapshots, ours in .quipu/, and huggingface_hub's in trees/, which is read where there is none of ours.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type CachedRepository, replaceFile } from "./cache.js";
import type { HubFile } from "./client.js";

export interface KnownFiles {
  readonly files: readonly HubFile[];
  /** Whether it was pulled by its commit: no reference names it, and it is wanted all the same. */
  readonly pinned: boolean;
}

/** What a repository of a million files has. */
const MOST_BYTES = 256 * 2 ** 20;

/** Where the lists of a commit are, ours first. */
export function knownFilesPaths({ folder }: CachedRepository, commit: string): readonly [ours: string, theirs: string] {
  return [join(folder, ".quipu", `${commit}.json`), join(folder, "trees", `${commit}.json`)];
}

/** Undefined where there is no list, or none that is undamaged: the hub is asked then. */
export function readKnownFiles(repository: CachedRepository, commit: string): KnownFiles | undefined {
  const [ours, theirs] = knownFilesPaths(repository, commit);
  const known = readJson(ours);
  if (isKnownFiles(known)) return known;
  const files = filesOfTree(readJson(theirs));
  return files === undefined ? undefined : { files, pinned: false };
}

/** @throws {Error} the system's. */
export function writeKnownFiles(repository: CachedRepository, commit: string, known: KnownFiles): void {
  replaceFile(knownFilesPaths(repository, commit)[0], JSON.stringify(known));
}

function readJson(path: string): unknown {
  try {
    const bytes = readFileSync(path);
    return bytes.length > MOST_BYTES ? undefined : JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
}

function isKnownFiles(value: unknown): value is KnownFiles {
  const { files, pinned } = (value ?? {}) as Partial<Record<keyof KnownFiles, unknown>>;
  return Array.isArray(files) && files.every(isHubFile) && typeof pinned === "boolean";
}

function isHubFile(value: unknown): value is HubFile {
  const { path, size, etag, hash } = (value ?? {}) as Partial<Record<keyof HubFile, unknown>>;
  const { kind, hex } = (hash ?? {}) as Partial<Record<string, unknown>>;
  const isHash = hash === undefined || (kind === "sha256" && isHex(hex, 64)) || (kind === "git-sha1" && isHex(hex, 40));
  return typeof path === "string" && isSize(size) && /^\w[\w-]*$/.test(String(etag)) && isHash;
}

/** `{"format_version": 1, "files": {"config.json": {"size", "blob_id", "lfs_sha256"?, "lfs_size"?}}}` */
function filesOfTree(value: unknown): HubFile[] | undefined {
  const { format_version: version, files } = (value ?? {}) as { format_version?: unknown; files?: unknown };
  if (version !== 1 || typeof files !== "object" || files === null) return undefined;
  const read = Object.entries(files).map(([path, entry]): HubFile | undefined => {
    const { size, blob_id, lfs_sha256, lfs_size } = (entry ?? {}) as Readonly<Record<string, unknown>>;
    if (isHex(lfs_sha256, 64) && isSize(lfs_size)) {
      return { path, size: lfs_size, hash: { kind: "sha256", hex: lfs_sha256 }, etag: lfs_sha256 };
    }
    const isPlain = isHex(blob_id, 40) && isSize(size) && lfs_sha256 === undefined;
    return isPlain ? { path, size, hash: { kind: "git-sha1", hex: blob_id }, etag: blob_id } : undefined;
  });
  return read.every((file) => file !== undefined) ? read : undefined;
}

function isHex(value: unknown, digits: number): value is string {
  return typeof value === "string" && value.length === digits && /^[0-9a-f]+$/.test(value);
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
