// The texts that `tokens` counts: the words with stdin, or files, each a text of its own; in chunks, for any length.
import type { Stats } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { QuipuError } from "../errors.js";
import { checkedUtf8, fileChunks, stdinBytes, stdinChunks, unreadable } from "./byte-input.js";
import { checkOneSource, promptChunks } from "./prompt-input.js";

export interface TextSource {
  /** A file's path: as it was given, or below a folder that was. undefined for words and stdin. */
  readonly file?: string;
  /** Its length, where that is known before it is read. */
  readonly bytes?: number | undefined;
  readonly chunks: AsyncIterable<string | Uint8Array>;
}

export interface TextOptions {
  readonly prompt?: string;
  /** Several: each a text; "-" is stdin, a folder is the files in it. */
  readonly file?: string | readonly string[];
  readonly stdin: boolean;
}

/**
 * The texts in the order in which they are given. What cannot be read says so when its chunks are asked for.
 *
 * @throws {QuipuError} ERR_USAGE for two sources at once, and for folders without a file; ERR_ABORTED.
 */
export async function textSources(
  words: readonly string[],
  options: TextOptions,
  signal: AbortSignal,
): Promise<TextSource[]> {
  const { prompt, stdin } = options;
  const files = options.file === undefined ? [] : [options.file].flat();
  checkOneSource({ words: words.length > 0, "-p": prompt !== undefined, "-f": files.length > 0 });
  if (files.length === 0) {
    const chunks = promptChunks(words, { stdin, ...(prompt === undefined ? {} : { prompt }) }, signal);
    return [{ bytes: stdin ? stdinBytes() : undefined, chunks }];
  }
  const stdins = files.filter((file) => file === "-").length;
  if (stdins > 0 && !stdin) throw new QuipuError("ERR_USAGE", "-f - reads stdin, and --no-stdin forbids it");
  if (stdins > 1) throw new QuipuError("ERR_USAGE", "-f -: stdin can be read only once");
  const sources: TextSource[] = [];
  for (const file of files) {
    if (file === "-") sources.push(stdinSource(signal));
    else for await (const source of fileSources(file, signal)) sources.push(source);
  }
  if (sources.length === 0) {
    throw new QuipuError("ERR_USAGE", `-f ${files.join(" ")}: no files in it, but for hidden ones`);
  }
  return sources;
}

function stdinSource(signal: AbortSignal): TextSource {
  return { file: "-", bytes: stdinBytes(), chunks: checkedUtf8(stdinChunks(signal, { expected: true }), "stdin") };
}

/** A file, or those of a folder. */
async function* fileSources(path: string, signal: AbortSignal): AsyncGenerator<TextSource> {
  let found: Stats;
  try {
    found = await stat(path);
  } catch (cause) {
    yield failing(path, cause);
    return;
  }
  if (found.isDirectory()) yield* sourcesBelow(path, signal);
  else yield fileSource(path, found);
}

/**
 * The regular files below a folder, folder by folder in the order of their names. Hidden ones are left out, and links are not
 * followed, as most tools that search trees do.
 */
async function* sourcesBelow(folder: string, signal: AbortSignal): AsyncGenerator<TextSource> {
  if (signal.aborted) throw new QuipuError("ERR_ABORTED", "interrupted while reading folders");
  let entries: Awaited<ReturnType<typeof entriesOf>>;
  try {
    entries = await entriesOf(folder);
  } catch (cause) {
    yield failing(folder, cause);
    return;
  }
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* sourcesBelow(path, signal);
    else if (entry.isFile()) yield* fileSources(path, signal);
  }
}

async function entriesOf(folder: string) {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.filter(({ name }) => !name.startsWith(".")).sort((a, b) => (a.name < b.name ? -1 : 1));
}

function fileSource(file: string, found: Stats): TextSource {
  // A pipe or a device has no length.
  return { file, bytes: found.isFile() ? found.size : undefined, chunks: checkedUtf8(fileChunks(file), file) };
}

function failing(file: string, cause: unknown): TextSource {
  // biome-ignore lint/correctness/useYield: it fails before there is anything
  const chunks = (async function* (): AsyncGenerator<Uint8Array> {
    throw unreadable(file, cause);
  })();
  return { file, bytes: 0, chunks };
}
