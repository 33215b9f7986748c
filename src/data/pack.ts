// Packing a corpus: texts to a token file (token-format.ts), in constant memory.
import { existsSync } from "node:fs";
import { rm, stat } from "node:fs/promises";
import { dirname, format, parse } from "node:path";
import { callback, checkArgument, usageError } from "../arguments.js";
import { abortedError, QuipuError } from "../errors.js";
import { makeFolder } from "../machine/make-folder.js";
import { threadsFor } from "../machine/process-limits.js";
import { refuseExisting } from "../machine/replace-file.js";
import { writeFailure } from "../machine/write-failure.js";
import { type Block, type CorpusOptions, readCorpus } from "../tokenizer/corpus.js";
import { loadTokenizer } from "../tokenizer/load-tokenizer.js";
import type { Warn } from "../warnings.js";
import { DocumentEncoder } from "./document-encoder.js";
import { type CheckedPackOptions, documentEnds, type PackOptions, packOptions } from "./pack-options.js";
import { openTokens } from "./token-file.js";
import type { TokenFileInfo } from "./token-format.js";
import { TokenWriter } from "./token-writer.js";
import { vocabularyHash } from "./vocabulary-hash.js";

export interface PackedFile extends TokenFileInfo {
  readonly path: string;
  /** Of the file. */
  readonly bytes: number;
}

export interface PackedCorpus {
  readonly packed: PackedFile;
  /** undefined where nothing was to be held out. */
  readonly heldOut: PackedFile | undefined;
  /** The held-out file of an earlier pack, where nothing was to be held out now: documents of it may be among those packed. */
  readonly removed: string | undefined;
  /** Documents without text, which are left out. */
  readonly emptyDocuments: number;
  /** Tokens of the longest document. */
  readonly longestDocument: number;
}

/**
 * Packs texts into a token file, in their order; each file appears whole or not at all. The same texts give the same bytes,
 * whatever the threads.
 *
 * @throws {QuipuError} ERR_USAGE for options, files and texts that cannot be used (with the file, and the line or the byte), and
 * where no document is left; ERR_WRITE; ERR_ABORTED; what {@link loadTokenizer} throws.
 */
export async function packCorpus(given: PackOptions, warn: Warn = () => {}): Promise<PackedCorpus> {
  const options = packOptions(given);
  checkArgument("warn", warn, callback);
  const { output, holdOut = 0, force, signal } = options;
  const paths = holdOut > 0 ? [output, heldOutPath(output)] : [output];
  if (!force) await refuseExisting(paths);
  if (signal?.aborted) throw abortedError(signal);
  const total = await sizeOf(options.files);
  const tokenizer = await loadTokenizer(options.tokenizer, warn);
  const ends = documentEnds(tokenizer, options);
  const vocabulary = { vocabSize: tokenizer.vocabSize, vocabularyHash: vocabularyHash(tokenizer), ...ends };
  try {
    makeFolder(dirname(output));
  } catch (cause) {
    throw writeFailure(dirname(output), cause);
  }
  const writers: TokenWriter[] = [];
  // Whoever interrupts may end the process before the text at hand is encoded.
  const discard = () => {
    for (const writer of writers) writer.discard();
  };
  signal?.addEventListener("abort", discard);
  try {
    for (const path of paths) writers.push(await TokenWriter.create(path, vocabulary));
    const [packed, heldOut] = writers;
    const threads = threadsFor(options.threads);
    const encoder = new DocumentEncoder(tokenizer, { packed: packed!, heldOut, holdOut, threads, signal });
    await readAll(options, total, encoder);
    refuseEmpty(encoder, packed!, heldOut, options);
    const files = [];
    for (const writer of writers) files.push(await writer.finish());
    if (signal?.aborted) throw abortedError(signal);
    const removed = holdOut > 0 ? undefined : await removeHeldOut(output);
    for (const writer of writers.toReversed()) await writer.commit();
    const { emptyDocuments, longestDocument } = encoder;
    return { packed: files[0]!, heldOut: files[1], removed, emptyDocuments, longestDocument };
  } catch (error) {
    throw signal?.aborted ? abortedError(signal) : error;
  } finally {
    signal?.removeEventListener("abort", discard);
    discard();
    for (const writer of writers) await writer.close();
  }
}

/** "corpus.held-out.tokens" of "corpus.tokens". */
export function heldOutPath(path: string): string {
  const { dir, name, ext } = parse(path);
  return format({ dir, name: `${name}.held-out`, ext });
}

/** Removes what was held out of a token file that is to be overwritten; its path, where there was one. */
async function removeHeldOut(output: string): Promise<string | undefined> {
  const path = heldOutPath(output);
  if (!existsSync(output) || !existsSync(path)) return undefined;
  const file = await openTokens(path).catch(() => undefined);
  if (file === undefined) return undefined; // something of another kind
  await file.close();
  try {
    await rm(path);
  } catch (cause) {
    throw writeFailure(path, cause);
  }
  return path;
}

async function readAll(
  { files, format, field, signal, onProgress }: CheckedPackOptions,
  total: number,
  encoder: DocumentEncoder,
): Promise<void> {
  let read = 0;
  const options: CorpusOptions = {
    ...{ format: format ?? "auto", field: field ?? "text", signal },
    cut: (text) => text.length, // the encoder takes a text cut anywhere
    onRead: (bytes) => {
      read += bytes;
      onProgress?.(total === 0 ? read : Math.min(read, total), total);
    },
  };
  for (const file of files) {
    const blocks = readCorpus(file, { offset: 0, line: 0 }, options);
    for (let next = await blocks.next(); !next.done; next = await blocks.next()) {
      const { texts, documents } = next.value;
      if (documents === texts.length) for (const text of texts) await encoder.add(text);
      else await encoder.addLong(partsFrom(next.value, blocks));
      if (signal?.aborted) throw abortedError(signal);
    }
  }
  await encoder.end();
}

/** The parts of a text that comes in several blocks. */
async function* partsFrom(first: Block, blocks: AsyncGenerator<Block>): AsyncGenerator<string | Uint8Array> {
  let block = first;
  for (;;) {
    yield* block.texts;
    if (block.documents > 0) return;
    const next = await blocks.next();
    if (next.done) return;
    block = next.value;
  }
}

/** Of all files; 0 where stdin is among them. @throws {QuipuError} ERR_USAGE for one that is not there. */
async function sizeOf(files: readonly string[]): Promise<number> {
  let total = 0;
  for (const file of files) {
    if (file === "-") continue;
    try {
      total += (await stat(file)).size;
    } catch (cause) {
      throw new QuipuError("ERR_USAGE", `${file}: cannot be read: ${(cause as Error).message}`, { cause });
    }
  }
  return files.includes("-") ? 0 : total;
}

function refuseEmpty(
  { emptyDocuments }: DocumentEncoder,
  packed: TokenWriter,
  heldOut: TokenWriter | undefined,
  { files, holdOut }: CheckedPackOptions,
): void {
  const documents = packed.documents + (heldOut?.documents ?? 0);
  if (documents === 0) {
    const empty = emptyDocuments === 0 ? "no document" : "no document that is not empty";
    throw usageError(
      "files",
      `${empty} in ${files.slice(0, 4).join(", ")}${files.length > 4 ? " …" : ""}: nothing is written`,
    );
  }
  const [which, other] = packed.documents === 0 ? ["all", "smaller"] : ["none", "larger"];
  if (packed.documents === 0 || heldOut?.documents === 0) {
    throw usageError(
      "holdOut",
      `${holdOut} holds out ${which} of ${documents} documents: expected a ${other} share, or 0`,
    );
  }
}
