import type { InterruptSignal } from "./interrupt.js";

/** What every command gets beside its options. */
export interface Context {
  /** Ctrl-C or SIGTERM: the work ends. */
  readonly signal: AbortSignal;
  /** Has Ctrl-C, or each of `signals`, do something else than end the work, until what it returns is called. */
  divertInterrupt(handler: () => void, signals?: readonly InterruptSignal[]): () => void;
}
