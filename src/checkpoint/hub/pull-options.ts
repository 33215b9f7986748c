// What a pull is told, and what it tells.
import { abortSignal, callback, flag, type Kinds, listOf, nonEmptyString } from "../../arguments.js";

export interface PullOptions {
  /** A branch, a tag or a commit, in place of one after "@"; default "main". */
  readonly revision?: string | undefined;
  /** Files to fetch, as patterns (`*.json`, `onnx/`), in place of weights, configuration, tokenizer and texts; none: the default. */
  readonly include?: readonly string[] | undefined;
  /** Reads again what is in the cache, and fetches anew what is damaged; default false: its size is looked at. */
  readonly verify?: boolean | undefined;
  /** Asked once the files are known and before any is fetched; false ends the pull with ERR_ABORTED. Not asked where nothing is to be fetched. */
  readonly confirm?: ((plan: PullPlan) => boolean | Promise<boolean>) | undefined;
  /** How far each file is, whenever that changes. */
  readonly onProgress?: ((progress: PullProgress) => void) | undefined;
  /** What a user may want to know: another try, a wait, a file that nothing but its size tells. */
  readonly onNotice?: ((message: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export const PULL_OPTIONS: Kinds<PullOptions> = {
  revision: nonEmptyString,
  include: listOf(nonEmptyString, "a list of patterns, as *.json"),
  verify: flag,
  confirm: callback,
  onProgress: callback,
  onNotice: callback,
  signal: abortSignal,
};

export interface PullPlan {
  readonly repo: string;
  readonly revision: string;
  readonly commit: string;
  /** Of the files that are wanted. */
  readonly files: number;
  readonly bytes: number;
  /** What is not in the cache. */
  readonly bytesToFetch: number;
  /** Where from: "https://huggingface.co". */
  readonly endpoint: string;
}

export interface PullProgress {
  readonly path: string;
  /** Bytes that are in the cache. */
  readonly done: number;
  readonly size: number;
  /** "waiting" for another process, or its turn; "kept": it was there before. */
  readonly state: "waiting" | "fetching" | "fetched" | "kept";
}

export interface PulledFile {
  readonly path: string;
  readonly bytes: number;
  /** How many of them were fetched now. */
  readonly fetchedBytes: number;
  /** What its bytes were held against when they were fetched, or read again: "size" where the hub gives no hash, or it was there. */
  readonly verified: "sha256" | "git-sha1" | "size";
}

export interface PullResult {
  readonly repo: string;
  readonly revision: string;
  readonly commit: string;
  /** The snapshot: a checkpoint folder. */
  readonly folder: string;
  readonly files: readonly PulledFile[];
  readonly bytes: number;
  readonly fetchedBytes: number;
}
