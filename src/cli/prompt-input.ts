// Where a prompt comes from: words, -p, a file, stdin; and how they go together.
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { QuipuError } from "../errors.js";

/** Milliseconds without a byte on stdin, beside a prompt in the arguments, until a hint. */
const SILENCE = 5000;

export interface PromptOptions {
  readonly prompt?: string;
  readonly file?: string;
  readonly stdin: boolean;
}

/**
 * The prompt: piped text first, then a newline, then what the arguments give; byte for byte as it came.
 *
 * @param words the positional arguments, one text.
 * @param allowEmpty takes an empty stdin for an empty text.
 * @throws {QuipuError} ERR_USAGE where there is none, for two at once, and for bytes that are no UTF-8; ERR_ABORTED.
 */
export async function readPrompt(
  words: readonly string[],
  { prompt, file, stdin }: PromptOptions,
  signal: AbortSignal,
  { allowEmpty = false } = {},
): Promise<string> {
  const given = [
    words.length > 0 ? "words" : undefined,
    prompt === undefined ? undefined : "-p",
    file === undefined ? undefined : "-f",
  ].filter((source) => source !== undefined);
  if (given.length > 1) {
    throw new QuipuError("ERR_USAGE", `a prompt comes from one place: got it from ${given.join(" and from ")}`);
  }
  const argument = words.length > 0 ? words.join(" ") : prompt;
  if (argument?.includes("\uFFFD")) checkArguments();
  const wantsStdin = argument === "-";
  if (wantsStdin && !stdin) throw new QuipuError("ERR_USAGE", "the prompt '-' reads stdin, and --no-stdin forbids it");
  const readsStdin = stdin && (wantsStdin || process.stdin.isTTY !== true);
  const piped = readsStdin ? await readStdin(signal, { expected: given.length === 0 || wantsStdin }) : "";
  const text = file === undefined ? (wantsStdin ? undefined : argument) : decode(await readBytes(file), file);
  if (text === undefined && piped === "" && !(allowEmpty && readsStdin)) {
    throw new QuipuError(
      "ERR_USAGE",
      `no prompt${readsStdin ? " (stdin is empty)" : ""}: give words, -p, -f or text on stdin. Try: quipu "Once upon a time", or quipu --help`,
    );
  }
  if (text === undefined) return piped;
  return piped === "" ? text : `${piped}\n${text}`;
}

/** A prompt as a message of a conversation: the newline that ends a file, or what echo prints, is not part of what is said. */
export function asMessage(prompt: string): string {
  return prompt.replace(/\r?\n$/, "");
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
    throw new QuipuError("ERR_USAGE", `-f ${file}: cannot be read: ${(cause as Error).message}`, { cause });
  }
}

/** @param expected without it a silent stdin may be one that nobody writes to or closes, and after a while that is said. */
async function readStdin(signal: AbortSignal, { expected }: { expected: boolean }): Promise<string> {
  const chunks: Buffer[] = [];
  const hint = setTimeout(() => {
    if (!expected) process.stderr.write("quipu: waiting for the end of stdin; --no-stdin leaves it alone\n");
  }, SILENCE).unref();
  const read = async () => {
    for await (const chunk of process.stdin) {
      clearTimeout(hint);
      chunks.push(chunk as Buffer);
    }
    clearTimeout(hint);
  };
  const aborted = new Promise<never>((_, reject) => {
    const abort = () => {
      process.stdin.destroy();
      reject(new QuipuError("ERR_ABORTED", "interrupted while reading stdin"));
    };
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
  });
  aborted.catch(() => {});
  await Promise.race([read(), aborted]);
  return decode(Buffer.concat(chunks), "stdin");
}

/** UTF-8 to text, a byte-order mark kept. @throws {QuipuError} ERR_USAGE with the offset of the first wrong byte. */
export function decode(bytes: Uint8Array, from: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    const offset = invalidOffset(bytes);
    const byte = bytes[offset]?.toString(16).padStart(2, "0");
    throw new QuipuError(
      "ERR_USAGE",
      `${from}: not valid UTF-8 at byte ${offset}${byte === undefined ? "" : ` (0x${byte})`}. Convert it first, for example with iconv.`,
      { cause },
    );
  }
}

/** The offset of the first byte that is no part of a whole character. */
function invalidOffset(bytes: Uint8Array): number {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const valid = (end: number) => {
    try {
      decoder.decode(bytes.subarray(0, end), { stream: true });
      return true;
    } catch {
      return false;
    } finally {
      try {
        decoder.decode(); // forgets what was open
      } catch {}
    }
  };
  let good = 0;
  let bad = bytes.length;
  if (!valid(bad)) {
    // The longest beginning that may still become text ends before the byte that spoils it.
    while (bad - good > 1) {
      const middle = (good + bad) >> 1;
      if (valid(middle)) good = middle;
      else bad = middle;
    }
    return bad - 1;
  }
  // Valid but for an end in the middle of a character: the beginning of that character.
  let start = bytes.length - 1;
  while (start > 0 && (bytes[start]! & 0xc0) === 0x80) start--;
  return start;
}
