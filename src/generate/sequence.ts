// A sequence: one request from its submission to its end, between the scheduler, which computes its tokens, and a reader, who
// takes them. It knows no generator, so that a forgotten one can be collected and still end it.
import { abortedError, type QuipuError } from "../errors.js";
import type { PageKeeper, PageLease } from "../model/page-pool.js";
import type { Row, SampledToken } from "../model/runtime.js";
import type { SamplingSettings } from "../model/slot-state.js";

export interface SamplingRequest {
  readonly settings: SamplingSettings;
  /** Tokens at most, at least 1. */
  readonly maxTokens: number;
  /** Ids that end the sequence; they are its last token. */
  readonly stopIds: readonly number[];
  /** How many of the best ids to report with each token. */
  readonly best: number;
  /** Whether it may read the pages of other sequences, and they its own. */
  readonly promptCache: boolean;
}

export interface SequenceRequest {
  readonly ids: Int32Array;
  /** What comes after the ids; or an array for their own logits, [ids, V], for which all ids are computed. */
  readonly wanted: SamplingRequest | Float32Array;
  /** Goes on where it remembers the beginning of the ids, and remembers them when the sequence is over. It is in no other that runs. */
  readonly keeper?: PageKeeper | undefined;
  /** Told after every step of the prompt but the last. */
  readonly onPromptProgress?: ((done: number, total: number) => void) | undefined;
  /** Names the request, in the errors of others. */
  readonly describe: (tokens: number) => string;
  readonly signal?: AbortSignal | undefined;
}

/** What the scheduler does for its sequences. */
export interface SequenceOwner {
  /** The reader has taken a token, or waits for one. */
  wake(sequence: Sequence): void;
  /** Nobody wants the sequence any more. */
  ended(sequence: Sequence): void;
}

export class Sequence {
  readonly request: SequenceRequest;
  /** Undefined for logits. */
  readonly sampling: SamplingRequest | undefined;
  /** While it is admitted. */
  slot = -1;
  lease: PageLease | undefined;
  /** Steps in flight that name its slot. */
  inFlight = 0;
  /** Ids of the prompt that are computed, or in a step that is. */
  queuedIds = 0;
  /** Tokens that are sampled, or in a step that does it. */
  queuedTokens = 0;
  /** When it was admitted, on performance.now()'s clock. */
  admittedAt = 0;
  readonly #owner: SequenceOwner;
  readonly #ids: Int32Array; // the prompt and what was sampled
  readonly #stopIds: ReadonlySet<number>;
  readonly #unread: SampledToken[] = [];
  #tokens = 0;
  #taken = 0;
  #reader: { resolve(token: SampledToken | undefined): void; reject(error: unknown): void } | undefined;
  #over = false;
  #error: unknown;

  constructor(request: SequenceRequest, owner: SequenceOwner) {
    this.request = request;
    this.#owner = owner;
    this.sampling = "settings" in request.wanted ? request.wanted : undefined;
    this.#ids = new Int32Array(request.ids.length + (this.sampling?.maxTokens ?? 0));
    this.#ids.set(request.ids);
    this.#stopIds = new Set(this.sampling?.stopIds);
    request.signal?.addEventListener("abort", this.#abort);
    if (request.signal?.aborted) this.#abort();
  }

  // The reader's side.

  /** The next token; undefined after the last one. For logits undefined, when all are there. */
  next(): Promise<SampledToken | undefined> {
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
      this.#serve();
      this.#owner.wake(this);
    });
  }

  /** Ends it early; with `error`, that is what the reader gets. Once it is over, this does nothing. */
  end(error?: QuipuError): void {
    if (this.#over) return;
    this.#unread.length = 0;
    this.finish(error);
  }

  /** Positions of its prompt that were there before it came. */
  get cachedTokens(): number {
    return this.lease?.cached ?? 0;
  }

  // The scheduler's side.

  /** Positions that it can need: the last token is never computed further. */
  get positions(): number {
    return this.request.ids.length + (this.sampling === undefined ? 0 : this.sampling.maxTokens - 1);
  }

  /** Of the prompt and the tokens that have come. */
  get length(): number {
    return this.request.ids.length + this.#tokens;
  }

  get over(): boolean {
    return this.#over;
  }

  /** Nothing happens before the reader asks for the next token. One that is over goes as soon as its steps have landed. */
  get isIdle(): boolean {
    return !this.#over && this.sampling !== undefined && this.#reader === undefined;
  }

  get isPrompt(): boolean {
    return !this.#over && this.queuedIds < this.request.ids.length;
  }

  /**
   * Decoding: the next of its tokens is waited for, or will be soon. Not so where the reader left the tokens that are there, which
   * are computed up to `ahead` of it.
   */
  isDecoding(ahead: number): boolean {
    const { sampling } = this;
    if (this.#over || sampling === undefined || this.isPrompt || this.queuedTokens >= sampling.maxTokens) return false;
    return this.inFlight > 0 || this.#unread.length < ahead;
  }

  mayDecode(ahead: number): boolean {
    return this.isDecoding(ahead) && this.queuedTokens - this.#taken < ahead;
  }

  /** Its next `count` rows of the prompt. */
  promptRows(count: number): Row[] {
    const { slot, queuedIds } = this;
    const ids = this.request.ids.subarray(queuedIds, queuedIds + count);
    return Array.from(ids, (id, i) => ({ slot, id, position: queuedIds + i }));
  }

  /** The positions before `end` are in the cache. */
  filled(end: number): void {
    this.lease!.publish(this.#ids.subarray(0, end));
  }

  /** A token has come. */
  deliver(token: SampledToken): void {
    this.#ids[this.request.ids.length + this.#tokens] = token.id;
    this.#tokens += 1;
    this.#unread.push(token);
    if (this.#stopIds.has(token.id) || this.#tokens === this.sampling!.maxTokens) this.finish();
    this.#serve();
  }

  /** It is over; tokens that are there can still be read, then comes `error`, if there is one. */
  finish(error?: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#error = error;
    this.request.signal?.removeEventListener("abort", this.#abort);
    this.#serve();
    this.#owner.ended(this);
  }

  describe(): string {
    return this.request.describe(this.#taken);
  }

  #serve(): void {
    const reader = this.#reader;
    if (reader === undefined) return;
    const token = this.#unread.shift();
    if (token === undefined && !this.#over) return;
    this.#reader = undefined;
    if (token !== undefined) this.#taken += 1;
    if (token === undefined && this.#error !== undefined) reader.reject(this.#error);
    else reader.resolve(token);
  }

  readonly #abort = () => this.end(abortedError(this.request.signal!));
}
