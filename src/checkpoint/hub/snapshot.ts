// Whether a snapshot is a checkpoint as a whole: other tools put single files there, and are killed on their way.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { firstOf } from "../../warnings.js";
import { INDEX, isWeights, SINGLE } from "../file-names.js";
import { formOf } from "../other-forms.js";
import { filesBelow, sizeAt } from "./cache.js";

/** An index of a model with a thousand shards has less. */
const MOST_INDEX_BYTES = 64 * 2 ** 20;

/** What is missing, in a sentence; undefined where nothing is that names can tell. */
export function snapshotProblem(folder: string): string | undefined {
  const names = filesBelow(folder);
  if (names.length === 0) return "there is no snapshot of it in the cache";
  const dangling = names.filter((name) => sizeAt(join(folder, name)) === undefined);
  if (dangling.length > 0)
    return `its snapshot is incomplete: ${firstOf(dangling)} ${dangling.length === 1 ? "is" : "are"} missing`;
  const form = otherFormIn(names);
  if (form !== undefined) return `its snapshot has no safetensors: there is ${form}`;
  if (!names.includes("config.json")) return "its snapshot has no config.json";
  if (names.includes(SINGLE)) return undefined;
  if (names.includes(INDEX)) {
    const shards = shardsOf(join(folder, INDEX));
    const missing = shards.filter((name) => !names.includes(name));
    if (missing.length === 0) return undefined;
    return `its snapshot is incomplete: ${missing.length} of ${shards.length} shards are missing: ${firstOf(missing)}`;
  }
  return names.some(isWeights) ? undefined : "its snapshot has no safetensors";
}

/** Whether it holds weights in forms that are not read alone: another tool fetched them. */
export function isOtherForm(folder: string): boolean {
  return otherFormIn(filesBelow(folder)) !== undefined;
}

function otherFormIn(names: readonly string[]): string | undefined {
  return names.some(isWeights) ? undefined : formOf(names);
}

/** None of an index that cannot be read: whoever loads the model says what is wrong with it. */
function shardsOf(path: string): string[] {
  try {
    if (sizeAt(path)! > MOST_INDEX_BYTES) return [];
    const { weight_map: map } = JSON.parse(readFileSync(path, "utf8")) as { weight_map?: Record<string, unknown> };
    return [...new Set(Object.values(map ?? {}).map(String))].sort();
  } catch {
    return [];
  }
}
