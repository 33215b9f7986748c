// quipu tokens: count, show or decode. Texts are counted as they are read, so that their length is no matter.
import { statSync } from "node:fs";
import { dirname } from "node:path";
import {
  encodeChat,
  loadChatTemplate,
  loadEncoding,
  loadTokenizer,
  modelFolder,
  QuipuError,
  readConfig,
  type Tokenizer,
} from "../../index.js";
import { type ChatInputOptions, readChatInput } from "../chat-input.js";
import type { Context } from "../program.js";
import { checkOneSource } from "../prompt-input.js";
import { SourceEncoder } from "../source-encoder.js";
import { write } from "../terminal/output.js";
import { coloured, colourTokens, describeToken, tokenTable } from "../terminal/tokens.js";
import { type TextOptions, type TextSource, textSources } from "../text-sources.js";
import { costOf, countTable, type Measured, refuseOverflow } from "../token-counts.js";

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
  const sources = textSources(words, options, signal);
  const { tokenizer, limit } = await prepare(options);
  if (options.decode) return decode(tokenizer, sources, options);
  hintAtFiles(words);
  const { special = false, bos = false } = options;
  const printsMeanwhile = (options.ids || options.show) === true && process.stdout.isTTY === true;
  const quiet = options.quiet === true || printsMeanwhile;
  const encoder = new SourceEncoder(tokenizer, sources, { special, bos, quiet }, signal);
  const measured: Measured[] = [];
  const keeps = options.show || (options.ids && options.json);
  for (const source of sources) {
    if (options.ids && !options.json) measured.push(await encoder.print(source));
    else measured.push(await encoder.measure(source, keeps === true));
    if (options.show && !options.json) await show(tokenizer, measured.at(-1)!, sources.length > 1);
  }
  if (options.json) await writeJson(tokenizer, measured, options, limit);
  else if (options.count) await write(`${measured.reduce((sum, { count }) => sum + count, 0)}\n`);
  else if (!options.ids && !options.show) await write(countTable(measured, options.price));
  refuseOverflow(measured, limit);
}

/** A conversation as the model sees it: shown, unless something else is asked for. */
async function chatTokens(words: readonly string[], options: TokensOptions, signal: AbortSignal): Promise<void> {
  const { chat, prompt, file, bos, ids: onlyIds, count, json, price } = options;
  if (typeof chat !== "string") {
    throw new QuipuError("ERR_USAGE", "--chat: tokens takes a file of messages: quipu tokens --chat messages.json");
  }
  checkOneSource({ words: words.length > 0, "-p": prompt !== undefined, "-f": file !== undefined, "--chat": true });
  const { tokenizer, limit, dir } = await prepare(options);
  const { bosId } = tokenizer;
  if (dir === undefined) {
    throw new QuipuError("ERR_USAGE", `--chat: ${options.encoding} has no chat template. Choose a model with -m.`);
  }
  const template = await loadChatTemplate(dir);
  const input = await readChatInput({ ...options, messages: chat }, signal, "--chat");
  const messages = input.messages!;
  const addGenerationPrompt = messages.at(-1)?.role !== "assistant";
  const rendered = encodeChat(tokenizer, template, messages, { addGenerationPrompt, ...input.optionsFor(template) });
  if (bos && rendered[0] === bosId) {
    throw new QuipuError("ERR_USAGE", "--bos: the chat template begins with the begin-of-text token. Leave out --bos.");
  }
  const ids = bos ? Int32Array.of(bosId!, ...rendered) : rendered;
  const bytes = tokenizer.decodeBytes(ids, { special: true }).length;
  const measured: Measured = { count: ids.length, bytes, ids };
  if (json) await writeJson(tokenizer, [measured], { ...options, show: true }, limit);
  else if (count) await write(`${ids.length}\n`);
  else if (onlyIds) await write(`${ids.join(" ")}\n`);
  else if (price !== undefined) await write(countTable([measured], price));
  else {
    if (!coloured()) await write(`${tokenizer.decode(ids, { special: true })}\n\n`);
    await show(tokenizer, measured, false);
  }
  refuseOverflow([measured], limit);
}

interface Prepared {
  readonly tokenizer: Tokenizer;
  /** The model's folder; undefined for an encoding. */
  readonly dir: string | undefined;
  readonly limit: number | undefined;
}

async function prepare({ model, encoding, limit, bos }: TokensOptions): Promise<Prepared> {
  const isFile = /\.(json|model|tiktoken)$/.test(model ?? "") && statSync(model!, { throwIfNoEntry: false })?.isFile();
  const path = isFile ? model! : encoding === undefined ? modelFolder(model) : "";
  const tokenizer = await (encoding === undefined ? loadTokenizer(path) : loadEncoding(encoding));
  const dir = encoding === undefined ? (isFile ? dirname(path) : path) : undefined;
  if (bos && tokenizer.bosId === undefined) {
    throw new QuipuError("ERR_USAGE", `--bos: ${encoding ?? path} has no begin-of-text token`);
  }
  if (limit !== "context") return { tokenizer, dir, limit };
  if (dir === undefined) {
    throw new QuipuError(
      "ERR_USAGE",
      "--limit context: an encoding has no context. Give a number, or a model with -m.",
    );
  }
  return { tokenizer, dir, limit: (await readConfig(dir)).maxPositions };
}

async function show(tokenizer: Tokenizer, { file, ids, count }: Measured, named: boolean): Promise<void> {
  const heading = named ? `==> ${file} <==\n` : "";
  const text = coloured() ? `${colourTokens(tokenizer, ids!)}\n\n` : "";
  await write(`${heading}${text}${tokenTable(tokenizer, ids!)}${count} tokens\n`);
}

/** Of all texts together; of each, where files are given. */
async function writeJson(
  tokenizer: Tokenizer,
  measured: readonly Measured[],
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
    ...(withIds || shown ? { ids: [...one.ids!] } : {}),
    ...(shown ? described(tokenizer, one.ids!) : {}),
  });
  const isFiles = measured.some(({ file }) => file !== undefined);
  const total = measured.reduce((a, b) => ({ count: a.count + b.count, bytes: a.bytes + b.bytes }));
  const json = isFiles
    ? { ...numbers(total), files: measured.map((one) => ({ file: one.file, ...describe(one) })) }
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

/** Words are text, here as everywhere; who gives nothing but names of files may have meant the files. */
function hintAtFiles(words: readonly string[]): void {
  const isFile = (word: string) => word !== "-" && statSync(word, { throwIfNoEntry: false })?.isFile() === true;
  if (words.length === 0 || !words.every(isFile)) return;
  const [what, them] = words.length === 1 ? [`${words[0]} is`, words[0]] : [`${words.length} names of files are`, "…"];
  process.stderr.write(
    `quipu: ${what} counted as text; -f ${them} counts what is in ${words.length === 1 ? "it" : "them"}\n`,
  );
}
