// The texts of a corpus: plain files (one text each), JSON Lines (one text a line), either of them
// gzipped, or stdin. Read in constant memory; what is no UTF-8 is refused with its place.
import { isUtf8 } from "node:buffer";
import { createReadStream } from "node:fs";
import { addAbortSignal, pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { isJsonObject } from "../checkpoint/json.js";
import { abortedError, QuipuError } from "../errors.js";
import { incompleteEnd, invalidAt } from "../utf8.js";

export type CorpusFormat = "auto" | "text" | "jsonl";

export interface CorpusOptions {
  readonly format: CorpusFormat;
  /** The member of a JSON line that holds its text. */
  readonly field: string;
  readonly signal: AbortSignal | undefined;
  /** Told of bytes as they are read from the file, before they are decompressed. */
  readonly onRead: (bytes: number) => void;
  /** Where a text that is not at its end may be cut, 0 for nowhere yet. */
  readonly cut: (bytes: Uint8Array) => number;
}

/** Where reading can go on: a byte of the decompressed file, and the number of lines in front of it. */
export interface Place {
  readonly offset: number;
  readonly line: number;
}

/** Texts, or parts of one that are cut where pieces end, and the place behind them. Bytes are valid until the next block. */
export interface Block {
  readonly texts: readonly (string | Uint8Array)[];
  /** How many texts end here. */
  readonly documents: number;
  /** undefined: at the end of the file. */
  readonly next: Place | undefined;
}

const CHUNK = 2 ** 20;
const LONGEST_LINE = 2 ** 28;
const LONGEST_PIECE = 2 ** 28;

/**
 * The texts of one file, or of stdin for "-", from `start` on.
 *
 * @throws {QuipuError} ERR_USAGE for a file that cannot be read, is no UTF-8 or no JSON Lines; ERR_ABORTED.
 */
export async function* readCorpus(path: string, start: Place, options: CorpusOptions): AsyncGenerator<Block> {
  const name = path === "-" ? "stdin" : path;
  const bytes = skip(contentOf(path, name, options), start.offset, name);
  const jsonl = options.format === "jsonl" || (options.format === "auto" && /\.(jsonl|ndjson)(\.gz)?$/i.test(path));
  yield* jsonl ? readLines(bytes, name, start, options.field) : readText(bytes, name, start, options.cut);
}

/** The decompressed bytes: gzip is known by its first two bytes. */
async function* contentOf(path: string, name: string, options: CorpusOptions): AsyncGenerator<Buffer> {
  const file: Readable = path === "-" ? process.stdin : createReadStream(path, { highWaterMark: CHUNK });
  if (options.signal !== undefined) addAbortSignal(options.signal, file);
  const counted = async function* () {
    for await (const chunk of file) {
      options.onRead((chunk as Buffer).length);
      yield chunk as Buffer;
    }
  };
  let packed = false;
  try {
    const chunks = counted();
    let first = await chunks.next();
    while (!first.done && first.value.length === 1) {
      const second = await chunks.next();
      if (second.done) break;
      first = { done: false, value: Buffer.concat([first.value, second.value]) };
    }
    if (first.done) return;
    const head = first.value;
    packed = head[0] === 0x1f && head[1] === 0x8b;
    const whole = async function* () {
      yield head;
      yield* chunks;
    };
    if (!packed) return yield* whole();
    const unpacked = createGunzip({ chunkSize: 2 ** 18 });
    pipeline(Readable.from(whole(), { objectMode: false }), unpacked, () => {}); // its error comes out of the loop below
    for await (const chunk of unpacked) yield chunk as Buffer;
  } catch (cause) {
    if (options.signal?.aborted) throw abortedError(options.signal);
    const why = (cause as Error).message;
    const damaged = packed && (cause as NodeJS.ErrnoException).code?.startsWith("Z_") === true;
    throw new QuipuError("ERR_USAGE", `${name}: ${damaged ? "damaged gzip data" : "cannot be read"}: ${why}`, {
      cause,
    });
  } finally {
    file.destroy();
  }
}

async function* skip(chunks: AsyncIterable<Buffer>, offset: number, name: string): AsyncGenerator<Buffer> {
  let left = offset;
  for await (const chunk of chunks) {
    if (left < chunk.length) yield left === 0 ? chunk : chunk.subarray(left);
    left = Math.max(0, left - chunk.length);
  }
  if (left > 0) {
    throw new QuipuError("ERR_USAGE", `${name}: ends before byte ${offset}, up to which the checkpoint has counted it`);
  }
}

/** One text, in parts of about a chunk. */
async function* readText(
  chunks: AsyncIterable<Buffer>,
  name: string,
  start: Place,
  cut: CorpusOptions["cut"],
): AsyncGenerator<Block> {
  let { offset } = start; // of the first byte held
  let held = Buffer.allocUnsafe(4 * CHUNK);
  let length = 0;
  let checked = 0; // bytes of it known to be UTF-8
  let wanted = CHUNK;
  const check = (end: number) => {
    if (!isUtf8(held.subarray(checked, end))) throw notUtf8(name, offset + checked, held.subarray(checked, length));
    checked = end;
  };
  for await (const chunk of chunks) {
    if (length + chunk.length > held.length) {
      const wider = Buffer.allocUnsafe(2 * (length + chunk.length));
      held.copy(wider, 0, 0, length);
      held = wider;
    }
    chunk.copy(held, length);
    length += chunk.length;
    if (length < wanted) continue;
    check(length - incompleteEnd(held.subarray(checked, length)));
    const end = cut(held.subarray(0, checked));
    if (end === 0) {
      if (length >= LONGEST_PIECE) {
        throw new QuipuError(
          "ERR_USAGE",
          `${name}: ${length} bytes from byte ${offset} on are one piece, which may have ${LONGEST_PIECE}: is it text?`,
        );
      }
      wanted = 2 * length; // a piece of that length: looking again at every chunk would take quadratic time
      continue;
    }
    offset += end;
    yield { texts: [held.subarray(0, end)], documents: 0, next: { offset, line: 0 } };
    held.copyWithin(0, end, length);
    length -= end;
    checked -= end;
    wanted = CHUNK;
  }
  check(length);
  yield { texts: [held.subarray(0, length)], documents: 1, next: undefined };
}

/** One text a line. */
async function* readLines(
  chunks: AsyncIterable<Buffer>,
  name: string,
  start: Place,
  field: string,
): AsyncGenerator<Block> {
  let { offset, line } = start;
  let held: Buffer[] = []; // the beginning of a line
  let heldBytes = 0;
  const textsOf = (block: Buffer): string[] => {
    if (!isUtf8(block)) throw notUtf8(name, offset, block);
    const texts: string[] = [];
    for (const json of block.toString("utf8").split("\n")) {
      line += 1;
      const text = textOf(line === 1 ? json.replace(/^\ufeff/, "") : json, field, `${name}: line ${line}`);
      if (text !== undefined) texts.push(text);
    }
    return texts;
  };
  for await (const chunk of chunks) {
    const end = chunk.lastIndexOf(0x0a);
    if (end < 0) {
      held.push(chunk);
      heldBytes += chunk.length;
      if (heldBytes <= LONGEST_LINE) continue;
      throw new QuipuError(
        "ERR_USAGE",
        `${name}: line ${line + 1}: longer than ${LONGEST_LINE} bytes: is it JSON Lines? The format "text" takes a file as one text.`,
        { option: "format" },
      );
    }
    const block = Buffer.concat([...held, chunk.subarray(0, end)]);
    const texts = textsOf(block);
    offset += block.length + 1;
    yield { texts, documents: texts.length, next: { offset, line } };
    held = [Buffer.from(chunk.subarray(end + 1))];
    heldBytes = held[0]!.length;
  }
  if (heldBytes === 0) return;
  const texts = textsOf(Buffer.concat(held));
  yield { texts, documents: texts.length, next: undefined };
}

function textOf(json: string, field: string, where: string): string | undefined {
  if (/^\s*$/.test(json)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new QuipuError("ERR_USAGE", `${where}: not valid JSON: ${(cause as Error).message}`, { cause });
  }
  const text = isJsonObject(value) ? value[field] : undefined;
  if (typeof text !== "string") {
    const got = isJsonObject(value) ? `an object with ${Object.keys(value).slice(0, 8).join(", ") || "nothing"}` : json;
    throw new QuipuError(
      "ERR_USAGE",
      `${where}: expected an object with a string "${field}", got ${got.slice(0, 80)}. Name another member if its text is there.`,
      { option: "field" },
    );
  }
  if (json.includes("\\u") && /\p{Surrogate}/u.test(text)) {
    throw new QuipuError("ERR_USAGE", `${where}: "${field}" has half of a surrogate pair, which is no character`);
  }
  return text;
}

function notUtf8(name: string, offset: number, bytes: Uint8Array): QuipuError {
  const at = invalidAt(bytes);
  const byte = bytes[at]?.toString(16).padStart(2, "0");
  return new QuipuError(
    "ERR_USAGE",
    `${name}: not valid UTF-8 at byte ${offset + at}${byte === undefined ? "" : ` (0x${byte})`}. Convert it first, for example with iconv.`,
  );
}
