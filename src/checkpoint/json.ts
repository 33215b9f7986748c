// JSON of a checkpoint folder: every file is somebody else's, so size and depth are bounded and duplicate names are found,
// which JSON.parse would hide.
import { open } from "node:fs/promises";
import { basename } from "node:path";
import { QuipuError, type QuipuErrorCode } from "../errors.js";

/** No JSON file of a published checkpoint comes near this: the largest are tokenizers of some 35 MB. */
export const MAX_JSON_BYTES = 256 * 2 ** 20;
const MAX_DEPTH = 64;

export type JsonObject = { readonly [name: string]: unknown };

/** Whether `value` is an object of JSON: not null, not a list. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Parses JSON text that must be an object.
 *
 * @param what names the text in errors, e.g. "config.json".
 * @throws {QuipuError} `code`: not UTF-8, not JSON, deeper than 64, duplicate names, not an object.
 */
export function parseJsonObject(bytes: Uint8Array, what: string, code: QuipuErrorCode): JsonObject {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new QuipuError(code, `${what}: not valid UTF-8`, { cause });
  }
  const problem = scan(text);
  if (problem !== undefined) throw new QuipuError(code, `${what}: ${problem}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new QuipuError(code, `${what}: not valid JSON: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
  if (!isJsonObject(value)) {
    throw new QuipuError(
      code,
      `${what}: expected a JSON object, got ${Array.isArray(value) ? "a list" : JSON.stringify(value)?.slice(0, 40)}`,
    );
  }
  return value;
}

/**
 * Reads a JSON file that must be an object; undefined where there is no such file.
 *
 * @throws {QuipuError} `code`, also for a file that cannot be read or is larger than 256 MiB.
 */
export async function readJsonFile(path: string, code: QuipuErrorCode): Promise<JsonObject | undefined> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new QuipuError(code, `${path}: cannot be opened: ${(cause as Error).message}`, { cause });
  }
  try {
    const info = await file.stat();
    if (!info.isFile()) throw new QuipuError(code, `${path}: expected a file`);
    if (info.size > MAX_JSON_BYTES) {
      throw new QuipuError(
        code,
        `${path}: ${info.size} bytes; a JSON file of a checkpoint has at most ${MAX_JSON_BYTES}`,
      );
    }
    return parseJsonObject(await file.readFile(), basename(path), code);
  } finally {
    await file.close();
  }
}

/** What JSON.parse does not tell: nesting deeper than MAX_DEPTH, and a name that an object has twice. */
function scan(text: string): string | undefined {
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
        if (open.has(last)) return `the name ${JSON.stringify(last.slice(0, 200))} is there twice in one object`;
        open.add(last);
        last = undefined;
        break;
      }
      case 0x7b:
      case 0x5b:
        if (names.length >= MAX_DEPTH) return `nested deeper than ${MAX_DEPTH}`;
        names.push(text.charCodeAt(i) === 0x7b ? new Set() : undefined);
        break;
      case 0x7d:
      case 0x5d:
        names.pop();
        break;
    }
  }
  return undefined;
}

function unescaped(raw: string): string {
  try {
    return JSON.parse(`"${raw}"`) as string;
  } catch {
    return raw; // JSON.parse of the whole text will say what is wrong with it
  }
}
