// What a file may ask for in a row: published ones have three or four steps, and a hostile one could make a token of a gigabyte.
import { isJsonObject, type JsonObject } from "../checkpoint/json.js";

const MOST_STEPS = 64;
/** How much longer Replace may make a text, all its steps together. */
const MOST_GROWTH = 64;

/** @param steps of tokenizer.json. @param refuse throws what is wrong. */
export function checkSteps(what: string, steps: readonly JsonObject[], refuse: (problem: string) => never): void {
  if (steps.length > MOST_STEPS) refuse(`${what}: expected at most ${MOST_STEPS} steps, got ${steps.length}`);
  let growth = 1;
  for (const { pattern, content } of steps) {
    const from = isJsonObject(pattern) ? pattern.String : undefined;
    if (typeof from !== "string" || from === "" || typeof content !== "string") continue;
    growth *= Math.max(1, Buffer.byteLength(content) / Buffer.byteLength(from));
  }
  if (growth > MOST_GROWTH) {
    refuse(
      `${what}: its Replace steps can make a text ${Math.floor(growth)} times as long, this version takes ${MOST_GROWTH}`,
    );
  }
}
