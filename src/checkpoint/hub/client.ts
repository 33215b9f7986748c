// The hub's API as far as a pull needs it: which commit a revision is, which files that has, and their bytes.
import { createHash } from "node:crypto";
import { QuipuError } from "../../errors.js";
import { type Clock, SYSTEM_CLOCK } from "./clock.js";
import {
  connectionFailure,
  discard,
  type HubBody,
  HubHttp,
  type HubRequest,
  type HubResponse,
  PassingFailure,
  withRetries,
} from "./http.js";
import { refusal } from "./refusal.js";
import type { HubSettings } from "./settings.js";

/** How the contents of a file are known. */
export type FileHash =
  | { readonly kind: "sha256"; readonly hex: string }
  /** Of git's blob: the SHA-1 of "blob <size>\0" and the contents. */
  | { readonly kind: "git-sha1"; readonly hex: string };

export interface HubFile {
  /** In the repository, with "/". */
  readonly path: string;
  readonly size: number;
  /** Undefined where the hub gives none. */
  readonly hash: FileHash | undefined;
  /** The name of its blob in the cache: the hash, else one that no other file of any commit has. */
  readonly etag: string;
}

export interface HubRevision {
  readonly commit: string;
  /** Whether its terms have to be accepted. */
  readonly gated: boolean;
}

export interface HubClientOptions {
  readonly clock?: Clock;
  /** How long a server may be silent. Default 30 s. */
  readonly silenceMs?: number;
  /** What to do where the hub does not answer, in a sentence; by default that of a pull. */
  readonly advice?: string;
  /** Told of each failure that another try follows. */
  readonly onRetry?: ((message: string) => void) | undefined;
}

/** A range of a file, as it comes. */
export interface OpenRange {
  readonly body: HubBody;
  /** The first byte that it has: 0 where the server knows no ranges. */
  readonly first: number;
  /** Whether the server sends the whole file, whatever is asked for. */
  readonly isWhole: boolean;
  /** Where it was found. */
  readonly url: URL;
}

const USER_AGENT = `quipu; node/${process.versions.node}`;
const SILENCE_MS = 30_000;
/** Of requests that are asked for before anything has been fetched: a user who is offline waits two seconds. */
const ATTEMPTS = 3;
const ADVICE = "Try again later: a pull goes on with what it has.";
const MOST_ANSWER_BYTES = 64 * 2 ** 20;
const MOST_PAGES = 1000;

export class HubClient {
  readonly endpoint: URL;
  readonly settings: HubSettings;
  readonly #clock: Clock;
  readonly #http: HubHttp;
  readonly #advice: string;
  readonly #onRetry: ((message: string) => void) | undefined;

  constructor(
    settings: HubSettings,
    { clock = SYSTEM_CLOCK, silenceMs = SILENCE_MS, advice = ADVICE, onRetry }: HubClientOptions = {},
  ) {
    this.settings = settings;
    this.endpoint = settings.endpoint;
    this.#clock = clock;
    this.#advice = advice;
    this.#onRetry = onRetry;
    const { endpoint, token, proxies } = settings;
    const about = { origin: endpoint.origin, token: token?.value, proxies };
    this.#http = new HubHttp({ ...about, userAgent: USER_AGENT, silenceMs, clock });
  }

  /** Which commit a branch, a tag or a commit is. @throws {QuipuError} ERR_PULL, ERR_ABORTED */
  async resolve(repo: string, revision: string, signal?: AbortSignal): Promise<HubRevision> {
    const url = this.#url(`api/models/${repo}/revision/${encodeURIComponent(revision)}`);
    const { value } = await this.#json({ url, signal }, { repo, revision });
    const { sha, gated } = (value ?? {}) as { sha?: unknown; gated?: unknown };
    if (typeof sha !== "string" || !/^[0-9a-f]{40}$/.test(sha)) {
      throw this.#notAHub(`${repo}: expected a commit of 40 digits`);
    }
    return { commit: sha, gated: gated !== undefined && gated !== false };
  }

  /** All files of a commit. @throws {QuipuError} ERR_PULL, ERR_ABORTED */
  async list(repo: string, commit: string, signal?: AbortSignal): Promise<HubFile[]> {
    const files: HubFile[] = [];
    let url: URL | undefined = this.#url(`api/models/${repo}/tree/${commit}?recursive=true`);
    for (let page = 0; url !== undefined; page++) {
      if (page >= MOST_PAGES) throw this.#notAHub(`${repo}: more than ${MOST_PAGES} pages of files`);
      const { value, next } = await this.#json({ url, signal }, { repo, revision: commit });
      if (!Array.isArray(value)) throw this.#notAHub(`${repo}: expected a list of files`);
      for (const entry of value) {
        const file = await this.#fileOf(repo, commit, entry, signal);
        if (file !== undefined) files.push(file);
      }
      url = next;
    }
    return files;
  }

  /**
   * Bytes `first` to `last` (both included) of a file, whole.
   *
   * @throws {QuipuError} ERR_PULL, ERR_ABORTED
   */
  async readRange(
    repo: string,
    commit: string,
    path: string,
    first: number,
    last: number,
    signal?: AbortSignal,
  ): Promise<Buffer> {
    const bytes = Buffer.alloc(last - first + 1);
    let done = 0;
    await this.#retrying(signal, async (progressed) => {
      const opened = await this.openRange(repo, commit, path, first + done, last, signal);
      for await (const chunk of bytesFrom(opened, first + done, signal)) {
        done += chunk.copy(bytes, done);
        progressed();
        if (done === bytes.length) return;
      }
      throw new PassingFailure(`${opened.url.host}: ${path} ended early`);
    });
    return bytes;
  }

  /**
   * One try to open a range of a file; `last` undefined is its end.
   *
   * @param known where a range of the file was found before: asked in the hub's place, which would only lead there.
   * @throws {PassingFailure | QuipuError} ERR_PULL, ERR_ABORTED
   */
  async openRange(
    repo: string,
    commit: string,
    path: string,
    first: number,
    last: number | undefined,
    signal?: AbortSignal,
    known?: URL,
  ): Promise<OpenRange> {
    const url = known ?? this.#resolveUrl(repo, commit, path);
    const headers = { range: `bytes=${first}-${last ?? ""}` };
    const response = await this.#http.send({ url, headers, signal });
    const { status, headers: fields, body } = response;
    if (status === 200 || status === 206) {
      const encoding = fields["content-encoding"] ?? "identity";
      const start = status === 200 ? 0 : Number(/^bytes (\d+)-/.exec(fields["content-range"] ?? "")?.[1] ?? Number.NaN);
      if (encoding === "identity" && (status === 200 || start === first)) {
        return { body, first: start, isWhole: status === 200, url: response.url };
      }
      discard(body);
      throw this.#notAHub(
        `${path}: expected bytes from ${first} on, got ${JSON.stringify(fields["content-range"] ?? encoding)}`,
      );
    }
    if (response.url.origin !== this.endpoint.origin) {
      // Where the hub leads to. Its addresses are signed, and hold for a time: the next try asks the hub for another.
      discard(body);
      throw new PassingFailure(`${response.url.host} answered ${status}`);
    }
    throw await this.#refuse(response, { repo, revision: commit, path });
  }

  /** Runs `attempt` with the client's retries. */
  retrying<T>(attempts: number, signal: AbortSignal | undefined, attempt: (progressed: () => void) => Promise<T>) {
    const [clock, advice, onRetry] = [this.#clock, this.#advice, this.#onRetry];
    return withRetries(attempt, { attempts, clock, signal, advice, onRetry });
  }

  close(): Promise<void> {
    return this.#http.close();
  }

  #retrying<T>(signal: AbortSignal | undefined, attempt: (progressed: () => void) => Promise<T>): Promise<T> {
    return this.retrying(ATTEMPTS, signal, attempt);
  }

  #url(path: string): URL {
    return new URL(`${this.endpoint.href.replace(/\/$/, "")}/${path}`);
  }

  #resolveUrl(repo: string, commit: string, path: string): URL {
    return this.#url(`${repo}/resolve/${commit}/${path.split("/").map(encodeURIComponent).join("/")}`);
  }

  /** @param about what is asked for, for errors. */
  async #json(request: HubRequest, about: { repo: string; revision: string }): Promise<{ value: unknown; next?: URL }> {
    const { signal } = request;
    return this.#retrying(signal, async () => {
      const response = await this.#http.send(request);
      if (response.status !== 200) throw await this.#refuse(response, about);
      const text = await readAnswer(response, MOST_ANSWER_BYTES, signal);
      let value: unknown;
      try {
        value = JSON.parse(text);
      } catch {
        throw this.#notAHub(`${about.repo}: expected JSON, got ${JSON.stringify(text.slice(0, 60))}`);
      }
      const [, link] = /<([^>]+)>\s*;\s*rel="?next"?/.exec(response.headers.link ?? "") ?? [];
      if (link === undefined) return { value };
      if (!URL.canParse(link, request.url.href)) throw this.#notAHub(`${about.repo}: expected the next page's address`);
      return { value, next: new URL(link, request.url) };
    });
  }

  /** Undefined for a folder. */
  async #fileOf(repo: string, commit: string, entry: unknown, signal?: AbortSignal): Promise<HubFile | undefined> {
    const { type, path, size, oid, lfs } = (entry ?? {}) as Readonly<Record<string, unknown>>;
    if (type === "directory") return undefined;
    if (type !== "file" || typeof path !== "string") throw this.#notAHub(`${repo}: expected files with their paths`);
    const { oid: sha256, size: lfsSize } = (lfs ?? {}) as Readonly<Record<string, unknown>>;
    const bytes = lfsSize ?? size;
    const hash = hashOf(sha256) ?? hashOf(oid);
    if (hash !== undefined && isSize(bytes)) return { path, size: bytes, hash, etag: hash.hex };
    return this.#askAbout(repo, commit, path, signal);
  }

  /** Of a hub whose list does not say it: by the headers of the file. */
  async #askAbout(repo: string, commit: string, path: string, signal?: AbortSignal): Promise<HubFile> {
    const url = this.#resolveUrl(repo, commit, path);
    return this.#retrying(signal, async () => {
      const response = await this.#http.send({ url, method: "HEAD", signal });
      discard(response.body);
      if (response.status !== 200) throw await this.#refuse(response, { repo, revision: commit, path });
      const { headers } = response;
      const size = Number(headers["x-linked-size"] ?? headers["content-length"] ?? Number.NaN);
      if (!isSize(size)) throw this.#notAHub(`${path}: expected its size in the answer's headers`);
      const given = (headers["x-linked-etag"] ?? headers.etag ?? "").replace(/^W\//, "").replace(/^"(.*)"$/, "$1");
      const hash = hashOf(given);
      return { path, size, hash, etag: hash?.hex ?? ownName(commit, path) };
    });
  }

  async #refuse(response: HubResponse, about: { repo: string; revision: string; path?: string }): Promise<QuipuError> {
    const { headers, status } = response;
    // A refusal may be long, or never end: what it says is a hint.
    const text = headers["x-error-message"] ?? (await readAnswer(response, 4096, undefined).catch(() => ""));
    return refusal({ status, code: headers["x-error-code"], text }, about, this.settings);
  }

  #notAHub(problem: string): QuipuError {
    return new QuipuError(
      "ERR_PULL",
      `${this.endpoint.origin} does not answer as a hub does: ${problem}. Is HF_ENDPOINT right?`,
    );
  }
}

/**
 * What a range has from byte `from` of its file on, as it comes.
 *
 * @throws {PassingFailure | QuipuError} ERR_PULL, ERR_ABORTED
 */
export async function* bytesFrom(
  { body, first, url }: OpenRange,
  from: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer, void, void> {
  let skip = from - first;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      const wanted = chunk.subarray(Math.min(skip, chunk.length));
      skip -= chunk.length - wanted.length;
      if (wanted.length > 0) yield wanted;
    }
  } catch (error) {
    throw connectionFailure(url, error, signal);
  }
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function hashOf(hex: unknown): FileHash | undefined {
  if (typeof hex !== "string" || !/^[0-9a-f]+$/.test(hex)) return undefined;
  if (hex.length === 64) return { kind: "sha256", hex };
  return hex.length === 40 ? { kind: "git-sha1", hex } : undefined;
}

/** Of a blob that no hash names: ETags of other servers may be those of another file, too, as of one of the same size and time. */
function ownName(commit: string, path: string): string {
  return `quipu-${createHash("sha256").update(`${commit}\n${path}`).digest("hex").slice(0, 40)}`;
}

async function readAnswer({ body, url }: HubResponse, most: number, signal: AbortSignal | undefined): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > most) throw new QuipuError("ERR_PULL", `${url.origin}: its answer has more than ${most} bytes`);
    }
  } catch (error) {
    throw connectionFailure(url, error, signal);
  }
  return Buffer.concat(chunks).toString("utf8");
}
