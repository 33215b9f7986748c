// The checkpoint of a count: files of piece counts and a manifest that says up to where the corpus is in them. A run that was
// interrupted goes on from there, with the same files in the same order; what is learned from the counts is not part of it.
import { rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { readWhole, systemError } from "../../checkpoint/file.js";
import { isJsonObject, MAX_JSON_BYTES, parseJsonObject } from "../../checkpoint/json.js";
import { QuipuError } from "../../errors.js";
import { makeFolder } from "../../machine/make-folder.js";
import { replaceFile } from "../../machine/replace-file.js";

/** What must be the same for counts to go on. */
export interface CountedCorpus {
  readonly pattern: string;
  readonly format: string;
  readonly field: string;
  readonly files: readonly { readonly path: string; readonly size: number; readonly modified: number }[];
}

export interface Progress {
  /** Index of the file to go on in, and the place there. */
  readonly file: number;
  readonly offset: number;
  readonly line: number;
  readonly documents: number;
  /** Of text. */
  readonly bytes: number;
  /** Names of the files of counts, in the folder. */
  readonly runs: readonly string[];
}

const MANIFEST = "counts.json";
const VERSION = 1;

export class CountCheckpoint {
  readonly folder: string;
  readonly #corpus: CountedCorpus;

  private constructor(folder: string, corpus: CountedCorpus) {
    this.folder = folder;
    this.#corpus = corpus;
  }

  /**
   * Opens the folder, which is made if need be.
   *
   * @throws {QuipuError} ERR_USAGE where it holds the counts of something else.
   */
  static async open(
    folder: string,
    corpus: CountedCorpus,
  ): Promise<{ checkpoint: CountCheckpoint; progress: Progress | undefined }> {
    try {
      makeFolder(folder);
    } catch (cause) {
      throw systemError(folder, "cannot be made", cause, "ERR_USAGE");
    }
    const checkpoint = new CountCheckpoint(folder, corpus);
    const path = join(folder, MANIFEST);
    const bytes = await readWhole(path, MAX_JSON_BYTES, "ERR_USAGE");
    if (bytes === undefined) return { checkpoint, progress: undefined };
    const manifest = parseJsonObject(bytes, path, "ERR_USAGE");
    if (manifest.version !== VERSION || !isProgress(manifest.progress)) {
      throw new QuipuError("ERR_USAGE", `${path}: not a checkpoint of this version. Remove the folder to begin anew.`);
    }
    const difference = differenceOf(manifest.corpus, corpus);
    if (difference !== undefined) {
      throw new QuipuError(
        "ERR_USAGE",
        `${folder}: the counts there are of another corpus: ${difference}. Give the same files in the same order, another folder, or remove this one.`,
        { option: "checkpoint" },
      );
    }
    return { checkpoint, progress: manifest.progress };
  }

  /** Makes `progress` what the next run finds. The files of counts must be complete. */
  async save(progress: Progress): Promise<void> {
    const text = `${JSON.stringify({ version: VERSION, corpus: this.#corpus, progress }, null, 2)}\n`;
    await replaceFile(join(this.folder, MANIFEST), text);
  }

  /** Removes what the checkpoint made; the folder stays if there is something else in it. */
  async remove(runs: readonly string[]): Promise<void> {
    await rm(join(this.folder, MANIFEST), { force: true });
    for (const run of runs) await rm(join(this.folder, run), { force: true });
  }
}

/** The identity of the files of a corpus, of which stdin has none. @throws {QuipuError} ERR_USAGE for one that is missing. */
export async function identify(paths: readonly string[]): Promise<CountedCorpus["files"]> {
  return Promise.all(
    paths.map(async (path) => {
      if (path === "-") return { path, size: 0, modified: 0 };
      try {
        const { size, mtimeMs } = await stat(path);
        return { path: resolve(path), size, modified: Math.floor(mtimeMs) };
      } catch (cause) {
        throw new QuipuError("ERR_USAGE", `${path}: cannot be read: ${(cause as Error).message}`, { cause });
      }
    }),
  );
}

function isProgress(value: unknown): value is Progress {
  if (!isJsonObject(value)) return false;
  const numbers = [value.file, value.offset, value.line, value.documents, value.bytes];
  return (
    numbers.every((number) => Number.isSafeInteger(number) && (number as number) >= 0) &&
    Array.isArray(value.runs) &&
    value.runs.every((run) => typeof run === "string" && /^run-\d+$/.test(run))
  );
}

function differenceOf(before: unknown, now: CountedCorpus): string | undefined {
  const was = (isJsonObject(before) ? before : {}) as Partial<CountedCorpus>;
  for (const name of ["pattern", "format", "field"] as const) {
    if (was[name] !== now[name]) return `${name} was ${was[name]}, and is ${now[name]} now`;
  }
  const files = Array.isArray(was.files) ? (was.files as CountedCorpus["files"]) : [];
  if (files.length !== now.files.length) return `there were ${files.length} files, and are ${now.files.length} now`;
  const changed = now.files.find(({ path, size, modified }, i) => {
    const file = files[i]!;
    return file.path !== path || file.size !== size || file.modified !== modified;
  });
  return changed === undefined ? undefined : `${changed.path} has changed, or was not at this place`;
}
