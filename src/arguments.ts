// What callers may pass: the arguments and options of the public library are checked against tables of kinds, so that
// whatever is wrong is ERR_USAGE and named, and nothing else is ever thrown because of it.
import { fileURLToPath } from "node:url";
import { isQuipuError, QuipuError } from "./errors.js";
import { nearest } from "./nearest.js";

/** Characters of a value in an error. */
const SHOWN = 80;

/** What a value may be. */
export interface Kind {
  readonly expected: string;
  readonly accepts: (value: unknown) => boolean;
}

/** A kind for every option of T; a missing one does not compile. */
export type Kinds<T> = { readonly [Name in keyof Required<T>]: Kind };

export const flag: Kind = { expected: "true or false", accepts: (value) => typeof value === "boolean" };
export const string: Kind = { expected: "a string", accepts: (value) => typeof value === "string" };
export const callback: Kind = { expected: "a function", accepts: (value) => typeof value === "function" };

/** By its shape: signals come from other realms and from polyfills too. */
export const abortSignal: Kind = {
  expected: "an AbortSignal",
  accepts: (value) =>
    isObject(value) && typeof value.aborted === "boolean" && typeof value.addEventListener === "function",
};

/** What this library or another program made, told by one of its methods. */
export function madeBy(maker: string, method: string): Kind {
  return { expected: maker, accepts: (value) => isObject(value) && typeof value[method] === "function" };
}

export function whole(from: number, to: number = Number.MAX_SAFE_INTEGER): Kind {
  return {
    expected: `a whole number from ${from} to ${to}`,
    accepts: (value) => Number.isSafeInteger(value) && (value as number) >= from && (value as number) <= to,
  };
}

/** @param above leaves `from` itself out. */
export function real(from: number, to: number, above = false): Kind {
  return {
    expected: above ? `a number above ${from}, at most ${to}` : `a number from ${from} to ${to}`,
    accepts: (value) => typeof value === "number" && (above ? value > from : value >= from) && value <= to,
  };
}

export function oneOf(...words: readonly string[]): Kind {
  return {
    expected: words.length === 1 ? `"${words[0]}"` : `one of ${words.join(", ")}`,
    accepts: (value) => words.includes(value as string),
  };
}

export function listOf(each: Kind, expected: string): Kind {
  return { expected, accepts: (value) => Array.isArray(value) && value.every(each.accepts) };
}

export function either(...kinds: readonly Kind[]): Kind {
  return {
    expected: kinds.map(({ expected }) => expected).join(", or "),
    accepts: (value) => kinds.some(({ accepts }) => accepts(value)),
  };
}

export const nonEmptyString: Kind = {
  expected: "a string that is not empty",
  accepts: (value) => typeof value === "string" && value !== "",
};

/** Text, or its bytes. */
export const textOrBytes: Kind = {
  expected: "a string or a Uint8Array",
  accepts: (value) => typeof value === "string" || isUint8Array(value),
};

/** Anything to iterate over, but a single value that happens to be iterable. */
export function iterable(expected: string): Kind {
  return {
    expected,
    accepts: (value) =>
      typeof value === "string" ||
      (isObject(value) &&
        !ArrayBuffer.isView(value) &&
        (typeof value[Symbol.iterator] === "function" || typeof value[Symbol.asyncIterator] === "function")),
  };
}

/** A file's or folder's path. */
export const path: Kind = {
  expected: "a path or a file URL",
  accepts: (value) => (typeof value === "string" ? value !== "" && !value.includes("\0") : isUrl(value)),
};

/** @throws {QuipuError} ERR_USAGE naming the argument, what it may be and what it was. */
export function checkArgument(name: string, value: unknown, kind: Kind): void {
  if (reading(name, () => kind.accepts(value))) return;
  throw wrongArgument(name, kind.expected, value);
}

/**
 * The options of `call`, each read once and checked.
 *
 * @throws {QuipuError} ERR_USAGE naming the option: a wrong value, or a name that is none.
 */
export function readOptions<T extends object>(call: string, options: unknown, kinds: Kinds<T>): T {
  const read: Record<string, unknown> = {};
  if (options === undefined) return read as T;
  let reads = "options"; // what is read when something throws
  try {
    if (!isObject(options) || tagOf(options) !== "[object Object]") {
      throw wrongArgument("options", `an object with options of ${call}`, options);
    }
    for (const name of Object.keys(options)) {
      if (!Object.hasOwn(kinds, name)) throw unknownOption(call, name, Object.keys(kinds));
    }
    for (const name in kinds) {
      reads = name;
      const value = options[name];
      if (value === undefined) continue;
      const kind: Kind = kinds[name];
      if (!kind.accepts(value)) throw wrongArgument(name, kind.expected, value);
      read[name] = value;
    }
  } catch (error) {
    throw isQuipuError(error) ? error : unreadable(reads, error);
  }
  return read as T;
}

/**
 * A path as the file system takes it: file URLs, also as text, become paths.
 *
 * @throws {QuipuError} ERR_USAGE
 */
export function pathOf(name: string, value: string | URL): string {
  checkArgument(name, value, path);
  if (typeof value === "string" && !value.startsWith("file://")) return value;
  try {
    return fileURLToPath(value);
  } catch (cause) {
    throw new QuipuError(
      "ERR_USAGE",
      `${name}: expected a path or a file URL, got ${shown(value)}: ${(cause as Error).message}`,
      {
        cause,
        option: name,
      },
    );
  }
}

/**
 * Ids of a vocabulary, in a copy: of an array, a typed array or anything else to iterate over.
 *
 * @throws {QuipuError} ERR_USAGE naming the first wrong one and its index.
 */
export function idsOf(name: string, value: unknown, vocabSize: number): Int32Array {
  return reading(name, () => {
    if (!isObject(value) || typeof value[Symbol.iterator] !== "function") {
      throw wrongArgument(name, "ids in an array or an Int32Array", value);
    }
    const list = Array.isArray(value) ? value : Array.from(value as unknown as Iterable<unknown>);
    const ids = new Int32Array(list.length);
    for (let i = 0; i < ids.length; i++) {
      const id = list[i];
      if (!(Number.isInteger(id) && (id as number) >= 0 && (id as number) < vocabSize)) {
        throw wrongArgument(name, `ids from 0 to ${vocabSize - 1}`, id, ` at index ${i}`);
      }
      ids[i] = id as number;
    }
    return ids;
  });
}

/** @param where follows what was got. */
export function wrongArgument(name: string, expected: string, got: unknown, where = ""): QuipuError {
  return new QuipuError("ERR_USAGE", `${name}: expected ${expected}, got ${shown(got)}${where}`, { option: name });
}

/** What is wrong with an option, where that is more than its own value. */
export function usageError(option: string, problem: string): QuipuError {
  return new QuipuError("ERR_USAGE", `${option}: ${problem}`, { option });
}

export function isObject(value: unknown): value is Readonly<Record<PropertyKey, unknown>> {
  return typeof value === "object" && value !== null;
}

/** A value in an error: short, whatever it is. */
export function shown(value: unknown): string {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "symbol" || typeof value === "function") return `a ${typeof value}`;
  if (value === undefined) return "nothing";
  if (value === null || (typeof value !== "string" && typeof value !== "object")) return String(value);
  try {
    const tag = tagOf(value).slice("[object ".length, -1);
    if (!["String", "Object", "Array", "URL"].includes(tag)) return `a value of ${tag}`;
    const json = JSON.stringify(typeof value === "string" ? value.slice(0, SHOWN + 1) : value);
    return json.length > SHOWN ? `${json.slice(0, SHOWN)}…` : json;
  } catch {
    return "a value that cannot be shown"; // a cycle, a getter or a proxy that throws
  }
}

/** Reads what callers gave, naming the argument where that throws: their getters and proxies may throw whatever they like. */
export function reading<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw isQuipuError(error) ? error : unreadable(name, error);
  }
}

function unreadable(name: string, cause: unknown): QuipuError {
  const why = cause instanceof Error ? cause.message : "it throws";
  return new QuipuError("ERR_USAGE", `${name}: cannot be read: ${why}`, { cause, option: name });
}

function unknownOption(call: string, name: string, names: readonly string[]): QuipuError {
  const near = nearest(name, names);
  const instead = near === undefined ? `It has ${names.join(", ")}.` : `Did you mean ${near}?`;
  return new QuipuError("ERR_USAGE", `${name.slice(0, 80)}: ${call} has no such option. ${instead}`, { option: name });
}

function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value);
}

/** By its tag: one that native code made, or another realm, is no instance of ours. */
function isUint8Array(value: unknown): boolean {
  return ArrayBuffer.isView(value) && tagOf(value) === "[object Uint8Array]";
}

function isUrl(value: unknown): boolean {
  return isObject(value) && typeof value.href === "string" && value.protocol === "file:";
}
