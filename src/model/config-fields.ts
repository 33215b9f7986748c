// Fields of config.json and its like, each checked as it is read: what is wrong is named with what was expected.
import { type JsonObject, shownJson } from "../checkpoint/json.js";
import { QuipuError } from "../errors.js";
import type { Warn } from "../warnings.js";

export const CONFIG_FILE = "config.json";
/** Sizes beyond this are no model's; they would only overflow something later. */
export const MAX_SIZE = 2 ** 24;

/** @param where the object that holds the field, with its dot: "rope_scaling.". */
export function size(json: JsonObject, field: string, most = MAX_SIZE, where = ""): number {
  const value = json[field];
  if (!Number.isInteger(value) || (value as number) < 1 || (value as number) > most) {
    invalid(where + field, `a whole number from 1 to ${most}`, value);
  }
  return value as number;
}

export function positive(json: JsonObject, field: string, where = ""): number {
  const value = json[field];
  if (typeof value !== "number" || !(value > 0) || !Number.isFinite(value))
    invalid(where + field, "a number above 0", value);
  return value as number;
}

export function flag(json: JsonObject, field: string, otherwise: boolean): boolean {
  const value = json[field] ?? otherwise;
  if (typeof value !== "boolean") invalid(field, "true or false", value);
  return value as boolean;
}

/** Ids as the published configurations give them: a number, a list, or nothing. One outside the vocabulary never comes up. */
export function readIds(json: JsonObject, field: string, vocabSize: number, warn: Warn, file = CONFIG_FILE): number[] {
  const value = json[field];
  if (value == null) return [];
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (!list.every(Number.isInteger)) invalid(field, `ids from 0 to ${vocabSize - 1}`, value, file);
  const known = (list as readonly number[]).filter((id) => id >= 0 && id < vocabSize);
  if (known.length < list.length) {
    const what = `${file}: ${field}: expected ids from 0 to ${vocabSize - 1}, got ${shownJson(value)}`;
    warn("WARN_CONFIG_IGNORED", `${what}: those outside are ignored`);
  }
  return known;
}

/** @throws {QuipuError} ERR_MODEL_INVALID */
export function invalid(field: string, expected: string, got: unknown, file = CONFIG_FILE): never {
  throw new QuipuError("ERR_MODEL_INVALID", `${file}: ${field}: expected ${expected}, got ${shownJson(got)}`);
}

/** @throws {QuipuError} ERR_MODEL_UNSUPPORTED */
export function unsupported(field: string, expected: string, got: unknown): never {
  throw new QuipuError(
    "ERR_MODEL_UNSUPPORTED",
    `${CONFIG_FILE}: ${field}: quipu runs Llama checkpoints: expected ${expected}, got ${shownJson(got, 120)}`,
  );
}
