// Stop tokens for people.
import type { StopToken } from "../../index.js";

/** `2 "<|im_end|>" (config.json, chat template)`. */
export function describeStop({ id, text, sources }: StopToken): string {
  return `${id}${text === "" ? "" : ` ${JSON.stringify(text)}`} (${sources.join(", ")})`;
}
