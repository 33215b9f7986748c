// The ids of a conversation. The template's control tokens become their ids; the same texts inside messages, tools, documents and
// variables stay plain text, wherever the template puts them.
import { checkArgument, madeBy } from "../arguments.js";
import { QuipuError } from "../errors.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { type ControlToken, ControlTokens } from "./control-tokens.js";
import type { ChatMessage, ChatOptions } from "./message.js";
import type { ChatTemplate } from "./template.js";

const TOKENIZER = madeBy("a tokenizer", "encode");
const TEMPLATE = madeBy("a ChatTemplate", "open");

/**
 * The ids of a conversation. The begin-of-text id stands first exactly once where the tokenizer begins texts with it.
 *
 * @throws {QuipuError} ERR_CHAT_TEMPLATE, ERR_USAGE as {@link ChatTemplate.render} does.
 */
export function encodeChat(
  tokenizer: Tokenizer,
  template: ChatTemplate,
  messages: readonly ChatMessage[],
  options?: ChatOptions,
): Int32Array {
  checkArgument("tokenizer", tokenizer, TOKENIZER);
  checkArgument("template", template, TEMPLATE);
  const rendering = template.open(messages, options);
  const tokens = controlTokensOf(tokenizer).find(rendering, template.where);
  const ids = encodeParts(tokenizer, rendering.text, tokens);
  const { bosId, addsBos } = tokenizer;
  if (addsBos && bosId !== undefined && ids[0] !== bosId) ids.unshift(bosId);
  if (bosId !== undefined && ids[0] === bosId && ids[1] === bosId) {
    throw new QuipuError(
      "ERR_CHAT_TEMPLATE",
      `${template.where}: the chat template begins with the begin-of-text token twice, which the model has never seen. Mend the template.`,
    );
  }
  return Int32Array.from(ids);
}

const known = new WeakMap<Tokenizer, ControlTokens>();

function controlTokensOf(tokenizer: Tokenizer): ControlTokens {
  const control = known.get(tokenizer) ?? new ControlTokens(tokenizer.specialTokens.keys());
  known.set(tokenizer, control);
  return control;
}

/**
 * Text between two control tokens of the template that holds one which a user has typed is encoded by itself, as plain text; all other text
 * as a whole.
 */
function encodeParts(tokenizer: Tokenizer, text: string, tokens: readonly ControlToken[]): number[] {
  const parts = cutAtTyped(tokens, text.length).map(({ start, end, typed }) => ({
    text: text.slice(start, end),
    typed,
  }));
  const special = (part: string) => tokenizer.encode(part, { special: true });
  return parts.flatMap((part, i) => {
    if (!part.typed) return [...special(part.text)];
    const before = parts[i - 1]?.text ?? "";
    const after = parts[i + 1]?.text ?? "";
    let plain = part.text;
    // Some control tokens take the white space beside them.
    const space = plain.slice(0, plain.length - plain.trimStart().length);
    if (space !== "" && special(before + space).length === special(before).length) plain = plain.slice(space.length);
    const end = plain.slice(plain.trimEnd().length);
    if (end !== "" && special(end + after).length === special(after).length) plain = plain.slice(0, -end.length);
    return [...tokenizer.encode(plain)];
  });
}

/** Stretches of a text, in turn; the typed ones reach from one control token of the template to the next. */
function cutAtTyped(tokens: readonly ControlToken[], length: number): ControlToken[] {
  const own = tokens.filter(({ typed }) => !typed);
  const stretches: ControlToken[] = [];
  let done = 0;
  let at = 0; // the template's tokens that end before the typed one
  for (const { start, typed } of tokens) {
    if (!typed || start < done) continue;
    while (at < own.length && own[at]!.end <= start) at++;
    const from = at === 0 ? 0 : own[at - 1]!.end;
    const to = own[at]?.start ?? length;
    if (from > done) stretches.push({ start: done, end: from, typed: false });
    stretches.push({ start: from, end: to, typed: true });
    done = to;
  }
  if (done < length) stretches.push({ start: done, end: length, typed: false });
  return stretches;
}
