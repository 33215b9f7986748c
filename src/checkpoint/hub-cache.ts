// The cache of the Hugging Face hub (huggingface_hub, "Understand caching"): models--<org>--<name>/ holds blobs/, refs/<revision>
// with the commit that it stands for, and snapshots/<commit>/ with the files as links into blobs/.
import { readdirSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { QuipuError } from "../errors.js";
import { firstOf, type Warn } from "../warnings.js";
import { examine, readStart, systemError } from "./file.js";

const CODE = "ERR_MODEL_NOT_FOUND";
/** A reference is the 40 digits of a commit. */
const MAX_REFERENCE_BYTES = 256;

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
  const reference = readStart(join(repository, "refs", "main"), MAX_REFERENCE_BYTES, CODE);
  if (reference === undefined) {
    if (all.length === 1) return { commit: all[0]!, why: "there is no other, and no refs/main" };
    return fail("no refs/main says which snapshot to take");
  }
  const commit = reference.toString("latin1").trim();
  if (!/^[\w.-]+$/.test(commit) || commit.startsWith(".")) {
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
  return basename(resolve(repository))
    .replace(/^models--/, "")
    .replace("--", "/");
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
