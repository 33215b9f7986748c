// The texts that `tokens` counts: the words with stdin, or files, each a text of its own; in chunks, for any length.
import { statSync } from "node:fs";
import { QuipuError } from "../errors.js";
import { checkedUtf8, fileChunks, stdinBytes, stdinChunks, unreadable } from "./byte-input.js";
import { checkOneSource, promptChunks } from "./prompt-input.js";

export interface TextSource {
  /** A file's path as it was given; undefined for words and stdin. */
  readonly file?: string;
  /** Its length, where that is known before it is read. */
  readonly bytes?: number | undefined;
  readonly chunks: AsyncIterable<string | Uint8Array>;
}

export interface TextOptions {
  readonly prompt?: string;
  /** Several: each a text; "-" is stdin. */
  readonly file?: string | readonly string[];
  readonly stdin: boolean;
}

/** @throws {QuipuError} ERR_USAGE for two sources at once, and for a file that is not there, before any is read. */
export function textSources(words: readonly string[], options: TextOptions, signal: AbortSignal): TextSource[] {
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
  return files.map((file) => {
    if (file === "-") {
      const chunks = checkedUtf8(stdinChunks(signal, { expected: true }), "stdin");
      return { file, bytes: stdinBytes(), chunks };
    }
    return { file, bytes: fileBytes(file), chunks: checkedUtf8(fileChunks(file), file) };
  });
}

/** undefined for a pipe or a device. */
function fileBytes(file: string): number | undefined {
  try {
    const found = statSync(file);
    if (found.isDirectory()) throw new Error("it is a folder");
    return found.isFile() ? found.size : undefined;
  } catch (cause) {
    throw unreadable(file, cause);
  }
}
