// What the hub's cache holds of models: to list, and to remove.
import { lstatSync, realpathSync, rmdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { checkArgument, flag, type Kinds, readOptions, string } from "../../arguments.js";
import { QuipuError } from "../../errors.js";
import { nearest } from "../../nearest.js";
import { firstOf } from "../../warnings.js";
import { type CachedRepository, cachedRepositories, filesBelow, LOCKS, namesIn, sizeAt } from "./cache.js";
import type { HubFile } from "./client.js";
import { knownFilesPaths, readKnownFiles } from "./known-files.js";
import { isInUse, withFreeLock } from "./lock.js";
import { isCommit, parseRepositoryName, repositoryOf } from "./repository-name.js";
import { hubCacheFolder } from "./settings.js";
import { snapshotProblem } from "./snapshot.js";
import { removing } from "./write-failure.js";

export interface CachedRevision {
  readonly commit: string;
  /** Branches and tags that name it: "main". */
  readonly references: readonly string[];
  /** Whether it was pulled by its commit: `pruneModels` keeps it though nothing names it. */
  readonly pinned: boolean;
  /** The snapshot: a checkpoint folder. */
  readonly folder: string;
  readonly files: number;
  /** Of its files, which other revisions may share. */
  readonly bytes: number;
  /** What it lacks to be a checkpoint; undefined where it is whole, as far as names tell. */
  readonly problem?: string;
}

export interface CachedModel {
  /** "org/name". */
  readonly repo: string;
  readonly folder: string;
  readonly revisions: readonly CachedRevision[];
  /** On the disk, each blob once. */
  readonly bytes: number;
  /** Of `bytes`, those of downloads that have not ended. */
  readonly partialBytes: number;
  /** Of `bytes`, those in no revision: of downloads that have not ended, and of revisions that are gone. */
  readonly unusedBytes: number;
}

export interface RemovedItem {
  readonly path: string;
  readonly bytes: number;
  /** A "snapshot" that nothing names any more, a "blob" of no snapshot, a "partial" download, or a "lock" that nobody has. */
  readonly kind: "snapshot" | "blob" | "partial" | "lock";
}

export interface PruneModelsOptions {
  /** Tells what would be removed, and removes nothing. */
  readonly dryRun?: boolean | undefined;
}

export const PRUNE_MODELS_OPTIONS: Kinds<PruneModelsOptions> = { dryRun: flag };

const PARTIAL = /\.incomplete$/;

/** The models in the hub's cache ({@link hubCacheFolder}), by name. @throws {QuipuError} ERR_PULL where that is no folder; {Error} the system's, where it cannot be read. */
export function listModels(): CachedModel[] {
  return cachedRepositories(hubCacheFolder()).map(describe);
}

/**
 * Removes a model from the cache: all of it, or with "@" one revision, and the blobs that no other needs. Who uses a file keeps it.
 *
 * @param repo "org/name" or "org/name@revision".
 * @returns what was removed.
 * @throws {QuipuError} ERR_MODEL_NOT_FOUND, ERR_USAGE; ERR_PULL where a file cannot be removed.
 */
export function removeModel(repo: string): RemovedItem[] {
  checkArgument("repo", repo, string);
  const name = repositoryOf(repo).repo;
  const { revision } = parseRepositoryName(repo)!;
  const all = cachedRepositories(hubCacheFolder());
  const found = all.find((candidate) => candidate.repo === name);
  if (found === undefined) {
    const names = all.map((candidate) => candidate.repo);
    const near = nearest(name, names);
    const others = near === undefined ? `It has ${firstOf(names) || "none"}.` : `Did you mean ${near}?`;
    throw new QuipuError("ERR_MODEL_NOT_FOUND", `${name}: no such model in ${hubCacheFolder()}. ${others}`);
  }
  const remover = new Remover(false);
  if (revision === undefined) {
    remover.folder(found.folder, "snapshot");
    remover.locks(found);
    return remover.removed;
  }
  const commit = isCommit(revision) ? revision : found.reference(revision);
  if (commit === undefined || !found.snapshots().includes(commit)) {
    throw new QuipuError(
      "ERR_MODEL_NOT_FOUND",
      `${name}: the cache has no revision ${revision}. It has ${firstOf(describe(found).revisions.flatMap(({ commit, references }) => [...references, commit]))}.`,
    );
  }
  remover.snapshot(found, commit);
  remover.blobs(found, commit);
  remover.emptied(found);
  return remover.removed;
}

/**
 * Removes what nothing needs any more: snapshots that neither a branch nor a tag names since a newer one was fetched (those pulled by
 * their commit stay), blobs of no snapshot, downloads that have not ended, and the locks of all. What another process fetches stays.
 *
 * @returns what was removed, or would be.
 * @throws {QuipuError} ERR_USAGE; ERR_PULL where a file cannot be removed.
 */
export function pruneModels(options?: PruneModelsOptions): RemovedItem[] {
  const { dryRun = false } = readOptions<PruneModelsOptions>("pruneModels", options, PRUNE_MODELS_OPTIONS);
  const cache = hubCacheFolder();
  const remover = new Remover(dryRun);
  for (const repository of cachedRepositories(cache)) {
    if (isInUse(repository)) continue;
    const { revisions } = describe(repository);
    const gone = revisions.some(({ references }) => references.length > 0)
      ? revisions.filter(({ references, pinned }) => references.length === 0 && !pinned)
      : []; // without any reference, the one that is there is the one that is used
    for (const { commit } of gone) remover.snapshot(repository, commit);
    remover.blobs(repository, ...gone.map(({ commit }) => commit));
    remover.emptied(repository);
  }
  for (const name of namesIn(join(cache, LOCKS))) remover.locksIn(join(cache, LOCKS, name));
  return remover.removed;
}

function describe(repository: CachedRepository): CachedModel {
  const references = [...repository.references()];
  const blobs = join(repository.folder, "blobs");
  const sizes = namesIn(blobs).map((name) => [name, sizeAt(join(blobs, name)) ?? 0] as const);
  const revisions = repository.snapshots().map((commit) => {
    const folder = repository.snapshot(commit);
    const files = filesBelow(folder);
    const known = readKnownFiles(repository, commit);
    const problem = snapshotProblem(folder) ?? sizeProblem(folder, known?.files ?? []);
    return {
      commit,
      references: references.filter(([, named]) => named === commit).map(([name]) => name),
      pinned: known?.pinned === true,
      folder,
      files: files.length,
      bytes: files.reduce((sum, name) => sum + (sizeAt(join(folder, name)) ?? 0), 0),
      ...(problem === undefined ? {} : { problem }),
    };
  });
  const partialBytes = sum(sizes.filter(([name]) => PARTIAL.test(name)));
  // Where links cannot be made, a snapshot has files of its own.
  const bytes = sum(sizes) + revisions.reduce((total, { folder }) => total + bytesBelow(folder), 0);
  const used = new Set(revisions.flatMap(({ folder }) => targetsIn(folder)));
  const unusedBytes = sum(sizes.filter(([name]) => !used.has(realOf(join(blobs, name)))));
  return { repo: repository.repo, folder: repository.folder, revisions, bytes, partialBytes, unusedBytes };
}

/** Of a file that has another size than the hub has told, as where a disk lost its end. */
function sizeProblem(folder: string, known: readonly HubFile[]): string | undefined {
  const wrong = known.find(({ path, size }) => (sizeAt(join(folder, path)) ?? size) !== size);
  if (wrong === undefined) return undefined;
  const { path, size } = wrong;
  return `its snapshot is damaged: ${path} has ${sizeAt(join(folder, path))} bytes of ${size}; a pull mends it`;
}

function sum(sizes: readonly (readonly [string, number])[]): number {
  return sizes.reduce((total, [, size]) => total + size, 0);
}

/** Of the files below a folder; links are none. */
function bytesBelow(folder: string): number {
  return filesBelow(folder).reduce((total, name) => {
    const info = lstatSync(join(folder, name));
    return total + (info.isFile() ? info.size : 0);
  }, 0);
}

/** Removes, or only tells; keeps a list. */
class Remover {
  readonly removed: RemovedItem[] = [];
  readonly #dryRun: boolean;

  constructor(dryRun: boolean) {
    this.#dryRun = dryRun;
  }

  folder(path: string, kind: RemovedItem["kind"]): void {
    this.#remove(path, bytesBelow(path), kind);
  }

  snapshot(repository: CachedRepository, commit: string): void {
    if (!this.#dryRun) {
      for (const [name, named] of repository.references()) {
        if (named === commit) remove(join(repository.folder, "refs", name));
      }
      for (const path of knownFilesPaths(repository, commit)) remove(path);
    }
    this.folder(repository.snapshot(commit), "snapshot");
  }

  /** Those of no snapshot but `gone`; downloads that have not ended. */
  blobs(repository: CachedRepository, ...gone: readonly string[]): void {
    const kept = repository.snapshots().filter((commit) => !gone.includes(commit));
    const used = new Set(kept.flatMap((commit) => targetsIn(repository.snapshot(commit))));
    const folder = join(repository.folder, "blobs");
    for (const name of namesIn(folder)) {
      const path = join(folder, name);
      const isPartial = PARTIAL.test(name);
      // Older versions of huggingface_hub had their locks here.
      const kind = name.endsWith(".lock") ? "lock" : isPartial ? "partial" : "blob";
      if (kind === "blob" && used.has(realOf(path))) continue;
      const bytes = lstatSync(path).size;
      const etag = name.replace(/(\.[0-9a-f]{8})?\.incomplete$/, "");
      withFreeLock(repository.lock(etag), () => this.#remove(path, bytes, kind));
    }
  }

  /** Its folder, where no file is left in it. */
  emptied({ folder }: CachedRepository): void {
    if (!this.#dryRun && filesBelow(folder).length === 0) remove(folder);
  }

  locks(repository: CachedRepository): void {
    this.locksIn(join(repository.lock("x"), ".."));
  }

  /** Of those that nobody has: whoever waits for one that is removed makes it anew. */
  locksIn(folder: string): void {
    for (const name of namesIn(folder)) {
      if (!name.endsWith(".lock")) continue;
      const path = join(folder, name);
      withFreeLock(path, () => this.#remove(path, statSync(path).size, "lock"));
    }
    if (!this.#dryRun && namesIn(folder).length === 0) removeEmpty(folder);
  }

  #remove(path: string, bytes: number, kind: RemovedItem["kind"]): void {
    if (!this.#dryRun) remove(path);
    this.removed.push({ path, bytes, kind });
  }
}

/** @throws {QuipuError} ERR_PULL where the system refuses. */
function remove(path: string): void {
  removing(path, () => rmSync(path, { recursive: true, force: true }));
}

function removeEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // it is not there, or another process has put something into it
  }
}

function targetsIn(folder: string): string[] {
  return filesBelow(folder).map((name) => realOf(join(folder, name)));
}

function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path; // a link to nothing
  }
}
