// Chat templates: a checkpoint's own Jinja text renders a conversation, given what transformers 5.24 gives it.
import { checkArgument, type Kind, reading, readOptions, string } from "../arguments.js";
import { isQuipuError, QuipuError } from "../errors.js";
import { DEFAULT_STEPS, JinjaError, JinjaTemplate, type Limits } from "../jinja/template.js";
import { type Twins, withTwins } from "../jinja/twins.js";
import type { PyDict } from "../jinja/values.js";
import { trimEnd, trimStart } from "../jinja/whitespace.js";
import { once } from "../once.js";
import { firstOf } from "../warnings.js";
import { openFinalMessage } from "./continued-message.js";
import {
  type ChatMessage,
  type ChatOptions,
  type Conversation,
  checkConversation,
  joinParts,
  mapTexts,
  withoutField,
} from "./message.js";
import { CHAT_OPTIONS } from "./option-kinds.js";

/** A conversation as a template has rendered it. */
export interface Rendering {
  readonly text: string;
  /** Every text in it that is not the template's own. */
  readonly texts: readonly string[];
  /** The text that comes out where these have twins. */
  again(twins: Twins): string;
}

const SOURCES: Kind = {
  expected: "a Jinja text, or a Map of such texts by name",
  accepts: (value) =>
    typeof value === "string" ||
    (value instanceof Map && [...value].flat().every((text: unknown) => typeof text === "string")),
};
const TOKENS: Kind = {
  expected: "an object: texts of special tokens by name",
  accepts: (value) =>
    Object.prototype.toString.call(value) === "[object Object]" &&
    Object.values(value as object).every((text) => text === undefined || typeof text === "string"),
};

const FILES: Kind = {
  expected: "a Map of texts by name",
  accepts: (value) => value instanceof Map && [...value].flat().every((text: unknown) => typeof text === "string"),
};
const LIMITS: Kind = {
  expected: "an object: maxSteps, maxLength, maxDepth as numbers from 1",
  accepts: (value) =>
    Object.prototype.toString.call(value) === "[object Object]" &&
    Object.values(value as object).every((limit) => limit >= 1),
};

/** Own templates that are kept parsed. */
const KEPT = 8;

export class ChatTemplate {
  /** "default", "tool_use" …; empty for a checkpoint without a template. */
  readonly names: readonly string[];
  /** What errors call it. */
  readonly where: string;
  readonly #sources: ReadonlyMap<string, string>;
  readonly #tokens: Readonly<Record<string, string | undefined>>;
  readonly #files: ReadonlyMap<string, string>;
  readonly #parsed = new Map<string, JinjaTemplate>();

  /**
   * @param sources Jinja texts by name, or one. They are parsed when they are used.
   * @param tokens special tokens by the names that templates have for them, such as bos_token.
   * @param files where each template stands, by its name; for errors.
   * @throws {QuipuError} ERR_USAGE
   */
  constructor(
    sources: string | ReadonlyMap<string, string>,
    tokens: Readonly<Record<string, string | undefined>>,
    where: string,
    files: ReadonlyMap<string, string> = new Map(),
  ) {
    checkArgument("sources", sources, SOURCES);
    checkArgument("tokens", tokens, TOKENS);
    checkArgument("where", where, string);
    checkArgument("files", files, FILES);
    this.#sources = typeof sources === "string" ? new Map([["default", sources]]) : sources;
    this.names = [...this.#sources.keys()];
    this.#tokens = tokens;
    this.where = where;
    this.#files = files;
  }

  /**
   * The Jinja text that renders, chosen as transformers does: what `chatTemplate` names or is, else "tool_use" where tools are given
   * (even none), else "default".
   *
   * @throws {QuipuError} ERR_USAGE where there is none, or none of that name.
   */
  source(options?: Pick<ChatOptions, "chatTemplate" | "tools">): string {
    const { chatTemplate, tools } = readOptions<ChatOptions>("source", options, CHAT_OPTIONS);
    const names = firstOf(this.names, 8);
    if (chatTemplate !== undefined) {
      const named = this.#sources.get(chatTemplate);
      if (named !== undefined) return named;
      if (/\{[{%#]/.test(chatTemplate)) return chatTemplate;
      throw new QuipuError(
        "ERR_USAGE",
        `chatTemplate: ${this.where} has ${names === "" ? "no template" : `the templates ${names}`}: expected such a name or a Jinja text, got ${JSON.stringify(chatTemplate.slice(0, 80))}`,
        { option: "chatTemplate" },
      );
    }
    const chosen = (tools && this.#sources.get("tool_use")) ?? this.#sources.get("default");
    if (chosen !== undefined) return chosen;
    if (this.names.length === 0) {
      throw new QuipuError(
        "ERR_USAGE",
        `${this.where} has no chat template (chat_template.jinja, or in tokenizer_config.json): give a raw text, a template of your own, or use an instruct checkpoint`,
        { option: "raw" },
      );
    }
    throw new QuipuError(
      "ERR_USAGE",
      `chatTemplate: ${this.where} has the templates ${names}, and none is named default: choose one`,
      { option: "chatTemplate" },
    );
  }

  /** What keeps templates of the checkpoint from being parsed, an error for each. */
  problems(): QuipuError[] {
    return [...this.#sources.values()].flatMap((source) => {
      try {
        this.#parse(source);
        return [];
      } catch (error) {
        if (isQuipuError(error)) return [error];
        throw error;
      }
    });
  }

  /**
   * The conversation as text.
   *
   * @throws {QuipuError} ERR_CHAT_TEMPLATE where the template cannot be parsed or refuses the conversation; ERR_USAGE for a conversation
   *   that is none, naming message and field.
   */
  render(messages: readonly ChatMessage[], options?: ChatOptions): string {
    return this.open(messages, options).text;
  }

  /**
   * {@link render}, for those who must know which part of the text comes from where.
   *
   * @param limits what each of its renderings may use.
   */
  open(messages: readonly ChatMessage[], given?: ChatOptions, limits: Limits = {}): Rendering {
    checkArgument("limits", limits, LIMITS);
    const options = readOptions<ChatOptions>("render", given, CHAT_OPTIONS);
    const source = this.source(options);
    const template = this.#parse(source);
    const { addGenerationPrompt, continueFinalMessage = false } = options;
    if (addGenerationPrompt && continueFinalMessage !== false) {
      throw new QuipuError(
        "ERR_USAGE",
        "continueFinalMessage: the last message goes on, or another begins (addGenerationPrompt): choose one",
        { option: "continueFinalMessage" },
      );
    }
    const asked = reading("messages", () => checkConversation(messages, options));
    const bounds = { maxSteps: stepsFor(asked), ...limits };
    const field = continueFinalMessage === true ? "content" : continueFinalMessage;
    const render = (conversation: Conversation): string => {
      const opened = field === false ? undefined : openFinalMessage(conversation.messages, field, source, this.where);
      const text = this.#render(
        template,
        { ...conversation, messages: opened?.messages ?? conversation.messages },
        source,
        addGenerationPrompt,
        bounds,
      );
      return opened === undefined ? text : opened.close(text);
    };
    const { conversation, text } = this.#withParts(asked, render, bounds);
    if (text === "") throw this.#failed("renders to nothing", source);
    this.#checkRead(source, conversation, text, render);
    const again = (twins: Twins) => withTwins(twins, () => render(mapTexts(conversation, (one) => twins.hide(one))));
    const texts: string[] = [];
    mapTexts(conversation, (one) => {
      texts.push(one);
      return one;
    });
    return { text, texts, again };
  }

  /** Tools, documents and calls that a template does not read would be left out without a word. */
  #checkRead(
    source: string,
    conversation: Conversation,
    text: string,
    render: (conversation: Conversation) => string,
  ): void {
    const { messages, tools, documents } = conversation;
    const named = (name: string) => new RegExp(`\\b${name}\\b`).test(source);
    const refuse = (what: string, name: string) =>
      new QuipuError("ERR_USAGE", `${what}: the chat template of ${this.where} does not read ${name}: leave them out`, {
        option: what,
      });
    if (tools !== null && tools.length > 0 && !named("tools")) throw refuse("tools", "tools");
    if (documents !== null && documents.length > 0 && !named("documents")) throw refuse("documents", "documents");
    const calls = messages.findIndex((message) => ((message.get("tool_calls") ?? []) as readonly PyDict[]).length > 0);
    if (calls < 0 || named("tool_calls")) return;
    // What does not name them may still print a message as a whole.
    const without = messages.map((message) => withoutField(message, "tool_calls"));
    if (render({ ...conversation, messages: without }) === text)
      throw refuse(`messages[${calls}].tool_calls`, "tool_calls");
  }

  #parse(source: string): JinjaTemplate {
    const known = this.#parsed.get(source);
    if (known !== undefined) return known;
    try {
      const template = new JinjaTemplate(source);
      if (this.#parsed.size >= KEPT + this.names.length) this.#parsed.clear();
      this.#parsed.set(source, template);
      return template;
    } catch (cause) {
      throw this.#failed("cannot be parsed", source, cause);
    }
  }

  #render(
    template: JinjaTemplate,
    conversation: Conversation,
    source: string,
    addGenerationPrompt: boolean | undefined,
    limits: Limits,
  ): string {
    const { messages, tools, documents, variables } = conversation;
    try {
      const context = {
        ...this.#tokens,
        ...Object.fromEntries(variables.entries()),
        messages,
        tools,
        documents,
        add_generation_prompt: addGenerationPrompt ?? false,
      };
      return template.render(context, limits);
    } catch (cause) {
      const roles = firstOf(
        messages.map((message) => message.get("role") as string),
        8,
      );
      throw this.#failed(`cannot render these messages (${roles})`, source, cause, "messages");
    }
  }

  /**
   * Templates get lists of parts as they are, as in transformers. One that only knows texts would print Python's form of the list, leave the
   * texts out, or fail: such a message's parts are then one text, with newlines between them, as in vLLM.
   */
  #withParts(
    conversation: Conversation,
    render: (conversation: Conversation) => string,
    limits: Limits,
  ): { conversation: Conversation; text: string } {
    const lists = [...conversation.messages.keys()].filter((i) =>
      Array.isArray(conversation.messages[i]!.get("content")),
    );
    if (lists.length === 0) return { conversation, text: render(conversation) };
    let spoilt = lists;
    try {
      const text = render(conversation);
      spoilt = lists.filter(
        (i) => !takesParts(text, conversation.messages[i]!.get("content") as readonly PyDict[], limits),
      );
      if (spoilt.length === 0) return { conversation, text };
    } catch (error) {
      if (!(isQuipuError(error) && error.code === "ERR_CHAT_TEMPLATE")) throw error;
    }
    const messages = conversation.messages.map((message, i) => (spoilt.includes(i) ? joinParts(message) : message));
    const texts = { ...conversation, messages };
    return { conversation: texts, text: render(texts) };
  }

  /** @param about the argument that is refused, where the template itself is not. */
  #failed(what: string, source: string, cause?: unknown, about?: string): QuipuError {
    const isAbsent = cause instanceof JinjaError && cause.kind === "Unsupported";
    const why = cause instanceof Error ? `: ${isAbsent ? "not supported: " : ""}${cause.message}` : "";
    const [name] = [...this.#sources].find(([, text]) => text === source) ?? [];
    const file = name === undefined ? undefined : this.#files.get(name);
    const line = cause instanceof JinjaError && cause.line !== undefined ? `line ${cause.line}` : undefined;
    const place = [line, file].filter((part) => part !== undefined).join(" of ");
    const problem = `${what}${why}${place === "" ? "" : ` (${place})`}`;
    // The caller's own, which the checkpoint's files have no part in.
    if (name === undefined) {
      const option = "chatTemplate";
      return new QuipuError("ERR_CHAT_TEMPLATE", `${option}: the template ${problem}`, { cause, option });
    }
    return new QuipuError("ERR_CHAT_TEMPLATE", `${this.where}: the chat template ${problem}`, { cause, option: about });
  }
}

/**
 * What a rendering may take. Messages and their characters add to it, or a long conversation would be taken for a hostile template:
 * Gemma's walks over all messages for each of them, and filters look at characters one by one.
 */
function stepsFor(conversation: Conversation): number {
  let characters = 0;
  mapTexts(conversation, (text) => {
    characters += text.length;
    return text;
  });
  return DEFAULT_STEPS + 10_000 * conversation.messages.length + 32 * characters;
}

/** A part as Python prints it. */
const printed = once(() => new JinjaTemplate("{{ part }}"));

/** Whether the texts of all parts are in the rendered text, and no part as Python prints it. */
function takesParts(rendered: string, parts: readonly PyDict[], limits: Limits): boolean {
  const isThere = (part: PyDict) => rendered.includes(trimEnd(trimStart(part.get("text") as string)));
  return parts.every((part) => isThere(part) && !rendered.includes(printed().render({ part }, limits)));
}
