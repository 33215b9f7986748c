// A hub on the loopback: the routes that a pull asks, of repositories in memory, and whatever may go wrong on the way. Faults are
// decided by the test, request by request; nothing here waits for time.
import { createHash } from "node:crypto";
import { EventEmitter } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";

export interface ServedFile {
  readonly path: string;
  readonly bytes: Buffer;
  /** Stored with LFS: known by its SHA-256, as weights are. Default: *.safetensors and *.gguf. */
  readonly lfs?: boolean;
}

export interface Asked {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: string;
  readonly headers: IncomingMessage["headers"];
  /** "revision", "tree", "paths-info", "file", or "content" where the hub leads elsewhere. */
  readonly kind: string;
  /** Of a file: its path in the repository. */
  readonly file?: string;
  /** How often this very address was asked for, from 1 on. */
  readonly times: number;
}

/** What happens in place of the right answer. */
export type Fault =
  /** A status of the server's, with headers. */
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
  /** The connection is dropped before the answer, or after so many bytes of the body. */
  | { readonly drop: number | "before" }
  /** The answer ends after so many bytes as if that were all; the length is not said. */
  | { readonly truncate: number }
  /** One byte of the body is another. */
  | { readonly corrupt: number }
  /** So many bytes of the body, and then nothing until the function is called, which sends the rest. */
  | { readonly hold: number; readonly held: (release: () => void) => void }
  /** Ranges are not known: the whole file, with 200. */
  | { readonly ignoreRange: true }
  | undefined;

interface Repository {
  commit: string;
  files: readonly ServedFile[];
  /** Commits of before. */
  readonly commits: Map<string, readonly ServedFile[]>;
  readonly gated: boolean;
}

export interface HubServerOptions {
  /** Decides what goes wrong. */
  fault?: (asked: Asked) => Fault;
  /** Files lie on another host, which the hub leads to. */
  contentOn?: HubServer;
  /** Who may come; others are 401. */
  token?: string;
  /** What a list of files leaves out: hashes, or sizes too. */
  lists?: "hashes" | "nothing";
  /** Files of one page of a list. */
  pageSize?: number;
}

const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
const gitSha1 = (bytes: Buffer) => createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");

export class HubServer extends EventEmitter<{ asked: [Asked] }> {
  readonly asked: Asked[] = [];
  options: HubServerOptions;
  readonly #scheme: string;
  readonly #server: Server;
  readonly #repositories = new Map<string, Repository>();
  readonly #sockets = new Set<Socket>();
  #signed = 0;
  /** Connections that were made to it. */
  connections = 0;
  readonly #times = new Map<string, number>();

  private constructor(options: HubServerOptions, tls?: { key: string; cert: string }) {
    super();
    this.#scheme = tls === undefined ? "http" : "https";
    this.options = options;
    const answer = (request: IncomingMessage, response: ServerResponse) => this.#answer(request, response);
    this.#server = tls === undefined ? createServer(answer) : createTlsServer(tls, answer);
    this.#server.on("connection", (socket) => {
      this.connections += 1;
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  /** @param tls a key and its certificate, for https. */
  static async start(options: HubServerOptions = {}, tls?: { key: string; cert: string }): Promise<HubServer> {
    const server = new HubServer(options, tls);
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Puts a commit on main; the same files give the same commit. @returns the commit. */
  commit(repo: string, files: readonly ServedFile[], { gated = false } = {}): string {
    const told = files.map(({ path, bytes }) => `${path} ${sha256(bytes)}`).join("\n");
    const commit = createHash("sha1").update(`${repo}\n${told}`).digest("hex");
    const commits = this.#repositories.get(repo)?.commits ?? new Map<string, readonly ServedFile[]>();
    commits.set(commit, files);
    this.#repositories.set(repo, { commit, files, commits, gated });
    return commit;
  }

  forget(): void {
    this.asked.length = 0;
  }

  /** Requests of a kind, of a file. */
  count(kind: string, file?: string): number {
    return this.asked.filter((asked) => asked.kind === kind && (file === undefined || asked.file === file)).length;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "/", this.url);
    const path = decodeURIComponent(url.pathname);
    const api = /^\/api\/models\/([^/]+(?:\/[^/]+)?)\/(revision|tree|paths-info)\/(.+)$/.exec(path);
    const file = /^(\/content)?\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(path);
    const kind = api?.[2] ?? (file === null ? "other" : file[1] === undefined ? "file" : "content");
    const key = `${request.method} ${request.url} ${request.headers.range ?? ""}`;
    const times = (this.#times.get(key) ?? 0) + 1;
    this.#times.set(key, times);
    const { method = "GET", headers } = request;
    const asked = {
      method,
      path,
      query: url.search,
      headers,
      kind,
      times,
      ...(file === null ? {} : { file: file[4]! }),
    };
    this.asked.push(asked);
    this.emit("asked", asked);
    if (kind === "other") {
      response.end(); // whoever asks wants to be heard
      return;
    }
    const fault = this.options.fault?.(asked);
    if (fault !== undefined && "status" in fault) {
      response.writeHead(fault.status, fault.headers).end(fault.body ?? "");
      return;
    }
    if (fault !== undefined && "drop" in fault && fault.drop === "before") {
      request.socket.destroy();
      return;
    }
    const { token } = this.options;
    if (token !== undefined && kind !== "content" && headers.authorization !== `Bearer ${token}`) {
      response.writeHead(401, { "x-error-message": "Invalid username or password." }).end();
      return;
    }
    const repo = api?.[1] ?? file?.[2] ?? "";
    const repository = this.#repositories.get(repo);
    if (repository === undefined) {
      response.writeHead(401, { "x-error-code": "RepoNotFound", "x-error-message": "Repository not found" }).end();
      return;
    }
    const revision = api?.[3] ?? file?.[3] ?? "";
    const commit = revision === "main" || revision === "refs/pr/1" ? repository.commit : revision;
    const files = repository.commits.get(commit);
    if (files === undefined) {
      response.writeHead(404, { "x-error-code": "RevisionNotFound", "x-error-message": "Invalid rev id" }).end();
      return;
    }
    if (kind === "revision") {
      this.#json(response, {
        id: repo,
        _id: "1",
        sha: commit,
        gated: repository.gated && "manual",
        private: false,
        downloads: 0,
        likes: 0,
        lastModified: "2026-01-01T00:00:00.000Z",
        createdAt: "2026-01-01T00:00:00.000Z",
        tags: [],
        siblings: files.map(({ path }) => ({ rfilename: path })),
      });
      return;
    }
    if (kind === "tree" || kind === "paths-info") {
      void this.#list(request, response, kind, files, commit, url);
      return;
    }
    if (repository.gated && kind === "file" && headers.authorization === undefined) {
      response
        .writeHead(401, { "x-error-code": "GatedRepo", "x-error-message": "Access to model is restricted." })
        .end();
      return;
    }
    const served = files.find((candidate) => candidate.path === file?.[4]);
    if (served === undefined) {
      response.writeHead(404, { "x-error-code": "EntryNotFound" }).end();
      return;
    }
    this.#serve(request, response, served, commit, fault);
  }

  async #list(
    request: IncomingMessage,
    response: ServerResponse,
    kind: string,
    files: readonly ServedFile[],
    commit: string,
    url: URL,
  ): Promise<void> {
    const all = files.map((file) => this.#entryOf(file));
    if (kind === "paths-info") {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const { paths } = JSON.parse(Buffer.concat(chunks).toString()) as { paths: string[] };
      const lastCommit = { id: commit, title: "", date: "2026-01-01T00:00:00.000Z" };
      this.#json(
        response,
        all.filter(({ path }) => paths.includes(path)).map((entry) => ({ ...entry, lastCommit })),
      );
      return;
    }
    const { pageSize } = this.options;
    if (pageSize === undefined) return this.#json(response, all);
    const start = Number(url.searchParams.get("cursor") ?? 0);
    const next = new URL(url);
    next.searchParams.set("cursor", String(start + pageSize));
    const link: Record<string, string> = start + pageSize < all.length ? { link: `<${next.href}>; rel="next"` } : {};
    this.#json(response, all.slice(start, start + pageSize), link);
  }

  #entryOf(file: ServedFile): Record<string, unknown> & { path: string } {
    const { path, bytes } = file;
    const { lists } = this.options;
    if (lists === "nothing") return { type: "file", path };
    const pointer = Buffer.from(
      `version https://git-lfs.github.com/spec/v1\noid sha256:${sha256(bytes)}\nsize ${bytes.length}\n`,
    );
    const oid = gitSha1(isLfs(file) ? pointer : bytes);
    if (lists === "hashes") return { type: "file", path, size: bytes.length };
    const lfs = isLfs(file) ? { lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: pointer.length } } : {};
    return { type: "file", path, size: bytes.length, oid, ...lfs };
  }

  #json(response: ServerResponse, value: unknown, headers: Record<string, string> = {}): void {
    response.writeHead(200, { "content-type": "application/json", ...headers }).end(JSON.stringify(value));
  }

  #serve(request: IncomingMessage, response: ServerResponse, file: ServedFile, commit: string, fault: Fault): void {
    const { contentOn, lists } = this.options;
    const etag =
      lists === undefined ? (isLfs(file) ? sha256(file.bytes) : gitSha1(file.bytes)) : `W-${file.bytes.length}`;
    const known = { etag: `"${etag}"`, "x-repo-commit": commit, "accept-ranges": "bytes" };
    if (contentOn !== undefined) {
      const location = `${contentOn.url}/content${request.url}?signature=${++this.#signed}`;
      response
        .writeHead(302, { ...known, location, "x-linked-etag": known.etag, "x-linked-size": String(file.bytes.length) })
        .end();
      return;
    }
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
    const isRange = range !== null && !(fault !== undefined && "ignoreRange" in fault);
    const first = isRange ? Number(range[1]) : 0;
    const last = isRange && range[2] !== "" ? Math.min(Number(range[2]), file.bytes.length - 1) : file.bytes.length - 1;
    if (first >= file.bytes.length && file.bytes.length > 0) {
      response.writeHead(416).end();
      return;
    }
    let body = Buffer.from(file.bytes.subarray(first, last + 1));
    const headers: Record<string, string> = { ...known };
    if (isRange) headers["content-range"] = `bytes ${first}-${last}/${file.bytes.length}`;
    if (fault !== undefined && "corrupt" in fault && body.length > fault.corrupt) body[fault.corrupt]! ^= 1;
    const isCut = fault !== undefined && "truncate" in fault;
    if (isCut) body = body.subarray(0, fault.truncate);
    else headers["content-length"] = String(body.length);
    response.writeHead(isRange ? 206 : 200, headers);
    if (request.method === "HEAD") {
      response.end();
    } else if (fault !== undefined && "drop" in fault) {
      response.write(body.subarray(0, fault.drop as number), () => request.socket.destroy());
    } else if (fault !== undefined && "hold" in fault) {
      response.write(body.subarray(0, fault.hold), () => fault.held(() => response.end(body.subarray(fault.hold))));
    } else {
      response.end(body);
    }
  }
}

function isLfs({ path, lfs }: ServedFile): boolean {
  return lfs ?? /\.(safetensors|gguf|bin)$/.test(path);
}
