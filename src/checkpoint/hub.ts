// From a name on the hub, or a folder of its cache, to the checkpoint that is meant: a snapshot (hub/cache.ts has the layout).
import { readdirSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { isQuipuError, QuipuError } from "../errors.js";
import { firstOf, type Warn } from "../warnings.js";
import { examine, systemError } from "./file.js";
import { CachedRepository, isSnapshotName, repoOfFolder } from "./hub/cache.js";
import { DEFAULT_REVISION, isCommit, parseRepositoryName } from "./hub/repository-name.js";
import { hubCacheFolder } from "./hub/settings.js";
import { isOtherForm, snapshotProblem } from "./hub/snapshot.js";

const CODE = "ERR_MODEL_NOT_FOUND";

/**
 * The snapshot in the hub's cache that "org/name" or "org/name@revision" stands for; undefined where `text` is no such name.
 *
 * @param whole whether it must have all that a model is made of, as far as names tell.
 * @throws {QuipuError} ERR_MODEL_NOT_FOUND, with the name as its `repo`, where the cache does not have it.
 */
export function namedCheckpoint(text: string, whole: boolean): string | undefined {
  const name = parseRepositoryName(text);
  if (name === undefined) return undefined;
  const cache = hubCacheFolder();
  const repository = new CachedRepository(cache, name.repo);
  const fail = (problem: string, what = "it"): never => {
    throw new QuipuError(CODE, `${text}: ${problem}. \`quipu pull ${text}\` fetches ${what} (from code: pullModel).`, {
      repo: text,
    });
  };
  if (examine(repository.folder, CODE).kind !== "folder") {
    return fail(`no such folder, and no model of that name in the hub's cache (${cache})`);
  }
  const commit =
    snapshotNamed(repository, name.revision) ?? fail(`the hub's cache (${cache}) does not have this revision`);
  const folder = repository.snapshot(commit);
  const problem = whole ? snapshotProblem(folder) : undefined;
  if (problem === undefined) return folder;
  return fail(`${problem} (${folder})`, isOtherForm(folder) ? "safetensors where the repository has them" : "it");
}

/** Its `option`, of an error that says what mends a damaged file. */
const MEND = "verify";
/** Of a damaged file. */
const DAMAGED = ["ERR_MODEL_INVALID", "ERR_TOKENIZER_INVALID"];

/**
 * Runs `read`, which reads the files of the checkpoint in `dir`: where one is wrong that lies in the hub's cache, the error says what mends it.
 * One within another says it once.
 *
 * @throws whatever `read` throws.
 */
export async function inCheckpoint<T>(dir: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    const snapshots = dirname(resolve(dir));
    const repo = basename(snapshots) === "snapshots" ? repoOfFolder(basename(dirname(snapshots))) : undefined;
    if (repo === undefined || !isQuipuError(error) || !DAMAGED.includes(error.code) || error.option === MEND)
      throw error;
    const commit = basename(resolve(dir));
    const next = `It is a file of ${repo} in the hub's cache (${resolve(dir)}): \`quipu pull ${repo}@${commit}\` mends it if it is damaged.`;
    throw new QuipuError(error.code, `${error.message.replace(/\.?$/, ".")} ${next}`, {
      cause: error,
      option: MEND,
    });
  }
}

/** Of no revision in particular main, else the only one. */
function snapshotNamed(repository: CachedRepository, revision: string | undefined): string | undefined {
  const all = repository.snapshots();
  if (revision !== undefined && isCommit(revision)) return all.find((commit) => commit === revision);
  const commit = repository.reference(revision ?? DEFAULT_REVISION);
  if (commit === undefined && revision === undefined && all.length === 1) return all[0];
  return all.find((known) => known === commit);
}

/**
 * The folder of the checkpoint that `dir` stands for: for a repository in the hub's cache, or its snapshots/, the snapshot of
 * refs/main, else the only one; any other folder is its own.
 *
 * @throws {QuipuError} ERR_MODEL_NOT_FOUND where none can be chosen.
 */
export function checkpointFolder(dir: string, warn?: Warn): string {
  if (isThere(join(dir, "config.json"))) return dir;
  const repository = repositoryOf(dir);
  if (repository === undefined) {
    refuseWholeCache(dir);
    return dir;
  }
  const { commit, why } = chooseSnapshot(repository);
  const snapshot = join(repository, "snapshots", commit);
  warn?.(
    "WARN_SNAPSHOT_CHOSEN",
    `${dir} is ${nameOf(repository)} in the hub's cache: its snapshot ${commit} is used (${why})`,
  );
  return snapshot;
}

function repositoryOf(dir: string): string | undefined {
  const candidate = basename(resolve(dir)) === "snapshots" ? dirname(resolve(dir)) : dir;
  const has = (name: string) => examine(join(candidate, name), CODE).kind === "folder";
  const isNamed = basename(resolve(candidate)).startsWith("models--");
  return has("snapshots") && (isNamed || has("refs") || has("blobs")) ? candidate : undefined;
}

function chooseSnapshot(repository: string): { commit: string; why: string } {
  const all = list(join(repository, "snapshots"));
  const fail = (problem: string): never => {
    const which =
      all.length === 0 ? "there is no snapshot at all" : `there are ${firstOf(all)}: give one of these folders`;
    throw new QuipuError(CODE, `${repository}: ${problem}; ${which}, or fetch the model again.`);
  };
  const commit = new CachedRepository(dirname(repository), nameOf(repository), repository).reference(DEFAULT_REVISION);
  if (commit === undefined) {
    if (all.length === 1) return { commit: all[0]!, why: "there is no other, and no refs/main" };
    return fail("no refs/main says which snapshot to take");
  }
  if (!isSnapshotName(commit)) {
    return fail(`refs/main: expected a commit, got ${JSON.stringify(commit.slice(0, 60))}`);
  }
  if (!all.includes(commit)) return fail(`refs/main names the snapshot ${commit}, which is not there`);
  return { commit, why: "refs/main" };
}

/** A folder that holds repositories is no model: says which there are. */
function refuseWholeCache(dir: string): void {
  const models = list(dir).filter((name) => name.startsWith("models--"));
  if (models.length === 0) return;
  throw new QuipuError(
    CODE,
    `${dir} holds the models of a hub's cache: give one of them, for example ${join(dir, models[0]!)}`,
  );
}

/** "models--org--name" is org/name. */
function nameOf(repository: string): string {
  const name = basename(resolve(repository));
  return repoOfFolder(name) ?? name;
}

function isThere(path: string): boolean {
  return examine(path, CODE).kind !== "absent";
}

function list(dir: string): string[] {
  try {
    return readdirSync(dir).sort();
  } catch (cause) {
    throw systemError(dir, "cannot be read", cause, CODE);
  }
}
