// Requests to a hub: through the proxy that the environment names, redirects followed by hand, so that a token is sent to the hub's
// own origin and to no other, and failures that may pass told from those that will not.
import type * as Undici from "undici";
import type { buildConnector, Dispatcher } from "undici";
import { abortedError, isQuipuError, QuipuError } from "../../errors.js";
import type { Clock } from "./clock.js";
import type { HubProxy } from "./settings.js";

export type HubBody = Dispatcher.ResponseData["body"];

export interface HubResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: HubBody;
  /** Where it came from, after redirects. */
  readonly url: URL;
}

export interface HubRequest {
  readonly url: URL;
  readonly method?: "GET" | "HEAD";
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

/** What may be otherwise at the next try. */
export class PassingFailure extends Error {
  /** Milliseconds that the server asks to wait. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, { cause, retryAfterMs }: { cause?: unknown; retryAfterMs?: number | undefined } = {}) {
    super(message, { cause });
    this.retryAfterMs = retryAfterMs;
  }
}

/** There is no connection to a proxy. */
class ProxyFailure extends Error {
  constructor(url: URL, proxies: readonly HubProxy[], cause: Error) {
    const source = proxies.find((proxy) => proxy.url.origin === url.origin)?.source ?? "HTTPS_PROXY";
    super(`the proxy ${url.host} (${source})`, { cause });
  }
}

export interface HttpOptions {
  /** Who may see the token. */
  readonly origin: string;
  readonly token: string | undefined;
  readonly userAgent: string;
  readonly proxies: readonly HubProxy[];
  /** How long a server may be silent, before its headers and between two pieces. */
  readonly silenceMs: number;
  readonly clock: Clock;
}

/** Bytes of an answer that nobody wants. */
const MOST_DISCARDED = 65_536;
const MOST_REDIRECTS = 5;
const REDIRECTS = [301, 302, 303, 307, 308];
const PASSING_STATUS = [408, 425, 429, 500, 502, 503, 504];
/** Of an attempt that follows another: twice as long each time. */
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;
/** A server that asks for more is not waited for. */
const LONGEST_RETRY_AFTER_MS = 5 * 60_000;

export class HubHttp {
  readonly #options: HttpOptions;
  #dispatcher: Dispatcher | undefined;

  constructor(options: HttpOptions) {
    this.#options = options;
  }

  /**
   * One try. Statuses that mean no success are the caller's to read, but those that may pass.
   *
   * @throws {PassingFailure | QuipuError} ERR_PULL, ERR_ABORTED
   */
  async send({ url, method = "GET", headers = {}, signal }: HubRequest): Promise<HubResponse> {
    let at = url;
    for (let redirects = 0; ; redirects++) {
      const response = await this.#sendTo(at, method, headers, signal);
      if (!REDIRECTS.includes(response.status)) return this.#refusePassing(response);
      discard(response.body);
      const location = response.headers.location ?? "";
      const next = URL.canParse(location, at.href) ? new URL(location, at) : undefined;
      const isSafe = next?.protocol === "https:" || (next?.protocol === "http:" && at.protocol === "http:");
      if (next === undefined || !isSafe || redirects >= MOST_REDIRECTS) {
        const why =
          redirects >= MOST_REDIRECTS ? `more than ${MOST_REDIRECTS} redirects` : "a redirect that is not followed";
        throw new QuipuError("ERR_PULL", `${url.origin}: ${why}: to ${shownAddress(location)}`);
      }
      at = next;
    }
  }

  /** Ends connections that are kept open. */
  async close(): Promise<void> {
    await this.#dispatcher?.destroy();
  }

  async #sendTo(
    url: URL,
    method: "GET" | "HEAD",
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal | undefined,
  ): Promise<HubResponse> {
    const { origin, token, userAgent, silenceMs } = this.#options;
    const authorization = token !== undefined && url.origin === origin ? { authorization: `Bearer ${token}` } : {};
    try {
      const undici = await import("undici"); // a fifth of a second, which most runs need not wait for
      this.#dispatcher ??= this.#makeDispatcher(undici);
      const response = await undici.request(url, {
        method,
        // Parts of a file count its own bytes, not those of an encoding.
        headers: { "user-agent": userAgent, "accept-encoding": "identity", ...headers, ...authorization },
        dispatcher: this.#dispatcher,
        signal: signal ?? null,
        headersTimeout: silenceMs,
        bodyTimeout: silenceMs,
      });
      const fields = Object.entries(response.headers).map(([name, value]) => [name, [value].flat().join(", ")]);
      return { status: response.statusCode, headers: Object.fromEntries(fields), body: response.body, url };
    } catch (error) {
      throw connectionFailure(url, error, signal);
    }
  }

  #makeDispatcher({ EnvHttpProxyAgent, Pool }: typeof Undici): Dispatcher {
    const { silenceMs, proxies } = this.#options;
    return new EnvHttpProxyAgent({
      connect: { timeout: silenceMs },
      // Its client to a proxy, which tells failures on the way there from those of the hub behind it.
      clientFactory: (proxy, options) => {
        const { connect } = options as { connect: buildConnector.connector };
        const marked: buildConnector.connector = (to, callback) =>
          connect(to, (...[error, socket]) =>
            error === null ? callback(null, socket) : callback(new ProxyFailure(proxy, proxies, error), null),
          );
        return new Pool(proxy.origin, { ...options, connect: marked });
      },
    });
  }

  #refusePassing(response: HubResponse): HubResponse {
    const { status, headers, body, url } = response;
    if (!PASSING_STATUS.includes(status)) return response;
    discard(body);
    const asked = retryAfter(headers["retry-after"], this.#options.clock.now());
    const message = `${url.origin} answered ${status}${status === 429 ? " (too many requests)" : ""}`;
    throw new PassingFailure(message, { retryAfterMs: asked });
  }
}

export interface RetryOptions {
  /** Tries one after another that bring nothing. */
  readonly attempts: number;
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
  /** What to do where none succeeds, in a sentence. */
  readonly advice: string;
  /** Told of each failure that another try follows. */
  readonly onRetry?: ((message: string) => void) | undefined;
}

/**
 * Tries until `attempt` succeeds, or fails for good, or has failed so many times with nothing gained.
 *
 * @param attempt calls `progressed` when it has got something: failures are then counted anew.
 * @throws {QuipuError} ERR_PULL, ERR_ABORTED
 */
export async function withRetries<T>(
  attempt: (progressed: () => void) => Promise<T>,
  { attempts, clock, signal, advice, onRetry }: RetryOptions,
): Promise<T> {
  let failures = 0;
  for (;;) {
    try {
      return await attempt(() => {
        failures = 0;
      });
    } catch (error) {
      if (!(error instanceof PassingFailure)) throw error;
      failures += 1;
      const asked = error.retryAfterMs ?? 0;
      const isHopeless = failures >= attempts || asked > LONGEST_RETRY_AFTER_MS;
      if (isHopeless) {
        const times = failures === 1 ? "" : `, ${failures} times`;
        const wish = asked > 0 ? `, and asks to wait ${Math.ceil(asked / 1000)} s` : "";
        throw new QuipuError("ERR_PULL", `${error.message}${times}${wish}. ${advice}`, { cause: error.cause ?? error });
      }
      const own = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (failures - 1)) * (0.75 + Math.random() / 2);
      const wait = Math.max(asked, own);
      onRetry?.(`${error.message}; trying again in ${(wait / 1000).toFixed(1)} s`);
      await clock.sleep(wait, signal);
    }
  }
}

/** Lets the connection be used again, if what is left is short. */
export function discard(body: HubBody): void {
  body.dump({ limit: MOST_DISCARDED }).catch(() => {});
}

/** A failure of the connection, or of a body that is read from it. */
export function connectionFailure(url: URL, error: unknown, signal: AbortSignal | undefined): Error {
  if (signal?.aborted) return abortedError(signal);
  if (error instanceof PassingFailure || isQuipuError(error)) return error;
  const proxy = error instanceof ProxyFailure ? error : undefined;
  const { message = String(error), code = "" } = rootOf(proxy?.cause ?? error);
  if (/^(CERT_|ERR_TLS|ERR_SSL|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_)/.test(code)) {
    const next = "A proxy that opens connections has a certificate of its own: NODE_EXTRA_CA_CERTS names its file.";
    return new QuipuError("ERR_PULL", `${url.host}: its certificate is not trusted: ${message}. ${next}`, {
      cause: error,
    });
  }
  if (/^UND_ERR_(INVALID_ARG|ABORTED|PRX_TLS)/.test(code)) {
    const proxies = "HTTPS_PROXY, HTTP_PROXY and NO_PROXY say which proxy is used for which host";
    return new QuipuError("ERR_PULL", `${url.host} cannot be reached: ${message}. ${proxies}.`, { cause: error });
  }
  const who = proxy?.message ?? url.host;
  return new PassingFailure(`${who}: ${WORDS[code] ?? `the connection failed (${message || code})`}`, { cause: error });
}

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the connection was refused",
  ECONNRESET: "the connection was dropped",
  UND_ERR_SOCKET: "the connection was dropped",
  EPIPE: "the connection was dropped",
  EAI_AGAIN: "its address cannot be looked up: no name server answers, as without a network",
  ENOTFOUND: "its address is not found: the name is wrong, or there is no network",
  ENETUNREACH: "its network cannot be reached",
  EHOSTUNREACH: "the host cannot be reached",
  ENETDOWN: "the network is down",
  ETIMEDOUT: "the connection takes too long",
  UND_ERR_CONNECT_TIMEOUT: "the connection takes too long",
  UND_ERR_HEADERS_TIMEOUT: "the server is silent",
  UND_ERR_BODY_TIMEOUT: "the server has stopped sending",
};

/** Errors of several addresses of a host come in one, and fetches wrap theirs. */
function rootOf(error: unknown): { message?: string; code?: string } {
  const { errors, cause, code } = (error ?? {}) as { errors?: unknown[]; cause?: unknown; code?: unknown };
  if (Array.isArray(errors) && errors.length > 0) return rootOf(errors[0]);
  if (code === undefined && cause !== undefined) return rootOf(cause);
  return error as { message?: string; code?: string };
}

/** Seconds, or a date (RFC 9110, 10.2.3). */
function retryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  const ms = /^\d+$/.test(header.trim()) ? 1000 * Number(header) : Date.parse(header) - now;
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

/** Without what signs it. */
function shownAddress(address: string): string {
  return JSON.stringify(address.replace(/\?.*$/s, "").slice(0, 120));
}
