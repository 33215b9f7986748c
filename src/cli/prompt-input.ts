// Where a prompt comes from: words, -p, a file, stdin; and how they go together.
import { QuipuError } from "../errors.js";
import { checkedUtf8, concatenated, decode, fileChunks, stdinChunks } from "./byte-input.js";

export interface PromptOptions {
  readonly prompt?: string;
  /** "-" is stdin. */
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
  const { argument, file, readsStdin, expected } = given(words, options);
  const piped = readsStdin ? decode(await concatenated(stdinChunks(signal, { expected }), "stdin"), "stdin") : "";
  const text = file === undefined ? argument : decode(await concatenated(fileChunks(file), file), file);
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
  const wantsStdin = argument === "-" || file === "-";
  if (wantsStdin && !stdin) {
    const what = file === "-" ? "-f -" : "the prompt '-'";
    throw new QuipuError("ERR_USAGE", `${what} reads stdin, and --no-stdin forbids it`);
  }
  if (file === "") throw new QuipuError("ERR_USAGE", "-f: expected a path, got an empty text");
  return {
    argument: wantsStdin ? undefined : argument,
    file: wantsStdin ? undefined : file,
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
