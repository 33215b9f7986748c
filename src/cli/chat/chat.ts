// A session of chat: entries in, answers out, until the user leaves.
import { type Conversation, type EndEvent, isQuipuError, type Model } from "../../index.js";
import type { Context } from "../context.js";
import { inOptionNames } from "../option-names.js";
import { widthOf } from "../terminal/columns.js";
import { describeDropped } from "../terminal/dropped.js";
import { write } from "../terminal/output.js";
import type { Progress } from "../terminal/progress.js";
import { VisibleStream, visible } from "../terminal/visible.js";
import { type Chat, runCommand } from "./commands.js";
import type { Entry } from "./entries.js";
import type { ChatSource } from "./input.js";
import type { Session } from "./session.js";

export interface ChatParts {
  readonly model: Model;
  readonly session: Session;
  readonly source: ChatSource;
  readonly progress: Progress;
  readonly context: Context;
  /** Somebody sits before it: what fails is said, and the session goes on. */
  readonly isInteractive: boolean;
  readonly quiet: boolean;
}

/** An answer has no end of its own but the model's. */
const UNTIL_STOP = -1;

/** Runs it to its end. @throws {QuipuError} ERR_ABORTED; where nobody sits before it, whatever fails. */
export async function runChat(parts: ChatParts): Promise<void> {
  const { source, isInteractive } = parts;
  const chat = new RunningChat(parts);
  try {
    while (!chat.hasLeft) {
      const entry = await source.next();
      if (entry === undefined) break;
      try {
        await chat.enter(entry);
      } catch (error) {
        if (!isInteractive || !isQuipuError(error) || error.code === "ERR_ABORTED") throw error;
        chat.show(`quipu: ${inOptionNames(error)}`);
      }
    }
  } finally {
    chat.end();
  }
}

class RunningChat implements Chat {
  readonly session: Session;
  readonly model: Model;
  readonly files = new Set<string>();
  last: EndEvent | undefined;
  hasLeft = false;
  readonly #parts: ChatParts;
  readonly #conversation: Conversation;

  constructor(parts: ChatParts) {
    this.#parts = parts;
    this.session = parts.session;
    this.model = parts.model;
    this.#conversation = parts.model.conversation();
  }

  get signal(): AbortSignal {
    return this.#parts.context.signal;
  }

  get width(): number {
    return widthOf(process.stdout);
  }

  async enter({ text, isMessage }: Entry): Promise<void> {
    if (!isMessage && text.trimStart().startsWith("/")) return runCommand(text, this);
    await this.answer(() => this.session.say(text));
  }

  readonly show = (text: string): void => {
    const stream = this.#parts.isInteractive ? process.stdout : process.stderr;
    stream.write(`${visible(text).replace(/\n$/, "")}\n`);
  };

  prefill(text: string): boolean {
    return this.#parts.source.prefill(text);
  }

  leave(): void {
    this.hasLeft = true;
  }

  end(): void {
    this.#conversation.dispose();
    this.#parts.source.close();
  }

  async answer(change: () => void): Promise<void> {
    const controller = new AbortController();
    const takeBack = this.session.mark();
    change();
    try {
      const said = await this.#parts.source.during(
        () => controller.abort(),
        () => this.#answer(AbortSignal.any([controller.signal, this.#parts.context.signal])),
      );
      // A message without an answer is none: templates want them in turn.
      if (said !== "" || !controller.signal.aborted) return this.#answered(said);
      takeBack();
      this.show("(stopped before the answer began: the conversation is as it was before)");
    } catch (error) {
      takeBack();
      throw error;
    }
  }

  /** @returns the text of the answer. */
  async #answer(signal: AbortSignal): Promise<string> {
    const { progress, quiet } = this.#parts;
    const { session, model } = this;
    const { request } = session;
    const shown = process.stdout.isTTY ? new VisibleStream() : undefined;
    let [said, printed] = ["", ""];
    const print = async (text: string) => {
      if (text === "") return;
      printed = text;
      await write(text);
    };
    try {
      for await (const event of this.#conversation.generate(session.prompt, {
        ...request,
        maxTokens: request.maxTokens ?? model.generationConfig.maxNewTokens ?? UNTIL_STOP,
        signal,
        onPromptProgress: (done, total) => progress.draw("prompt", done, total),
      })) {
        if (event.type === "start") {
          session.leaveOut(event.droppedMessages);
          const dropped = quiet ? undefined : describeDropped(event);
          if (dropped !== undefined) this.show(`(${dropped})`);
          continue;
        }
        progress.erase();
        said += event.text;
        await print(shown === undefined ? event.text : shown.push(event.text));
        if (event.type === "end") this.last = event;
      }
    } finally {
      progress.erase();
      await print(shown?.end() ?? "");
      if (printed !== "" && !printed.endsWith("\n")) await write("\n");
    }
    return said;
  }

  #answered(said: string): void {
    this.session.answered(said);
    const { isInteractive, context } = this.#parts;
    if (!isInteractive || context.signal.aborted) return;
    const { reason, usage } = this.last!;
    if (said === "") this.show("(the answer is empty)");
    if (reason === "abort") this.show("(stopped)");
    if (reason === "length") this.show(`(cut off after ${usage.completionTokens} tokens: /set max-tokens)`);
    if (reason === "context") this.show("(the context is full: /undo, /clear or /set on-overflow slide)");
  }
}
