// Where the hub is, where its cache lies and who asks: the environment variables of huggingface_hub, as it reads them.
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { QuipuError } from "../../errors.js";

export interface HubToken {
  readonly value: string;
  /** Where it is from, for messages: "HF_TOKEN", or the file's path. */
  readonly source: string;
}

export interface HubSettings {
  readonly endpoint: URL;
  /** The folder with models--org--name/. */
  readonly cache: string;
  /** Nothing is asked of the hub. */
  readonly offline: boolean;
  readonly token: HubToken | undefined;
  readonly proxies: readonly HubProxy[];
}

/** A proxy on the way to hubs of its scheme, unless NO_PROXY has them. */
export interface HubProxy {
  /** The variable that it is from: "HTTPS_PROXY". */
  readonly source: string;
  readonly url: URL;
}

type Environment = Readonly<Record<string, string | undefined>>;

const HUB = "https://huggingface.co";

/** @throws {QuipuError} ERR_USAGE for a variable that cannot be used. */
export function hubSettings(env: Environment = process.env): HubSettings {
  return {
    endpoint: endpointOf(env),
    cache: cacheOf(env),
    offline: isTrue(env.HF_HUB_OFFLINE || env.TRANSFORMERS_OFFLINE),
    token: tokenOf(env),
    proxies: proxiesOf(env),
  };
}

/**
 * The folder of the hub's cache: HF_HUB_CACHE, else hub in HF_HOME, else in `huggingface` of the user's cache folder.
 *
 * @throws {QuipuError} ERR_USAGE where the user has no home folder and none of these is set.
 */
export function hubCacheFolder(): string {
  return cacheOf(process.env);
}

function endpointOf({ HF_ENDPOINT }: Environment): URL {
  const text = (HF_ENDPOINT || HUB).replace(/\/+$/, "");
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search !== "" || url.hash !== "") {
    throw new QuipuError("ERR_USAGE", `HF_ENDPOINT: expected an address such as ${HUB}, got ${JSON.stringify(text)}`);
  }
  return url;
}

/** The variables as the HTTP client reads them, small letters first. */
function proxiesOf(env: Environment): HubProxy[] {
  return ["HTTPS_PROXY", "HTTP_PROXY"].flatMap((name) => {
    const source = [name.toLowerCase(), name].find((spelling) => env[spelling] !== undefined);
    const text = source === undefined ? "" : env[source]!;
    if (source === undefined || text === "") return [];
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url !== undefined && /^(https?|socks5?):$/.test(url.protocol) && url.hostname !== "") return [{ source, url }];
    const shown = JSON.stringify(text.replace(/^.*@/s, "…@")); // without a password
    throw new QuipuError("ERR_USAGE", `${source}: expected an address such as http://127.0.0.1:3128, got ${shown}`);
  });
}

function cacheOf(env: Environment): string {
  const given = env.HF_HUB_CACHE || env.HUGGINGFACE_HUB_CACHE;
  return given ? expanded(given, env) : join(homeOf(env), "hub");
}

/** The folder of the hub's client. */
function homeOf(env: Environment): string {
  if (env.HF_HOME) return expanded(env.HF_HOME, env);
  const { XDG_CACHE_HOME = "" } = env;
  return join(isAbsolute(XDG_CACHE_HOME) ? XDG_CACHE_HOME : join(userFolder(env), ".cache"), "huggingface");
}

function tokenOf(env: Environment): HubToken | undefined {
  for (const name of ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]) {
    const value = cleaned(env[name] ?? "");
    if (value !== "") return checkToken({ value, source: name });
  }
  if (isTrue(env.HF_HUB_DISABLE_IMPLICIT_TOKEN)) return undefined;
  let source: string;
  try {
    source = env.HF_TOKEN_PATH ? expanded(env.HF_TOKEN_PATH, env) : join(homeOf(env), "token");
  } catch {
    return undefined; // no home folder, and so no file
  }
  let value: string;
  try {
    value = cleaned(readFileSync(source, "utf8"));
  } catch {
    return undefined; // most users have none
  }
  return value === "" ? undefined : checkToken({ value, source });
}

function cleaned(token: string): string {
  return token.replace(/[\r\n]/g, "").trim();
}

/** A header must not be split by what it holds; the token itself is never printed. */
function checkToken(token: HubToken): HubToken {
  if (/^[\x21-\x7e]+$/.test(token.value)) return token;
  throw new QuipuError("ERR_USAGE", `${token.source}: expected a token of letters and digits, such as hf_…`);
}

function expanded(path: string, env: Environment): string {
  const named = path.replace(/\$(\w+)|\$\{(\w+)\}/g, (all, bare, braced) => env[bare ?? braced] ?? all);
  return resolve(/^~(?=$|\/)/.test(named) ? userFolder(env) + named.slice(1) : named);
}

function userFolder({ HOME }: Environment): string {
  let home = HOME ?? "";
  try {
    home ||= homedir();
  } catch {
    // a user without an entry in the system's list
  }
  if (isAbsolute(home)) return home;
  throw new QuipuError(
    "ERR_USAGE",
    "there is no folder for the hub's cache, as the user has no home folder. HF_HUB_CACHE names one.",
  );
}

function isTrue(value = ""): boolean {
  return ["1", "ON", "YES", "TRUE"].includes(value.toUpperCase());
}
