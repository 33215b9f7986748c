// quipu tokens: count, show or decode. Texts are streamed, so memory does not grow with their length.
import { existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { setImmediate } from "node:timers/promises";
import {
  encodeChat,
  loadChatTemplate,
  loadEncoding,
  loadTokenizer,
  modelFolder,
  QuipuError,
  readConfig,
  type Tokenizer,
  type Warn,
} from "../../index.js";
import { InputError } from "../byte-input.js";
import { type ChatInputOptions, readChatInput } from "../chat-input.js";
import type { Context } from "../context.js";
import { ensureModel } from "../fetch.js";
import { warningPrinter } from "../model-options.js";
import { checkOneSource } from "../prompt-input.js";
import { SourceEncoder } from "../source-encoder.js";
import { write } from "../terminal/output.js";
import { coloured, colourTokens, describeToken, tokenHeader, tokenRows, widthOfIds } from "../terminal/tokens.js";
import { type TextOptions, type TextSource, textSources } from "../text-sources.js";
import { costOf, countTable, type Failed, type Measured, refuseOverflow } from "../token-counts.js";

/** Tokens that are shown at a time; their colours begin anew where the block's length is a multiple of their number. */
const BLOCK = 4096;

export interface TokensOptions extends TextOptions, Omit<ChatInputOptions, "messages"> {
  readonly model?: string;
  readonly encoding?: string;
  readonly chat?: string;
  readonly count?: boolean;
  readonly ids?: boolean;
  readonly show?: boolean;
  readonly decode?: boolean;
  readonly special?: boolean;
  readonly bos?: boolean;
  readonly skipInvalid?: boolean;
  readonly limit?: number | "context";
  readonly price?: number;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export async function tokens(words: readonly string[], options: TokensOptions, { signal }: Context): Promise<void> {
  if (options.chat !== undefined) return chatTokens(words, options, signal);
  const lone = (["tools", "templateVar", "chatTemplate"] as const).find((name) => options[name] !== undefined);
  if (lone !== undefined) {
    const flag = lone.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new QuipuError("ERR_USAGE", `--${flag} goes with a conversation: give --chat as well`);
  }
  const sources = await textSources(words, options, signal);
  const { tokenizer, limit } = await prepare(options, signal);
  if (options.decode) return decode(tokenizer, sources, options);
  hintAtFiles(words);
  const { special = false, bos = false, skipInvalid = false } = options;
  const printsMeanwhile = (options.ids || options.show) === true && process.stdout.isTTY === true;
  const quiet = options.quiet === true || printsMeanwhile;
  const checksFirst = skipInvalid || sources.length > 1;
  const encoder = new SourceEncoder(tokenizer, sources, { special, bos, limit, checksFirst, quiet }, signal);
  const measured: Measured[] = [];
  const failed: Failed[] = [];
  const keeps = options.show || (options.ids && options.json);
  for (const source of sources) {
    try {
      if (options.ids && !options.json) measured.push(await encoder.print(source));
      else measured.push(await encoder.measure(source, keeps === true));
    } catch (error) {
      if (!(error instanceof InputError) || source.file === undefined) throw error;
      process.stderr.write(`quipu: ${error.message}${skipInvalid ? " Skipped." : ""}\n`);
      failed.push({ file: source.file, error: error.message });
      continue;
    }
    if (options.show && !options.json) await show(tokenizer, measured.at(-1)!, sources.length > 1, signal);
  }
  if (options.json) await writeJson(tokenizer, measured, failed, options, limit);
  else if (options.count) await write(countOf(measured));
  else if (!options.ids && !options.show) await write(countTable(measured, sources.length, options.price));
  refuseOverflow(measured, limit);
  if (failed.length > 0 && !skipInvalid) throw new QuipuError("ERR_USAGE", ""); // said already, file by file
}

/** In all; nothing where a text was not read to its end. */
function countOf(measured: readonly Measured[]): string {
  if (measured.length === 0 || measured.some(({ isCut }) => isCut)) return "";
  return `${measured.reduce((sum, { count }) => sum + count, 0)}\n`;
}

/** A conversation as the model sees it: shown, unless something else is asked for. */
async function chatTokens(words: readonly string[], options: TokensOptions, signal: AbortSignal): Promise<void> {
  const { chat, prompt, file, bos, ids: onlyIds, count, json, price } = options;
  if (typeof chat !== "string") {
    throw new QuipuError("ERR_USAGE", "--chat: tokens takes a file of messages: quipu tokens --chat messages.json");
  }
  checkOneSource({ words: words.length > 0, "-p": prompt !== undefined, "-f": file !== undefined, "--chat": true });
  const { tokenizer, limit, dir, warn } = await prepare(options, signal);
  const { bosId } = tokenizer;
  if (dir === undefined) {
    throw new QuipuError("ERR_USAGE", `--chat: ${options.encoding} has no chat template. Choose a model with -m.`);
  }
  const template = await loadChatTemplate(dir, warn);
  const input = await readChatInput({ ...options, messages: chat }, signal, "--chat");
  const messages = input.messages!;
  const given = input.optionsFor(template);
  const isAnswered = messages.at(-1)?.role === "assistant" || (given.continueFinalMessage ?? false) !== false;
  let rendered: Int32Array;
  try {
    rendered = encodeChat(tokenizer, template, messages, { addGenerationPrompt: !isAnswered, ...given });
  } catch (error) {
    throw input.explained(error);
  }
  if (bos && rendered[0] === bosId) {
    throw new QuipuError("ERR_USAGE", "--bos: the chat template begins with the begin-of-text token. Leave out --bos.");
  }
  const ids = bos ? Int32Array.of(bosId!, ...rendered) : rendered;
  const bytes = tokenizer.decodeBytes(ids, { special: true }).length;
  const measured: Measured = { count: ids.length, bytes, ids };
  if (json) await writeJson(tokenizer, [measured], [], { ...options, show: true }, limit);
  else if (count) await write(`${ids.length}\n`);
  else if (onlyIds) await write(`${ids.join(" ")}\n`);
  else if (price !== undefined) await write(countTable([measured], 1, price));
  else {
    if (!coloured()) await write(`${tokenizer.decode(ids, { special: true })}\n\n`);
    await show(tokenizer, measured, false, signal);
  }
  refuseOverflow([measured], limit);
}

interface Prepared {
  readonly tokenizer: Tokenizer;
  /** The model's folder; undefined for an encoding. */
  readonly dir: string | undefined;
  readonly limit: number | undefined;
  readonly warn: Warn;
}

async function prepare(
  { model, encoding, limit, bos, quiet = false }: TokensOptions,
  signal: AbortSignal,
): Promise<Prepared> {
  const warn = warningPrinter({ quiet });
  const isFile = /\.(json|model|tiktoken)$/.test(model ?? "") && isFileName(model!);
  if (!isFile && encoding === undefined) await ensureModel(model, { quiet }, { signal }, "tokenizer");
  const path = isFile ? model! : encoding === undefined ? modelFolder(model, warn) : "";
  const tokenizer = await (encoding === undefined ? loadTokenizer(path, warn) : loadEncoding(encoding));
  const dir = encoding === undefined ? (isFile ? dirname(path) : path) : undefined;
  if (bos && tokenizer.bosId === undefined) {
    throw new QuipuError("ERR_USAGE", `--bos: ${encoding ?? path} has no begin-of-text token`);
  }
  if (limit !== "context") return { tokenizer, dir, limit, warn };
  if (dir === undefined) {
    throw new QuipuError(
      "ERR_USAGE",
      "--limit context: an encoding has no context. Give a number, or a model with -m.",
    );
  }
  return { tokenizer, dir, warn, limit: (await readConfig(dir, warn)).maxPositions };
}

async function show(
  tokenizer: Tokenizer,
  { file, ids, count }: Measured,
  named: boolean,
  signal: AbortSignal,
): Promise<void> {
  if (named) await write(`==> ${file} <==\n`);
  if (coloured()) {
    for await (const some of inBlocks(ids!, signal)) await write(colourTokens(tokenizer, some));
    await write("\n\n");
  }
  const width = widthOfIds(ids!);
  await write(tokenHeader(width));
  for await (const some of inBlocks(ids!, signal)) await write(tokenRows(tokenizer, some, width));
  await write(`${count} tokens\n`);
}

/** Some ids at a time; a signal comes through in between. @throws {QuipuError} ERR_ABORTED */
async function* inBlocks(ids: Int32Array, signal: AbortSignal): AsyncGenerator<Int32Array> {
  for (let at = 0; at < ids.length; at += BLOCK) {
    yield ids.subarray(at, at + BLOCK);
    await setImmediate();
    if (signal.aborted) throw new QuipuError("ERR_ABORTED", "interrupted while showing tokens");
  }
}

/** Of all texts together; of each, where files are given. */
async function writeJson(
  tokenizer: Tokenizer,
  measured: readonly Measured[],
  failed: readonly Failed[],
  { price, ids: withIds, show: shown }: TokensOptions,
  limit: number | undefined,
): Promise<void> {
  const numbers = ({ count, bytes }: Measured) => ({
    count,
    bytes,
    bytesPerToken: count === 0 ? null : bytes / count,
    ...(price === undefined ? {} : { cost: costOf(count, price) }),
  });
  const describe = (one: Measured) => ({
    ...numbers(one),
    ...(limit === undefined ? {} : { limit, over: Math.max(0, one.count - limit) }),
    ...(one.isCut ? { complete: false } : {}),
    ...(withIds || shown ? { ids: [...one.ids!] } : {}),
    ...(shown ? described(tokenizer, one.ids!) : {}),
  });
  const isFiles = failed.length > 0 || measured.some(({ file }) => file !== undefined);
  const total = measured.reduce((a, b) => ({ count: a.count + b.count, bytes: a.bytes + b.bytes }), {
    count: 0,
    bytes: 0,
  });
  const json = isFiles
    ? {
        ...numbers(total),
        files: measured.map((one) => ({ file: one.file, ...describe(one) })),
        ...(failed.length === 0 ? {} : { failed }),
      }
    : describe(measured[0]!);
  await write(`${JSON.stringify(json)}\n`);
}

function described(tokenizer: Tokenizer, ids: Int32Array) {
  return {
    tokens: Array.from(ids, (id) => describeToken(tokenizer, id)),
    text: tokenizer.decode(ids, { special: true }),
  };
}

async function decode(tokenizer: Tokenizer, sources: readonly TextSource[], { json }: TokensOptions): Promise<void> {
  const texts: string[] = [];
  for (const { chunks } of sources) {
    const parts: Buffer[] = [];
    for await (const chunk of chunks) parts.push(Buffer.from(chunk as Uint8Array));
    texts.push(Buffer.concat(parts).toString());
  }
  const ids = parseIds(texts.join("\n"));
  if (json) return write(`${JSON.stringify({ count: ids.length, ids: [...ids], ...described(tokenizer, ids) })}\n`);
  await write(tokenizer.decode(ids, { special: true }) + (process.stdout.isTTY ? "\n" : ""));
}

function parseIds(text: string): Int32Array {
  const words = text.split(/[\s,[\]]+/).filter((word) => word !== "");
  const wrong = words.find((word) => !/^\d{1,9}$/.test(word));
  if (wrong !== undefined) {
    throw new QuipuError(
      "ERR_USAGE",
      `--decode: expected ids with spaces or commas between them, got ${JSON.stringify(wrong)}`,
    );
  }
  return Int32Array.from(words, Number);
}

/** Words are text, here as everywhere; who gives nothing but names of files and folders may have meant those. */
function hintAtFiles(words: readonly string[]): void {
  if (words.length === 0 || !words.every((word) => isFileName(word) || isFolderName(word))) return;
  const [what, them] = words.length === 1 ? [`${words[0]} is`, words[0]] : [`${words.length} names of files are`, "…"];
  process.stderr.write(
    `quipu: ${what} counted as text; -f ${them} counts what is in ${words.length === 1 ? "it" : "them"}\n`,
  );
}

/** false also for what can be no name: a text of any length. */
function isFileName(word: string): boolean {
  return existsSync(word) && statSync(word).isFile();
}

function isFolderName(word: string): boolean {
  return existsSync(word) && statSync(word).isDirectory();
}
