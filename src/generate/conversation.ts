/// <reference lib="esnext.disposable" preserve="true" />
// A conversation: generations one after another whose prompts begin as those before them did. What is computed stays in the cache
// as far as there is room, to the last token, and the next generation goes on where its prompt's ids first differ.
import { QuipuError } from "../errors.js";
import { PageKeeper } from "../model/page-pool.js";
import type { GenerateEvent, GenerateOptions, Prompt } from "./events.js";
import { type Holding, holdingOf } from "./generate.js";

/** What a conversation asks of its model. */
export interface ConversationParts {
  generate(
    prompt: Prompt,
    options: GenerateOptions | undefined,
    holding: Holding,
    keeper: PageKeeper,
  ): AsyncGenerator<GenerateEvent, void, void>;
  close(keeper: PageKeeper): void;
}

/**
 * Made by {@link Model.conversation}. It holds no slot between its generations and no message: every prompt is given whole, so that turns
 * can be taken back, changed or left out, and what the prompt has in common with what was computed before is not computed again.
 */
export class Conversation {
  readonly #parts: ConversationParts;
  readonly #keeper = new PageKeeper();
  /** Of the generation that is under way. */
  #holding: Holding | undefined;
  #isDisposed = false;

  constructor(parts: ConversationParts) {
    this.#parts = parts;
  }

  /**
   * As {@link Model.generate}. `usage.cachedTokens` of the end event says how many tokens of the prompt were not computed: all that it begins with
   * of the prompt and the completion before, but its own last token, unless their memory was needed meanwhile.
   *
   * @throws {QuipuError} as there; ERR_BUSY while another generation of the conversation is under way; ERR_DISPOSED.
   */
  generate(prompt: Prompt, options?: GenerateOptions): AsyncGenerator<GenerateEvent, void, void> {
    return holdingOf((holding) => this.#generate(prompt, options, holding));
  }

  async *#generate(
    prompt: Prompt,
    options: GenerateOptions | undefined,
    holding: Holding,
  ): AsyncGenerator<GenerateEvent, void, void> {
    if (this.#isDisposed) throw new QuipuError("ERR_DISPOSED", "the conversation is disposed");
    if (this.#holding?.isForgotten === false) {
      throw new QuipuError(
        "ERR_BUSY",
        "the conversation is in the middle of another generation. Take that one's events to their end, leave its loop, or call its return(); " +
          "conversations that run beside one another are one object each.",
      );
    }
    this.#holding = holding;
    try {
      for await (const event of this.#parts.generate(prompt, options, holding, this.#keeper)) {
        if (event.type === "end") this.#holding = undefined; // whoever has taken it may never ask for more
        yield event;
      }
    } finally {
      if (this.#holding === holding) this.#holding = undefined;
    }
  }

  /** Ends what it generates, with ERR_DISPOSED, and gives back what it alone keeps in the cache. Idempotent. */
  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#holding?.sequence?.end(new QuipuError("ERR_DISPOSED", "the conversation is disposed"));
    this.#parts.close(this.#keeper);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
