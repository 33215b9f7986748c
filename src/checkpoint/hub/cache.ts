// The hub's cache as huggingface_hub lays it out ("Understand caching"): models--<org>--<name>/ with blobs/<hash>, refs/<revision>
// with a commit, snapshots/<commit>/ with links into blobs/; and .locks/. Other tools find what quipu fetches, and it what they do.
import {
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { QuipuError } from "../../errors.js";
import { makeFolder } from "../../machine/make-folder.js";
import { readStart } from "../file.js";
import { isCommit } from "./repository-name.js";

/** A reference is the 40 digits of a commit. */
const MAX_REFERENCE_BYTES = 256;
const PREFIX = "models--";
/** version.txt at the root, where a tool has written one. */
const LAYOUT = "1";
export const LOCKS = ".locks";

export class CachedRepository {
  /** The root of the cache. */
  readonly cache: string;
  /** "org/name". */
  readonly repo: string;
  readonly folder: string;

  /** @param folder another than the one of its name, as a copy may have. */
  constructor(cache: string, repo: string, folder = join(cache, folderName(repo))) {
    this.cache = cache;
    this.repo = repo;
    this.folder = folder;
  }

  blob(etag: string): string {
    return join(this.folder, "blobs", etag);
  }

  snapshot(commit: string): string {
    return join(this.folder, "snapshots", commit);
  }

  lock(etag: string): string {
    return join(this.cache, LOCKS, folderName(this.repo), `${etag}.lock`);
  }

  /** What a reference says; undefined where there is none. @throws {QuipuError} ERR_MODEL_NOT_FOUND */
  reference(revision: string): string | undefined {
    const path = join(this.folder, "refs", ...revision.split("/"));
    return readStart(path, MAX_REFERENCE_BYTES, "ERR_MODEL_NOT_FOUND")?.toString("latin1").trim();
  }

  setReference(revision: string, commit: string): void {
    if (isCommit(revision) || this.reference(revision) === commit) return;
    replaceFile(join(this.folder, "refs", ...revision.split("/")), commit);
  }

  /** Revisions by the commit that each names. */
  references(): Map<string, string> {
    const refs = join(this.folder, "refs");
    return new Map(
      filesBelow(refs).flatMap((name) => {
        const commit = this.reference(name.replaceAll("\\", "/")) ?? "";
        return isSnapshotName(commit) ? [[name, commit] as const] : [];
      }),
    );
  }

  snapshots(): string[] {
    return namesIn(join(this.folder, "snapshots")).filter(isSnapshotName);
  }

  /** Puts a link to a blob into a snapshot, in place of what is there. */
  link(commit: string, path: string, etag: string): void {
    const place = join(this.snapshot(commit), ...path.split("/"));
    const target = relative(dirname(place), this.blob(etag));
    if (isLinkTo(place, target)) return;
    makeFolder(dirname(place));
    const made = `${place}.${process.pid}.new`;
    symlinkSync(target, made);
    renameSync(made, place);
  }
}

/** The name of a folder in snapshots/: a commit. */
export function isSnapshotName(name: string): boolean {
  return /^[\w.-]+$/.test(name) && !name.startsWith(".");
}

export function folderName(repo: string): string {
  return PREFIX + repo.replaceAll("/", "--");
}

/** "models--org--name" is org/name; undefined for what is no model's folder. */
export function repoOfFolder(name: string): string | undefined {
  return name.startsWith(PREFIX) ? name.slice(PREFIX.length).replaceAll("--", "/") : undefined;
}

/** The models in a cache, by name. @throws {QuipuError} ERR_PULL where it is no folder. */
export function cachedRepositories(cache: string): CachedRepository[] {
  checkFolder(cache);
  return namesIn(cache).flatMap((name) => {
    const repo = repoOfFolder(name);
    return repo === undefined || !isFolder(join(cache, name)) ? [] : [new CachedRepository(cache, repo)];
  });
}

function checkFolder(cache: string): void {
  let problem = "is no folder";
  try {
    if (statSync(cache).isDirectory()) return;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return; // the first pull makes it
    problem = `cannot be read: ${message}`;
  }
  throw new QuipuError("ERR_PULL", `${cache}: ${problem}. HF_HUB_CACHE names the folder of the hub's cache.`);
}

/**
 * @throws {QuipuError} ERR_PULL for a cache that is no folder, or says that it is laid out otherwise.
 */
export function checkLayout(cache: string): void {
  checkFolder(cache);
  let version: string;
  try {
    version = readFileSync(join(cache, "version.txt"), "utf8").trim();
  } catch {
    return; // most have none
  }
  if (version === LAYOUT) return;
  throw new QuipuError(
    "ERR_PULL",
    `${join(cache, "version.txt")}: expected version ${LAYOUT} of the hub's cache, got ${JSON.stringify(version.slice(0, 40))}. HF_HUB_CACHE names another folder.`,
  );
}

/** Nothing where there is no such folder. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return [];
    throw error;
  }
}

/** Files and links below a folder, by their paths in it. */
export function filesBelow(folder: string): string[] {
  return namesIn(folder).flatMap((name) =>
    isFolder(join(folder, name)) ? filesBelow(join(folder, name)).map((below) => join(name, below)) : [name],
  );
}

/** Links are not followed. */
function isFolder(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** Of a file, links followed; undefined where there is none. */
export function sizeAt(path: string): number | undefined {
  try {
    const info = statSync(path);
    return info.isFile() ? info.size : undefined;
  } catch {
    return undefined;
  }
}

function isLinkTo(path: string, target: string): boolean {
  try {
    return readlinkSync(path) === target;
  } catch {
    return false;
  }
}

/** Whoever reads it sees what it was or what it is. */
export function replaceFile(path: string, text: string): void {
  makeFolder(dirname(path));
  const made = `${path}.${process.pid}.new`;
  writeFileSync(made, text);
  renameSync(made, path);
}
