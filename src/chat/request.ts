// A conversation as JSON: a list of messages, or a request as OpenAI and vLLM write them.
import { checkArgument, isObject, reading, string, wrongArgument } from "../arguments.js";
import { QuipuError } from "../errors.js";
import { dumps, parseJson as parseAsPython } from "../jinja/json.js";
import { PyDict, type Value } from "../jinja/values.js";
import { type ChatMessage, type ChatOptions, checkConversation, toValue } from "./message.js";
import { CHAT_OPTIONS } from "./option-kinds.js";

/** What a request says of its prompt. */
export interface ChatRequest extends ChatOptions {
  readonly messages: readonly ChatMessage[];
  /** Names of its other fields, which are no part of the prompt: model, temperature … */
  readonly otherFields: readonly string[];
}

const OPTIONS: ReadonlyMap<string, keyof ChatOptions> = new Map([
  ["tools", "tools"],
  ["documents", "documents"],
  ["chat_template_kwargs", "templateVariables"],
  ["chat_template", "chatTemplate"],
  ["add_generation_prompt", "addGenerationPrompt"],
  ["continue_final_message", "continueFinalMessage"],
]);

/**
 * JSON as Python reads it: 1.0 stays a float, ints are exact, fields keep their order. For what a chat template is given.
 *
 * @throws {QuipuError} ERR_USAGE for what is no JSON.
 */
export function parseJson(text: string): Value {
  checkArgument("text", text, string);
  try {
    return parseAsPython(text);
  } catch (cause) {
    throw new QuipuError("ERR_USAGE", `not valid JSON: ${(cause as Error).message}`, { cause, option: "text" });
  }
}

/**
 * Reads JSON as Python does, so that templates print what they print there: 1.0 is no 1, and the fields of arguments keep their order, which
 * JSON.parse changes where they look like numbers.
 *
 * @throws {QuipuError} ERR_USAGE for what is no JSON, no list and no object with "messages", or has a field of another kind; of messages it
 *   names message and field.
 */
export function parseChatRequest(text: string): ChatRequest {
  checkArgument("text", text, string);
  const json = parseJson(text.replace(/^\uFEFF/, ""));
  const messages = json instanceof PyDict ? json.get("messages") : json;
  if (!Array.isArray(messages)) {
    throw new QuipuError("ERR_USAGE", 'expected a list of messages, or an object with such a list as its "messages"', {
      option: "text",
    });
  }
  if (messages.length === 0) throw wrongArgument("messages", "at least one message", []);
  const options: Partial<Record<keyof ChatOptions, unknown>> = {};
  const otherFields: string[] = [];
  for (const [key, value] of json instanceof PyDict ? json.entries() : []) {
    const name = key as string;
    const option = OPTIONS.get(name);
    if (name === "messages" || value === null) continue;
    if (option === undefined) {
      otherFields.push(name);
      continue;
    }
    options[option] =
      key === "chat_template_kwargs" && value instanceof PyDict ? Object.fromEntries(value.entries()) : value;
    checkArgument(name, options[option], CHAT_OPTIONS[option]);
  }
  // A list of numbers would be taken for ids.
  const fields = (message: Value, index: number) => {
    if (message instanceof PyDict) return { ...Object.fromEntries(message.entries()), ...contentOf(message) };
    throw wrongArgument(`messages[${index}]`, "{ role, content }", message);
  };
  const request = { ...(options as ChatOptions), messages: messages.map(fields) as unknown as readonly ChatMessage[] };
  checkConversation(request.messages, request);
  return { ...request, otherFields };
}

/** Parts of a content as callers write them, not as templates see them. */
function contentOf(message: PyDict): { content?: unknown } {
  const content = message.get("content");
  if (!Array.isArray(content)) return {};
  return { content: content.map((part) => (part instanceof PyDict ? Object.fromEntries(part.entries()) : part)) };
}

/**
 * A request as JSON, which {@link parseChatRequest} reads: what it gave comes out as it was.
 *
 * @param otherFields by their names in JSON: model, temperature …
 * @throws {QuipuError} ERR_USAGE for messages that are none, and for what JSON cannot hold.
 */
export function formatChatRequest(
  request: { readonly messages: readonly ChatMessage[] } & ChatOptions,
  otherFields: Readonly<Record<string, unknown>> = {},
): string {
  const value = reading("request", () => {
    if (!isObject(request) || !Array.isArray(request.messages)) {
      throw wrongArgument("request", "an object with a list of messages", request);
    }
    const { messages, ...options } = request;
    checkConversation(messages, options);
    const fields = Array.from(OPTIONS, ([name, option]) => [name, options[option]]);
    return toValue({ messages, ...Object.fromEntries(fields), ...otherFields }, "request");
  });
  return `${dumps(value, { ensureAscii: false, indent: "  ", separators: undefined, sortKeys: false })}\n`;
}
