// What a session of chat knows: the conversation, its settings, and what of it is no longer sent to the model. It touches neither model nor terminal.
import {
  type ChatMessage,
  type ChatOptions,
  formatChatRequest,
  type GenerateOptions,
  parseChatRequest,
} from "../../index.js";
import { type SamplingOptions, samplingOf } from "../sampling-options.js";
import { settingsFromFields, settingsToFields } from "./settings.js";

/** What a session begins with. What is given beside a request counts for more than what the request says. */
export interface SessionStart {
  /** A conversation, as {@link Session.load} reads it. */
  readonly request?: string | undefined;
  readonly system?: string | undefined;
  readonly options?: ChatOptions;
  readonly settings?: SamplingOptions;
}

export class Session {
  settings: SamplingOptions;
  /** What goes into the chat template beside the messages: what the session began with, and what a file has. */
  #options: ChatOptions;
  readonly #given: ChatOptions;
  #messages: ChatMessage[];
  /** Messages after the system message that are left out, as the context is full. */
  #leftOut = 0;
  /** How often the last message was answered before. */
  #attempts = 0;

  constructor({ request, system, options = {}, settings = {} }: SessionStart = {}) {
    this.settings = {};
    this.#options = options;
    this.#given = options;
    this.#messages = [];
    if (request !== undefined) this.load(request);
    if (system !== undefined) this.system = system;
    this.settings = { ...this.settings, ...settings };
  }

  /** All messages, those that are left out too. */
  get messages(): readonly ChatMessage[] {
    return this.#messages;
  }

  /** Messages that are left out: those that follow the system message. */
  get leftOut(): number {
    return this.#leftOut;
  }

  /** The messages that the model is given. */
  get prompt(): readonly ChatMessage[] {
    const head = this.head;
    return this.#leftOut === 0 ? this.#messages : this.#messages.toSpliced(head, this.#leftOut);
  }

  /** How the next answer is asked for. Where a seed is set, a message that is answered again has the next one. */
  get request(): GenerateOptions {
    const { seed, ...sampling } = samplingOf(this.settings);
    return { ...this.#options, ...sampling, seed: seed === undefined ? undefined : seed + this.#attempts };
  }

  get system(): string | undefined {
    return this.head === 0 ? undefined : textOf(this.#messages[0]!);
  }

  /** An empty text takes it away. */
  set system(text: string) {
    this.#messages.splice(0, this.head, ...(text === "" ? [] : [{ role: "system", content: text }]));
    this.#leftOut = 0;
  }

  say(text: string): void {
    this.#messages.push({ role: "user", content: text });
    this.#attempts = 0;
  }

  answered(text: string): void {
    this.#messages.push({ role: "assistant", content: text });
  }

  /** The oldest of the messages that were sent are left out from now on. */
  leaveOut(count: number): void {
    this.#leftOut += count;
  }

  /** What the user said last. */
  get lastText(): string | undefined {
    const last = this.#messages[this.#lastTurn];
    return last === undefined ? undefined : textOf(last);
  }

  /** Remembers the conversation as it is now; what is returned has it so again. */
  mark(): () => void {
    const [messages, leftOut, attempts] = [[...this.#messages], this.#leftOut, this.#attempts];
    return () => {
      this.#messages = [...messages];
      [this.#leftOut, this.#attempts] = [leftOut, attempts];
    };
  }

  /** Takes back the last message of the user and what follows it; returns its text, undefined where there is none. */
  undo(): string | undefined {
    const last = this.#lastTurn;
    if (last < 0) return undefined;
    const [message] = this.#messages.splice(last);
    this.#leftOut = 0;
    this.#attempts = 0;
    return textOf(message!);
  }

  /** Takes back what follows the last message of the user, which is to be answered again. */
  reopen(): void {
    const after = this.#lastTurn + 1;
    if (after < this.#messages.length) this.#attempts += 1;
    this.#messages.splice(after);
  }

  /** Forgets all messages but the system message. */
  clear(): void {
    this.#messages.splice(this.head);
    this.#leftOut = 0;
    this.#attempts = 0;
  }

  /** The conversation and the settings as a request in JSON, which {@link load} and --messages read. */
  save(): string {
    return formatChatRequest({ ...this.#options, messages: this.#messages }, settingsToFields(this.settings));
  }

  /**
   * What {@link save} or somebody else has written, in place of the conversation and, where it has any, of the settings.
   *
   * @throws {QuipuError} ERR_USAGE; then nothing has changed.
   */
  load(text: string): void {
    const { messages, otherFields: _, ...options } = parseChatRequest(text);
    const settings = settingsFromFields(fieldsOf(text));
    const { addGenerationPrompt: _again, continueFinalMessage: _open, ...own } = options;
    this.#messages = [...messages];
    this.#options = { ...this.#given, ...own };
    if (Object.keys(settings).length > 0) this.settings = settings;
    this.#leftOut = 0;
    this.#attempts = 0;
  }

  /** The last message is the user's, and waits for an answer. */
  get isOpen(): boolean {
    return this.#messages.length > 0 && this.#lastTurn === this.#messages.length - 1;
  }

  /** How many messages at the beginning are instructions. */
  get head(): number {
    const first = this.#messages.findIndex(({ role }) => role !== "system" && role !== "developer");
    return first < 0 ? this.#messages.length : first;
  }

  get #lastTurn(): number {
    return this.#messages.findLastIndex(({ role }) => role === "user");
  }
}

/** The fields of a request; none of a list of messages, and of what is JSON in Python alone, such as NaN. */
function fieldsOf(text: string): Record<string, unknown> {
  try {
    const json: unknown = JSON.parse(text.replace(/^\uFEFF/, ""));
    return Array.isArray(json) ? {} : (json as Record<string, unknown>);
  } catch {
    return {};
  }
}

/** What a message says; its parts on lines of their own. */
export function textOf({ content }: ChatMessage): string {
  if (typeof content === "string") return content;
  return (content ?? []).map(({ text }) => text).join("\n");
}
