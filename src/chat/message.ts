// Conversations as OpenAI writes them, checked, and as templates see them.
import { reading, wrongArgument } from "../arguments.js";
import { QuipuError } from "../errors.js";
import { int, PyDict, PyFloat, type Value } from "../jinja/values.js";

/** A piece of a message's content. Text is the only kind that this version takes. */
export interface TextPart {
  readonly type: "text";
  readonly text: string;
}

/** A call that an assistant message makes. `arguments` goes to the template as it is: OpenAI writes JSON text, some templates want an object. */
export interface ToolCall {
  readonly id?: string | undefined;
  readonly type?: string | undefined;
  readonly function: { readonly name: string; readonly arguments?: unknown };
}

/** A message of a conversation. What it has beside these fields goes to the chat template as well. */
export interface ChatMessage {
  readonly role: string;
  readonly content?: string | readonly TextPart[] | null | undefined;
  readonly name?: string | null | undefined;
  readonly reasoning_content?: string | null | undefined;
  readonly tool_calls?: readonly ToolCall[] | null | undefined;
  readonly tool_call_id?: string | null | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: interfaces, such as those of OpenAI's own client, fit no other index signature
  readonly [field: string]: any;
}

/** What a conversation may have beside its messages. */
export interface ChatOptions {
  /** Ends with the header of the answer that is to be generated; default false. */
  readonly addGenerationPrompt?: boolean | undefined;
  /** Leaves the last message open, to be gone on with: its content, or the field of that name. Default false. */
  readonly continueFinalMessage?: boolean | string | undefined;
  /** Tools that the model may call: `{ type: "function", function: { name, description, parameters } }`. */
  readonly tools?: readonly object[] | undefined;
  /** Texts that the model may quote, as the template wants them; most take `{ title, text }`. */
  readonly documents?: readonly object[] | undefined;
  /** Other variables of the template, by name; vLLM and transformers call them chat_template_kwargs. */
  readonly templateVariables?: Readonly<Record<string, unknown>> | undefined;
  /** One of the checkpoint's templates by its name, or the Jinja text of another. Default: "tool_use" with tools, else "default". */
  readonly chatTemplate?: string | undefined;
}

/** What a template is given, as its values. */
export interface Conversation {
  readonly messages: readonly PyDict[];
  readonly tools: readonly PyDict[] | null;
  readonly documents: readonly PyDict[] | null;
  readonly variables: PyDict;
}

/** Deeper than any schema of a tool; a cycle ends here. */
const MAX_DEPTH = 64;

/** Names that parts of the conversation have in templates. */
const TAKEN = ["messages", "tools", "documents", "add_generation_prompt"];

/**
 * The values of a conversation, in copies. Fields of messages that are null or undefined are left out, as transformers does: templates ask
 * whether a field is there.
 *
 * @throws {QuipuError} ERR_USAGE that names message and field.
 */
export function checkConversation(messages: unknown, options: ChatOptions): Conversation {
  return reading("messages", () => conversationOf(messages, options));
}

function conversationOf(messages: unknown, options: ChatOptions): Conversation {
  const { tools, documents, templateVariables = {} } = options;
  const list = listAt("messages", messages, "{ role, content }");
  if (list.length === 0) throw wrongArgument("messages", "at least one message", list);
  const variables = reading("templateVariables", () => toValue(templateVariables, "templateVariables"));
  if (!(variables instanceof PyDict))
    throw wrongArgument("templateVariables", "an object: values by name", templateVariables);
  const taken = TAKEN.find((name) => variables.has(name));
  if (taken !== undefined) {
    throw new QuipuError("ERR_USAGE", `templateVariables: ${taken} has an option of its own: give it there`, {
      option: "templateVariables",
    });
  }
  return {
    messages: list.map((message, index) => withReasoning(checkMessage(message, `messages[${index}]`))),
    tools: tools === undefined ? null : listAt("tools", tools, "an object"),
    documents: documents === undefined ? null : listAt("documents", documents, "an object"),
    variables,
  };
}

/** Parts as one text, as vLLM joins them. */
export function joinParts(message: PyDict): PyDict {
  const parts = message.get("content") as readonly PyDict[];
  return withField(message, "content", parts.map((part) => part.get("text") as string).join("\n"));
}

export function withField(dict: PyDict, name: string, value: Value): PyDict {
  const changed = new PyDict();
  for (const [key, old] of dict.entries()) changed.set(key, old);
  changed.set(name, value);
  return changed;
}

export function withoutField(dict: PyDict, name: string): PyDict {
  const changed = new PyDict();
  for (const [key, value] of dict.entries()) if (key !== name) changed.set(key, value);
  return changed;
}

/** A conversation whose texts are changed: everything that a user can have written, the names of fields too. */
export function mapTexts(conversation: Conversation, change: (text: string) => string): Conversation {
  const mapped = (value: Value): Value => {
    if (typeof value === "string") return change(value);
    if (Array.isArray(value)) return value.map(mapped);
    return value instanceof PyDict ? mappedDict(value) : value;
  };
  const mappedDict = (dict: PyDict): PyDict => {
    const changed = new PyDict();
    for (const [key, value] of dict.entries()) changed.set(mapped(key), mapped(value));
    return changed;
  };
  const { messages, tools, documents, variables } = conversation;
  return {
    messages: messages.map(mappedDict),
    tools: tools?.map(mappedDict) ?? null,
    documents: documents?.map(mappedDict) ?? null,
    variables: mappedDict(variables),
  };
}

function listAt(where: string, list: unknown, each: string): PyDict[] {
  if (!Array.isArray(list)) throw wrongArgument(where, `a list, each of it ${each}`, list);
  return list.map((entry: unknown, index) => {
    const value = reading(where, () => toValue(entry, `${where}[${index}]`));
    if (value instanceof PyDict) return value;
    throw wrongArgument(`${where}[${index}]`, each, entry);
  });
}

function checkMessage(message: PyDict, where: string): PyDict {
  const given = new PyDict();
  for (const [name, value] of message.entries()) if (value !== null) given.set(name, value);
  if (typeof given.get("role") !== "string") throw wrongArgument(`${where}.role`, "a text", given.get("role"));
  for (const name of ["name", "reasoning_content", "tool_call_id"]) {
    const value = given.get(name);
    if (value !== undefined && typeof value !== "string")
      throw wrongArgument(`${where}.${name}`, "a text or null", value);
  }
  checkContent(given.get("content"), `${where}.content`);
  // Null is said on purpose, as of a refusal; a field that is not there was forgotten, or has another name.
  const isSaid = ["content", "tool_calls", "reasoning_content", "thinking", "reasoning"].some((name) =>
    message.has(name),
  );
  if (!isSaid) throw wrongArgument(`${where}.content`, "a text, parts, or tool_calls in its place", undefined);
  const calls = given.get("tool_calls");
  if (calls !== undefined && !(Array.isArray(calls) && calls.every((call) => call instanceof PyDict))) {
    throw wrongArgument(`${where}.tool_calls`, "a list of { id, type, function: { name, arguments } }", calls);
  }
  return given;
}

function checkContent(content: Value | undefined, where: string): void {
  if (content === undefined || typeof content === "string") return;
  if (!Array.isArray(content) || content.length === 0) {
    throw wrongArgument(where, 'a text, null, or parts { type: "text", text }', content);
  }
  content.forEach((part: Value, index) => {
    const at = `${where}[${index}]`;
    if (!(part instanceof PyDict)) throw wrongArgument(at, '{ type: "text", text }', part);
    if (part.get("type") !== "text")
      throw wrongArgument(`${at}.type`, '"text" (this version takes no other)', part.get("type"));
    if (typeof part.get("text") !== "string") throw wrongArgument(`${at}.text`, "a text", part.get("text"));
  });
}

/** Reasoning has three names: templates read the first, older messages have the others, gpt-oss's template reads "thinking". */
function withReasoning(message: PyDict): PyDict {
  const reasoning = ["reasoning_content", "thinking", "reasoning"]
    .map((name) => message.get(name))
    .find((text) => text !== undefined);
  if (reasoning === undefined) return message;
  const named = new PyDict();
  named.set("thinking", reasoning);
  for (const [name, value] of message.entries()) named.set(name, value);
  named.set("reasoning_content", reasoning);
  return named;
}

/** Data through and through: what JSON can hold. Fields that are undefined are left out, as JSON does. */
export function toValue(value: unknown, where: string, depth = 0): Value {
  if (value === null || typeof value === "string" || typeof value === "boolean" || typeof value === "bigint")
    return value;
  if (typeof value === "number" && Number.isFinite(value))
    return Number.isInteger(value) ? int(BigInt(value)) : new PyFloat(value);
  if (value instanceof PyFloat) return value;
  if (depth >= MAX_DEPTH)
    throw new QuipuError("ERR_USAGE", `${where}: nested deeper than ${MAX_DEPTH}`, { option: where });
  if (Array.isArray(value)) return value.map((item: unknown, index) => toValue(item, `${where}[${index}]`, depth + 1));
  const entries = entriesOf(value);
  if (entries === undefined) throw wrongArgument(where, "data as JSON has it", value);
  const dict = new PyDict();
  for (const [name, field] of entries) {
    if (field !== undefined) dict.set(name, toValue(field, `${where}.${name}`, depth + 1));
  }
  return dict;
}

/** The fields of an object that is no more than its fields: dates, maps and the like have no form that a template could rely on. */
function entriesOf(value: unknown): Iterable<[string, unknown]> | undefined {
  if (value instanceof PyDict) return value.entries() as Iterable<[string, unknown]>;
  if (typeof value !== "object" || value === null || Object.prototype.toString.call(value) !== "[object Object]")
    return undefined;
  return Object.entries(value);
}
