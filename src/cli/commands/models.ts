// quipu models: what is in the hub's cache, and removes it.
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import {
  type CachedModel,
  type CachedRevision,
  hubCacheFolder,
  listModels,
  modelFolder,
  pruneModels,
  type RemovedItem,
  removeModel,
} from "../../index.js";
import { write } from "../terminal/output.js";
import { formatBytes, table } from "../terminal/tables.js";

export interface ModelsOptions {
  readonly json?: boolean;
}

export interface ModelsPruneOptions extends ModelsOptions {
  readonly dryRun?: boolean;
}

const EMBEDDED = "storyteller";
/** Of a commit that has no name. */
const SHOWN_DIGITS = 12;

export async function list({ json }: ModelsOptions): Promise<void> {
  const models = listModels();
  const bytes = models.reduce((sum, model) => sum + model.bytes, 0);
  const embedded = { name: EMBEDDED, folder: modelFolder(), bytes: sizeOf(modelFolder()) };
  if (json) return write(`${JSON.stringify({ folder: hubCacheFolder(), bytes, models, embedded })}\n`);
  const rows = [
    [EMBEDDED, "", formatBytes(embedded.bytes), readdirSync(embedded.folder).length, "embedded, the default"],
    ...models.flatMap(rowsOf),
  ];
  const count = `${models.length} ${models.length === 1 ? "model" : "models"}`;
  await write(table(["name", "revision", "size", "files", "state"], rows));
  const rowBytes = models.reduce((sum, { revisions, unusedBytes }) => sum + unusedBytes + bytesOf(revisions), 0);
  const shared = rowBytes > bytes ? ", what revisions share counted once" : "";
  await write(`${count}, ${formatBytes(bytes)} in ${hubCacheFolder()}${shared}\n`);
}

export async function path(name: string, { json }: ModelsOptions): Promise<void> {
  const folder = modelFolder(name);
  await write(json ? `${JSON.stringify({ name, folder })}\n` : `${folder}\n`);
}

export async function remove(names: readonly string[], { json }: ModelsOptions): Promise<void> {
  const removed = names.flatMap((name) => removeModel(name));
  await writeRemoved(removed, "removed", json);
}

export async function prune({ json, dryRun = false }: ModelsPruneOptions): Promise<void> {
  await writeRemoved(pruneModels({ dryRun }), dryRun ? "would remove" : "removed", json);
}

/** A row for each revision, and one for what is in none: together they have all bytes of the model. */
function rowsOf({ repo, revisions, partialBytes, unusedBytes }: CachedModel): (string | number)[][] {
  const rows = revisions.map((revision) => [
    ...[repo, nameOf(revision), formatBytes(revision.bytes), revision.files, stateOf(revision)],
  ]);
  if (rows.length > 0 && unusedBytes === 0) return rows;
  const partial = partialBytes > 0 ? "a download has not ended" : "left by what was removed";
  return [...rows, [repo, "", formatBytes(unusedBytes), 0, `no snapshot: ${partial}`]];
}

function bytesOf(revisions: readonly CachedRevision[]): number {
  return revisions.reduce((sum, { bytes }) => sum + bytes, 0);
}

function nameOf({ references, commit }: CachedRevision): string {
  return references.length > 0 ? references.join(", ") : commit.slice(0, SHOWN_DIGITS);
}

function stateOf({ problem, references, pinned }: CachedRevision): string {
  if (problem !== undefined) return problem.replace(/^its snapshot /, "");
  if (references.length > 0) return "ready";
  return pinned ? "ready, pinned" : "ready, no branch names it";
}

async function writeRemoved(removed: readonly RemovedItem[], verb: string, json = false): Promise<void> {
  const bytes = removed.reduce((sum, item) => sum + item.bytes, 0);
  if (json) return write(`${JSON.stringify({ folder: hubCacheFolder(), bytes, removed })}\n`);
  const counts = (["snapshot", "blob", "partial", "lock"] as const).flatMap((kind) => {
    const count = removed.filter((item) => item.kind === kind).length;
    const word = kind === "partial" ? "partial file" : kind;
    return count === 0 ? [] : [`${count} ${word}${count === 1 ? "" : "s"}`];
  });
  await write(`${verb} ${counts.join(", ") || "nothing"}, ${formatBytes(bytes)}\n`);
}

function sizeOf(folder: string): number {
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}
