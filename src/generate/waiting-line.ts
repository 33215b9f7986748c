// Sequences that wait to be admitted, in the order of their coming. Where nobody takes the tokens of those that run, the wait may
// never end: after some patience it is refused, and the error names them.
import { QuipuError } from "../errors.js";
import type { Sequence } from "./sequence.js";

/** The longest that a timer can run. */
const LONGEST = 2 ** 31 - 1;

export class WaitingLine {
  readonly #sequences = new Set<Sequence>();
  readonly #patience: number;
  #timer: NodeJS.Timeout | undefined; // runs while sequences wait and all that run are idle

  /** @param patience milliseconds; Infinity: without end. */
  constructor(patience: number) {
    this.#patience = patience;
  }

  get length(): number {
    return this.#sequences.size;
  }

  get first(): Sequence | undefined {
    return this.#sequences.values().next().value;
  }

  add(sequence: Sequence): void {
    this.#sequences.add(sequence);
  }

  remove(sequence: Sequence): void {
    this.#sequences.delete(sequence);
  }

  endAll(error: () => QuipuError): void {
    for (const sequence of [...this.#sequences]) sequence.end(error());
  }

  /** Looks at what runs: any sign of life begins the wait anew. `freeSlots`: the cache is what they wait for. */
  watch(running: readonly Sequence[], freeSlots: boolean): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const stuck = this.#sequences.size > 0 && running.every(({ isIdle }) => isIdle);
    if (!stuck || this.#patience === Number.POSITIVE_INFINITY) return;
    const refuse = () => this.endAll(() => busyError(running, freeSlots));
    this.#timer = setTimeout(refuse, Math.min(this.#patience, LONGEST));
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
