// Where a checkpoint's files are read from without being there as a whole: a folder of this machine, or a repository elsewhere, of
// which only ranges are fetched. Nothing that comes from one is trusted.
import { basename, join } from "node:path";
import { QuipuError, type QuipuErrorCode } from "../errors.js";
import type { Warn } from "../warnings.js";
import { examine, listFolder, openFile, readAt } from "./file.js";
import { type JsonObject, MAX_JSON_BYTES, parseJsonObject } from "./json.js";
import { refuseWrongFile } from "./wrong-file.js";

export interface SourceFile {
  readonly name: string;
  readonly bytes: number;
  /** What keeps it from being read; it follows the name in a sentence. */
  readonly problem?: string;
}

/** A folder of this machine ({@link folderSource}), or a repository elsewhere. */
export interface CheckpointSource {
  /** What messages call it: the path of a folder, the name of a repository. */
  readonly where: string;
  /** Of its first level, in order of their names. */
  readonly files: readonly SourceFile[];
  /** Whether weights can be read like headers. Otherwise no tensor's data is asked for. */
  readonly isLocal: boolean;
  /** The bytes [first, last) of a file; fewer only at its end. @throws {QuipuError} */
  readRange(name: string, first: number, last: number, signal?: AbortSignal): Promise<Uint8Array>;
}

/** A folder of this machine. @throws {QuipuError} ERR_MODEL_NOT_FOUND where it is none, or cannot be read. */
export async function folderSource(dir: string): Promise<CheckpointSource> {
  const code = "ERR_MODEL_INVALID";
  const files = (await listFolder(dir)).flatMap((name): SourceFile[] => {
    const found = examine(join(dir, name), code);
    if (found.kind === "file") return [{ name, bytes: found.size }];
    if (found.kind === "absent") return []; // by now
    return [{ name, bytes: 0, problem: found.kind === "folder" ? "is a folder: expected a file" : found.problem }];
  });
  return {
    ...{ where: dir, files, isLocal: true },
    async readRange(name, first, last) {
      const path = join(dir, name);
      const opened = await openFile(path, code);
      if (opened === undefined) throw new QuipuError(code, `${path}: is gone since the folder was listed`);
      try {
        return await readAt(path, opened.file, first, last - first, code);
      } finally {
        await opened.file.close();
      }
    },
  };
}

/** The bytes [first, last) of a file of a source, and no more, whatever it gives. None are not asked for. */
export async function readSource(
  source: CheckpointSource,
  name: string,
  first: number,
  last: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  if (last <= first) return new Uint8Array();
  return (await source.readRange(name, first, last, signal)).subarray(0, last - first);
}

/**
 * A JSON file of a source, of those that Python writes and reads; undefined where it has none of that name.
 *
 * @throws {QuipuError} `code`, as for a file of a folder.
 */
export async function readSourceJson(
  source: CheckpointSource,
  name: string,
  code: QuipuErrorCode,
  { warn, signal }: { readonly warn?: Warn | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<JsonObject | undefined> {
  const file = source.files.find((each) => each.name === name);
  if (file === undefined) return undefined;
  const path = join(source.where, name);
  if (file.problem !== undefined) throw new QuipuError(code, `${path}: ${file.problem}`);
  if (file.bytes > MAX_JSON_BYTES)
    throw new QuipuError(code, `${path}: ${file.bytes} bytes: expected at most ${MAX_JSON_BYTES}`);
  const bytes = await readSource(source, name, 0, file.bytes, signal);
  refuseWrongFile(bytes, path, code);
  return parseJsonObject(bytes, basename(name), code, { python: true, warn });
}
