// pullModel: a repository of the hub to a snapshot in its cache. Blobs first, each verified before it has its name; then the links of
// the snapshot, weights last; then the reference. So whoever looks on the way sees the old snapshot, or none that has weights.
import { randomUUID } from "node:crypto";
import { rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { checkArgument, readOptions, string } from "../../arguments.js";
import { abortedError, isQuipuError, QuipuError } from "../../errors.js";
import { makeFolder } from "../../machine/make-folder.js";
import { isWeights } from "../file-names.js";
import { CachedRepository, checkLayout, sizeAt } from "./cache.js";
import { HubClient, type HubFile } from "./client.js";
import { type Clock, SYSTEM_CLOCK } from "./clock.js";
import { download, isIntact } from "./download.js";
import { type KnownFiles, readKnownFiles, writeKnownFiles } from "./known-files.js";
import { markUse, takeLock, type UseMark } from "./lock.js";
import { Slots } from "./parts.js";
import { PULL_OPTIONS, type PulledFile, type PullOptions, type PullProgress, type PullResult } from "./pull-options.js";
import { isCommit, repositoryOf } from "./repository-name.js";
import { selectFiles } from "./selection.js";
import { hubSettings } from "./settings.js";
import { snapshotProblem } from "./snapshot.js";
import { checkSpace } from "./space.js";
import { writeFailure } from "./write-failure.js";

/** What tests put in the place of time and of sizes. */
export interface PullSeams {
  readonly clock?: Clock;
  readonly silenceMs?: number;
  readonly partBytes?: number;
}

/** Files that are fetched at once, and requests of them all: a part of each may be in memory. */
const FILES_AT_ONCE = 4;
const REQUESTS_AT_ONCE = 8;

/**
 * Fetches a model from the hub (HF_ENDPOINT) into its cache (HF_HUB_CACHE, HF_HOME), which other tools share, or as much of it as is
 * missing. Every byte is verified; what was fetched before an error is kept, and the next pull goes on there. A commit whose files
 * are all there is not asked for again.
 *
 * @param repo "org/name" or "org/name@revision".
 * @throws {QuipuError} ERR_PULL, ERR_ABORTED, ERR_USAGE
 */
export function pullModel(repo: string, options?: PullOptions): Promise<PullResult> {
  return pullWith({}, repo, options);
}

/** {@link pullModel}, with a clock and sizes of the caller. */
export async function pullWith(seams: PullSeams, given: string, options?: PullOptions): Promise<PullResult> {
  checkArgument("repo", given, string);
  const read = readOptions<PullOptions>("pullModel", options, PULL_OPTIONS);
  const { repo, revision } = repositoryOf(given, read.revision);
  if (read.signal?.aborted) throw abortedError(read.signal);
  return new Pull(seams, repo, revision, read).run();
}

/** A file that is wanted. */
interface Wanted {
  readonly file: HubFile;
  /** Its bytes are in the cache. */
  readonly isThere: boolean;
}

class Pull {
  readonly #repo: string;
  readonly #revision: string;
  readonly #options: PullOptions;
  readonly #settings = hubSettings();
  readonly #client: HubClient;
  readonly #cached: CachedRepository;
  readonly #clock: Clock;
  readonly #partBytes: number | undefined;
  readonly #slots = new Slots(REQUESTS_AT_ONCE);

  constructor(
    { clock = SYSTEM_CLOCK, silenceMs, partBytes }: PullSeams,
    repo: string,
    revision: string,
    options: PullOptions,
  ) {
    this.#repo = repo;
    this.#revision = revision;
    this.#options = options;
    this.#clock = clock;
    this.#partBytes = partBytes;
    const silence = silenceMs === undefined ? {} : { silenceMs };
    this.#client = new HubClient(this.#settings, { clock, ...silence, onRetry: options.onNotice });
    this.#cached = new CachedRepository(this.#settings.cache, repo);
  }

  async run(): Promise<PullResult> {
    checkLayout(this.#settings.cache);
    try {
      const commit = await this.#findCommit();
      const known = readKnownFiles(this.#cached, commit);
      const all = known?.files ?? (await this.#listFiles(commit));
      if (all === undefined) return this.#whatIsThere(commit);
      const files = selectFiles(this.#repo, all, this.#options.include);
      const wanted = await Promise.all(files.map((file) => this.#look(commit, file)));
      const pinned = isCommit(this.#revision) || known?.pinned === true;
      await this.#prepare(commit, wanted);
      const mark = this.#markUse(wanted);
      try {
        const pulled = await this.#fetchAll(commit, this.#lookAgain(commit, wanted));
        this.#publish(commit, files, known?.pinned === pinned ? undefined : { files: all, pinned });
        return this.#result(commit, pulled);
      } finally {
        mark?.remove();
      }
    } finally {
      await this.#client.close();
    }
  }

  async #findCommit(): Promise<string> {
    if (isCommit(this.#revision)) return this.#revision;
    if (!this.#settings.offline) {
      const resolving = this.#client.resolve(this.#repo, this.#revision, this.#options.signal);
      return (await resolving.catch((error: unknown) => this.#failToResolve(error))).commit;
    }
    const commit = this.#cached.reference(this.#revision);
    if (commit === undefined || !isCommit(commit)) throw this.#offline(`${this.#revision} is not in the cache`);
    return commit;
  }

  /** Says what there is without the hub. */
  #failToResolve(error: unknown): never {
    const known = this.#cached.reference(this.#revision);
    const works = known !== undefined && snapshotProblem(this.#cached.snapshot(known)) === undefined;
    if (!isQuipuError(error) || error.code !== "ERR_PULL" || !works) throw error;
    const have = `The cache has ${this.#revision} as it was at commit ${known}, which works without the hub.`;
    throw new QuipuError("ERR_PULL", `${error.message} ${have}`, { cause: error });
  }

  /** Undefined where nobody may be asked. */
  async #listFiles(commit: string): Promise<readonly HubFile[] | undefined> {
    return this.#settings.offline ? undefined : this.#client.list(this.#repo, commit, this.#options.signal);
  }

  /** Offline, of a snapshot that another tool has made: whether it is one that can be used. */
  #whatIsThere(commit: string): PullResult {
    const problem = snapshotProblem(this.#cached.snapshot(commit));
    if (problem !== undefined) throw this.#offline(problem);
    return this.#result(commit, []);
  }

  #offline(problem: string): QuipuError {
    const why = `nothing is fetched, as HF_HUB_OFFLINE is set`;
    return new QuipuError(
      "ERR_PULL",
      `${this.#repo}: ${problem}, and ${why}. Unset it, or copy the model into ${this.#settings.cache}.`,
    );
  }

  async #look(commit: string, file: HubFile): Promise<Wanted> {
    const place = this.#placeOf(commit, file);
    if (place === undefined) return { file, isThere: false };
    if (this.#options.verify !== true) return { file, isThere: true };
    if (await isIntact(place, file, this.#options.signal)) return { file, isThere: true };
    this.#options.onNotice?.(`${file.path}: it is damaged in the cache, and is fetched anew`);
    return { file, isThere: false };
  }

  /** Where its bytes are, as far as their size tells. */
  #placeOf(commit: string, file: HubFile): string | undefined {
    // Where links cannot be made, other tools put the file itself into the snapshot.
    const places = [this.#cached.blob(file.etag), `${this.#cached.snapshot(commit)}/${file.path}`];
    return places.find((path) => sizeAt(path) === file.size);
  }

  /** Others may have removed files while somebody was asked: from here on they know that these are wanted. */
  #lookAgain(commit: string, wanted: readonly Wanted[]): Wanted[] {
    return wanted.map(({ file, isThere }) => ({ file, isThere: isThere && this.#placeOf(commit, file) !== undefined }));
  }

  /** Sees to it that what is missing may be fetched, and has room. */
  async #prepare(commit: string, wanted: readonly Wanted[]): Promise<void> {
    const missing = wanted.filter(({ isThere }) => !isThere);
    if (missing.length === 0) return;
    if (this.#settings.offline) throw this.#offline(`${missing.length} of its files are not in the cache`);
    const left = ({ file }: Wanted) => Math.max(0, file.size - (sizeAt(this.#partial(file)) ?? 0));
    const bytesToFetch = missing.reduce((sum, one) => sum + left(one), 0);
    await this.#confirm(commit, wanted, bytesToFetch);
    checkSpace(this.#cached.folder, bytesToFetch);
  }

  /** What a pull has fetched is in no snapshot before its end: whoever removes such blobs must not take these. */
  #markUse(wanted: readonly Wanted[]): UseMark | undefined {
    try {
      return markUse(this.#cached);
    } catch (error) {
      if (wanted.every(({ isThere }) => isThere)) return undefined; // a cache that may only be read
      throw error;
    }
  }

  async #fetchAll(commit: string, wanted: readonly Wanted[]): Promise<PulledFile[]> {
    const missing = wanted.filter(({ isThere }) => !isThere);
    for (const { file, isThere } of wanted) this.#tell(file, isThere ? file.size : 0, isThere ? "kept" : "waiting");
    const controller = new AbortController();
    const { signal } = this.#options;
    const abort = () => controller.abort(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    const pulled = new Map(wanted.map(({ file }) => [file, pulledOf(file, 0, this.#options.verify === true)]));
    // What is small comes first: a model that cannot be used is then known soon.
    const queue = [...new Map(missing.map(({ file }) => [file.etag, file])).values()].sort((a, b) => a.size - b.size);
    const work = async () => {
      for (let file = queue.shift(); file !== undefined && !controller.signal.aborted; file = queue.shift()) {
        const fetched = await this.#fetch(commit, file, controller.signal);
        pulled.set(file, pulledOf(file, fetched ?? 0, fetched !== undefined));
        for (const { file: other } of missing) {
          if (other === file || other.etag !== file.etag) continue;
          pulled.set(other, pulledOf(other, 0, fetched !== undefined)); // the same bytes under another name
          this.#tell(other, other.size, "fetched");
        }
      }
    };
    const workers = Array.from({ length: FILES_AT_ONCE }, () =>
      work().catch((error: unknown) => {
        controller.abort(error); // the others end, and keep what they have
        throw error;
      }),
    );
    try {
      const ended = await Promise.allSettled(workers);
      const failure = ended.find((end) => end.status === "rejected" && end.reason === controller.signal.reason);
      const other = failure ?? ended.find((end) => end.status === "rejected");
      if (other?.status === "rejected") throw other.reason;
      if (signal?.aborted) throw abortedError(signal);
      return [...pulled.values()];
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  async #confirm(commit: string, wanted: readonly Wanted[], bytesToFetch: number): Promise<void> {
    const bytes = wanted.reduce((sum, { file }) => sum + file.size, 0);
    const { origin } = this.#settings.endpoint;
    const [repo, revision] = [this.#repo, this.#revision];
    const plan = { repo, revision, commit, files: wanted.length, bytes, bytesToFetch, endpoint: origin };
    if ((await this.#options.confirm?.(plan)) === false)
      throw new QuipuError("ERR_ABORTED", `${repo}: the pull was refused`);
  }

  /** @returns how many bytes were fetched; undefined where another process has fetched it. */
  async #fetch(commit: string, file: HubFile, signal: AbortSignal): Promise<number | undefined> {
    const { onNotice } = this.#options;
    const blob = this.#cached.blob(file.etag);
    const onWait = () => onNotice?.(`${file.path}: another process is fetching it; waiting for that`);
    const lock = await takeLock(this.#cached.lock(file.etag), this.#clock, onWait, signal);
    try {
      if (this.#options.verify !== true && sizeAt(blob) === file.size) {
        this.#tell(file, file.size, "kept"); // by the process that had the lock
        return undefined;
      }
      const partial = lock.isExclusive ? this.#partial(file) : `${blob}.${randomUUID().slice(0, 8)}.incomplete`;
      try {
        makeFolder(dirname(blob));
      } catch (error) {
        throw writeFailure(dirname(blob), error);
      }
      const fetched = await download({
        ...{ client: this.#client, repo: this.#repo, commit, file, partial, slots: this.#slots, onNotice, signal },
        ...{ partBytes: this.#partBytes, onBytes: (done) => this.#tell(file, done, "fetching") },
      }).catch(async (error: unknown) => {
        if (!lock.isExclusive) await rm(partial, { force: true });
        throw error;
      });
      if (file.hash === undefined)
        onNotice?.(`${file.path}: the hub gives no hash of it: nothing but its size is verified`);
      await rename(partial, blob).catch((error: unknown) => {
        throw writeFailure(blob, error);
      });
      this.#tell(file, file.size, "fetched");
      return fetched;
    } finally {
      lock.release();
    }
  }

  /** As huggingface_hub names it: it goes on with ours, and quipu with its. */
  #partial(file: HubFile): string {
    return `${this.#cached.blob(file.etag)}.incomplete`;
  }

  #publish(commit: string, files: readonly HubFile[], known: KnownFiles | undefined): void {
    const inOrder = [...files].sort((a, b) => Number(isWeights(a.path)) - Number(isWeights(b.path)));
    try {
      for (const { path, etag, size } of inOrder) {
        if (sizeAt(this.#cached.blob(etag)) === size) this.#cached.link(commit, path, etag);
      }
      if (known !== undefined) writeKnownFiles(this.#cached, commit, known);
      this.#cached.setReference(this.#revision, commit);
    } catch (error) {
      const isNamed = this.#cached.reference(this.#revision) === commit || isCommit(this.#revision);
      // A cache that may only be read, and that has everything, is no failure.
      if (isNamed && files.every(({ path, size }) => sizeAt(`${this.#cached.snapshot(commit)}/${path}`) === size))
        return;
      throw writeFailure(this.#cached.folder, error);
    }
  }

  #result(commit: string, files: readonly PulledFile[]): PullResult {
    return {
      ...{ repo: this.#repo, revision: this.#revision, commit, folder: this.#cached.snapshot(commit), files },
      bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
      fetchedBytes: files.reduce((sum, { fetchedBytes }) => sum + fetchedBytes, 0),
    };
  }

  #tell({ path, size }: HubFile, done: number, state: PullProgress["state"]): void {
    this.#options.onProgress?.({ path, done, size, state });
  }
}

function pulledOf({ path, size, hash }: HubFile, fetchedBytes: number, isVerified: boolean): PulledFile {
  return { path, bytes: size, fetchedBytes, verified: isVerified ? (hash?.kind ?? "size") : "size" };
}
