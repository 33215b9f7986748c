// quipu cache: what lies in the cache folder, and removes it.
import { basename, dirname } from "node:path";
import { type CacheEntry, cacheFolder, clearCache, listCache, pruneCache } from "../../index.js";
import { write } from "../terminal/output.js";
import { formatBytes, table } from "../terminal/tables.js";

export interface CacheOptions {
  readonly json?: boolean;
}

export interface CachePruneOptions extends CacheOptions {
  readonly olderThan?: number;
  readonly maxSize?: number;
  readonly model?: string;
}

const DAY_MS = 24 * 3600 * 1000;

export async function list({ json }: CacheOptions): Promise<void> {
  const entries = listCache();
  const bytes = sizeOf(entries);
  if (json) return write(`${JSON.stringify({ folder: cacheFolder(), bytes, entries })}\n`);
  const rows = entries.map((entry) => [
    ...[whatOf(entry), formatBytes(entry.bytes), daysSince(entry.used), entry.state, sourceOf(entry)],
  ]);
  const shown = rows.length === 0 ? "" : table(["what", "size", "days", "state", "of"], rows);
  await write(`${shown}${entries.length} files, ${formatBytes(bytes)} in ${cacheFolder()}\n`);
}

export async function prune({ json, olderThan, maxSize, model }: CachePruneOptions): Promise<void> {
  const olderThanMs = olderThan === undefined ? undefined : olderThan * DAY_MS;
  await writeRemoved(pruneCache({ olderThanMs, maxBytes: maxSize, model }), json);
}

export async function clear({ json }: CacheOptions): Promise<void> {
  await writeRemoved(clearCache(), json);
}

function writeRemoved(removed: readonly CacheEntry[], json = false): Promise<void> {
  const bytes = sizeOf(removed);
  if (json) return write(`${JSON.stringify({ folder: cacheFolder(), bytes, removed })}\n`);
  return write(`removed ${removed.length} files, ${formatBytes(bytes)}\n`);
}

function sizeOf(entries: readonly CacheEntry[]): number {
  return entries.reduce((sum, { bytes }) => sum + bytes, 0);
}

function whatOf({ kind, formats }: CacheEntry): string {
  return kind === "weights" ? `weights ${inOneLine(formats.join(", "))}`.trim() : "vocabulary";
}

/** Names may have any character in them, those that move a terminal's cursor too. */
function inOneLine(name: string): string {
  return JSON.stringify(name).slice(1, -1);
}

function daysSince(date: Date): number {
  return Math.max(0, Math.floor((Date.now() - date.getTime()) / DAY_MS));
}

/** The model's folder, or its name in the hub's cache. */
function sourceOf({ files, path }: CacheEntry): string {
  const [first] = files;
  if (first === undefined) return basename(path);
  const [, hub] = /[\\/]models--([^\\/]+)[\\/]/.exec(first) ?? [];
  return inOneLine(hub === undefined ? dirname(first) : hub.replace("--", "/"));
}
