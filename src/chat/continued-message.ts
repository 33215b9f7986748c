// A last message that is left open, for the model to go on with: as transformers' continue_final_message finds its end.
import { QuipuError } from "../errors.js";
import { PyDict, type Value } from "../jinja/values.js";
import { trimEnd, trimStart } from "../jinja/whitespace.js";
import { withField } from "./message.js";

/** Put behind the message before it is rendered; where it comes out is where the message ends. The space tells whether that is trimmed. */
const TAG = "CONTINUE_FINAL_MESSAGE_TAG ";

/** Names that a message's reasoning is found under. */
const REASONING = ["reasoning_content", "thinking", "reasoning"];

export interface OpenedMessages {
  readonly messages: readonly PyDict[];
  /** The rendered text up to the end of the last message. @throws {QuipuError} ERR_CHAT_TEMPLATE where that is not in it. */
  close(rendered: string): string;
}

/**
 * @param field of the last message: "content", or another that the template prints.
 * @param source the template's text.
 * @throws {QuipuError} ERR_USAGE where there is nothing to go on with, ERR_CHAT_TEMPLATE where the template does not know the field.
 */
export function openFinalMessage(
  messages: readonly PyDict[],
  field: string,
  source: string,
  where: string,
): OpenedMessages {
  const index = messages.length - 1;
  const last = messages[index]!;
  const value = last.get(field);
  if (value === undefined) {
    throw nothingToGoOnWith(`messages[${index}] has no ${field}`);
  }
  // A template reads reasoning under one of its names: all that have it are marked.
  const fields = REASONING.includes(field) ? REASONING.filter((name) => last.get(name) === value) : [field];
  if (!fields.some((name) => source.includes(name))) {
    throw new QuipuError(
      "ERR_CHAT_TEMPLATE",
      `${where}: continueFinalMessage: the chat template does not know the field ${field}`,
    );
  }
  const { text, opened } = openedValue(value, `messages[${index}].${field}`);
  const message = fields.reduce((dict, name) => withField(dict, name, opened), last);
  return { messages: [...messages.slice(0, -1), message], close: (rendered) => close(rendered, text, where) };
}

/** A text, or of parts the last with a text, with the tag behind it. */
function openedValue(value: Value, where: string): { text: string; opened: Value } {
  if (typeof value === "string") return { text: value, opened: value + TAG };
  const parts = Array.isArray(value) ? (value as readonly Value[]) : [];
  const at = parts.findLastIndex((part) => part instanceof PyDict && typeof part.get("text") === "string");
  if (at < 0) throw nothingToGoOnWith(`${where} has no text`);
  const part = parts[at] as PyDict;
  const text = part.get("text") as string;
  return { text, opened: parts.with(at, withField(part, "text", text + TAG)) };
}

function nothingToGoOnWith(what: string): QuipuError {
  return new QuipuError("ERR_USAGE", `continueFinalMessage: ${what} to go on with`, { option: "continueFinalMessage" });
}

function close(rendered: string, text: string, where: string): string {
  const end = rendered.lastIndexOf(TAG.trim());
  if (end < 0 || !rendered.includes(trimEnd(trimStart(text)))) {
    throw new QuipuError(
      "ERR_CHAT_TEMPLATE",
      `${where}: continueFinalMessage: the chat template leaves out the last message, or a part of it: it cannot be gone on with`,
    );
  }
  const open = rendered.slice(0, end);
  // Where the template trims the message its end is ambiguous: the white space behind it is the template's or trimmed away.
  return rendered.startsWith(TAG, end) ? open : trimEnd(open);
}
