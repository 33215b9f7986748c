// Chat templates: the checkpoint's own Jinja text renders messages, and the result is tokenized with its control tokens as such,
// but those that a user has typed as plain text.
import { basename, join } from "node:path";
import { Template } from "@huggingface/jinja";
import { readWhole } from "../checkpoint/file.js";
import { refuseWrongFile } from "../checkpoint/wrong-file.js";
import { QuipuError } from "../errors.js";
import type { Tokenizer } from "./tokenizer.js";
import { readTokenizerConfig } from "./tokenizer-config.js";

/** The longest published templates have some 20 kB. */
const MAX_TEMPLATE_BYTES = 2 ** 22;

/** A message as templates see it. */
export interface TemplateMessage {
  readonly role: string;
  readonly content: string;
}

export interface RenderOptions {
  /** Ends with the header of the answer that is to be generated. */
  readonly addGenerationPrompt: boolean;
}

export class ChatTemplate {
  /** The Jinja text. */
  readonly source: string;
  readonly #template: Template;
  /** What errors call it. */
  readonly where: string;
  readonly #tokens: Readonly<Record<string, string | undefined>>;

  /** @throws {QuipuError} ERR_CHAT_TEMPLATE */
  constructor(source: string, tokens: Readonly<Record<string, string | undefined>>, where: string) {
    this.source = source;
    this.#tokens = tokens;
    this.where = where;
    try {
      this.#template = new Template(source);
    } catch (cause) {
      throw new QuipuError("ERR_CHAT_TEMPLATE", `${where}: the chat template cannot be parsed: ${messageOf(cause)}`, {
        cause,
      });
    }
  }

  /**
   * The conversation as text.
   *
   * @throws {QuipuError} ERR_CHAT_TEMPLATE when the template refuses the messages.
   */
  render(messages: readonly TemplateMessage[], { addGenerationPrompt }: RenderOptions): string {
    try {
      return this.#template.render({
        ...this.#tokens,
        messages: messages.map((message) => ({ ...message })),
        add_generation_prompt: addGenerationPrompt,
        // transformers gives templates these too; strftime_now and raise_exception are the library's own.
        tools: null,
        documents: null,
      });
    } catch (cause) {
      throw new QuipuError(
        "ERR_CHAT_TEMPLATE",
        `${this.where}: the chat template cannot render these messages: ${messageOf(cause)}`,
        { cause },
      );
    }
  }
}

/**
 * The chat template of a checkpoint folder: chat_template.jinja, else tokenizer_config.json's; undefined where it has none.
 *
 * @throws {QuipuError} ERR_CHAT_TEMPLATE, ERR_TOKENIZER_INVALID
 */
export async function loadChatTemplate(dir: string): Promise<ChatTemplate | undefined> {
  const path = join(dir, "chat_template.jinja");
  const [config, file] = await Promise.all([
    readTokenizerConfig(dir),
    readWhole(path, MAX_TEMPLATE_BYTES, "ERR_CHAT_TEMPLATE"),
  ]);
  if (file !== undefined && file.length > 0) refuseWrongFile(file, path, "ERR_CHAT_TEMPLATE");
  const source = file?.toString("utf8") ?? config.chatTemplate;
  if (source === undefined) return undefined;
  const tokens = {
    bos_token: config.bosToken,
    eos_token: config.eosToken,
    pad_token: config.padToken,
    unk_token: config.unkToken,
  };
  return new ChatTemplate(source, tokens, basename(dir));
}

/**
 * The ids of a conversation. The template's own control tokens become their ids; the same texts inside messages stay plain text.
 * The begin-of-text id stands first exactly once where the tokenizer begins texts with it.
 *
 * @throws {QuipuError} ERR_CHAT_TEMPLATE
 */
export function encodeChat(
  tokenizer: Tokenizer,
  template: ChatTemplate,
  messages: readonly TemplateMessage[],
  options: RenderOptions,
): Int32Array {
  const disguise = new Disguise(tokenizer.specialTokens.keys(), messages);
  const rendered = template.render(
    messages.map((message) => ({ ...message, content: disguise.hide(message.content) })),
    options,
  );
  const parts = disguise.split(rendered).map(({ text, special }) => ({ text: disguise.reveal(text), special }));
  const ids = parts.flatMap(({ text, special }) => [...tokenizer.encode(text, { special })]);
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

/**
 * Hides control tokens in user text from the template's: each becomes a noncharacter that the conversation does not hold, its number,
 * and the noncharacter again. Templates move content around and trim it, so places could not be kept as offsets.
 */
class Disguise {
  readonly #texts: readonly string[];
  readonly #special: RegExp | undefined;
  readonly #mark: string;

  constructor(specialTexts: Iterable<string>, messages: readonly TemplateMessage[]) {
    this.#texts = [...specialTexts].sort((a, b) => b.length - a.length);
    const escaped = this.#texts.map((text) => text.replace(/[\\^$*+?.()|[\]{}/-]/g, "\\$&"));
    this.#special = escaped.length === 0 ? undefined : new RegExp(`(${escaped.join("|")})`, "gu");
    const all = messages.map(({ role, content }) => role + content).join("");
    const marks = Array.from({ length: 32 }, (_, i) => String.fromCharCode(0xfdd0 + i));
    const free = marks.find((mark) => !all.includes(mark));
    if (free === undefined)
      throw new QuipuError("ERR_CHAT_TEMPLATE", "the messages hold all 32 noncharacters U+FDD0 to U+FDEF");
    this.#mark = free;
  }

  hide(text: string): string {
    if (this.#special === undefined) return text;
    return text.replace(this.#special, (token) => `${this.#mark}${this.#texts.indexOf(token)}${this.#mark}`);
  }

  reveal(text: string): string {
    return text.replace(
      new RegExp(`${this.#mark}(\\d+)${this.#mark}`, "gu"),
      (_, index) => this.#texts[Number(index)]!,
    );
  }

  /** The template's control tokens, and the plain text between them. */
  split(rendered: string): { text: string; special: boolean }[] {
    if (this.#special === undefined) return [{ text: rendered, special: false }];
    // A split by a group gives text and matches in turn.
    return rendered
      .split(this.#special)
      .map((text, i) => ({ text, special: i % 2 === 1 }))
      .filter(({ text }) => text !== "");
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
