// JSON of a checkpoint folder: no file is trusted, so size and depth are bounded and duplicate names are found,
// which JSON.parse would hide. Files that Python reads may hold what Python's json writes: NaN, Infinity, -Infinity.
import { randomUUID } from "node:crypto";
import { basename } from "node:path";
import { QuipuError, type QuipuErrorCode } from "../errors.js";
import type { Warn } from "../warnings.js";
import { readWhole } from "./file.js";
import { refuseWrongFile } from "./wrong-file.js";

/** No JSON file of a published checkpoint comes near this: the largest are tokenizers of some 35 MB. */
export const MAX_JSON_BYTES = 256 * 2 ** 20;
const MAX_DEPTH = 64;

export type JsonObject = { readonly [name: string]: unknown };

export interface JsonOptions {
  /** Reads what Python's json.loads reads: NaN, Infinity and -Infinity are numbers. */
  readonly python?: boolean | undefined;
  /** Told of a name that an object has twice, of which the last counts; without it that is an error. */
  readonly warn?: Warn | undefined;
}

/** Whether `value` is an object of JSON: not null, not a list. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value of JSON in an error: at most `length` characters. */
export function shownJson(value: unknown, length = 80): string {
  if (typeof value === "number") return String(value); // JSON has no NaN
  return (JSON.stringify(value) ?? "nothing").slice(0, length);
}

/**
 * Parses JSON text that must be an object.
 *
 * @param what names the text in errors, e.g. "config.json".
 * @throws {QuipuError} `code`: not UTF-8, not JSON, deeper than 64, duplicate names, not an object.
 */
export function parseJsonObject(
  bytes: Uint8Array,
  what: string,
  code: QuipuErrorCode,
  { python = false, warn }: JsonOptions = {},
): JsonObject {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new QuipuError(code, `${what}: not valid UTF-8`, { cause });
  }
  const { problem, twice, words } = scan(text);
  if (problem !== undefined) throw new QuipuError(code, `${what}: ${problem}`);
  if (twice !== undefined) {
    const said = `the name ${JSON.stringify(twice.slice(0, 200))} is there twice in one object`;
    if (warn === undefined) throw new QuipuError(code, `${what}: ${said}`);
    warn("WARN_JSON_NAME_TWICE", `${what}: ${said}: the last counts`);
  }
  let value: unknown;
  try {
    value = python && words.length > 0 ? parseWithWords(text, words) : JSON.parse(text);
  } catch (cause) {
    throw new QuipuError(code, `${what}: not valid JSON: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
  if (!isJsonObject(value)) {
    throw new QuipuError(
      code,
      `${what}: expected a JSON object, got ${Array.isArray(value) ? "a list" : shownJson(value, 40)}`,
    );
  }
  return value;
}

/**
 * Reads a JSON file of those that Python writes and reads (configurations, indices), which must be an object; undefined where
 * there is no such file.
 *
 * @throws {QuipuError} `code`, also for what is no file, cannot be read or is larger than 256 MiB.
 */
export async function readJsonFile(path: string, code: QuipuErrorCode, warn?: Warn): Promise<JsonObject | undefined> {
  const bytes = await readWhole(path, MAX_JSON_BYTES, code);
  if (bytes === undefined) return undefined;
  refuseWrongFile(bytes, path, code);
  return parseJsonObject(bytes, basename(path), code, { python: true, warn });
}

/** A word of Python's for a number, where it stands in place of a value. */
interface Word {
  readonly start: number;
  readonly text: "NaN" | "Infinity";
}

/** JSON.parse of a text with Python's words for numbers, which it does not know. */
function parseWithWords(text: string, words: readonly Word[]): unknown {
  const mark = randomUUID(); // stands for NaN until the text is parsed: a string that no file can hold
  let plain = "";
  let end = 0;
  for (const { start, text: word } of words) {
    plain += text.slice(end, start) + (word === "NaN" ? `"${mark}"` : "1e999   ");
    end = start + word.length;
  }
  return JSON.parse(plain + text.slice(end), (_, value) => (value === mark ? Number.NaN : value));
}

interface Scanned {
  readonly problem?: string;
  /** A name that an object has twice. */
  readonly twice?: string | undefined;
  readonly words: readonly Word[];
}

/** What JSON.parse does not tell: nesting deeper than MAX_DEPTH, a name that an object has twice; and Python's words. */
function scan(text: string): Scanned {
  const words: Word[] = [];
  let twice: string | undefined;
  const names: (Set<string> | undefined)[] = []; // of the open objects; undefined for lists
  let last: string | undefined; // the string that ended last, in case a colon makes it a name
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case 0x22: {
        const start = i + 1;
        let escaped = false;
        for (i = start; i < text.length && text.charCodeAt(i) !== 0x22; i++) {
          if (text.charCodeAt(i) === 0x5c) {
            escaped = true;
            i++;
          }
        }
        last = text.slice(start, i);
        if (escaped) last = unescaped(last);
        break;
      }
      case 0x3a: {
        const open = names.at(-1);
        if (open === undefined || last === undefined) break;
        if (open.has(last)) twice ??= last;
        open.add(last);
        last = undefined;
        break;
      }
      case 0x7b:
      case 0x5b:
        if (names.length >= MAX_DEPTH) return { problem: `nested deeper than ${MAX_DEPTH}`, words };
        names.push(text.charCodeAt(i) === 0x7b ? new Set() : undefined);
        break;
      case 0x7d:
      case 0x5d:
        names.pop();
        break;
      case 0x4e:
      case 0x49: {
        const word = wordAt(text, i);
        if (word === undefined) break;
        words.push(word);
        i += word.text.length - 1;
        break;
      }
    }
  }
  return { twice, words };
}

/** The word at `start`, where nothing beside it makes it part of something else: a name, a longer number. */
function wordAt(text: string, start: number): Word | undefined {
  const word = text.startsWith("NaN", start) ? "NaN" : text.startsWith("Infinity", start) ? "Infinity" : undefined;
  if (word === undefined) return undefined;
  let before = start - (word === "Infinity" && text[start - 1] === "-" ? 2 : 1);
  while (before >= 0 && isSpace(text.charCodeAt(before))) before--;
  let after = start + word.length;
  while (after < text.length && isSpace(text.charCodeAt(after))) after++;
  const isValue = ":,[".includes(text[before] ?? " ") && ",]}".includes(text[after] ?? " ");
  return isValue ? { start, text: word } : undefined;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

function unescaped(raw: string): string {
  try {
    return JSON.parse(`"${raw}"`) as string;
  } catch {
    return raw; // JSON.parse of the whole text will say what is wrong with it
  }
}
