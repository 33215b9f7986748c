// Messages of a conversation from a JSON file.
import { readFile } from "node:fs/promises";
import { type ChatMessage, QuipuError } from "../index.js";
import { concatenated, decode, stdinChunks } from "./byte-input.js";

/**
 * A list of `{ "role", "content" }`, or an object with such a list as its `messages`.
 *
 * @param file its path; "-" is stdin.
 * @throws {QuipuError} ERR_USAGE for anything else.
 */
export async function readMessages(file: string, signal: AbortSignal): Promise<ChatMessage[]> {
  const fail = (problem: string, cause?: unknown) =>
    new QuipuError("ERR_USAGE", `--chat ${file}: ${problem}`, { cause });
  let bytes: Uint8Array;
  try {
    bytes =
      file === "-"
        ? await concatenated(stdinChunks(signal, { expected: true }), `--chat ${file}`)
        : await readFile(file);
  } catch (cause) {
    if (signal.aborted) throw cause;
    throw fail(`cannot be read: ${(cause as Error).message}`, cause);
  }
  let json: unknown;
  try {
    json = JSON.parse(decode(bytes, `--chat ${file}`).replace(/^\uFEFF/, ""));
  } catch (cause) {
    if (cause instanceof QuipuError) throw cause;
    throw fail(`not valid JSON: ${(cause as Error).message}`, cause);
  }
  const list = isObject(json) ? json.messages : json;
  if (!Array.isArray(list)) {
    throw fail(`expected a list of messages, or an object with "messages", got ${JSON.stringify(json).slice(0, 40)}`);
  }
  return list.map((message: unknown, index) => {
    const { role, content, ...others } = isObject(message) ? message : {};
    if (typeof role !== "string" || typeof content !== "string") {
      throw fail(
        `message ${index}: expected "role" and "content", both texts, got ${JSON.stringify(message)?.slice(0, 80)}`,
      );
    }
    const [other] = Object.keys(others);
    if (other !== undefined)
      throw fail(`message ${index}: "${other}" is not in this version: expected role and content`);
    return { role, content };
  });
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
