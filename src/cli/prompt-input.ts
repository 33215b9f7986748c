// Where a prompt comes from: words, -p, a file, stdin; and how they go together.
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { QuipuError } from "../errors.js";
import { checkedUtf8, concatenated, decode, stdinChunks, unreadable } from "./byte-input.js";

export interface PromptOptions {
  readonly prompt?: string;
  readonly file?: string;
  readonly stdin: boolean;
}

/**
 * The prompt: piped text first, then a newline, then what the arguments give; byte for byte as it came.
 *
 * @param words the positional arguments, one text.
 * @throws {QuipuError} ERR_USAGE where there is none, for two at once, and for bytes that are no UTF-8; ERR_ABORTED.
 */
export async function readPrompt(
  words: readonly string[],
  options: PromptOptions,
  signal: AbortSignal,
): Promise<string> {
  const { argument, readsStdin, expected } = given(words, options);
  const piped = readsStdin ? decode(await concatenated(stdinChunks(signal, { expected })), "stdin") : "";
  const { file } = options;
  const text = file === undefined ? argument : decode(await readBytes(file), file);
  if (text === undefined && piped === "") throw noPrompt(readsStdin);
  if (text === undefined) return piped;
  return piped === "" ? text : `${piped}\n${text}`;
}

/**
 * {@link readPrompt} of words, -p and stdin, in chunks as they come: for texts of any length. An empty stdin is an empty text.
 *
 * @throws {QuipuError} as it does.
 */
export async function* promptChunks(
  words: readonly string[],
  options: PromptOptions,
  signal: AbortSignal,
): AsyncGenerator<string | Uint8Array> {
  const { argument, readsStdin, expected } = given(words, options);
  if (argument === undefined && !readsStdin) throw noPrompt(readsStdin);
  let piped = false;
  if (readsStdin) {
    for await (const chunk of checkedUtf8(stdinChunks(signal, { expected }), "stdin")) {
      piped = true;
      yield chunk;
    }
  }
  if (argument !== undefined) yield piped ? `\n${argument}` : argument;
}

/** A prompt as a message of a conversation: the newline that ends a file, or what echo prints, is not part of what is said. */
export function asMessage(prompt: string): string {
  return prompt.replace(/\r?\n$/, "");
}

/** @throws {QuipuError} ERR_USAGE where more than one of them is given. */
export function checkOneSource(sources: Readonly<Record<string, boolean>>): void {
  const names = Object.keys(sources).filter((name) => sources[name]);
  if (names.length <= 1) return;
  throw new QuipuError("ERR_USAGE", `a prompt comes from one place: got it from ${names.join(" and from ")}`);
}

/** What the arguments give, beside a file; and whether stdin is read, alone (`expected`) or before it. */
function given(words: readonly string[], { prompt, file, stdin }: PromptOptions) {
  checkOneSource({ words: words.length > 0, "-p": prompt !== undefined, "-f": file !== undefined });
  const argument = words.length > 0 ? words.join(" ") : prompt;
  if (argument?.includes("\uFFFD")) checkArguments();
  const wantsStdin = argument === "-";
  if (wantsStdin && !stdin) throw new QuipuError("ERR_USAGE", "the prompt '-' reads stdin, and --no-stdin forbids it");
  return {
    argument: wantsStdin ? undefined : argument,
    readsStdin: stdin && (wantsStdin || process.stdin.isTTY !== true),
    expected: wantsStdin || (argument === undefined && file === undefined),
  };
}

function noPrompt(readsStdin: boolean): QuipuError {
  return new QuipuError(
    "ERR_USAGE",
    `no prompt${readsStdin ? " (stdin is empty)" : ""}: give words, -p, -f or text on stdin. Try: quipu "Once upon a time", or quipu --help`,
  );
}

/**
 * Node gives arguments as text, with U+FFFD for what is no UTF-8: the bytes tell that from a U+FFFD that the user has typed.
 *
 * @throws {QuipuError} ERR_USAGE
 */
function checkArguments(): void {
  let line: string;
  try {
    line = readFileSync("/proc/self/cmdline", "latin1");
  } catch {
    return; // not Linux: nothing to compare with
  }
  for (const argument of line.split("\0")) decode(Buffer.from(argument, "latin1"), "the prompt's argument");
}

async function readBytes(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (cause) {
    throw unreadable(file, cause);
  }
}
