// Sequences that wait to be admitted, in the order of their coming. Where nobody takes the tokens of those that run, the wait may
// never end: after some patience it is refused, and the error names them.
import { QuipuError } from "../errors.js";
import type { Sequence } from "./sequence.js";

/** The longest that a timer can run. */
const LONGEST = 2 ** 31 - 1;
/** Milliseconds that a timer may run before its time. */
const TIMER_EARLY = 1;

export class WaitingLine {
  /** Those that wait, and when they came. */
  readonly #came = new Map<Sequence, number>();
  readonly #patience: number;
  /** Since when all that run are idle; undefined where they are not, or nobody waits. */
  #stuckSince: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param patience milliseconds; Infinity: without end. */
  constructor(patience: number) {
    this.#patience = patience;
  }

  get length(): number {
    return this.#came.size;
  }

  get first(): Sequence | undefined {
    return this.#came.keys().next().value;
  }

  add(sequence: Sequence): void {
    this.#came.set(sequence, performance.now());
  }

  remove(sequence: Sequence): void {
    this.#came.delete(sequence);
  }

  endAll(error: () => QuipuError): void {
    for (const sequence of [...this.#came.keys()]) sequence.end(error());
  }

  /** One that runs was read, or has gone, or one has come in: all wait anew. Who joins the line or leaves it is no such sign. */
  restart(): void {
    this.#stuckSince = undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Looks at what runs. `freeSlots`: the cache is what they wait for. */
  watch(running: readonly Sequence[], freeSlots: boolean): void {
    const [first] = this.#came.values();
    if (first === undefined || !running.every(({ isIdle }) => isIdle)) {
      this.restart();
      return;
    }
    if (this.#timer !== undefined || this.#patience === Number.POSITIVE_INFINITY) return;
    this.#stuckSince ??= performance.now();
    const since = this.#stuckSince;
    const left = (came: number) => this.#patience - (performance.now() - Math.max(came, since));
    const refuse = () => {
      this.#timer = undefined;
      const late = [...this.#came].filter(([, came]) => left(came) < TIMER_EARLY);
      for (const [sequence] of late) sequence.end(busyError(running, freeSlots));
      this.watch(running, freeSlots);
    };
    this.#timer = setTimeout(refuse, Math.min(Math.max(left(first), 0), LONGEST));
  }
}

function busyError(running: readonly Sequence[], freeSlots: boolean): QuipuError {
  const names = running.slice(0, 3).map((sequence) => sequence.describe());
  const others = running.length > 3 ? ` and ${running.length - 3} more` : "";
  const [one, all, more, option] = freeSlots
    ? ["the cache is held by", "the cache is held by", "a larger cache lets", "cacheTokens"]
    : ["the only slot is held by", "all slots are held by", "more slots let", "slots"];
  const [holds, it] = running.length === 1 ? [one, "it"] : [all, "them"];
  return new QuipuError(
    "ERR_BUSY",
    `${holds} ${names.join("; ")}${others}, and nobody asks ${it} for the next event. ` +
      `Take a generation's events to their end, leave its loop, or call its return(); ${more} several run at once.`,
    { option },
  );
}
