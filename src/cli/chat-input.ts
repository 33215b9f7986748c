// Conversations from JSON files, and what goes with them into the chat template.
import { stat } from "node:fs/promises";
import {
  type ChatMessage,
  type ChatOptions,
  type ChatRequest,
  type ChatTemplate,
  isQuipuError,
  parseChatRequest,
  parseJson,
  QuipuError,
} from "../index.js";
import { concatenated, decode, openFile, stdinChunks } from "./byte-input.js";

/** What the command line says of a conversation. */
export interface ChatInputOptions {
  readonly messages?: string;
  readonly tools?: string;
  readonly templateVar?: ReadonlyMap<string, string>;
  readonly chatTemplate?: string;
  readonly continue?: boolean;
}

/** A conversation, and how it is rendered. */
export interface ChatInput {
  /** Undefined where a text is the prompt. */
  readonly messages: readonly ChatMessage[] | undefined;
  /** The options for the templates of a model. */
  optionsFor(template: ChatTemplate | undefined): ChatOptions;
  /** The error, with the file that the messages are from where a template refuses them. */
  explained<T>(error: T): T | QuipuError;
}

/**
 * Reads what the options name: `messages` is a list of messages, or a request that has one. What else a request has is named on stderr.
 *
 * @param flag the option that names the messages, for errors.
 * @throws {QuipuError} ERR_USAGE for files that cannot be read or hold something else.
 */
export async function readChatInput(
  given: ChatInputOptions,
  signal: AbortSignal,
  flag = "--messages",
): Promise<ChatInput> {
  const { messages: file, tools: toolsFile, templateVar, chatTemplate } = given;
  if (file === "-" && toolsFile === "-")
    throw new QuipuError("ERR_USAGE", `${flag} and --tools: only one of them can be stdin`);
  const request = file === undefined ? undefined : await readRequest(flag, file, signal);
  const { messages, otherFields: _, ...fromFile }: Partial<ChatRequest> = request ?? {};
  if (toolsFile !== undefined && request?.tools !== undefined) {
    throw new QuipuError("ERR_USAGE", `--tools: ${file} has tools as well: give them once`);
  }
  const options: ChatOptions = {
    ...fromFile,
    ...(toolsFile === undefined ? {} : { tools: await readTools(toolsFile, signal) }),
    ...(templateVar === undefined ? {} : { templateVariables: withVariables(fromFile.templateVariables, templateVar) }),
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
    ...(given.continue ? { continueFinalMessage: true } : {}),
  };
  if (options.addGenerationPrompt && (options.continueFinalMessage ?? false) !== false) {
    throw new QuipuError(
      "ERR_USAGE",
      `${given.continue ? "--continue" : `${flag}: continue_final_message`}: the last message goes on, or another begins (add_generation_prompt in ${file}): choose one`,
    );
  }
  const explained = <T>(error: T) => (file === undefined ? error : ofFile(error, `${flag} ${file}`));
  const isFile = chatTemplate !== undefined && (await stat(chatTemplate).catch(() => undefined))?.isFile();
  if (!isFile) return { messages, optionsFor: (template) => checkNamed(options, template), explained };
  const text = await readText("--chat-template", chatTemplate, signal);
  if (!/\{[{%#]/.test(text)) {
    throw new QuipuError(
      "ERR_USAGE",
      `--chat-template ${chatTemplate}: expected a Jinja text, got one without {{ and {%`,
    );
  }
  // A name of the model's own comes first: what it stands for must not change with the folder that quipu is run in.
  const named = (template: ChatTemplate | undefined) => template?.names.includes(chatTemplate) === true;
  const optionsFor = (template: ChatTemplate | undefined) =>
    named(template) ? options : { ...options, chatTemplate: text };
  return { messages, optionsFor, explained };
}

function ofFile<T>(error: T, file: string): T | QuipuError {
  if (!isQuipuError(error) || error.code !== "ERR_CHAT_TEMPLATE" || error.option !== "messages") return error;
  return new QuipuError(error.code, `${file}: ${error.message}`, { cause: error });
}

/** @throws {QuipuError} ERR_USAGE for what --chat-template gives, where it is neither a name of the model's nor a Jinja text. */
function checkNamed(options: ChatOptions, template: ChatTemplate | undefined): ChatOptions {
  const { chatTemplate } = options;
  if (chatTemplate === undefined || template?.names.includes(chatTemplate) || /\{[{%#]/.test(chatTemplate))
    return options;
  const names = template?.names.join(", ") || "none";
  throw new QuipuError(
    "ERR_USAGE",
    `--chat-template ${chatTemplate}: no such file, and no template of that name in the model (it has ${names})`,
  );
}

async function readRequest(flag: string, file: string, signal: AbortSignal): Promise<ChatRequest> {
  const text = await readText(flag, file, signal);
  try {
    const request = parseChatRequest(text);
    if (request.otherFields.length > 0) {
      process.stderr.write(`quipu: ${file}: no part of the prompt, and not read: ${request.otherFields.join(", ")}\n`);
    }
    return request;
  } catch (error) {
    throw isQuipuError(error)
      ? new QuipuError(error.code, `${flag} ${file}: ${error.message}`, { cause: error })
      : error;
  }
}

async function readTools(file: string, signal: AbortSignal): Promise<readonly object[]> {
  const text = await readText("--tools", file, signal);
  let json: unknown;
  try {
    json = parseJson(text.replace(/^\uFEFF/, ""));
  } catch (cause) {
    throw new QuipuError("ERR_USAGE", `--tools ${file}: ${(cause as Error).message}`, { cause });
  }
  if (Array.isArray(json)) return json;
  throw new QuipuError("ERR_USAGE", `--tools ${file}: expected a list of tools`);
}

/** The variables of a request, and those of the command line, which win: each a value of JSON, else a text. */
function withVariables(
  before: ChatOptions["templateVariables"] = {},
  given: ReadonlyMap<string, string>,
): Record<string, unknown> {
  const values = Array.from(given, ([name, text]): [string, unknown] => {
    try {
      return [name, parseJson(text)];
    } catch {
      return [name, text];
    }
  });
  return { ...before, ...Object.fromEntries(values) };
}

/** @throws {QuipuError} ERR_USAGE that names the flag: a file that cannot be read, is longer than 256 MiB or no UTF-8. */
export async function readText(flag: string, file: string, signal: AbortSignal): Promise<string> {
  if (file === "") throw new QuipuError("ERR_USAGE", `${flag}: expected a path, got an empty text`);
  let bytes: Uint8Array;
  try {
    const chunks = file === "-" ? stdinChunks(signal, { expected: true }) : openFile(file);
    bytes = await concatenated(chunks, `${flag} ${file}`);
  } catch (cause) {
    if (isQuipuError(cause)) throw cause;
    throw new QuipuError("ERR_USAGE", `${flag} ${file}: cannot be read: ${(cause as Error).message}`, { cause });
  }
  return decode(bytes, `${flag} ${file}`);
}
